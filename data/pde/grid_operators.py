"""Five- and seven-point operators on rectangular grids: one sparsity pattern per grid, filled by one gather."""

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
def _pattern(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Which stencil entries stay inside the grid, their column indices and the row pointers."""
    size, dimensions = int(np.prod(shape)), len(shape)
    strides = size // np.cumprod(shape)  # from a point to its neighbour, along each axis
    offsets = np.concatenate((-strides, [0], strides[::-1])).astype(np.int32)
    inside = np.ones((*shape, len(offsets)), dtype=np.bool_)
    for axis in range(dimensions):
        along = np.moveaxis(inside, axis, 0)
        along[0, ..., axis] = along[-1, ..., 2 * dimensions - axis] = False
    neighbours = np.arange(size, dtype=np.int32).reshape(*shape, 1) + offsets
    pointers = np.concatenate(([0], np.cumsum(inside.sum(axis=-1)))).astype(np.int32)
    return np.flatnonzero(inside), neighbours[inside], pointers


def _assemble(*stencil: Array) -> sp.csr_array:
    size = stencil[0].size
    kept, indices, pointers = _pattern(stencil[0].shape)
    data = np.stack(stencil, axis=-1).ravel()[kept]
    matrix = sp.csr_array((data, indices.copy(), pointers.copy()), shape=(size, size))
    matrix.has_canonical_format = True
    return matrix


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
    return _assemble(south, west, centre, east, north)


def seven_point(
    below: Array, south: Array, west: Array, centre: Array, east: Array, north: Array, above: Array
) -> sp.csr_array:
    """Assemble the matrix that couples every point of a three-dimensional grid to itself and its six neighbours.

    Parameters
    ----------
    below, south, west, centre, east, north, above : ndarray, shape (layers, rows, columns), float64
        As in :func:`five_point`; ``below`` and ``above`` are for the values at (z - 1, y, x) and (z + 1, y, x).

    Returns
    -------
    csr_array, shape (n, n) with n = layers * rows * columns, float64
        Canonical, points numbered layer by layer and row by row. Its arrays are its own.
    """
    return _assemble(below, south, west, centre, east, north, above)
