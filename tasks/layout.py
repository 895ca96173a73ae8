"""How a store is laid out: its variables, and the shards and chunks that they are cut into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.problem import Variable

CHUNK_BYTES = 4 * 2**20

Coordinates = Mapping[str, tuple[tuple[str, ...], NDArray[Any]]]


@dataclass(frozen=True)
class Description:
    """What a store says of itself: coordinates (name -> dimensions and values), attributes, and those of variables."""

    coordinates: Coordinates
    attributes: Mapping[str, Any]
    variable_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """What a store holds: variables along a leading ``instance`` dimension, cut into shards.

    ``digest`` identifies everything that the arrays depend on. ``measured`` names the variables that get statistics.
    ``level`` is that of zstd, 0 its default. With ``chunk``, arrays with dimensions of their own have chunks of so many
    instances, all those of a shard in one file.
    """

    digest: str
    count: int
    shard_size: int
    variables: Mapping[str, Variable]
    measured: tuple[str, ...] = ()
    level: int = 0
    chunk: int | None = None

    @property
    def shard_count(self) -> int:
        """The number of shards, the last of which may be shorter."""
        return -(-self.count // self.shard_size)

    @property
    def shards(self) -> range:
        """All shard numbers."""
        return range(self.shard_count)

    @property
    def nbytes(self) -> int:
        """The uncompressed size of the variables in bytes."""
        return self.count * sum(item_bytes(variable) for variable in self.variables.values())

    def rows(self, shard: int) -> slice:
        """The instances of a shard."""
        return slice(shard * self.shard_size, min((shard + 1) * self.shard_size, self.count))

    def chunk_length(self, variable: Variable) -> int:
        """Instances per chunk: the largest divisor of the shard size within the chunk asked for, or CHUNK_BYTES."""
        limit = max(1, CHUNK_BYTES // max(1, item_bytes(variable)))
        if self.shares_file(variable):
            limit = self.chunk or limit
        return max(d for d in range(1, min(self.shard_size, limit) + 1) if self.shard_size % d == 0)

    def shares_file(self, variable: Variable) -> bool:
        """Whether the chunks of a shard lie in one file (a shard of Zarr)."""
        return self.chunk is not None and bool(variable.shape)


def assert_aligned(rows: slice, chunk: int, count: int) -> None:
    """Refuse a block of rows that shares a chunk, or a file of chunks, with another: two writers of one corrupt it."""
    if rows.start % chunk or (rows.stop % chunk and rows.stop != count):
        raise ValueError(f"rows {rows.start}:{rows.stop} do not consist of whole chunks of {chunk} rows")


def item_bytes(variable: Variable) -> int:
    """The uncompressed size of a variable of one instance."""
    return int(np.dtype(variable.dtype).itemsize * np.prod(variable.shape, dtype=np.int64))
