"""Gradient descent for all weights of one small attention layer: where the frozen weights of a real layer come from."""

import numpy as np

from data.adapters.layer import Array


def trained_weights(inputs: Array, targets: Array, *, steps: int, rate: float, random: np.random.Generator) -> Array:
    """The query, key and value weights after gradient descent on the mean squared error, from small random ones.

    Parameters
    ----------
    inputs, targets : ndarray, shape (L, d), float64
    steps : int
    rate : float
        Step size for the loss ||F - Y||_F^2 / (2 L).
    random : Generator
        Draws the first weights, of variance 1 / (4 d).

    Returns
    -------
    ndarray, shape (3, d, d), float64
    """
    d = inputs.shape[1]
    weights: Array = random.standard_normal((3, d, d)) / (2.0 * np.sqrt(d))
    for _ in range(steps):
        weights -= rate * loss_and_gradients(inputs, targets, weights)[1]
    return weights


def loss_and_gradients(inputs: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """The loss ||F - Y||_F^2 / (2 L) of a layer and its gradients with respect to query, key and value weights."""
    n, d = inputs.shape
    queries, keys, values = inputs @ weights
    attention = queries @ (keys.T / np.sqrt(d))
    attention -= attention.max(axis=1, keepdims=True)
    np.exp(attention, out=attention)
    attention /= attention.sum(axis=1, keepdims=True)
    outputs = attention @ values
    residuals = (outputs - targets) / n
    shifts = np.einsum("id,id->i", residuals, outputs)
    score_gradient = attention * (residuals @ values.T - shifts[:, None]) / np.sqrt(d)
    gradients = np.stack([score_gradient @ keys, score_gradient.T @ queries, attention.T @ residuals])
    return float(((outputs - targets) ** 2).sum() / (2 * n)), inputs.T @ gradients
