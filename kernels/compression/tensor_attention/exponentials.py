"""Polynomials that approximate exp on an interval around zero, with bounds of their error."""

import math
from typing import Literal, get_args

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import gammainc, gammaln, ive

from kernels.compression.tensor_attention.types import Array

Expansion = Literal["chebyshev", "taylor"]
EXPANSIONS = get_args(Expansion)


def exponential_coefficients(expansion: Expansion, radius: float, degree: int) -> Array:
    """The coefficients of 1, t, t^2 ... in the truncated Taylor or Chebyshev series of exp(radius t) on |t| <= 1.

    Parameters
    ----------
    expansion : {"chebyshev", "taylor"}
        Chebyshev's has, up to a constant, the least degree for a given error on the whole interval; Taylor's is the
        more accurate near zero.
    radius : float
        Not negative, at most 700.
    degree : int
        Not negative.

    Returns
    -------
    ndarray, shape (degree + 1,), float64

    References
    ----------
    A. Aggarwal and J. Alman (2022), Optimal-degree polynomial approximations for exponentials and Gaussian kernel
    density estimation, CCC.
    """
    powers = np.arange(degree + 1)
    if expansion == "taylor":
        # in logarithms, since neither the power nor the factorial need be a number
        return np.exp(powers * math.log(radius) - gammaln(powers + 1.0)) if radius else np.where(powers == 0, 1.0, 0.0)
    series = np.where(powers == 0, 1.0, 2.0) * ive(powers, radius) * math.exp(radius)
    coefficients = np.zeros(degree + 1)
    converted = chebyshev.cheb2poly(series)
    coefficients[: converted.size] = converted
    return coefficients


def truncation_errors(expansion: Expansion, radius: float, most: int) -> Array:
    """The largest errors on |t| <= 1 of the truncations at degrees 0 to ``most``, relative to exp(radius).

    Both series have positive coefficients, so the error is largest at t = 1, where it is what was left out.

    Returns
    -------
    ndarray, shape (most + 1,), float64
    """
    if expansion == "taylor":
        return np.asarray(gammainc(np.arange(1.0, most + 2.0), radius))
    # beyond this degree the terms are zero in double precision
    terms = 2.0 * ive(np.arange(1, most + 2 + int(4.0 * radius) + 60), radius)
    return np.asarray(np.cumsum(terms[::-1])[::-1][: most + 1])
