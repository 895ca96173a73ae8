"""The gradient of an attention layer's adapter with positive random features of the weights."""

import numpy as np

from kernels.adapters.chained import LowRankWeights, balanced, chained_gradient
from kernels.adapters.layer import AdaptedLayer, Array, check_layer, is_finite, not_finite, project
from kernels.compression.tensor_attention.types import check_count
from kernels.result import Result, Status


def random_feature_gradient(layer: AdaptedLayer, *, features: int, random: np.random.Generator) -> Result:
    """The gradient of the adapter with the positive random features of Performers in place of exp.

    exp(q . k) is the mean of exp(w . q - |q|^2 / 2) exp(w . k - |k|^2 / 2) over standard normal w. The directions w are
    orthogonal in groups of d and come with their negatives, which both lowers the variance.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.
    features : int
        At least 2; an odd number is rounded up.
    random : Generator

    Returns
    -------
    Result
        ``value`` of shape (2, d, r): the gradient of B, and that of A transposed. ITERATION_LIMIT, since no accuracy is
        promised. ``work`` counts ``features`` and ``multiplications``.

    Raises
    ------
    ValueError
        If ``features`` is below two or the arrays do not fit together.

    References
    ----------
    K. Choromanski et al. (2021), Rethinking attention with Performers, ICLR, lemma 1.
    """
    check_layer(layer)
    check_count("features", features, 2)
    if not is_finite(layer):
        return not_finite(layer)
    projected = project(layer)
    queries, keys = balanced(projected)
    directions = orthogonal_directions((features + 1) // 2, queries.shape[1], random)

    def query_features(points: Array) -> Array:
        exponents = directions @ points.T
        # a factor for a query cancels: this one keeps exp from overflowing
        return _positive_features(exponents, np.abs(exponents).max(axis=0))

    def key_features(points: Array) -> Array:
        return _positive_features(directions @ points.T, np.einsum("id,id->i", points, points) / 2.0)

    weights = LowRankWeights(
        queries, keys, query_features, key_features, lambda moments: moments, 2 * len(directions), queries.shape[1]
    )
    gradient = chained_gradient(layer, projected, weights)
    work = {"features": weights.rank, "multiplications": gradient.multiplications}
    return Result(gradient.value, gradient.failure or Status.ITERATION_LIMIT, np.empty(0), work)


def orthogonal_directions(count: int, variables: int, random: np.random.Generator) -> Array:
    """Directions with the law of standard normal vectors each, orthogonal within groups, shape (count, variables)."""
    groups = -(-count // variables)
    gaussian = random.standard_normal((groups, variables, variables))
    orthogonal, triangular = np.linalg.qr(gaussian)
    # the signs make the rotation uniformly distributed
    orthogonal *= np.sign(np.einsum("gii->gi", triangular))[:, None, :]
    directions: Array = orthogonal.transpose(0, 2, 1).reshape(-1, variables)[:count]
    lengths: Array = np.sqrt(random.chisquare(variables, count))
    return directions * lengths[:, None]


def _positive_features(exponents: Array, shifts: Array) -> Array:
    """exp(+-w . x - shift), shape (2 directions, p)."""
    features: Array = np.concatenate([exponents, -exponents])
    features -= shifts
    np.exp(features, out=features)
    return features
