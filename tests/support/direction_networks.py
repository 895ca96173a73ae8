"""Networks with random or chosen weights, and systems for them, that the tests of deep conjugate directions share."""

import numpy as np

from data.pde.pressure.domains import draw_liquid, pressure_matrix
from data.pde.pressure.network import Network, weight_shapes
from data.pde.pressure.systems import NetworkSystem


def random_network(channels, levels, seed=0):
    random = np.random.default_rng(seed)
    layers = [random.standard_normal(shape) / np.sqrt(9 * channels) for shape in weight_shapes(channels, levels)]
    return Network(channels, levels, np.concatenate([layer.ravel() for layer in layers]).astype(np.float32))


def layers_of(network):
    """The weights, layer by layer."""
    shapes = weight_shapes(network.channels, network.levels)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(network.weights, ends[:-1]), shapes, strict=True)]


def identity_network():
    """One level and one channel: the input convolution and the output keep a field, the blocks add nothing."""
    weights = np.zeros(9 + 6 * 9 + 1, np.float32)
    weights[[4, -1]] = 1.0
    return Network(1, 1, weights)


def system_with(network, grid=16, seed=0):
    random = np.random.default_rng(seed)
    liquid = draw_liquid(random, grid)
    rhs = (random.standard_normal((grid, grid)) * liquid).ravel()
    return NetworkSystem(pressure_matrix(liquid), rhs, rhs, True, True, liquid=liquid, network=network)
