"""Gaussian random fields on the unit square or cube, covariance sigma^2 (-Laplace + tau^2)^-alpha and no mean.

The Karhunen-Loeve expansion of such a field is known: its modes are products of cosines (zero normal derivative at the
boundary) or complex exponentials (periodic), so one fast transform evaluates all of them.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idctn, ifft2

Array = NDArray[np.float64]

REFERENCE_MODES = {
    2: 512,
    3: 64,
}  # by dimension, enough for the moments of a field to be independent of the grid it is sampled on


def _shell_rank(numbers: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where each mode, numbers[:, ...], stands among all: the shells max(k) = 0, 1, 2 ... follow each other."""
    first, others = numbers[0], numbers[1:]
    rank = first
    if len(others):
        shell = numbers.max(axis=0)
        face, inner_face = (shell + 1) ** len(others), shell ** len(others)
        row = np.zeros_like(first)
        for number in others:
            row = row * (shell + 1) + number
        # within a shell: the face first = shell, then the others for first = 0, 1 ... shell - 1, each by its own rank
        rank = shell * inner_face + np.where(
            first == shell, row, face + first * (face - inner_face) + _shell_rank(others) - inner_face
        )
    return np.asarray(rank, dtype=np.intp)


@lru_cache(maxsize=8)
def shell_order(modes: int, dimensions: int = 2) -> NDArray[np.intp]:
    """The place of every mode (ky, kx) or (kz, ky, kx), k = 0 ... modes - 1, in the stream of normals, by shells."""
    return _shell_rank(np.indices((modes,) * dimensions))


def mode_numbers_squared(modes: int, dimensions: int = 2) -> Array:
    """The squared lengths |k|^2 of the mode numbers, shape (modes,) * dimensions."""
    squares = np.arange(modes, dtype=np.float64) ** 2
    total = squares
    for _ in range(dimensions - 1):
        total = total[..., None] + squares
    return total


@lru_cache(maxsize=8)
def mode_deviations(modes: int, smoothness: float, inverse_length: float, dimensions: int = 2) -> Array:
    """The standard deviations of the cosine modes, tau^(alpha-d/2) (pi^2 |k|^2 + tau^2)^(-alpha/2), and 0 for k = 0.

    Parameters
    ----------
    modes : int
        Modes per direction, k = 0 ... modes - 1.
    smoothness, inverse_length : float
        The alpha and tau of the covariance.
    dimensions : int
        The d of the domain.

    Returns
    -------
    ndarray, shape (modes,) * dimensions, float64
        Indexed (ky, kx) or (kz, ky, kx). It is shared between calls and read-only.
    """
    eigenvalues = np.pi**2 * mode_numbers_squared(modes, dimensions) + inverse_length**2
    deviations = inverse_length ** (smoothness - 0.5 * dimensions) * eigenvalues ** (-smoothness / 2.0)
    deviations.flat[0] = 0.0
    deviations.flags.writeable = False
    return np.asarray(deviations, dtype=np.float64)


@lru_cache(maxsize=32)
def field_deviation(smoothness: float, inverse_length: float, dimensions: int = 2) -> float:
    """Root of the field's pointwise variance, averaged over the domain: it does not depend on any grid."""
    modes = REFERENCE_MODES[dimensions]
    return float(np.sqrt(np.sum(mode_deviations(modes, smoothness, inverse_length, dimensions) ** 2)))


@lru_cache(maxsize=32)
def gradient_deviation(smoothness: float, inverse_length: float) -> float:
    """Root of the expected squared length of the field's gradient, averaged over the square; needs alpha > 2."""
    modes = REFERENCE_MODES[2]
    slopes = np.pi * np.sqrt(mode_numbers_squared(modes))
    return float(np.sqrt(np.sum((slopes * mode_deviations(modes, smoothness, inverse_length)) ** 2)))


def cosine_series(weights: Array, at: Literal["centres", "vertices"]) -> Array:
    """Sum of ``weights[ky, kx]`` phi_ky(y) phi_kx(x) with phi_0 = 1 and phi_k(t) = sqrt(2) cos(k pi t).

    Parameters
    ----------
    weights : ndarray, shape (n,) * d, float64
    at : {"centres", "vertices"}
        The points of a grid of n cells per side: its n^d centres or its (n + 1)^d vertices.

    Returns
    -------
    ndarray, shape (n,) * d or (n + 1,) * d, float64
        Indexed like the weights, (y, x) for d = 2.
    """
    if at == "centres":
        return np.asarray(idctn(weights * np.sqrt(weights.size), norm="ortho"))
    values = np.pad(weights, (0, 1))  # the mode k = n, which only the vertices could carry, is left out
    for axis in range(values.ndim):
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
    dimensions: int = 2,
) -> Array:
    """Draw a Gaussian random field with covariance tau^(2 alpha - d) (-Laplace + tau^2)^-alpha and zero normal slope.

    A grid of n cells carries the modes k = 0 ... n - 1 of either direction. They are drawn shell by shell, so the same
    generator gives a finer grid the same modes and further ones: refining adds detail to a field and keeps the rest.

    Parameters
    ----------
    random : Generator
    cells : int
        Cells per side.
    smoothness, inverse_length : float
        The alpha and tau of the covariance.
    at : {"centres", "vertices"}
        Where the field is sampled.
    dimensions : int
        The d of the domain: 2 for the square, 3 for the cube.

    Returns
    -------
    ndarray, shape (cells,) * d or (cells + 1,) * d, float64
        Indexed (y, x) or (z, y, x).

    Notes
    -----
    The scaling is that of the generators of Li et al., "Fourier Neural Operator for Parametric Partial Differential
    Equations" (ICLR 2021).
    """
    normals = random.standard_normal(cells**dimensions)[shell_order(cells, dimensions)]
    return cosine_series(mode_deviations(cells, smoothness, inverse_length, dimensions) * normals, at)


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
