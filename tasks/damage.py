"""Damage in a store: found by the digests that the writers left, and marked to be computed again."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from tasks.layout import Description, Layout
from tasks.store import (
    DIGEST_BYTES,
    DIGESTS,
    SHARD_MOMENTS,
    DamagedShardError,
    content_digest,
    open_store,
    pending_shards,
    read_shard,
    stored_array,
)

BYTES_AT_ONCE = 2**27


def damaged_shards(url: str, layout: Layout) -> dict[int, str]:
    """What is wrong with each written shard that does not read back as it was written."""
    group = open_store(url, "r")
    pending = set(pending_shards(group))
    at_once = max(1, BYTES_AT_ONCE * layout.shard_count // max(1, layout.nbytes))
    damaged = {}
    for first in range(0, layout.shard_count, at_once):
        shards = [shard for shard in layout.shards[first : first + at_once] if shard not in pending]
        if not shards or _are_intact(group, layout, shards):
            continue
        for shard in shards:
            try:
                read_shard(url, layout, shard)
            except DamagedShardError as error:
                damaged[shard] = str(error)
    return damaged


def _are_intact(group: zarr.Group, layout: Layout, shards: list[int]) -> bool:
    """Whether neighbouring shards, read at once, are what was written; finding out which one is not takes longer."""
    block, rows = slice(shards[0], shards[-1] + 1), [layout.rows(shard) for shard in shards]
    first, last = rows[0].start, rows[-1].stop
    try:
        digests = np.asarray(stored_array(group, DIGESTS)[block])
        measured = np.asarray(stored_array(group, SHARD_MOMENTS)[block]) if layout.measured else None
        arrays = {name: np.asarray(stored_array(group, name)[first:last]) for name in layout.variables}
    except Exception:  # noqa: BLE001 - codecs raise their own kinds on damaged bytes
        return False
    for shard, own in zip(shards, rows, strict=True):
        content = {name: values[own.start - first : own.stop - first] for name, values in arrays.items()}
        if measured is not None:
            content[SHARD_MOMENTS] = measured[shard - block.start]
        if not np.array_equal(digests[shard - block.start], content_digest(content)):
            return False
    return True


def damaged_coordinates(url: str, description: Description) -> list[str]:
    """The coordinates of a store that do not read back as they are described."""
    group = open_store(url, "r")

    def is_intact(name: str, values: NDArray[Any]) -> bool:
        try:
            return np.array_equal(np.asarray(stored_array(group, name)[:]), values)
        except Exception:  # noqa: BLE001 - as above
            return False

    return [name for name, (_, values) in description.coordinates.items() if not is_intact(name, np.asarray(values))]


def restore_coordinates(url: str, description: Description, names: list[str]) -> None:
    """Write coordinates once more."""
    group = open_store(url)
    for name in names:
        stored_array(group, name)[:] = np.asarray(description.coordinates[name][1])


def discard_shards(url: str, shards: list[int]) -> None:
    """Mark shards as not written, so that the next run computes them again."""
    group = open_store(url)
    group.attrs["state"] = "unfinished"
    for shard in shards:
        stored_array(group, DIGESTS)[shard] = np.zeros(DIGEST_BYTES, np.uint8)
