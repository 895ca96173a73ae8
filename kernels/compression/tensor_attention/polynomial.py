"""Tensor attention in near-linear time: a polynomial of the exponents factors over queries and keys."""

import math

import numpy as np

from kernels.compression.tensor_attention.exponentials import (
    EXPANSIONS,
    Expansion,
    exponential_coefficients,
    truncation_errors,
)
from kernels.compression.tensor_attention.features import PowerFeatures
from kernels.compression.tensor_attention.monomials import monomial_count
from kernels.compression.tensor_attention.types import (
    Array,
    Tokens,
    check_count,
    check_positive,
    check_tokens,
    is_finite,
)
from kernels.result import Result, Status

_LARGEST_RADIUS = 700.0  # exp overflows beyond
_EPS = float(np.finfo(np.float64).eps)


def polynomial_attention(
    tokens: Tokens,
    *,
    tolerance: float = 1e-3,
    degree: int | None = None,
    expansion: Expansion = "chebyshev",
    max_features: int = 500_000,
) -> Result:
    """Attention of any order with exp replaced by a polynomial, in time linear in the number of tokens.

    A power of the exponent sum_l Q_il K1_jl K2_kl / d is a sum over monomials of products of one factor for each of Q,
    K1 and K2. So the sums over all tuples (j, k) factor into sums over j and over k, and no n x n^2 matrix is formed:
    with R = C(d + g, g) monomials up to degree g the cost is O(n R d).

    The degree is the least for which the error of the result is proven to stay below the tolerance. With tau the error
    of the polynomial on the range of the exponents, no entry is off by more than 2 tau max|V1| max|V2| / z, z being the
    least mean weight that a query gives.

    Parameters
    ----------
    tokens : Tokens
        n queries of d entries, and keys and values of any number of factors.
    tolerance : float
        Largest error allowed of an entry of the result, positive.
    degree : int, optional
        The degree to use in place of the least that suffices.
    expansion : {"chebyshev", "taylor"}
        The polynomial.
    max_features : int
        Most monomials R to use; where more are needed, as many as allowed are used.

    Returns
    -------
    Result
        ``value`` of shape (n, d). CONVERGED if the error is proven to be within the tolerance, ITERATION_LIMIT if not,
        STAGNATED if rounding prevents it, BREAKDOWN if the weights of a query do not sum to a positive number.
        ``history`` holds the error bounds that are known beforehand, of degrees 0, 1 ...; ``work`` the ``degree``, the
        ``features`` R, ``error_bound``, which uses the weights that were computed, and ``multiplications``.

    Raises
    ------
    ValueError
        If an argument is out of range or the arrays do not fit together.

    References
    ----------
    J. Alman and Z. Song (2024), How to capture higher-order correlations?, ICLR, section on the algorithm. The bound of
    the result's error is ours; theirs hides the constants.
    """
    _check_options(tokens, tolerance, degree, expansion, max_features)
    n, d = tokens.queries.shape
    if not is_finite(tokens):
        return Result(np.full((n, d), np.nan), Status.NOT_FINITE, np.full(1, np.inf))
    # step 1: the range of the exponents
    radius = _exponent_radius(tokens)
    if not radius <= _LARGEST_RADIUS:
        return Result(np.full((n, d), np.nan), Status.STAGNATED, np.full(1, np.inf))
    # step 2: the degree
    largest_value = float(np.prod(np.abs(tokens.values).max(axis=1), axis=0).max())
    most = largest_degree(d, max_features) if degree is None else degree
    truncation = truncation_errors(expansion, radius, most)
    approximation = math.exp(radius) * (truncation + _EPS)
    bounds = _error_bounds(approximation, largest_value, _least_weight(tokens))
    useful = (bounds > tolerance) & (truncation > _EPS)  # beyond, the next degree has something to improve
    used = most if degree is not None or useful.all() else int(np.argmin(useful))
    # step 3: the sums over keys, monomial by monomial
    features = PowerFeatures.of(tokens, used)
    # step 4: the sums over monomials for every query; the polynomial's argument is exponent / radius, not / scale
    rescaling = (features.scale / (radius or 1.0)) ** np.arange(used + 1)
    sums = features.mean_polynomial(exponential_coefficients(expansion, radius, used) * rescaling)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = sums[:, :d] / sums[:, d:]
    least = float(sums[:, d].min())
    error_bound = float(2.0 * approximation[used] * largest_value / least) if least > 0 else math.inf
    rounding_rules = bool(truncation[used] <= _EPS)
    count = monomial_count(d, used)
    work = {
        "degree": used,
        "features": count,
        "error_bound": error_bound,
        "multiplications": n * count * (1 + len(tokens.keys)) * (d + 2),
    }
    return Result(value, _status(error_bound, tolerance, rounding_rules), bounds[: used + 1], work)


def largest_degree(variables: int, max_features: int) -> int:
    """The largest degree up to which there are at most so many monomials, at least zero."""
    degree = 0
    while monomial_count(variables, degree + 1) <= max_features:
        degree += 1
    return degree


def _exponent_radius(tokens: Tokens) -> float:
    """A bound of all exponents: each row of queries meets the largest entries of the keys' columns."""
    with np.errstate(over="ignore", invalid="ignore"):
        exponents: Array = np.abs(tokens.queries) @ np.prod(np.abs(tokens.keys).max(axis=1), axis=0)
    return float(exponents.max() / tokens.queries.shape[1])


def _least_weight(tokens: Tokens) -> float:
    """A bound from below of the mean weight of any query: exp of its mean exponent (Jensen), at the cost of O(n d)."""
    mean_key = np.prod(tokens.keys.mean(axis=1), axis=0)
    return math.exp(float((tokens.queries @ mean_key).min()) / tokens.queries.shape[1])


def _error_bounds(approximation: Array, largest_value: float, least_weight: float) -> Array:
    """Bounds of the error of a result entry for errors of exp, infinite where the weights may vanish."""
    left = least_weight - approximation
    return 2.0 * largest_value * np.divide(approximation, left, out=np.full_like(left, np.inf), where=left > 0)


def _status(error_bound: float, tolerance: float, rounding_rules: bool) -> Status:
    if error_bound <= tolerance:
        return Status.CONVERGED
    if error_bound == math.inf:
        return Status.BREAKDOWN
    return Status.STAGNATED if rounding_rules else Status.ITERATION_LIMIT


def _check_options(
    tokens: Tokens, tolerance: float, degree: int | None, expansion: Expansion, max_features: int
) -> None:
    check_tokens(tokens)
    check_positive("tolerance", tolerance)
    check_count("max_features", max_features, 1)
    if degree is not None:
        check_count("degree", degree, 0)
    if expansion not in EXPANSIONS:
        raise ValueError(f"expansion must be one of {', '.join(EXPANSIONS)}, not {expansion!r}")
