"""Networks as affine layers, and the same networks with their hidden units in another order.

Layer l has shape (n_l, n_{l-1} + 1), the bias in its last column. The units of hidden layer l are permuted by permuting
the rows of layer l and the columns of layer l + 1, the last column excepted; that leaves the network's function alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.result import Result, Status

Array = NDArray[np.float64]
Permutation = NDArray[np.intp]
Layers = tuple[Array, ...]


class Models(Protocol):
    """Networks of one shape, the first of which the others are brought close to."""

    @property
    def models(self) -> Sequence[Layers]:
        """The affine layers of every network."""
        ...


class TrainedModels(Models, Protocol):
    """Networks with the data that they were trained on."""

    def hidden_activations(self, layers: Layers) -> Sequence[Array]:
        """Of every hidden layer on the training inputs, shape (n, n_l)."""
        ...

    def training_loss(self, layers: Layers) -> tuple[float, Layers]:
        """The mean loss over the training data and its gradient, arrays of the shapes of the layers."""
        ...


def identity_permutations(layers: Layers) -> list[Permutation]:
    """One permutation for each hidden layer that leaves its units where they are."""
    return [np.arange(len(layer)) for layer in layers[:-1]]


def permute_units(layers: Layers, permutations: Sequence[Permutation]) -> Layers:
    """The network whose unit i of hidden layer l is unit ``permutations[l][i]`` of the given one.

    Raises
    ------
    ValueError
        If there is not one permutation, of the right length, for each hidden layer.
    """
    if [len(permutation) for permutation in permutations] != [len(layer) for layer in layers[:-1]]:
        lengths = [len(layer) for layer in layers[:-1]]
        raise ValueError(f"permutations must have lengths {lengths}, not {[len(p) for p in permutations]}")
    permuted = [layer[order] for layer, order in zip(layers[:-1], permutations, strict=True)] + [layers[-1].copy()]
    for layer, order in zip(permuted[1:], permutations, strict=True):
        layer[:, :-1] = layer[:, order]
    return tuple(permuted)


def parameters_of(layers: Layers) -> Array:
    """All parameters of a network, shape (p,)."""
    return np.concatenate([layer.ravel() for layer in layers])


def checked_models(models: Sequence[Layers]) -> Sequence[Layers]:
    """The models.

    Raises
    ------
    ValueError
        For fewer than two models, networks without a hidden layer, layers that do not fit onto each other, or networks
        of different shapes.
    """
    if len(models) < 2:
        raise ValueError(f"models must be at least two networks, not {len(models)}")
    shapes = [layer.shape for layer in models[0]]
    if len(shapes) < 2 or any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"models must consist of at least two layers, which are matrices, not of shapes {shapes}")
    for below, above in pairwise(shapes):
        if above[1] != below[0] + 1:
            raise ValueError(f"models: a layer on {below[0]} units has {below[0] + 1} columns, not {above[1]}")
    for model in models[1:]:
        if [layer.shape for layer in model] != shapes:
            raise ValueError(f"models must all have layers of shapes {shapes}, not {[m.shape for m in model]}")
    return models


def are_finite(models: Sequence[Layers]) -> bool:
    """Whether no parameter is NaN or infinite."""
    return all(np.isfinite(layer).all() for layers in models for layer in layers)


def not_finite(models: Sequence[Layers]) -> Result:
    """The result for networks with parameters that are not finite."""
    shape = (len(models), parameters_of(models[0]).size)
    return Result(np.full(shape, np.nan), Status.NOT_FINITE, np.full(1, np.nan))


def aligned(models: Sequence[Layers], permutations: Sequence[Sequence[Permutation]]) -> Array:
    """The parameters of the first network and of all others with their units permuted, shape (models, p)."""
    others = [permute_units(layers, orders) for layers, orders in zip(models[1:], permutations, strict=True)]
    return np.stack([parameters_of(layers) for layers in (models[0], *others)])


def distance_to_first(parameters: Array) -> float:
    """The root mean square Euclidean distance of the other rows to the first."""
    differences = parameters[1:] - parameters[0]
    return float(np.sqrt((differences**2).sum(axis=1).mean()))
