"""The convolutional network that proposes search directions: its layers, its weights and its forward pass in JAX.

The layers are those of the authors' network, in two dimensions. Convolutions are 3 x 3 and keep the size, zeros beyond
the sides. A residual block is x + conv(relu(conv(x))). The network is

- an input convolution, one field to c channels;
- on all levels but the coarsest: a convolution, a block, a convolution; the mean over 2 x 2 cells; the next level; its
  result, repeated over 2 x 2 cells, added to what was averaged; two blocks;
- on the coarsest level: three blocks;
- the output, a weighted sum of the channels.

The authors have biases, a relu after every convolution but the first, and two levels. Without biases the network is
positively homogeneous, f(c v) = c f(v) for c > 0. With a relu outside of the blocks no feature is ever negative, and
after a short training some networks propose directions along which the iteration does not converge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KERNEL = 3
CONVOLUTIONS_DOWN, CONVOLUTIONS_UP, CONVOLUTIONS_BOTTOM = 4, 4, 6


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network.

    Attributes
    ----------
    channels, levels : int
        What its layers are made from.
    weights : ndarray, shape (w,), float32
        The weights of all layers in the order in which they are applied, each with shape (row, column, in, out); those
        of the output have shape (in,).
    """

    channels: int
    levels: int
    weights: NDArray[np.float32]


def weight_shapes(channels: int, levels: int) -> list[tuple[int, ...]]:
    """The shapes of the layers' weights, in the order in which they are applied."""
    inner = (CONVOLUTIONS_DOWN + CONVOLUTIONS_UP) * (levels - 1) + CONVOLUTIONS_BOTTOM
    square = (KERNEL, KERNEL, channels, channels)
    return [(KERNEL, KERNEL, 1, channels), *[square] * inner, (channels,)]


def weight_count(channels: int, levels: int) -> int:
    """The number of weights."""
    return sum(int(np.prod(shape)) for shape in weight_shapes(channels, levels))


def initial_weights(channels: int, levels: int, random: np.random.Generator) -> list[NDArray[np.float32]]:
    """Glorot's uniform weights, those of Keras, with which the authors trained."""
    weights = []
    for shape in weight_shapes(channels, levels):
        fans = KERNEL**2 * (shape[-2] + shape[-1]) if len(shape) > 1 else channels + 1
        bound = np.sqrt(6.0 / fans)
        weights.append(random.uniform(-bound, bound, shape).astype(np.float32))
    return weights


def forward(weights: Sequence[Any], fields: Any, levels: int) -> Any:
    """Apply the network in JAX.

    Parameters
    ----------
    weights : sequence of arrays
        Of the shapes of :func:`weight_shapes`.
    fields : array, shape (batch, rows, columns), float32
        Rows and columns are multiples of 2^(levels - 1).
    levels : int

    Returns
    -------
    array, shape (batch, rows, columns), float32
    """
    layers = iter(weights)
    features = _convolve(fields[..., None], next(layers))
    features = _level(features, layers, levels)
    return features @ next(layers)


def _level(features: Any, layers: Iterator[Any], levels: int) -> Any:
    import jax.numpy as jnp

    if levels == 1:
        return _blocks(features, layers, 3)
    features = _convolve(features, next(layers))
    features = _blocks(features, layers, 1)
    features = _convolve(features, next(layers))
    batch, rows, columns, channels = features.shape
    pooled = features.reshape(batch, rows // 2, 2, columns // 2, 2, channels).mean((2, 4))
    coarse = _level(pooled, layers, levels - 1)
    features = features + jnp.repeat(jnp.repeat(coarse, 2, axis=1), 2, axis=2)
    return _blocks(features, layers, 2)


def _blocks(features: Any, layers: Iterator[Any], count: int) -> Any:
    import jax

    for _ in range(count):
        inside = jax.nn.relu(_convolve(features, next(layers)))
        features = features + _convolve(inside, next(layers))
    return features


def _convolve(features: Any, weights: Any) -> Any:
    import jax

    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(features, weights, (1, 1), "SAME", dimension_numbers=layout)
