"""The forward pass of the network that proposes directions: matrix products of 3 x 3 windows, in single precision.

The layers are those of the paper's authors, without biases and with relu in residual blocks x + conv(relu(conv(x)))
only. The network is an input convolution; on all levels but the coarsest a convolution, a block, a convolution, the
mean over 2 x 2 cells, the next level, its result added to each of the 2 x 2 cells, two blocks; on the coarsest three
blocks; and a weighted sum of the channels.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from kernels.linear_systems.validation import check_count

Features = NDArray[np.float32]

WINDOW = 9


class TrainedNetwork(Protocol):
    """A network's layers and weights."""

    @property
    def channels(self) -> int:
        """The number of channels c."""
        ...

    @property
    def levels(self) -> int:
        """The number of levels."""
        ...

    @property
    def weights(self) -> Features:
        """The layers' weights, flat, in the order in which they are applied: (row, column, in, out); last (in,)."""
        ...


class ForwardPass:
    """A network on grids of one shape: f(field), with f(c field) = c f(field) for c > 0.

    Parameters
    ----------
    network : TrainedNetwork
    shape : tuple of int
        Rows and columns of the fields, multiples of 2^(levels - 1).

    Raises
    ------
    ValueError
        If the weights are not as many as the layers have, or not float32, or the shape is no such multiple.
    """

    def __init__(self, network: TrainedNetwork, shape: tuple[int, int]) -> None:
        channels, levels = network.channels, network.levels
        check_count("channels", channels, least=1)
        check_count("levels", levels, least=1)
        if len(shape) != 2 or any(side < 1 or side % 2 ** (levels - 1) for side in shape):
            raise ValueError(f"shape must be two multiples of 2^(levels - 1) = {2 ** (levels - 1)}, not {shape}")
        # eight convolutions on every level but the coarsest, which has six
        inner = 8 * (levels - 1) + 6
        sizes = [WINDOW * channels, *[WINDOW * channels**2] * inner, channels]
        weights = network.weights
        if weights.shape != (sum(sizes),) or weights.dtype != np.float32:
            raise ValueError(
                f"weights must be {sum(sizes)} float32 numbers for channels={channels}, levels={levels}, not "
                f"{weights.dtype} of shape {weights.shape}"
            )
        first, *rest, self._output = np.split(weights, np.cumsum(sizes)[:-1])
        self._input = first.reshape(WINDOW, channels)
        self._layers = [layer.reshape(WINDOW * channels, channels) for layer in rest]
        self._levels = levels
        sides = [(shape[0] >> level, shape[1] >> level) for level in range(levels)]
        self._field = np.zeros((shape[0] + 2, shape[1] + 2, 1), np.float32)
        # features of every level within a frame of zeros: of the trunk, and inside of a block
        self._trunk = [np.zeros((rows + 2, columns + 2, channels), np.float32) for rows, columns in sides]
        self._inside = [np.zeros_like(trunk) for trunk in self._trunk]
        self._windows = np.empty(shape[0] * shape[1] * WINDOW * channels, np.float32)
        self._product = np.empty(shape[0] * shape[1] * channels, np.float32)

    def __call__(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply the network to a field, shape (rows, columns); the result is float64."""
        interior(self._field)[..., 0] = field
        interior(self._trunk[0])[...] = self._convolve(self._field, self._input)
        self._level(0, iter(self._layers))
        return np.asarray(interior(self._trunk[0]) @ self._output, dtype=np.float64)

    def _level(self, level: int, layers: Iterator[Features]) -> None:
        """Apply a level and those below it to its trunk, in place."""
        if level == self._levels - 1:
            self._blocks(level, 3, layers)
            return
        trunk = self._trunk[level]
        cells = interior(trunk)
        cells[...] = self._convolve(trunk, next(layers))
        self._blocks(level, 1, layers)
        cells[...] = self._convolve(trunk, next(layers))
        corners = [cells[row::2, column::2] for row in (0, 1) for column in (0, 1)]
        coarse = interior(self._trunk[level + 1])
        np.multiply(corners[0] + corners[1] + corners[2] + corners[3], np.float32(0.25), out=coarse)
        self._level(level + 1, layers)
        for corner in corners:
            corner += coarse
        self._blocks(level, 2, layers)

    def _blocks(self, level: int, count: int, layers: Iterator[Features]) -> None:
        trunk, inside = self._trunk[level], self._inside[level]
        cells = interior(trunk)
        for _ in range(count):
            np.maximum(self._convolve(trunk, next(layers)), 0.0, out=interior(inside))
            cells += self._convolve(inside, next(layers))

    def _convolve(self, features: Features, weights: Features) -> Features:
        """The 3 x 3 convolution of framed features, shape (rows, columns, out); overwritten by the next one."""
        rows, columns, channels = features.shape[0] - 2, features.shape[1] - 2, features.shape[2]
        row, column, channel = features.strides
        # the three cells of a window's row lie side by side in memory
        windows = as_strided(features, (rows, columns, 3, 3 * channels), (row, column, row, channel), writeable=False)
        gathered = self._windows[: windows.size].reshape(windows.shape)
        np.copyto(gathered, windows)
        out_channels = weights.shape[1]
        product = self._product[: rows * columns * out_channels].reshape(rows * columns, out_channels)
        np.dot(gathered.reshape(rows * columns, WINDOW * channels), weights, out=product)
        return product.reshape(rows, columns, out_channels)


def interior(framed: Features) -> Features:
    """The view of framed features without their frame."""
    return framed[1:-1, 1:-1]
