"""The constant-coefficient Laplacian solved in its sine modes: the baseline for operators that never change."""

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

# Up to here two matrix products beat a transform whose length has large prime factors (four times at 256 x 256).
LARGEST_SINE_MATRIX = 300


def fast_poisson(
    rhs_grid: NDArray[np.float64], spacing: float, boundary: Literal["vertex", "cell"] = "vertex"
) -> NDArray[np.float64]:
    """Solve the 5-point equations for -Laplace(u) = f with u = 0 on the boundary, by sine transforms.

    The eigenvectors of the 5-point matrix are the modes of the sine transform of type I on vertex-centred and of type
    II on cell-centred grids (Buzbee, Golub and Nielson 1970; Strang 1999, SIAM Review 41(1)). The cost is O(s^2 log s)
    where the length of the transform is a product of small primes; on vertex-centred grids of up to 300 whose s + 1 is
    not, the modes are applied as matrices in O(s^3).

    Parameters
    ----------
    rhs_grid : ndarray, shape (rows, columns), float64
        f at the unknowns.
    spacing : float
        h, the distance between neighbours.
    boundary : {"vertex", "cell"}
        Where the boundary lies: ``vertex`` at a distance h from the outermost unknowns, so that the matrix is
        (4 u - neighbours) / h^2; ``cell`` at h / 2, where each missing neighbour adds 1 to the 4 of the diagonal.

    Returns
    -------
    ndarray, shape (rows, columns), float64
        u; NaN where f holds NaN or infinity anywhere.

    Raises
    ------
    ValueError
        If rhs_grid is not a float64 array of that shape, spacing is not positive or boundary is unknown.
    """
    if not isinstance(rhs_grid, np.ndarray) or rhs_grid.ndim != 2 or rhs_grid.size == 0 or rhs_grid.dtype != np.float64:
        raise ValueError(f"rhs_grid must be a float64 array of shape (rows, columns), not {np.shape(rhs_grid)}")
    if not 0.0 < spacing < np.inf:
        raise ValueError(f"spacing must be positive and finite, not {spacing}")
    if boundary not in ("vertex", "cell"):
        raise ValueError(f"boundary must be 'vertex' or 'cell', not {boundary!r}")
    rows, columns = rhs_grid.shape
    eigenvalues = (_eigenvalues(rows, boundary)[:, None] + _eigenvalues(columns, boundary)) / spacing**2
    if (
        boundary == "vertex"
        and max(rows, columns) <= LARGEST_SINE_MATRIX
        and not (_is_fast(rows) and _is_fast(columns))
    ):
        left, right = _sine_matrix(rows), _sine_matrix(columns)
        return left @ ((left @ rhs_grid @ right) / eigenvalues) @ right
    transform_type: Literal[1, 2] = 1 if boundary == "vertex" else 2
    spectrum = scipy.fft.dstn(rhs_grid, type=transform_type)
    solution: NDArray[np.float64] = scipy.fft.idstn(spectrum / eigenvalues, type=transform_type)
    return solution


def _eigenvalues(size: int, boundary: str) -> NDArray[np.float64]:
    intervals = size + 1 if boundary == "vertex" else size
    return 4.0 * np.sin(np.arange(1, size + 1) * np.pi / (2 * intervals)) ** 2


def _is_fast(size: int) -> bool:
    return scipy.fft.next_fast_len(size + 1, real=True) == size + 1


@lru_cache(maxsize=8)
def _sine_matrix(size: int) -> NDArray[np.float64]:
    """The orthonormal sine modes of a vertex-centred line; symmetric and its own inverse."""
    modes = np.arange(1, size + 1)
    matrix: NDArray[np.float64] = np.sqrt(2.0 / (size + 1)) * np.sin(np.outer(modes, modes) * (np.pi / (size + 1)))
    return matrix
