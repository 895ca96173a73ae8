"""The instance that problems of adapted attention assemble: a layer, its inputs and its targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.problem import Fields, Variable

Array = NDArray[np.float64]

_BLOCK_ENTRIES = 2**18  # of scores at a time: 2 MiB


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedAttention:
    """A layer of softmax attention with query weights W + s B A, tokens X and targets Y.

    Attributes
    ----------
    inputs, targets : ndarray, shape (L, d), float64
        X and Y.
    query_weights, key_weights, value_weights : ndarray, shape (d, d), float64
        W, W_K and W_V.
    adapter_left, adapter_right : ndarray, shape (d, r) and (r, d), float64
        B and A.
    adapter_scale : float
        s = alpha / r.
    largest_score : float
        Gamma, the largest absolute entry of Q K^T / sqrt(d).
    """

    inputs: Array
    query_weights: Array
    key_weights: Array
    value_weights: Array
    adapter_left: Array
    adapter_right: Array
    adapter_scale: float
    targets: Array
    largest_score: float


def layer_variables(tokens: int, dimension: int, rank: int) -> dict[str, Variable]:
    """The arrays of an instance."""
    sequence, square = (tokens, dimension), (dimension, dimension)
    return {
        "inputs": Variable(("token", "entry"), sequence, "inputs X"),
        "query_weights": Variable(("entry", "feature"), square, "frozen query weights W"),
        "key_weights": Variable(("entry", "feature"), square, "key weights W_K"),
        "value_weights": Variable(("entry", "feature"), square, "value weights W_V"),
        "adapter_left": Variable(("entry", "rank"), (dimension, rank), "left factor B of the adapter"),
        "adapter_right": Variable(("rank", "feature"), (rank, dimension), "right factor A of the adapter"),
        "adapter_scale": Variable((), (), "factor s = alpha / r of the adapter"),
        "targets": Variable(("token", "feature"), sequence, "targets Y"),
        "largest_score": Variable((), (), "largest absolute score, Gamma"),
    }


def assemble_layer(fields: Fields) -> AdaptedAttention:
    """The instance from its arrays."""
    numbers = ("adapter_scale", "largest_score")
    arrays: dict[str, Any] = {name: np.ascontiguousarray(fields[name], np.float64) for name in fields}
    return AdaptedAttention(**arrays | {name: float(fields[name]) for name in numbers})


def largest_score(queries: Array, keys: Array) -> float:
    """The largest absolute entry of Q K^T / sqrt(d), block by block."""
    keys_across = np.ascontiguousarray(keys.T)
    largest = 0.0
    for rows in _blocks(len(queries), len(keys)):
        scores = queries[rows] @ keys_across
        largest = max(largest, float(scores.max()), -float(scores.min()))
    return largest / float(np.sqrt(queries.shape[1]))


def attention_output(queries: Array, keys: Array, values: Array) -> Array:
    """softmax(Q K^T / sqrt(d)) V, block by block, shape (L, d)."""
    scaled = queries / np.sqrt(queries.shape[1])
    keys_across = np.ascontiguousarray(keys.T)
    summed = np.column_stack([values, np.ones(len(values))])
    outputs = np.empty_like(values)
    for rows in _blocks(len(queries), len(keys)):
        weights = scaled[rows] @ keys_across
        weights -= weights.max(axis=1, keepdims=True)
        sums = np.exp(weights, out=weights) @ summed
        outputs[rows] = sums[:, :-1] / sums[:, -1:]
    return outputs


def _blocks(rows: int, columns: int) -> list[slice]:
    length = max(16, _BLOCK_ENTRIES // columns)
    return [slice(start, min(start + length, rows)) for start in range(0, rows, length)]
