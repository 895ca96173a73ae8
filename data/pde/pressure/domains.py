"""Pressure equations on squares with air pockets, and their right-hand sides: the divergence of a smooth velocity."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.pde.grid_operators import cell_centres, five_point
from data.pde.random_fields import gaussian_field

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_POCKETS = 5
SMALLEST_RADIUS, LARGEST_RADIUS = 0.05, 0.15


def draw_liquid(random: np.random.Generator, grid: int) -> Mask:
    """Draw one to five pockets, discs and squares, and return the cells outside of them.

    Parameters
    ----------
    random : Generator
    grid : int
        Cells per side of the unit square.

    Returns
    -------
    ndarray, shape (grid, grid), bool
        True where there is liquid, indexed (y, x). The same generator gives every grid the same pockets.
    """
    pockets, discs = random.uniform(size=(MOST_POCKETS, 3)), random.uniform(size=MOST_POCKETS) < 0.5
    count = 1 + int(random.uniform() * MOST_POCKETS)
    y, x = np.meshgrid(cell_centres(grid), cell_centres(grid), indexing="ij")
    liquid = np.ones((grid, grid), dtype=np.bool_)
    for (centre_y, centre_x, size), disc in zip(pockets[:count], discs[:count], strict=True):
        radius = SMALLEST_RADIUS + size * (LARGEST_RADIUS - SMALLEST_RADIUS)
        across, along = abs(y - centre_y), abs(x - centre_x)
        liquid &= (np.hypot(across, along) if disc else np.maximum(across, along)) > radius
    return liquid


def pressure_matrix(liquid: Mask) -> sp.csr_array:
    """The five-point matrix of -h^2 Laplace, pressure zero in the pockets and beyond the square.

    Parameters
    ----------
    liquid : ndarray, shape (rows, columns), bool

    Returns
    -------
    csr_array, shape (rows * columns, rows * columns), float64
        Canonical, symmetric and positive definite: 4 and -1 in the rows of the liquid, those of the identity elsewhere.
    """
    around = np.pad(liquid, 1)
    neighbours = (around[:-2, 1:-1], around[1:-1, :-2], around[1:-1, 2:], around[2:, 1:-1])
    south, west, east, north = (np.where(liquid & neighbour, -1.0, 0.0) for neighbour in neighbours)
    matrix = five_point(south, west, np.where(liquid, 4.0, 1.0), east, north)
    matrix.eliminate_zeros()
    return matrix


def draw_divergence(random: np.random.Generator, grid: int, smoothness: float, inverse_length: float) -> Array:
    """Draw -h^2 times the divergence of a smooth random velocity field, what the pressure has to balance.

    Parameters
    ----------
    random : Generator
    grid : int
        Cells per side.
    smoothness, inverse_length : float
        Of both components, see :func:`~data.pde.random_fields.gaussian_field`.

    Returns
    -------
    ndarray, shape (grid, grid), float64
        Indexed (y, x). Fluxes through the faces of a cell are means of the velocity at their ends. A finer grid adds
        detail to the same velocity.
    """
    components = (gaussian_field(stream, grid, smoothness, inverse_length, "vertices") for stream in random.spawn(2))
    across, along = components
    flux_y, flux_x = 0.5 * (across[:, 1:] + across[:, :-1]), 0.5 * (along[1:] + along[:-1])
    return -(np.diff(flux_y, axis=0) + np.diff(flux_x, axis=1)) / grid
