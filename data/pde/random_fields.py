"""Gaussian random fields on the unit square with covariance sigma^2 (-Laplace + tau^2)^-alpha and no mean.

The Karhunen-Loeve expansion of such a field is known: its modes are products of cosines (zero normal derivative at the
boundary) or complex exponentials (periodic), so one fast transform evaluates all of them.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idctn, ifft2

Array = NDArray[np.float64]

_REFERENCE_MODES = 512  # enough for the moments of a field to be independent of the grid it is sampled on


@lru_cache(maxsize=8)
def _shell_order(modes: int) -> NDArray[np.intp]:
    """Where mode (ky, kx) stands in the stream of normals: the shells max(ky, kx) = 0, 1, 2 ... follow each other."""
    ky, kx = np.indices((modes, modes))
    shell = np.maximum(ky, kx)
    return shell**2 + np.where(ky == shell, kx, shell + 1 + ky)


def _mode_numbers_squared(modes: int) -> Array:
    squares = np.arange(modes, dtype=np.float64) ** 2
    return squares[:, None] + squares


@lru_cache(maxsize=8)
def mode_deviations(modes: int, smoothness: float, inverse_length: float) -> Array:
    """The standard deviations of the cosine modes, tau^(alpha-1) (pi^2 |k|^2 + tau^2)^(-alpha/2), and 0 for k = 0.

    Parameters
    ----------
    modes : int
        Modes per direction, k = 0 ... modes - 1.
    smoothness, inverse_length : float
        The alpha and tau of the covariance.

    Returns
    -------
    ndarray, shape (modes, modes), float64
        Indexed (ky, kx). It is shared between calls and read-only.
    """
    eigenvalues = np.pi**2 * _mode_numbers_squared(modes) + inverse_length**2
    deviations = inverse_length ** (smoothness - 1.0) * eigenvalues ** (-smoothness / 2.0)
    deviations[0, 0] = 0.0
    deviations.flags.writeable = False
    return np.asarray(deviations, dtype=np.float64)


@lru_cache(maxsize=32)
def field_deviation(smoothness: float, inverse_length: float) -> float:
    """Root of the field's pointwise variance, averaged over the square: it does not depend on any grid."""
    return float(np.sqrt(np.sum(mode_deviations(_REFERENCE_MODES, smoothness, inverse_length) ** 2)))


@lru_cache(maxsize=32)
def gradient_deviation(smoothness: float, inverse_length: float) -> float:
    """Root of the expected squared length of the field's gradient, averaged over the square; needs alpha > 2."""
    slopes = np.pi * np.sqrt(_mode_numbers_squared(_REFERENCE_MODES))
    return float(np.sqrt(np.sum((slopes * mode_deviations(_REFERENCE_MODES, smoothness, inverse_length)) ** 2)))


def cosine_series(weights: Array, at: Literal["centres", "vertices"]) -> Array:
    """Sum of ``weights[ky, kx]`` phi_ky(y) phi_kx(x) with phi_0 = 1 and phi_k(t) = sqrt(2) cos(k pi t).

    Parameters
    ----------
    weights : ndarray, shape (n, n), float64
    at : {"centres", "vertices"}
        The points of an n x n grid of cells: its n^2 centres or its (n + 1)^2 vertices.

    Returns
    -------
    ndarray, shape (n, n) or (n + 1, n + 1), float64
        Indexed (y, x).
    """
    cells = len(weights)
    if at == "centres":
        return np.asarray(idctn(weights * cells, norm="ortho"))
    values = np.pad(weights, (0, 1))  # the mode k = n, which only the vertices could carry, is left out
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        values[1:] *= np.sqrt(0.5)  # the type-1 transform counts these modes twice
        values = np.moveaxis(dct(values, type=1, axis=0), 0, axis)
    return values


def gaussian_field(
    random: np.random.Generator,
    cells: int,
    smoothness: float,
    inverse_length: float,
    at: Literal["centres", "vertices"] = "centres",
) -> Array:
    """Draw a Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha and zero normal slope.

    A grid of n cells carries the modes k = 0 ... n - 1 of either direction. They are drawn shell by shell, so the same
    generator gives a finer grid the same modes and further ones: refining adds detail to a field and keeps the rest.

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

    Notes
    -----
    The scaling is that of the generators of Li et al., "Fourier Neural Operator for Parametric Partial Differential
    Equations" (ICLR 2021).
    """
    normals = random.standard_normal(cells**2)[_shell_order(cells)]
    return cosine_series(mode_deviations(cells, smoothness, inverse_length) * normals, at)


def periodic_field(random: np.random.Generator, points: int, smoothness: float, inverse_length: float) -> Array:
    """Draw a periodic Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha on the torus.

    Parameters
    ----------
    random : Generator
    points : int
        Points per period, in either direction.
    smoothness, inverse_length : float
        The alpha and tau of the covariance.

    Returns
    -------
    ndarray, shape (points, points), float64
    """
    squares = np.fft.fftfreq(points, 1.0 / points) ** 2
    eigenvalues = 4.0 * np.pi**2 * (squares[:, None] + squares) + inverse_length**2
    deviations = inverse_length ** (smoothness - 1.0) * eigenvalues ** (-smoothness / 2.0)
    deviations[0, 0] = 0.0
    cosines, sines = random.standard_normal((2, points, points))
    return np.asarray(ifft2(points**2 * deviations * (cosines + 1j * sines)).real)
