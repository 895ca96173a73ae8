"""Small random networks and groups of them, for the tests of merging."""

import itertools
from types import SimpleNamespace

import numpy as np


def random_network(random, sizes):
    """Affine layers with normal entries."""
    return tuple(random.standard_normal((units, inputs + 1)) for inputs, units in itertools.pairwise(sizes))


def outputs(layers, inputs):
    """What the network computes, layer by layer and unit by unit."""
    values = inputs
    for depth, layer in enumerate(layers, 1):
        values = np.array([[layer[i, :-1] @ x + layer[i, -1] for i in range(len(layer))] for x in values])
        if depth < len(layers):
            values = np.where(values > 0, values, 0.0)
    return values


def shuffled(random, layers):
    """The same network with the hidden units in another order, made with permutation matrices; and the order."""
    orders = [random.permutation(len(layer)) for layer in layers[:-1]]
    matrices = [np.eye(len(order))[order] for order in orders]
    before = [np.eye(layers[0].shape[1] - 1), *matrices]
    after = [*matrices, np.eye(len(layers[-1]))]
    made = []
    for layer, left, right in zip(layers, after, before, strict=True):
        made.append(np.column_stack([left @ layer[:, :-1] @ right.T, left @ layer[:, -1]]))
    return tuple(made), orders


def group_of(*models, **functions):
    """Networks as methods take them."""
    return SimpleNamespace(models=models, **functions)
