import errno
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from files import bytes_below
from hypothesis import assume, given
from hypothesis import strategies as st
from rods import LAYOUT, arrays, describe, finished_store

from data.problem import Variable
from tasks.damage import damaged_shards
from tasks.layout import CHUNK_BYTES, Layout, assert_aligned
from tasks.places import StoreError, join_url, require_writable
from tasks.store import (
    canonical_digest,
    complete_store,
    open_store,
    prepare_store,
    read_shard,
    store_state,
    write_shard,
)

OTHER_PARAMETERS = Layout("4567", 7, 3, LAYOUT.variables)


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "rod.zarr")


layouts = st.builds(
    lambda count, shard_size, item: Layout("d", count, shard_size, {"v": Variable(("x",), (item,), "v")}),
    st.integers(1, 10**4),
    st.integers(1, 10**4),
    st.sampled_from([1, 7, CHUNK_BYTES // 80, CHUNK_BYTES // 8, CHUNK_BYTES]),
)


@given(layouts)
def test_the_shards_partition_the_instances(layout):
    rows = [layout.rows(shard) for shard in layout.shards]
    assert rows[0].start == 0
    assert rows[-1].stop == layout.count
    assert all(row.start < row.stop for row in rows)
    assert all(first.stop == second.start for first, second in itertools.pairwise(rows))


@given(layouts)
def test_every_shard_consists_of_whole_chunks_of_bounded_size(layout):
    chunk = layout.chunk_length(layout.variables["v"])
    assert layout.shard_size % chunk == 0
    assert chunk == 1 or chunk * layout.variables["v"].shape[0] * 8 <= CHUNK_BYTES
    for shard in layout.shards:
        assert_aligned(layout.rows(shard), chunk, layout.count)


@given(layouts, st.integers(0, 10**4), st.integers(1, 10**4))
def test_rows_that_share_a_chunk_with_others_are_refused(layout, start, length):
    chunk = layout.chunk_length(layout.variables["v"])
    stop = min(start + length, layout.count)
    assume(start < stop)
    shares = start % chunk != 0 or (stop % chunk != 0 and stop != layout.count)
    if shares:
        with pytest.raises(ValueError, match="whole chunks"):
            assert_aligned(slice(start, stop), chunk, layout.count)
    else:
        assert_aligned(slice(start, stop), chunk, layout.count)


def test_the_size_of_a_store_is_that_of_its_arrays():
    assert LAYOUT.nbytes == 7 * (4 * 8 + 1)


def test_a_store_reads_back_what_was_written(url):
    finished_store(url)
    for shard in LAYOUT.shards:
        for name, values in read_shard(url, LAYOUT, shard).items():
            assert values.dtype == arrays(shard)[name].dtype
            np.testing.assert_array_equal(values, arrays(shard)[name])
    assert damaged_shards(url, LAYOUT) == {}


def test_shards_may_be_written_in_any_order(tmp_path):
    forward = finished_store(str(tmp_path / "forward"))
    prepare_store(str(tmp_path / "backward"), LAYOUT, describe)
    for shard in reversed(LAYOUT.shards):
        write_shard(str(tmp_path / "backward"), LAYOUT, shard, arrays(shard))
    complete_store(str(tmp_path / "backward"))
    assert bytes_below(forward) == bytes_below(tmp_path / "backward")


def test_xarray_opens_a_store_with_dimensions_coordinates_units_and_provenance(url):
    finished_store(url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xarray.open_zarr(url)
    assert dict(opened.sizes) == {"instance": 7, "x": 4, "shard": 3, "digest_byte": 16}
    assert opened["temperature"].dims == ("instance", "x")
    assert opened["temperature"].attrs["units"] == "K"
    assert opened["temperature"].attrs["long_name"] == "temperature"
    np.testing.assert_array_equal(opened["x"], np.linspace(0.0, 1.0, 4))
    assert opened.attrs["title"] == "a rod"
    assert opened.attrs["git_commit"] == "abc"
    assert opened.attrs["digest"] == LAYOUT.digest
    assert opened.attrs["state"] == "complete"


def test_what_was_never_written_reads_as_nan(url):
    prepare_store(url, LAYOUT, describe)
    write_shard(url, LAYOUT, 0, arrays(0))
    values = open_store(url, "r")["temperature"][:]
    assert np.isfinite(values[:3]).all()
    assert np.isnan(values[3:]).all()


def test_a_store_is_not_complete_before_all_shards_are_written(url):
    prepare_store(url, LAYOUT, describe)
    write_shard(url, LAYOUT, 0, arrays(0))
    with pytest.raises(StoreError, match=r"shards \[1, 2\] are missing"):
        complete_store(url)
    assert store_state(url) == "unfinished"
    assert prepare_store(url, LAYOUT, describe) == [1, 2]


def count_writes(monkeypatch, fail_at=0):
    """Count the files that Zarr puts in place; the one of number ``fail_at`` finds the disk full."""
    written = []
    replace = Path.replace

    def limited(source, target):
        written.append(target)
        if len(written) == fail_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", limited)
    return written


def test_a_store_interrupted_at_any_write_is_finished_by_the_next_run(tmp_path, monkeypatch):
    with monkeypatch.context() as counting:
        writes = count_writes(counting)
        intact = bytes_below(finished_store(str(tmp_path / "undisturbed")))
    for write in range(1, len(writes) + 1):
        url = str(tmp_path / f"interrupted-{write}")
        with monkeypatch.context() as failing:
            count_writes(failing, fail_at=write)
            with pytest.raises(OSError, match="No space left"):
                finished_store(url)
        finished_store(url)
        assert bytes_below(url) == intact, f"interrupted at write {write}: {writes[write - 1]}"


def test_leftovers_of_a_killed_writer_are_removed(url):
    prepare_store(url, LAYOUT, describe)
    write_shard(url, LAYOUT, 0, arrays(0))
    leftover = Path(url) / "temperature" / "c" / "1" / "0.9f3c.partial"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    assert prepare_store(url, LAYOUT, describe) == [1, 2]
    assert not leftover.exists()


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="not a store of Assay"):
        prepare_store(str(tmp_path), LAYOUT, describe)
    assert bytes_below(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError):
        prepare_store(str(tmp_path / "thesis.txt"), LAYOUT, describe)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_zarr_group_of_somebody_else_is_refused_and_left_alone(url):
    zarr.open_group(url, mode="w").create_array("years_of_work", data=np.arange(3))
    before = bytes_below(url)
    with pytest.raises(StoreError):
        prepare_store(url, LAYOUT, describe)
    assert bytes_below(url) == before


def test_a_zarr_array_of_somebody_else_is_refused_and_left_alone(url):
    zarr.create_array(url, data=np.arange(3))
    before = bytes_below(url)
    with pytest.raises(StoreError):
        prepare_store(url, LAYOUT, describe)
    assert bytes_below(url) == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_store_of_other_parameters_is_refused_and_left_alone(url, finished):
    if finished:
        finished_store(url)
    else:
        prepare_store(url, LAYOUT, describe)
    before = bytes_below(url)
    with pytest.raises(StoreError, match="made by other parameters"):
        prepare_store(url, OTHER_PARAMETERS, describe)
    assert bytes_below(url) == before


def test_an_empty_folder_may_become_a_store(tmp_path):
    finished_store(str(tmp_path))
    assert store_state(str(tmp_path)) == "complete"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../a", "a\\b"])
def test_names_that_leave_the_root_are_refused(name):
    with pytest.raises(StoreError, match="is not allowed"):
        join_url("root", "datasets", name)


def test_names_are_joined_to_paths_and_urls():
    assert join_url("folder/", "datasets", "a.zarr") == "folder/datasets/a.zarr"
    assert join_url("s3://bucket", "a.zarr") == "s3://bucket/a.zarr"


def test_a_store_below_a_file_is_not_writable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="not writable"):
        require_writable(str(tmp_path / "file" / "store"))


def test_a_store_that_does_not_exist_yet_is_writable_and_not_created(tmp_path):
    require_writable(str(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("status"),
        lambda a: a.update(extra=a["status"]),
        lambda a: a.update(status=a["status"].astype(np.int64)),
        lambda a: a.update(temperature=a["temperature"][:, :3]),
        lambda a: a.update(temperature=a["temperature"][:2]),
    ],
    ids=["one is missing", "one too many", "other type", "other extent", "too few instances"],
)
def test_arrays_that_do_not_fit_the_layout_are_refused(url, change):
    prepare_store(url, LAYOUT, describe)
    wrong = arrays(0)
    change(wrong)
    with pytest.raises(ValueError, match="expected"):
        write_shard(url, LAYOUT, 0, wrong)
    assert prepare_store(url, LAYOUT, describe) == [0, 1, 2]


SHARED = Layout("89ab", 7, 4, LAYOUT.variables, chunk=2)


def test_chunks_that_share_a_file_have_one_writer(url):
    prepare_store(url, SHARED, describe)
    for shard in SHARED.shards:
        write_shard(url, SHARED, shard, arrays(shard, SHARED))
    complete_store(url)
    stored = open_store(url, "r")["temperature"]
    assert (stored.chunks, stored.shards) == ((2, 4), (4, 4))
    files = [path for path in (Path(url) / "temperature" / "c").rglob("*") if path.is_file()]
    assert len(files) == SHARED.shard_count
    np.testing.assert_array_equal(read_shard(url, SHARED, 1)["temperature"], arrays(1, SHARED)["temperature"])

    halves = Layout(SHARED.digest, SHARED.count, 2, SHARED.variables, chunk=2)
    with pytest.raises(ValueError, match="whole chunks of 4 rows"):
        write_shard(url, halves, 1, arrays(1, halves))


def test_what_is_known_only_of_the_whole_is_written_at_completion(url):
    prepare_store(url, LAYOUT, describe)
    for shard in LAYOUT.shards:
        write_shard(url, LAYOUT, shard, arrays(shard))
    complete_store(url, lambda stored: {"warmest": float(stored["temperature"][:].max())})
    assert xarray.open_zarr(url).attrs["warmest"] == 9.0


def test_the_digest_of_a_description_does_not_depend_on_the_order_of_its_keys():
    assert canonical_digest({"a": 1, "b": [1.5, "x"]}) == canonical_digest({"b": [1.5, "x"], "a": 1})
    assert canonical_digest({"a": 1}) != canonical_digest({"a": 2})


def test_a_description_that_is_not_json_has_no_digest():
    with pytest.raises(ValueError, match="JSON"):
        canonical_digest({"a": float("nan")})


def test_a_store_in_memory_is_addressed_by_its_url():
    url = "memory://test-store/rod.zarr"
    for shard in prepare_store(url, LAYOUT, describe):
        write_shard(url, LAYOUT, shard, arrays(shard))
    complete_store(url)
    assert store_state(url) == "complete"
    assert damaged_shards(url, LAYOUT) == {}
