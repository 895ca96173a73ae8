from pathlib import Path

import numpy as np
import pytest
import xarray
from files import bytes_below
from rods import LAYOUT, MEASURED, arrays, describe, finished_store, flip_a_bit, truncate, zeros

from tasks.damage import damaged_coordinates, damaged_shards, discard_shards, restore_coordinates
from tasks.places import StoreError
from tasks.statistics import MOMENTS
from tasks.store import (
    SHARD_MOMENTS,
    DamagedShardError,
    complete_store,
    open_store,
    prepare_store,
    read_shard,
    store_state,
    stored_array,
    write_shard,
)


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "rod.zarr")


def test_zeros_are_not_taken_for_missing(url):
    path = finished_store(url, zeros)
    assert prepare_store(url, LAYOUT, describe) == []
    assert damaged_shards(url, LAYOUT) == {}
    assert (path / "status" / "c" / "0").exists()


def test_what_is_missing_is_not_taken_for_zeros(url):
    path = finished_store(url, zeros)
    (path / "temperature" / "c" / "1" / "0").unlink()
    (path / "status" / "c" / "2").unlink()
    assert set(damaged_shards(url, LAYOUT)) == {1, 2}


@pytest.mark.parametrize("damage", [Path.unlink, truncate, flip_a_bit])
@pytest.mark.parametrize("chunk", ["temperature/c/1/0", "status/c/1"])
def test_a_damaged_chunk_is_found_named_and_repaired(url, damage, chunk):
    path = finished_store(url)
    intact = bytes_below(path)
    damage(path / chunk)

    with pytest.raises(DamagedShardError) as caught:
        read_shard(url, LAYOUT, 1)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in [url, "shard 1", "instances 3 to 5", "--repair"])
    assert list(damaged_shards(url, LAYOUT)) == [1]

    discard_shards(url, [1])
    assert store_state(url) == "unfinished"
    assert prepare_store(url, LAYOUT, describe) == [1]
    write_shard(url, LAYOUT, 1, arrays(1))
    complete_store(url)
    assert bytes_below(path) == intact


def test_statistics_of_damaged_moments_do_not_outlast_their_repair(url, tmp_path):
    undisturbed = str(tmp_path / "undisturbed.zarr")
    for place in (undisturbed, url):
        for shard in prepare_store(place, MEASURED, describe):
            write_shard(place, MEASURED, shard, arrays(shard))
    complete_store(undisturbed)
    stored_array(open_store(url), SHARD_MOMENTS)[1, 0, MOMENTS.index("instances_not_finite")] = 5e-324
    complete_store(url)
    assert open_store(url)["temperature"].attrs["instances_not_finite"] == 0
    assert list(damaged_shards(url, MEASURED)) == [1]
    discard_shards(url, [1])
    write_shard(url, MEASURED, 1, arrays(1))
    complete_store(url)
    assert bytes_below(Path(url)) == bytes_below(Path(undisturbed))


@pytest.mark.parametrize("damage", [Path.unlink, truncate, flip_a_bit])
def test_a_damaged_digest_is_found_and_repaired(url, damage):
    path = finished_store(url)
    intact = bytes_below(path)
    damage(path / "shard_digest" / "c" / "1" / "0")
    affected = set(prepare_store(url, LAYOUT, describe)) | set(damaged_shards(url, LAYOUT))
    assert affected == {1}
    discard_shards(url, [1])
    write_shard(url, LAYOUT, 1, arrays(1))
    complete_store(url)
    assert bytes_below(path) == intact


@pytest.mark.parametrize("damage", [Path.unlink, truncate])
def test_a_store_without_the_moments_of_a_shard_is_not_completed_but_repaired(url, damage):
    prepare_store(url, MEASURED, describe)
    for shard in MEASURED.shards:
        write_shard(url, MEASURED, shard, arrays(shard))
    damage(Path(url) / "shard_moments" / "c" / "1" / "0" / "0")
    with pytest.raises(StoreError, match=r"shard_moments .*--repair"):
        complete_store(url)
    assert list(damaged_shards(url, MEASURED)) == [1]
    discard_shards(url, [1])
    write_shard(url, MEASURED, 1, arrays(1))
    complete_store(url)
    temperatures = np.concatenate([arrays(shard)["temperature"] for shard in MEASURED.shards])
    stated = xarray.open_zarr(url)["temperature"].attrs
    assert stated["mean"] == pytest.approx(temperatures.mean(), rel=1e-14)
    assert stated["standard_deviation"] == pytest.approx(temperatures.std(), rel=1e-14)


@pytest.mark.parametrize("at_once", [1, 10**9])
def test_damage_is_found_however_much_is_read_at_once(url, at_once, monkeypatch):
    monkeypatch.setattr("tasks.damage.BYTES_AT_ONCE", at_once)
    for shard in prepare_store(url, MEASURED, describe):
        write_shard(url, MEASURED, shard, arrays(shard))
    assert damaged_shards(url, MEASURED) == {}
    flip_a_bit(Path(url) / "temperature" / "c" / "0" / "0")
    truncate(Path(url) / "shard_moments" / "c" / "2" / "0" / "0")
    assert list(damaged_shards(url, MEASURED)) == [0, 2]


def test_shards_that_are_not_written_yet_are_not_damaged(url):
    prepare_store(url, LAYOUT, describe)
    for shard in (0, 2):
        write_shard(url, LAYOUT, shard, arrays(shard))
    assert damaged_shards(url, LAYOUT) == {}


@pytest.mark.parametrize("damage", [Path.unlink, truncate, flip_a_bit])
def test_a_damaged_coordinate_is_found_and_restored(url, damage):
    path = finished_store(url)
    intact = bytes_below(path)
    assert damaged_coordinates(url, describe()) == []
    damage(path / "x" / "c" / "0")
    assert damaged_coordinates(url, describe()) == ["x"]
    restore_coordinates(url, describe(), ["x"])
    assert bytes_below(path) == intact
