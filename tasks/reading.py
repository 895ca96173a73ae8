"""Feeding a data set to training: single samples, and shuffled batches that read whole shards. Needs NumPy and Zarr."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

Sample = tuple[NDArray[Any], ...]


class Samples:
    """A data set as a sequence of samples, which PyTorch's DataLoader takes as it is.

    Parameters
    ----------
    url : str
        Of the data set.
    names : sequence of str
        The variables of a sample.
    dtype : str
        What they are converted to.

    Raises
    ------
    KeyError
        If there is no such variable.
    """

    def __init__(self, url: str, names: Sequence[str] = ("coefficient", "solution"), dtype: str = "float32") -> None:
        group = zarr.open_group(url, mode="r")
        self._arrays: list[Any] = [group[name] for name in names]
        self._dtype = dtype

    def __len__(self) -> int:
        """The number of instances."""
        return int(self._arrays[0].shape[0])

    def __getitem__(self, index: int) -> Sample:
        """One sample; IndexError past the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range: there are {len(self)} samples")
        return tuple(np.asarray(array[index]).astype(self._dtype) for array in self._arrays)

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Many samples; each chunk that they lie in is read once."""
        rows = np.asarray(indices)
        columns = [np.asarray(array.oindex[np.unique(rows)]).astype(self._dtype) for array in self._arrays]
        places = np.searchsorted(np.unique(rows), rows)
        return list(zip(*(column[places] for column in columns), strict=True))


def shuffled_batches(
    url: str,
    names: Sequence[str] = ("coefficient", "solution"),
    *,
    batch_size: int,
    seed: int = 0,
    window: int = 8,
    dtype: str = "float32",
) -> Iterator[Sample]:
    """Every instance once, in random order, in batches; every chunk is read once and as a whole.

    The shards of the data set come in random order, and the instances of ``window`` shards at a time are mixed: what
    lies together in the store may meet in a batch more often than chance would have it, unless the window holds all.

    Parameters
    ----------
    url : str
        Of the data set.
    names : sequence of str
        The variables of a batch.
    batch_size : int
        Instances per batch; the last batch holds what is left.
    seed : int
        Of the order; take another one for every epoch.
    window : int
        Shards in memory.
    dtype : str
        What the variables are converted to.

    Yields
    ------
    tuple of ndarray, shape (batch_size, ...)
        One array a name.

    Raises
    ------
    ValueError
        If ``batch_size`` or ``window`` is less than 1.
    """
    for name, value in (("batch_size", batch_size), ("window", window)):
        if value < 1:
            raise ValueError(f"{name}={value} is not allowed: it must be at least 1")
    group = zarr.open_group(url, mode="r")
    arrays: list[Any] = [group[name] for name in names]
    count, size = int(arrays[0].shape[0]), int(group.attrs["shard_size"])  # type: ignore[arg-type]
    random = np.random.default_rng(seed)
    firsts = random.permutation(np.arange(0, count, size))
    left: list[NDArray[Any]] = [np.empty((0, *array.shape[1:]), dtype) for array in arrays]
    for start in range(0, len(firsts), window):
        blocks = firsts[start : start + window]
        read = [
            np.concatenate([rest, *(array[first : first + size] for first in blocks)], dtype=dtype, casting="same_kind")
            for rest, array in zip(left, arrays, strict=True)
        ]
        order = random.permutation(len(read[0]))
        whole = len(order) if start + window >= len(firsts) else len(order) - len(order) % batch_size
        for row in range(0, whole, batch_size):
            yield tuple(values[order[row : min(row + batch_size, whole)]] for values in read)
        left = [values[order[whole:]] for values in read]
