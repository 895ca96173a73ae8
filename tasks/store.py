"""Zarr stores written shard by shard.

A shard is a block of consecutive instances and consists of whole chunks, so that no two writers ever share a chunk.
Each shard leaves a digest of what was written, which tells a missing or damaged shard from a zero; a store is complete
when its attribute ``state`` says so, the last of all writes. Beside the digest lie the moments of the variables, which
become the statistics in the attributes of the completed store.
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from tasks.layout import Description, Layout, assert_aligned
from tasks.places import StoreError, UnreachableError, is_local, one_line, reaching
from tasks.statistics import MOMENTS, STATISTICS, moments, store_statistics

FORMAT_VERSION = 2
DIGEST_BYTES = 16
DIGESTS = "shard_digest"
SHARD_MOMENTS = "shard_moments"

Arrays = Mapping[str, NDArray[Any]]


class DamagedShardError(StoreError):
    """A shard whose arrays are missing, unreadable or not what was written."""


def canonical_digest(description: Any) -> str:
    """A short SHA-256 of a JSON-able description, independent of the order of its keys."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_store(url: str, mode: str = "r+") -> zarr.Group:
    """Open a Zarr group such that every chunk is written, also one that holds only the fill value.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, ContainsArrayError
        If there is no group.
    StoreError
        If its metadata is damaged, or a remote one cannot be reached.
    """
    with zarr.config.set({"array.write_empty_chunks": True}):
        try:
            with reaching(url):
                return zarr.open_group(url, mode=mode, zarr_format=3, use_consolidated=False)  # type: ignore[arg-type]
        except (OSError, zarr.errors.ContainsArrayError, UnreachableError):
            raise
        except Exception as error:
            raise StoreError(f"{url} cannot be opened, its metadata is damaged: {one_line(error)}") from error


def store_state(url: str) -> str:
    """``absent``, ``foreign`` (not a store of this project), ``unfinished`` or ``complete``."""
    try:
        state = open_store(url, "r").attrs.get("state", "foreign")
    except FileNotFoundError:
        place = Path(url)
        occupied = is_local(url) and place.exists() and (not place.is_dir() or any(place.iterdir()))
        return "foreign" if occupied else "absent"
    except (NotADirectoryError, zarr.errors.ContainsArrayError):
        return "foreign"
    # A store that was cut off while it was created holds nothing yet and is made anew.
    return {"creating": "absent", "unfinished": "unfinished", "complete": "complete"}.get(str(state), "foreign")


def prepare_store(url: str, layout: Layout, describe: Callable[[], Description]) -> list[int]:
    """Create a store, or find what an earlier run left of it, and return the shards still to be written.

    Raises
    ------
    StoreError
        If something else lies at the location: nothing is ever overwritten.
    """
    state = require_same_content(url, layout)
    if state == "absent":
        _remove_beginnings(url)
        _create_store(url, layout, describe())
    group = open_store(url, "r")
    if state == "unfinished":
        _remove_half_written(url)
    return pending_shards(group)


def require_same_content(url: str, layout: Layout) -> str:
    """The state of a store, provided that it is absent or was made by the same parameters.

    Raises
    ------
    StoreError
        If something else lies there.
    """
    state = store_state(url)
    if state == "foreign":
        raise StoreError(f"{url} exists and is not a store of Assay: choose another location or remove it")
    if state != "absent" and (found := open_store(url, "r").attrs.get("digest")) != layout.digest:
        raise StoreError(f"{url} was made by other parameters ({found}, not {layout.digest}): choose another location")
    return state


def pending_shards(group: zarr.Group) -> list[int]:
    """The shards that have no digest yet, or one that cannot be read."""
    digests = stored_array(group, DIGESTS)
    try:
        written = np.asarray(digests[:]).any(axis=1)
    except Exception:  # noqa: BLE001 - codecs raise their own kinds on damaged bytes
        written = np.array([_is_readable(digests, shard) for shard in range(digests.shape[0])])
    return [int(shard) for shard in np.flatnonzero(~written)]


def _is_readable(digests: Any, shard: int) -> bool:
    try:
        return bool(np.any(digests[shard]))
    except Exception:  # noqa: BLE001 - as above
        return False


def write_shard(url: str, layout: Layout, shard: int, arrays: Arrays) -> None:
    """Write one shard, its digest last.

    Raises
    ------
    ValueError
        If the arrays are not those of the layout, or the shard does not consist of whole chunks.
    """
    group = open_store(url)
    rows = layout.rows(shard)
    if set(arrays) != set(layout.variables):
        raise ValueError(f"shard {shard}: arrays {sorted(arrays)} given, {sorted(layout.variables)} expected")
    for name, values in arrays.items():
        variable = layout.variables[name]
        expected = (rows.stop - rows.start, *variable.shape)
        if values.shape != expected or values.dtype != np.dtype(variable.dtype):
            raise ValueError(f"{name}: {values.dtype}{values.shape} given, {variable.dtype}{expected} expected")
        target = stored_array(group, name)
        assert_aligned(rows, (target.shards or target.chunks)[0], layout.count)
        target[rows] = values
    # A digest covers the moments too, so that a damaged one is found like any other damage.
    if measured := _moments(layout, arrays):
        stored_array(group, SHARD_MOMENTS)[shard] = measured[SHARD_MOMENTS]
    stored_array(group, DIGESTS)[shard] = content_digest({**arrays, **measured})


def read_shard(url: str, layout: Layout, shard: int) -> dict[str, NDArray[Any]]:
    """The arrays of one shard, checked against the digest that its writer left.

    Raises
    ------
    DamagedShardError
        If a chunk is missing, cannot be decoded or holds other values than were written.
    """
    arrays = decode_shard(url, layout, shard)
    if not is_intact(url, layout, shard, arrays):
        raise DamagedShardError(_damage(url, layout, shard, "its arrays are missing or differ from what was written"))
    return arrays


def decode_shard(url: str, layout: Layout, shard: int) -> dict[str, NDArray[Any]]:
    """The arrays of one shard as they are, whether or not they are what was written.

    Raises
    ------
    DamagedShardError
        If an array cannot be decoded.
    """
    group = open_store(url, "r")
    return {name: _decoded(url, group, layout, shard, name, layout.rows(shard)) for name in layout.variables}


def is_intact(url: str, layout: Layout, shard: int, arrays: Arrays) -> bool:
    """Whether the arrays of a shard, and the moments stored for them, are those whose digest the writer left.

    Raises
    ------
    DamagedShardError
        If the digest or the moments cannot be decoded.
    """
    group = open_store(url, "r")
    names = (SHARD_MOMENTS,) if layout.measured else ()
    measured = {name: _decoded(url, group, layout, shard, name, shard) for name in names}
    digest = _decoded(url, group, layout, shard, DIGESTS, shard)
    return bool(np.array_equal(digest, content_digest({**arrays, **measured})))


def _decoded(url: str, group: zarr.Group, layout: Layout, shard: int, name: str, rows: slice | int) -> NDArray[Any]:
    try:
        return np.asarray(stored_array(group, name)[rows])
    except Exception as error:
        raise DamagedShardError(_damage(url, layout, shard, f"{name} cannot be decoded ({error})")) from error


def complete_store(url: str, certify: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {}) -> None:
    """Write the statistics, consolidate the metadata and set the completion mark, the last write of all.

    Parameters
    ----------
    url : str
    certify : callable, optional
        Further attributes, from the arrays of the store now that they are whole.

    Raises
    ------
    StoreError
        If a shard or its moments are missing.
    """
    group = open_store(url)
    if missing := pending_shards(group):
        raise StoreError(f"{url}: shards {missing} are missing; run the same command again to compute them")
    if group.attrs["state"] != "complete":
        _remove_half_written(url)
        if SHARD_MOMENTS in group:
            for name, measured in store_statistics(*_all_moments(url, group)).items():
                described = {key: value for key, value in group[name].attrs.items() if key not in STATISTICS}
                group[name].attrs.put({**described, **measured})  # none is left of moments that were damaged
        group.attrs.update(certify(dict(group.arrays())))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            group = zarr.consolidate_metadata(group.store)
        group.attrs["state"] = "complete"


def _all_moments(url: str, group: zarr.Group) -> tuple[list[str], NDArray[np.float64]]:
    """The names of the measured variables and the moments of all shards."""
    array = stored_array(group, SHARD_MOMENTS)
    try:
        parts = np.asarray(array[:])
    except Exception as error:
        raise StoreError(f"{url}: {SHARD_MOMENTS} cannot be decoded ({error}); run again with --repair") from error
    if np.isnan(parts).any():
        raise StoreError(f"{url}: {SHARD_MOMENTS} of some shards are missing; run again with --repair")
    return list(array.attrs["variables"]), parts


def _remove_half_written(url: str) -> None:
    """Remove the half-written chunks of writers that were killed."""
    if is_local(url):
        for leftover in Path(url).rglob("*.partial"):
            leftover.unlink(missing_ok=True)


def _remove_beginnings(url: str) -> None:
    """Remove what a process left that was killed as it created a store, but not the folder, which may be locked."""
    if is_local(url) and Path(url).is_dir():
        for leftover in Path(url).iterdir():
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def _create_store(url: str, layout: Layout, description: Description) -> None:
    marks = {"digest": layout.digest, "state": "creating"}
    group = zarr.create_group(url, zarr_format=3, overwrite=not is_local(url), attributes=marks)
    for name, (dims, values) in description.coordinates.items():
        attributes = dict(description.variable_attributes.get(name, {}))
        group.create_array(name, data=np.asarray(values), dimension_names=dims, attributes=attributes)
    for name, variable in layout.variables.items():
        item = tuple(max(1, extent) for extent in variable.shape)
        group.create_array(
            name,
            shape=(layout.count, *variable.shape),
            chunks=(layout.chunk_length(variable), *item),
            shards=(layout.shard_size, *item) if layout.shares_file(variable) else None,
            dtype=variable.dtype,
            compressors=ZstdCodec(level=layout.level),
            fill_value=_fill_value(np.dtype(variable.dtype)),
            dimension_names=("instance", *variable.dims),
            attributes={
                "long_name": variable.long_name,
                "units": variable.units,
                **description.variable_attributes.get(name, {}),
            },
        )
    group.create_array(
        DIGESTS,
        shape=(layout.shard_count, DIGEST_BYTES),
        chunks=(1, DIGEST_BYTES),
        dtype="uint8",
        fill_value=0,
        dimension_names=("shard", "digest_byte"),
        attributes={"long_name": "BLAKE2b digest of the arrays of each shard; zero where not written"},
    )
    if layout.measured:
        group.create_array(
            SHARD_MOMENTS,
            shape=(layout.shard_count, len(layout.measured), len(MOMENTS)),
            chunks=(1, len(layout.measured), len(MOMENTS)),
            dtype="float64",
            fill_value=float("nan"),
            dimension_names=("shard", "measured_variable", "moment"),
            attributes={
                "long_name": "moments of each shard, from which the statistics of the variables are made",
                "variables": list(layout.measured),
                "moments": list(MOMENTS),
            },
        )
    group.attrs.update(
        {
            **description.attributes,
            "format_version": FORMAT_VERSION,
            "digest": layout.digest,
            "shard_size": layout.shard_size,
            "state": "unfinished",
        }
    )


def stored_array(group: zarr.Group, name: str) -> Any:
    """An array of a store, such that every chunk is written, also one that holds only the fill value."""
    with zarr.config.set({"array.write_empty_chunks": True}):
        return group[name]


def _fill_value(dtype: np.dtype[Any]) -> float | int:
    return float("nan") if dtype.kind == "f" else (-1 if dtype.kind == "i" else 0)


def _moments(layout: Layout, arrays: Arrays) -> dict[str, NDArray[Any]]:
    if not layout.measured:
        return {}
    return {SHARD_MOMENTS: np.stack([moments(arrays[name]) for name in layout.measured])}


def content_digest(arrays: Arrays) -> NDArray[np.uint8]:
    """The digest that a shard gets, of its arrays and their names."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return np.frombuffer(digest.digest(), np.uint8)


def _damage(url: str, layout: Layout, shard: int, what: str) -> str:
    rows = layout.rows(shard)
    return f"{url}: shard {shard} (instances {rows.start} to {rows.stop - 1}): {what}; run again with --repair"
