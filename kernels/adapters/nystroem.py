"""The gradient of an attention layer's adapter with weights interpolated from landmarks."""

import numpy as np
from scipy.linalg import pinvh

from kernels.adapters.chained import LowRankWeights, balanced, chained_gradient
from kernels.adapters.layer import AdaptedLayer, Array, check_layer, is_finite, not_finite, project
from kernels.compression.tensor_attention.types import check_count
from kernels.result import Result, Status

_RELATIVE_CUT = 1e-11  # of the landmarks' eigenvalues: what is smaller is rounding


def nystroem_gradient(layer: AdaptedLayer, *, landmarks: int, random: np.random.Generator) -> Result:
    """The gradient of the adapter with Nystroem's approximation of a positive definite kernel.

    exp(q . k) is the Gaussian kernel exp(-|q - k|^2 / 2) times exp(|q|^2 / 2), which cancels, and exp(|k|^2 / 2). The
    landmarks are queries and keys in equal parts, drawn without replacement.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.
    landmarks : int
        At least 2; of each kind, no more than there are tokens are drawn.
    random : Generator

    Returns
    -------
    Result
        ``value`` of shape (2, d, r): the gradient of B, and that of A transposed. ITERATION_LIMIT, since no accuracy is
        promised; BREAKDOWN if the weights of a query do not sum to a positive number. ``work`` counts ``features``, as
        many as there are landmarks, and ``multiplications``, without those of the landmarks' inverse.

    Raises
    ------
    ValueError
        If ``landmarks`` is below two or the arrays do not fit together.

    References
    ----------
    C. Williams and M. Seeger (2000), Using the Nystroem method to speed up kernel machines, NIPS.
    """
    check_layer(layer)
    check_count("landmarks", landmarks, 2)
    if not is_finite(layer):
        return not_finite(layer)
    projected = project(layer)
    queries, keys = balanced(projected)
    halves = zip((queries, keys), (landmarks // 2, landmarks - landmarks // 2), strict=True)
    chosen = np.concatenate([points[random.permutation(len(points))[:count]] for points, count in halves])

    half_norms = _half_squared_norms(chosen)
    largest = float(_half_squared_norms(keys).max())

    def query_features(points: Array) -> Array:
        exponents: Array = chosen @ points.T
        exponents -= half_norms[:, None]
        exponents -= _half_squared_norms(points)
        return np.exp(exponents, out=exponents)

    def key_features(points: Array) -> Array:
        exponents: Array = chosen @ points.T
        exponents -= half_norms[:, None]
        exponents -= largest
        return np.exp(exponents, out=exponents)

    inverse = pinvh(query_features(chosen), rtol=_RELATIVE_CUT)
    weights = LowRankWeights(
        queries, keys, query_features, key_features, lambda moments: inverse @ moments, len(chosen), queries.shape[1]
    )
    gradient = chained_gradient(layer, projected, weights)
    work = {"features": weights.rank, "multiplications": gradient.multiplications}
    return Result(gradient.value, gradient.failure or Status.ITERATION_LIMIT, np.empty(0), work)


def _half_squared_norms(points: Array) -> Array:
    norms: Array = np.einsum("id,id->i", points, points)
    return norms / 2.0
