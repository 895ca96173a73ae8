"""Conjugate gradients deflated by the lowest modes of the empty square: what is known without any training."""

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.conjugate_directions.deep import NetworkSystem
from kernels.linear_systems.deflated_cg import deflated_cg
from kernels.linear_systems.krylov_tools import Block, RecycledSpace
from kernels.linear_systems.validation import check_count
from kernels.result import Result


def mode_deflated_cg(
    system: NetworkSystem, *, modes: int, tolerance: float = 1e-8, max_iterations: int = 10_000
) -> Result:
    """Solve a system by CG deflated by eigenvectors of Poisson's matrix on the whole grid, set to zero in the pockets.

    Parameters
    ----------
    system : NetworkSystem
    modes : int
        The number of eigenvectors, those of smallest eigenvalue; at least 1.
    tolerance, max_iterations
        As for :func:`~kernels.linear_systems.deflated_cg.deflated_cg`.

    Returns
    -------
    Result
        As from there; the products of the matrix with all modes are in ``operator_applications``.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    check_count("modes", modes, least=1, most=system.liquid.size)
    rows, columns = system.liquid.shape
    vectors = lowest_modes(rows, columns, modes) * system.liquid.reshape(-1, 1)
    result, _ = deflated_cg(
        system.matrix,
        system.rhs,
        recycle=modes,
        stored=1,
        tolerance=tolerance,
        max_iterations=max_iterations,
        recycled=RecycledSpace(vectors),
    )
    return result


def lowest_modes(rows: int, columns: int, count: int) -> Block:
    """The eigenvectors of smallest eigenvalue of the five-point Laplacian on a grid, zero beyond it.

    Returns
    -------
    ndarray, shape (rows * columns, count), float64
        Orthonormal columns by ascending eigenvalue.
    """
    lines = [_sines(side) for side in (rows, columns)]
    eigenvalues = np.add.outer(*(4.0 * np.sin(np.arange(1, n + 1) * np.pi / (2 * n + 2)) ** 2 for n in (rows, columns)))
    down, across = np.unravel_index(np.argsort(eigenvalues, axis=None, kind="stable")[:count], eigenvalues.shape)
    modes = lines[0][:, None, down] * lines[1][None, :, across]
    return np.asarray(modes.reshape(rows * columns, count))


def _sines(side: int) -> NDArray[np.float64]:
    """The orthonormal sines on the points of a line, by columns."""
    points = np.arange(1, side + 1)
    return np.asarray(np.sqrt(2.0 / (side + 1)) * np.sin(np.outer(points, points) * np.pi / (side + 1)))
