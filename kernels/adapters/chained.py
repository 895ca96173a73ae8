"""The gradient of an attention layer's adapter from low-rank factors of the weights exp(q . k), in time linear in L."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernels.adapters.layer import AdaptedLayer, Array, Projections, adapter_gradients
from kernels.result import Status

_CHUNK_ENTRIES = 2**17  # of features at a time: 1 MiB, so that they are multiplied while in the cache


@dataclass(frozen=True, slots=True, eq=False)
class LowRankWeights:
    """A factorisation of the weights: exp(q_i . k_j) is about phi(q_i)^T C psi(k_j), up to a factor for every query.

    Attributes
    ----------
    queries, keys : ndarray, shape (L, variables), float64
        The points whose features are taken.
    query_features, key_features : callable
        phi and psi: points of shape (p, variables) -> features of shape (rank, p).
    combine : callable
        The application of C to an array with ``rank`` rows.
    rank : int
    feature_cost : int
        Multiplications for one feature of one token.
    """

    queries: Array
    keys: Array
    query_features: Callable[[Array], Array]
    key_features: Callable[[Array], Array]
    combine: Callable[[Array], Array]
    rank: int
    feature_cost: int


@dataclass(frozen=True, slots=True, eq=False)
class ChainedGradient:
    """What :func:`chained_gradient` computes.

    Attributes
    ----------
    value : ndarray, shape (2, d, r), float64
        The gradient of B, and that of A transposed.
    least_weight : float
        The least mean weight that a query gives; if it is not positive the value means nothing.
    multiplications : int
    """

    value: Array
    least_weight: float
    multiplications: int

    @property
    def failure(self) -> Status | None:
        """Why the value means nothing, if so."""
        if not self.least_weight > 0.0:
            return Status.BREAKDOWN
        return None if np.isfinite(self.value).all() else Status.NOT_FINITE


def chained_gradient(layer: AdaptedLayer, projected: Projections, weights: LowRankWeights) -> ChainedGradient:
    """The gradient of the adapter with low-rank weights, in O(L rank d^2) operations and O(rank d^2) numbers.

    Row i of the gradient with respect to the scores, times K, is the covariance under the attention of query i of
    c_i . v and k, with c_i the residual:

        sum_j f_ij (c_i . v_j) k_j - (c_i . F_i) sum_j f_ij k_j.

    So all that is needed of f are its means of 1, of the entries of v and k, and of their products, (d + 1)^2 numbers
    for a query. With f of low rank they are the features of the query times moments of the features of the keys. The
    factors of f * (c v^T), of rank d times that of f, are never formed; neither is an array of L rows of features.

    References
    ----------
    J. Y.-C. Hu et al. (2025), Computational limits of low-rank adaptation (LoRA) for transformer-based models, ICLR,
    the chained low-rank approximations of f, of f * (c v^T) and of diag(rho) f.
    """
    n, d = projected.queries.shape
    moments = weights.combine(_moments(projected, weights)) / n
    score_gradient = np.zeros((d, d))
    least_weight = np.inf
    for rows in _chunks(n, weights.rank):
        # step 2: the means under the attention of each query
        means = (weights.query_features(weights.queries[rows]).T @ moments).reshape(-1, d + 1, d + 1)
        least_weight = min(least_weight, float(means[:, 0, 0].min()))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            means /= means[:, :1, :1]
            outputs, mean_keys = means[:, 1:, 0], means[:, 0, 1:]
            # step 3: the residuals; step 4: their products with the outputs
            residuals = outputs - layer.targets[rows]
            shifts = np.einsum("id,id->i", residuals, outputs)
            # steps 5 and 6: the covariances
            covariances = np.matmul(residuals[:, None, :], means[:, 1:, 1:])[:, 0] - shifts[:, None] * mean_keys
            score_gradient += layer.inputs[rows].T @ covariances
    columns = (d + 1) ** 2
    return ChainedGradient(
        adapter_gradients(layer, score_gradient),
        least_weight,
        2 * n * weights.rank * (columns + weights.feature_cost),
    )


def _moments(projected: Projections, weights: LowRankWeights) -> Array:
    """The sums over keys of their features times all products of (1, v) and (1, k), shape (rank, (d + 1)^2)."""
    n, d = projected.keys.shape
    moments = np.zeros((weights.rank, (d + 1) ** 2))
    ones = np.ones((n, 1))
    values, keys = np.hstack([ones, projected.values]), np.hstack([ones, projected.keys])
    for rows in _chunks(n, weights.rank):
        products = (values[rows, :, None] * keys[rows, None, :]).reshape(-1, moments.shape[1])
        moments += weights.key_features(weights.keys[rows]) @ products
    return moments


def _chunks(rows: int, rank: int) -> list[slice]:
    length = max(16, _CHUNK_ENTRIES // rank)
    return [slice(start, min(start + length, rows)) for start in range(0, rows, length)]


def balanced(projected: Projections) -> tuple[Array, Array]:
    """Queries and keys in the coordinates in which both have the same, diagonal second moments; scores stay the same.

    That makes the product of their largest norms, the bound of all scores, small whatever the weights are.

    Returns
    -------
    queries, keys : ndarray, shape (L, min(L, d)), float64
    """
    query_basis, query_factor = np.linalg.qr(projected.queries)
    key_basis, key_factor = np.linalg.qr(projected.keys)
    left, singular, right = np.linalg.svd(query_factor @ key_factor.T)
    scale = np.sqrt(singular)
    return query_basis @ (left * scale), key_basis @ (right.T * scale)
