"""The exact gradient of an attention layer's adapter: with L x L arrays at once, and block by block."""

import numpy as np

from kernels.adapters.layer import (
    AdaptedLayer,
    Array,
    Projections,
    adapter_gradients,
    check_layer,
    is_finite,
    not_finite,
    project,
)
from kernels.compression.tensor_attention.types import check_count
from kernels.result import Result, Status


def dense_gradient(layer: AdaptedLayer) -> Result:
    """The exact gradient with all scores at once: O(L^2 d) operations and L^2 numbers, as by automatic differentiation.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.

    Returns
    -------
    Result
        ``value`` of shape (2, d, r): the gradient of B, and that of A transposed. ``work`` counts ``multiplications``;
        exponentials are not among them.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """
    check_layer(layer)
    return blocked_gradient(layer, block=len(layer.inputs))


def blocked_gradient(layer: AdaptedLayer, *, block: int = 64) -> Result:
    """The exact gradient for some queries at a time: O(L^2 d) operations, and ``block`` times L numbers at a time.

    No exponential is computed twice, since the scores of a block serve its output and its gradient.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.
    block : int
        Queries at a time.

    Returns
    -------
    Result
        As :func:`dense_gradient`.

    Raises
    ------
    ValueError
        If the arrays do not fit together or ``block`` is below one.

    References
    ----------
    T. Dao et al. (2022), FlashAttention, NeurIPS: attention and its gradient without storing the scores.
    """
    check_layer(layer)
    check_count("block", block, 1)
    if not is_finite(layer):
        return not_finite(layer)
    n, d = layer.inputs.shape
    value = adapter_gradients(layer, _score_gradient(layer, project(layer), min(block, n)))
    status = Status.CONVERGED if np.isfinite(value).all() else Status.NOT_FINITE
    return Result(value, status, np.empty(0), {"multiplications": exact_multiplications(n, d)})


def exact_multiplications(tokens: int, entries: int) -> int:
    """The multiplications of :func:`blocked_gradient`, without those that do not grow with the square of the length."""
    return tokens * tokens * (4 * entries + 3)


def _score_gradient(layer: AdaptedLayer, projected: Projections, block: int) -> Array:
    queries, keys, values = projected.queries, projected.keys, projected.values
    n, d = queries.shape
    keys_across = np.ascontiguousarray(keys.T)
    summed = np.column_stack([values, np.ones(n)])
    summed_across = np.ascontiguousarray(summed.T)
    buffers = np.empty((2, block, n))
    gradient = np.zeros((d, d))
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        weights, products = buffers[:, : rows.stop - start]
        np.matmul(queries[rows], keys_across, out=weights)
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        sums = weights @ summed
        outputs = sums[:, :d] / sums[:, d:]
        residuals = outputs - layer.targets[rows]
        # The gradient with respect to score ij is f_ij (c_i . v_j - c_i . F_i), with c the residuals.
        shifts = np.einsum("id,id->i", residuals, outputs)
        np.matmul(np.column_stack([residuals, -shifts]), summed_across, out=products)
        products *= weights
        gradient += layer.inputs[rows].T @ (products @ keys / sums[:, d:])
    return gradient
