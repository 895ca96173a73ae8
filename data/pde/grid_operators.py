"""Five-point operators on rectangular grids: one sparsity pattern per grid, filled by one gather."""

from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cell_centres(cells: int) -> Array:
    """The centres of equal cells of the unit interval, shape (cells,)."""
    return (np.arange(cells) + 0.5) / cells


def interior_vertices(cells: int) -> Array:
    """The vertices of equal cells inside the unit interval, shape (cells - 1,)."""
    return np.arange(1, cells) / cells


@lru_cache(maxsize=8)
def _pattern(rows: int, columns: int) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Which stencil entries stay inside the grid, their column indices and the row pointers."""
    offsets = np.array([-columns, -1, 0, 1, columns], dtype=np.int32)
    inside = np.ones((rows, columns, 5), dtype=np.bool_)
    inside[0, :, 0] = inside[:, 0, 1] = inside[:, -1, 3] = inside[-1, :, 4] = False
    neighbours = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns, 1) + offsets
    pointers = np.concatenate(([0], np.cumsum(inside.sum(axis=2)))).astype(np.int32)
    return np.flatnonzero(inside), neighbours[inside], pointers


def five_point(south: Array, west: Array, centre: Array, east: Array, north: Array) -> sp.csr_array:
    """Assemble the matrix that couples every grid point to itself and its four neighbours.

    Parameters
    ----------
    south, west, centre, east, north : ndarray, shape (rows, columns), float64
        The coefficients with which the equation at (y, x) takes the values at (y - 1, x), (y, x - 1), (y, x),
        (y, x + 1) and (y + 1, x). Those that would reach beyond the grid are ignored.

    Returns
    -------
    csr_array, shape (rows * columns, rows * columns), float64
        Canonical, points numbered row by row. Its arrays are its own.
    """
    rows, columns = centre.shape
    kept, indices, pointers = _pattern(rows, columns)
    data = np.stack((south, west, centre, east, north), axis=-1).ravel()[kept]
    matrix = sp.csr_array((data, indices.copy(), pointers.copy()), shape=(centre.size, centre.size))
    matrix.has_canonical_format = True
    return matrix
