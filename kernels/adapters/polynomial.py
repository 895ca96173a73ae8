"""The gradient of an attention layer's adapter with a polynomial in place of exp, in near-linear time."""

import math

import numpy as np
from scipy.special import ive

from kernels.adapters.chained import LowRankWeights, balanced, chained_gradient
from kernels.adapters.layer import AdaptedLayer, Array, Projections, check_layer, is_finite, not_finite, project
from kernels.compression.tensor_attention.exponentials import (
    EXPANSIONS,
    Expansion,
    exponential_coefficients,
    truncation_errors,
)
from kernels.compression.tensor_attention.monomials import monomial_basis, monomial_count
from kernels.compression.tensor_attention.polynomial import largest_degree
from kernels.compression.tensor_attention.types import check_count, check_positive
from kernels.result import Result, Status

_LARGEST_RADIUS = 700.0  # exp overflows beyond
_EPS = float(np.finfo(np.float64).eps)


def polynomial_gradient(
    layer: AdaptedLayer,
    *,
    tolerance: float = 1e-2,
    degree: int | None = None,
    expansion: Expansion = "chebyshev",
    max_features: int = 500_000,
) -> Result:
    """The gradient of the adapter with exp replaced by a polynomial, in time linear in the number of tokens.

    A power of a score q . k is a sum over monomials of one factor for q and one for k, so the weights have rank
    R = C(d + g, g) for a polynomial of degree g, and all else follows by :func:`chained_gradient`.

    The degree is the least for which every row of the attention matrix is proven to be right to the tolerance, relative
    to how far it is from uniform, since that is what the gradient depends on. With tau the error of the polynomial on
    the range of the scores and sigma that of its slope, the error of a row, in the sum of absolute values, is at most

        (tau D + 2 sigma M) / z,

    D being the row's distance from uniform, M the query's mean absolute score and z the mean weight that it gives;
    beforehand, z is at least 1 - tau, since the mean score of every query is zero. No error of a row then exceeds the
    larger of D and M times (tau + 2 sigma) / z.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.
    tolerance : float
        Largest error allowed of a row of the attention matrix, relative to the larger of D and M, positive.
    degree : int, optional
        The degree to use in place of the least that suffices.
    expansion : {"chebyshev", "taylor"}
        The polynomial. Chebyshev's is the more accurate for large scores, and so is proven to suffice at a lower
        degree; at the same degree Taylor's is the more accurate for small scores, of which a gradient is mostly made.
    max_features : int
        Most monomials R to use; where more are needed, as many as allowed are used.

    Returns
    -------
    Result
        ``value`` of shape (2, d, r): the gradient of B, and that of A transposed. CONVERGED if the error of a row is
        proven to be within the tolerance, ITERATION_LIMIT if not, STAGNATED if rounding prevents it, BREAKDOWN if the
        weights of a query do not sum to a positive number. ``history`` holds the bounds that are known beforehand, of
        degrees 0, 1 ...; ``work`` the ``degree``, the ``features`` R, the ``radius`` that bounds all scores, the
        ``error_bound`` of a row, relative as the tolerance and with the weights that were computed, and
        ``multiplications``.

    Raises
    ------
    ValueError
        If an argument is out of range or the arrays do not fit together.

    References
    ----------
    J. Y.-C. Hu et al. (2025), Computational limits of low-rank adaptation (LoRA) for transformer-based models, ICLR.
    The bound is ours; theirs hides the constants.
    """
    check_layer(layer)
    check_positive("tolerance", tolerance)
    check_count("max_features", max_features, 1)
    if degree is not None:
        check_count("degree", degree, 0)
    if expansion not in EXPANSIONS:
        raise ValueError(f"expansion must be one of {', '.join(EXPANSIONS)}, not {expansion!r}")
    if not is_finite(layer):
        return not_finite(layer)
    projected = project(layer)
    queries, keys, radius = points_in_unit_ball(projected)
    if not radius <= _LARGEST_RADIUS:
        return Result(np.full((2, *layer.adapter_left.shape), np.nan), Status.STAGNATED, np.full(1, np.inf))
    # step 1: the degree
    most = largest_degree(queries.shape[1], max_features) if degree is None else degree
    slope_truncation = slope_errors(expansion, radius, most)
    value_error = math.exp(radius) * (truncation_errors(expansion, radius, most) + _EPS)
    numerators = value_error + 2.0 * math.exp(radius) * (slope_truncation + _EPS)
    left = 1.0 - value_error
    bounds = np.divide(numerators, left, out=np.full_like(left, np.inf), where=left > 0)
    useful = (bounds > tolerance) & (slope_truncation > _EPS)  # beyond, the next degree has something to improve
    used = most if degree is not None or useful.all() else int(np.argmin(useful))
    # steps 2 to 6
    weights = polynomial_weights(queries, keys, exponential_coefficients(expansion, radius, used))
    gradient = chained_gradient(layer, projected, weights)
    error_bound = float(numerators[used] / gradient.least_weight) if gradient.least_weight > 0 else math.inf
    status = gradient.failure or _status(error_bound, tolerance, bool(slope_truncation[used] <= _EPS))
    work = {
        "degree": used,
        "features": weights.rank,
        "radius": radius,
        "error_bound": error_bound,
        "multiplications": gradient.multiplications,
    }
    return Result(gradient.value, status, bounds[: used + 1], work)


def slope_errors(expansion: Expansion, radius: float, most: int) -> Array:
    """The largest errors on |s| <= radius of the derivatives of truncations of exp(s), relative to exp(radius).

    All terms are positive and largest at s = radius: with Taylor's series they are those of the next lower degree, with
    Chebyshev's 2 I_k(radius) k^2 / radius.

    Returns
    -------
    ndarray, shape (most + 1,), float64
        Of the truncations at degrees 0 to ``most``.
    """
    if radius == 0.0:
        return np.where(np.arange(most + 1) == 0, 1.0, 0.0)
    if expansion == "taylor":
        return np.concatenate([[1.0], truncation_errors(expansion, radius, most)[:-1]])
    # beyond the last of these the terms are zero in double precision
    degrees = np.arange(1, most + 2 + int(4.0 * radius) + 60)
    terms = 2.0 * ive(degrees, radius) * degrees**2 / radius
    return np.asarray(np.cumsum(terms[::-1])[::-1][: most + 1])


def points_in_unit_ball(projected: Projections) -> tuple[Array, Array, float]:
    """Queries and keys of norm one at most, and the number by which to multiply their products to have the scores."""
    queries, keys = balanced(projected)
    norms = [float(np.linalg.norm(points, axis=1).max()) for points in (queries, keys)]
    return queries / (norms[0] or 1.0), keys / (norms[1] or 1.0), norms[0] * norms[1]


def polynomial_weights(queries: Array, keys: Array, coefficients: Array) -> LowRankWeights:
    """The weights p(q . k) of the polynomial with coefficients of 1, t, t^2 ..., shape (degree + 1,)."""
    variables, degree = queries.shape[1], len(coefficients) - 1
    basis = monomial_basis(variables, degree)
    # (q . k)^j is the sum over monomials a of degree j of (j! / a!) q^a k^a
    scale = basis.multinomials * np.repeat(coefficients, np.diff(basis.offsets))
    return LowRankWeights(
        queries,
        keys,
        basis.evaluate,
        basis.evaluate,
        lambda moments: moments * scale[:, None],
        monomial_count(variables, degree),
        feature_cost=1,
    )


def _status(error_bound: float, tolerance: float, rounding_rules: bool) -> Status:
    if error_bound <= tolerance:
        return Status.CONVERGED
    return Status.STAGNATED if rounding_rules else Status.ITERATION_LIMIT
