"""Multilayer perceptrons with rectified linear units: their outputs, their loss, and training by Adam.

A network is a tuple of affine layers; layer l has shape (n_l, n_{l-1} + 1), the bias in its last column.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Layers = tuple[Array, ...]

FIRST_DECAY, SECOND_DECAY, GUARD = 0.9, 0.999, 1e-8
"""Adam's own constants."""


def split_parameters(parameters: Array, sizes: Sequence[int]) -> Layers:
    """The layers of a network, as views of all its parameters, shape (p,); ``sizes`` are n_0 ... n_L."""
    shapes = [(units, inputs + 1) for inputs, units in pairwise(sizes)]
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    parts = np.split(parameters, ends[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def join_parameters(layers: Layers) -> Array:
    """All parameters of a network, shape (p,)."""
    return np.concatenate([layer.ravel() for layer in layers])


def activations(layers: Layers, inputs: Array) -> list[Array]:
    """The inputs, shape (n, n_0), the activations of every hidden layer, (n, n_l), and the logits, (n, n_L)."""
    values = [inputs]
    for layer in layers:
        values.append(values[-1] @ layer[:, :-1].T)
        values[-1] += layer[:, -1]
        if layer is not layers[-1]:
            np.maximum(values[-1], 0.0, out=values[-1])
    return values


def cross_entropy(logits: Array, labels: Labels) -> float:
    """The mean of -log softmax(logits) at the labels."""
    return float(-_log_softmax(logits)[np.arange(len(labels)), labels].mean())


def loss_and_gradient(layers: Layers, inputs: Array, labels: Labels, gradient: Layers) -> float:
    """The mean cross-entropy; its derivatives are written to ``gradient``, arrays of the shapes of the layers."""
    values = activations(layers, inputs)
    logarithms = _log_softmax(values[-1])
    rows = np.arange(len(labels))
    error = np.exp(logarithms)
    error[rows, labels] -= 1.0
    error /= len(labels)
    for depth in reversed(range(len(layers))):
        np.matmul(error.T, values[depth], out=gradient[depth][:, :-1])
        error.sum(axis=0, out=gradient[depth][:, -1])
        if depth > 0:
            error = error @ layers[depth][:, :-1]
            error *= values[depth] > 0.0
    return float(-logarithms[rows, labels].mean())


def train(
    inputs: Array,
    labels: Labels,
    sizes: Sequence[int],
    random: np.random.Generator,
    *,
    initial_gain: float,
    epochs: int,
    batch: int,
    learning_rate: float,
) -> Layers:
    """Train a network from a random start on minibatches in random order.

    Parameters
    ----------
    inputs : ndarray, shape (n, n_0), float64
    labels : ndarray, shape (n,), int64
    sizes : sequence of int
        n_0 ... n_L, the last of which is the number of classes.
    random : Generator
        For the start and the order of the observations; they and the network are a function of it.
    initial_gain : float
        The starting weights are normal with standard deviation ``initial_gain / sqrt(n_{l-1})``, the biases zero.
    epochs, batch : int
        Passes over the observations, and observations of a step.
    learning_rate : float

    References
    ----------
    D. Kingma, J. Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """
    parameters = _start(sizes, initial_gain, random)
    layers = split_parameters(parameters, sizes)
    flat_gradient = np.empty_like(parameters)
    gradient = split_parameters(flat_gradient, sizes)
    first, second = np.zeros_like(parameters), np.zeros_like(parameters)
    step = 0
    for _ in range(epochs):
        order = random.permutation(len(labels))
        for begin in range(0, len(labels), batch):
            chosen = order[begin : begin + batch]
            loss_and_gradient(layers, inputs[chosen], labels[chosen], gradient)
            step += 1
            _adam_step(parameters, flat_gradient, first, second, learning_rate, step)
    return layers


@njit(cache=True)
def _adam_step(parameters: Array, gradient: Array, first: Array, second: Array, rate: float, step: int) -> None:
    first_share, second_share = 1.0 - FIRST_DECAY**step, 1.0 - SECOND_DECAY**step  # of the means, which start at zero
    for i in range(parameters.size):
        first[i] = FIRST_DECAY * first[i] + (1.0 - FIRST_DECAY) * gradient[i]
        second[i] = SECOND_DECAY * second[i] + (1.0 - SECOND_DECAY) * gradient[i] ** 2
        parameters[i] -= rate * (first[i] / first_share) / (np.sqrt(second[i] / second_share) + GUARD)


def _start(sizes: Sequence[int], gain: float, random: np.random.Generator) -> Array:
    layers = [np.zeros((units, inputs + 1)) for inputs, units in pairwise(sizes)]
    for layer in layers:
        inputs = layer.shape[1] - 1
        layer[:, :-1] = gain / np.sqrt(inputs) * random.standard_normal((len(layer), inputs))
    return join_parameters(tuple(layers))


def _log_softmax(logits: Array) -> Array:
    shifted: Array = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
