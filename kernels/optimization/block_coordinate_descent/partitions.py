"""Fixed partitions of the coordinates into blocks of one size."""

import numpy as np

from kernels.linear_systems.validation import check_count
from kernels.optimization.block_coordinate_descent.objectives import Block, Vector

PARTITIONS = ("order", "sort", "average")


def fixed_blocks(kind: str, lipschitz: Vector, block_size: int) -> list[Block]:
    """Cut the coordinates into consecutive blocks; the last one may be smaller.

    Parameters
    ----------
    kind : {"order", "sort", "average"}
        As they come, from the greatest Lipschitz constant down, or the smallest and the greatest in turn, which gives
        all blocks about the same mean.
    lipschitz : ndarray, shape (p,), float64
        The Lipschitz constants of the coordinates.
    block_size : int
        Between 1 and p.

    Returns
    -------
    list of ndarray, each of at most ``block_size`` indices

    Raises
    ------
    ValueError
        If the kind is unknown or the size out of range.
    """
    size = lipschitz.size
    check_count("block_size", block_size, least=1, most=size)
    ascending = np.argsort(lipschitz, kind="stable")
    if kind == "order":
        order = np.arange(size)
    elif kind == "sort":
        order = ascending[::-1]
    elif kind == "average":
        order = np.empty(size, np.intp)
        order[0::2] = ascending[: (size + 1) // 2]
        order[1::2] = ascending[::-1][: size // 2]
    else:
        raise ValueError(f"partition must be one of {', '.join(PARTITIONS)}, not {kind!r}")
    return np.split(order, np.arange(block_size, size, block_size))
