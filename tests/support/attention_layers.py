"""Small adapted attention layers, and their gradients by definition and by automatic differentiation."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


@dataclass
class Layer:
    inputs: np.ndarray
    query_weights: np.ndarray
    key_weights: np.ndarray
    value_weights: np.ndarray
    adapter_left: np.ndarray
    adapter_right: np.ndarray
    adapter_scale: float
    targets: np.ndarray


def make_layer(tokens=30, dimension=4, rank=2, largest_score=1.0, seed=0):
    random = np.random.default_rng(seed)
    square = (dimension, dimension)
    layer = Layer(
        random.standard_normal((tokens, dimension)),
        *random.standard_normal((3, *square)),
        random.standard_normal((dimension, rank)),
        random.standard_normal((rank, dimension)),
        2.0,
        random.standard_normal((tokens, dimension)),
    )
    layer.key_weights *= largest_score / np.abs(scores(layer)).max()
    return layer


def scores(layer):
    weights = layer.query_weights + layer.adapter_scale * layer.adapter_left @ layer.adapter_right
    queries, keys = layer.inputs @ weights, layer.inputs @ layer.key_weights
    return queries @ keys.T / np.sqrt(layer.inputs.shape[1])


def automatic_gradient(layer):
    """The gradient by JAX through all scores, in double precision, shape (2, d, r)."""

    def loss(left, right):
        weights = layer.query_weights + layer.adapter_scale * left @ right
        keys = layer.inputs @ layer.key_weights
        attention = jax.nn.softmax(layer.inputs @ weights @ keys.T / np.sqrt(layer.inputs.shape[1]), axis=1)
        return jnp.sum((attention @ (layer.inputs @ layer.value_weights) - layer.targets) ** 2) / 2

    with jax.enable_x64(True):
        left, right = jax.grad(loss, argnums=(0, 1))(jnp.asarray(layer.adapter_left), jnp.asarray(layer.adapter_right))
    return np.stack([left, np.transpose(right)])
