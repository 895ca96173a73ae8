"""Stacked systems in a Zarr group, which `data` cannot read: it knows nothing of Zarr."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from data.systems.source import DIGEST_LENGTH
from data.systems.stacked import STACKED, StackedSystems
from data.systems.system import one_line
from data.validation import InputError
from tasks.places import is_local

_METADATA = ("zarr.json", ".zgroup", ".zarray")


def is_zarr(location: str) -> bool:
    """Whether a location is a URL or a local folder that Zarr made."""
    return not is_local(location) or any((Path(location) / name).is_file() for name in _METADATA)


class ZarrSystems(StackedSystems):
    """The systems of a Zarr group (version 2 or 3), read chunk by chunk.

    Raises
    ------
    InputError
        If the group cannot be opened, or its arrays are not stacked systems.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            group = zarr.open_group(url, mode="r")
            members = {name: group[name] for name in STACKED if name in group}
        except Exception as error:  # stores and codecs raise their own kinds
            raise InputError(f"{url} cannot be read as a Zarr group: {one_line(error)}") from error
        self._rows = {name: _Rows(array) for name, array in members.items() if isinstance(array, zarr.Array)}
        super().__init__(url, self._rows)

    def digest(self) -> str:
        """A digest of the values, whatever their chunks and codecs.

        Raises
        ------
        InputError
            If a chunk cannot be read.
        """
        digest = hashlib.sha256()
        for name, rows in self._rows.items():
            digest.update(f"{name} {rows.dtype.str} {rows.shape}".encode())
            try:
                for block in rows.blocks():
                    digest.update(np.ascontiguousarray(block).data)
            except Exception as error:  # as above
                raise InputError(f"{self._url}: {name} cannot be read: {one_line(error)}") from error
        return digest.hexdigest()[:DIGEST_LENGTH]


class _Rows:
    """The rows of an array; the chunks of the last one stay in memory, as the next row mostly lies in them too."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype
        self._array: Any = array
        self._length = array.chunks[0] if array.chunks else 1
        self._held: tuple[int, NDArray[Any]] = -1, np.empty(0)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, slice):
            return np.asarray(self._array[key])
        number, row = divmod(key, self._length)
        held, block = self._held
        if held != number:
            block = self._block(number)
            self._held = number, block
        return np.asarray(block[row])

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All rows, as many at a time as a chunk holds."""
        return map(self._block, range(-(-self.shape[0] // self._length)))

    def _block(self, number: int) -> NDArray[Any]:
        return np.asarray(self._array[number * self._length : (number + 1) * self._length])
