"""Gaussian random fields that vanish on the boundary of the unit square, and flows whose stream functions do.

The modes are products of sines; otherwise these are the fields of :mod:`data.pde.random_fields`.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dstn, idstn

from data.pde.random_fields import REFERENCE_MODES, mode_deviations, mode_numbers_squared, shell_order

Array = NDArray[np.float64]


@lru_cache(maxsize=32)
def vanishing_deviation(smoothness: float, inverse_length: float, derivatives: int = 0) -> float:
    """Root of the expected square of a field, averaged over the square, or of its gradient or its flow.

    Parameters
    ----------
    smoothness, inverse_length : float
        The alpha and tau of the covariance.
    derivatives : int
        0 for the field, 1 for its gradient (needs alpha > 2), -1 for the velocity of which it is the vorticity.
    """
    modes = REFERENCE_MODES[2]
    lengths = np.pi * np.sqrt(mode_numbers_squared(modes)[1:, 1:])
    deviations = mode_deviations(modes, smoothness, inverse_length)[1:, 1:]
    # not by BLAS, whose rounding depends on its number of threads
    return float(np.sqrt(np.square(lengths**derivatives * deviations).sum()))


def vanishing_field(
    random: np.random.Generator,
    cells: int,
    smoothness: float,
    inverse_length: float,
    at: Literal["centres", "vertices"] = "centres",
) -> Array:
    """Draw a Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha, 0 on the boundary.

    A grid of n cells carries the modes k = 1 ... n - 1 of either direction, drawn shell by shell, so that a finer grid
    continues the field.

    Parameters
    ----------
    random : Generator
    cells : int
        Cells per side of the unit square.
    smoothness, inverse_length : float
        The alpha and tau of the covariance.
    at : {"centres", "vertices"}
        Where the field is sampled.

    Returns
    -------
    ndarray, shape (cells, cells) or (cells + 1, cells + 1), float64
        Indexed (y, x).
    """
    normals = random.standard_normal((cells - 1) ** 2)[shell_order(cells - 1)]
    weights = cells * mode_deviations(cells, smoothness, inverse_length)[1:, 1:] * normals
    if at == "centres":
        return np.asarray(idstn(np.pad(weights, (0, 1)), type=2, norm="ortho"))  # the grid's last mode is left out
    return np.pad(dstn(weights, type=1, norm="ortho"), 1)


def stream_function(vorticity: Array) -> Array:
    """Solve -Laplace psi = omega with psi = 0 on the boundary, by fast sine transforms.

    Parameters
    ----------
    vorticity : ndarray, shape (n, n), float64
        At the cell centres.

    Returns
    -------
    ndarray, shape (n + 1, n + 1), float64
        At the vertices; exact for a vorticity of the modes k = 1 ... n - 1, of which no other mode reaches a vertex.
    """
    cells = len(vorticity)
    weights = dstn(vorticity, type=2, norm="ortho")[:-1, :-1]
    return np.pad(dstn(weights / (np.pi**2 * mode_numbers_squared(cells)[1:, 1:]), type=1, norm="ortho"), 1)
