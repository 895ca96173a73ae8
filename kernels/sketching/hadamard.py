"""The fast Walsh-Hadamard transform of a block of columns."""

import numpy as np
from numba import njit

from kernels.sketching.types import Matrix, Vector

CACHED_NUMBERS = 2**16  # half a mebibyte: what the passes over short strides work on stays in the second-level cache


def walsh_hadamard(block: Matrix) -> None:
    """Multiply a block by the Walsh-Hadamard matrix, in place: ``block <- H @ block``, entries of H are +-1.

    In a contiguous block of c columns, rows that lie s apart are c * s numbers apart, so that each pass is one of
    butterflies on long contiguous runs. Two levels are merged in a pass (radix 4).

    Parameters
    ----------
    block : ndarray, shape (n, c), float64, C-contiguous
        n a power of two. Overwritten.

    Raises
    ------
    ValueError
        If the block has another shape, type or memory layout.
    """
    if not isinstance(block, np.ndarray) or block.ndim != 2 or block.dtype != np.float64:
        raise ValueError(f"block must be a float64 array of shape (n, c), not {type(block).__name__}")
    if not block.flags.c_contiguous or block.shape[1] < 1:
        raise ValueError(f"block must be C-contiguous with at least one column, not of shape {block.shape}")
    rows = block.shape[0]
    if rows < 1 or rows & (rows - 1):
        raise ValueError(f"block must have a power of two rows, not {rows}")
    _transform(block.ravel(), block.shape[1], CACHED_NUMBERS)


@njit()
def _level(values: Vector, begin: int, end: int, span: int, radix: int) -> None:
    """Transform across the ``radix`` equal parts of each run of ``span`` numbers."""
    part = span // radix
    for start in range(begin, end, span):
        if radix == 2:
            for i in range(start, start + part):
                first, second = values[i], values[i + part]
                values[i] = first + second
                values[i + part] = first - second
        else:
            for i in range(start, start + part):
                first, second = values[i], values[i + part]
                third, fourth = values[i + 2 * part], values[i + 3 * part]
                outer_sum, outer_difference = first + third, first - third
                inner_sum, inner_difference = second + fourth, second - fourth
                values[i] = outer_sum + inner_sum
                values[i + part] = outer_sum - inner_sum
                values[i + 2 * part] = outer_difference + inner_difference
                values[i + 3 * part] = outer_difference - inner_difference


@njit()
def _descend(values: Vector, begin: int, end: int, longest: int, shortest: int) -> int:
    """All levels from runs of ``longest`` numbers down to ``shortest``; returns the runs that are left."""
    span = longest
    while span > shortest:
        radix = 4 if span // 4 >= shortest else 2
        _level(values, begin, end, span, radix)
        span //= radix
    return span


@njit(cache=True)
def _transform(values: Vector, columns: int, cached: int) -> None:
    # long strides first: afterwards the runs are independent, and each stays in the cache for all that is left of it
    run = columns
    while 4 * run <= min(cached, values.size):
        run *= 4
    run = _descend(values, 0, values.size, values.size, run)
    for start in range(0, values.size, run):
        _descend(values, start, start + run, run, columns)
