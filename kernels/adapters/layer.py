"""An attention layer with an adapter of its query weights, and what all methods for its gradient share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.result import Result, Status

Array = NDArray[np.float64]

_ARRAYS = (
    "inputs",
    "query_weights",
    "key_weights",
    "value_weights",
    "adapter_left",
    "adapter_right",
    "targets",
)


class AdaptedLayer(Protocol):
    """Softmax attention of L tokens with d entries; the query weights are W + s B A with a low-rank adapter B A.

    With Q = X (W + s B A), K = X W_K, V = X W_V, the layer's output is F = softmax(Q K^T / sqrt(d)) V and its loss
    ||F - Y||_F^2 / 2. All arrays are float64.
    """

    @property
    def inputs(self) -> Array:
        """X, shape (L, d)."""
        ...

    @property
    def query_weights(self) -> Array:
        """W, frozen, shape (d, d)."""
        ...

    @property
    def key_weights(self) -> Array:
        """W_K, frozen, shape (d, d)."""
        ...

    @property
    def value_weights(self) -> Array:
        """W_V, frozen, shape (d, d)."""
        ...

    @property
    def adapter_left(self) -> Array:
        """B, shape (d, r)."""
        ...

    @property
    def adapter_right(self) -> Array:
        """A, shape (r, d)."""
        ...

    @property
    def adapter_scale(self) -> float:
        """s, in the literature alpha / r."""
        ...

    @property
    def targets(self) -> Array:
        """Y, shape (L, d)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Projections:
    """Queries divided by sqrt(d), so that scores are their products with the keys; keys; values; shapes (L, d)."""

    queries: Array
    keys: Array
    values: Array


def project(layer: AdaptedLayer) -> Projections:
    """Queries, keys and values of a layer.

    The mean key is subtracted from all: that adds one number to all scores of a query, which softmax does not see, and
    makes the mean score of every query zero.
    """
    weights = layer.query_weights + layer.adapter_scale * (layer.adapter_left @ layer.adapter_right)
    keys = layer.inputs @ layer.key_weights
    keys -= keys.mean(axis=0)
    return Projections(layer.inputs @ (weights / np.sqrt(len(weights))), keys, layer.inputs @ layer.value_weights)


def adapter_gradients(layer: AdaptedLayer, score_gradient: Array) -> Array:
    """The gradients of the loss with respect to B and A, from that with respect to the scaled queries.

    Parameters
    ----------
    layer : AdaptedLayer
    score_gradient : ndarray, shape (d, d), float64
        X^T P K, with P the gradient with respect to the scores Q K^T / sqrt(d).

    Returns
    -------
    ndarray, shape (2, d, r), float64
        The gradient of B, and that of A transposed.
    """
    gradient = score_gradient * (layer.adapter_scale / np.sqrt(len(score_gradient)))
    return np.stack([gradient @ layer.adapter_right.T, gradient.T @ layer.adapter_left])


def not_finite(layer: AdaptedLayer) -> Result:
    """The result for a layer with NaN or infinity in it."""
    return Result(np.full((2, *layer.adapter_left.shape), np.nan), Status.NOT_FINITE, np.empty(0))


def is_finite(layer: AdaptedLayer) -> bool:
    """Whether no number of the layer is NaN or infinite."""
    arrays = (getattr(layer, name) for name in _ARRAYS)
    return bool(np.isfinite(layer.adapter_scale)) and all(bool(np.isfinite(array).all()) for array in arrays)


def check_layer(layer: AdaptedLayer) -> None:
    """Check shapes and types.

    Raises
    ------
    ValueError
        If an array is not float64, empty or of a shape that does not fit the others, or the rank exceeds d.
    """
    for name in _ARRAYS:
        array = getattr(layer, name)
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise ValueError(f"{name} must be a float64 array, not {getattr(array, 'dtype', type(array).__name__)}")
    if layer.inputs.ndim != 2 or layer.inputs.size == 0:
        raise ValueError(f"inputs must have shape (L, d) and not be empty, not {layer.inputs.shape}")
    d = layer.inputs.shape[1]
    rank = layer.adapter_right.shape[0] if layer.adapter_right.ndim else 0
    if not 1 <= rank <= d:
        raise ValueError(f"adapter_right must have between 1 and d = {d} rows, not shape {layer.adapter_right.shape}")
    expected = dict.fromkeys(("query_weights", "key_weights", "value_weights"), (d, d))
    expected |= {"adapter_left": (d, rank), "adapter_right": (rank, d), "targets": layer.inputs.shape}
    for name, shape in expected.items():
        if getattr(layer, name).shape != shape:
            raise ValueError(f"{name} must have shape {shape}, not {getattr(layer, name).shape}")
