"""Stacked systems in Zarr groups of either version, read chunk by chunk."""

import json
import os
import pickle

import numpy as np
import pytest
import zarr
from sequences import COUNT, SIZE, save_npz, save_zarr, stacked, systems_of

from data.validation import InputError
from tasks.zarr_systems import ZarrSystems, is_zarr


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_systems_are_read_as_they_were_saved(tmp_path, zarr_format, chunk):
    source = ZarrSystems(save_zarr(tmp_path / "a.zarr", chunk, zarr_format))
    assert source.count == COUNT
    for index, (matrix, rhs) in reversed(list(enumerate(systems_of(stacked())))):
        system = source.read(index)
        np.testing.assert_array_equal(system.matrix.toarray(), matrix.toarray())
        np.testing.assert_array_equal(system.rhs, rhs)


def test_one_right_hand_side_may_be_shared(tmp_path):
    source = ZarrSystems(save_zarr(tmp_path / "a.zarr", rhs=np.arange(SIZE)))
    np.testing.assert_array_equal(source.read(5).rhs, np.arange(SIZE))


def test_a_chunk_is_decoded_once_for_its_rows(tmp_path, monkeypatch):
    source = ZarrSystems(save_zarr(tmp_path / "a.zarr", chunk=4))
    decoded = []
    block = type(source._data)._block
    monkeypatch.setattr(
        type(source._data), "_block", lambda rows, number: decoded.append(number) or block(rows, number)
    )
    for index in range(COUNT):
        source.read(index)
    assert decoded == [0, 0, 1, 1]  # of data and of rhs


def test_the_digest_is_that_of_the_values_whatever_the_chunks(tmp_path):
    digest = ZarrSystems(save_zarr(tmp_path / "a.zarr", chunk=4)).digest()
    assert ZarrSystems(save_zarr(tmp_path / "b.zarr", chunk=1, zarr_format=2)).digest() == digest
    assert ZarrSystems(save_zarr(tmp_path / "c.zarr", rhs=np.ones(SIZE))).digest() != digest


def test_only_what_zarr_made_is_taken_for_a_group(tmp_path):
    save_npz(tmp_path / "a.npz")
    assert is_zarr(save_zarr(tmp_path / "a.zarr"))
    assert is_zarr(save_zarr(tmp_path / "b.zarr", zarr_format=2))
    assert is_zarr("s3://bucket/systems.zarr")
    assert not is_zarr(str(tmp_path))
    assert not is_zarr(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": stacked()["data"] * 1j}, "data holds complex128"),
        ({"data": stacked()["data"][:, 1:]}, "indices has 64 entries"),
        ({"data": stacked()["data"].astype("datetime64[s]")}, "data holds datetime64"),
        ({"rhs": stacked()["rhs"][1:]}, "rhs has shape (5, 16)"),
    ],
)
def test_what_is_no_stack_of_square_systems_is_refused_in_one_line(tmp_path, changes, words):
    with pytest.raises(InputError) as caught:
        ZarrSystems(save_zarr(tmp_path / "a.zarr", **changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_that_are_missing_scalar_or_groups_are_refused(tmp_path):
    group = zarr.open_group(save_zarr(tmp_path / "a.zarr"))
    del group["rhs"]
    with pytest.raises(InputError, match="no array 'rhs'"):
        ZarrSystems(str(tmp_path / "a.zarr"))
    group.create_group("rhs")
    with pytest.raises(InputError, match="no array 'rhs'"):
        ZarrSystems(str(tmp_path / "a.zarr"))
    group.create_array("rhs", data=np.array(1.0), overwrite=True)
    with pytest.raises(InputError, match="rhs has shape"):
        ZarrSystems(str(tmp_path / "a.zarr"))


def test_what_is_no_group_is_refused(tmp_path):
    zarr.create_array(str(tmp_path / "array.zarr"), data=np.ones(3))
    for location in (tmp_path / "array.zarr", tmp_path / "absent.zarr", "nonsense://bucket/systems.zarr"):
        with pytest.raises(InputError, match="cannot be read as a Zarr group"):
            ZarrSystems(str(location))


def test_a_damaged_chunk_is_found_before_anything_is_solved(tmp_path):
    save_zarr(tmp_path / "a.zarr", chunk=4)
    chunk = tmp_path / "a.zarr" / "data" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(InputError, match="data cannot be read"):
        ZarrSystems(str(tmp_path / "a.zarr")).digest()


class Malice:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("codec", ["compressor", "filters"])
def test_no_pickle_in_a_chunk_is_ever_loaded(tmp_path, codec):
    save_zarr(tmp_path / "a.zarr", chunk=COUNT, zarr_format=2)
    data = tmp_path / "a.zarr" / "data"
    metadata = json.loads((data / ".zarray").read_text()) | {"compressor": None, "filters": None}
    metadata[codec] = {"id": "pickle"} if codec == "compressor" else [{"id": "pickle"}]
    (data / ".zarray").write_text(json.dumps(metadata))
    (data / "0.0").write_bytes(pickle.dumps(Malice(str(tmp_path / "malice"))))
    with pytest.raises(InputError):
        ZarrSystems(str(tmp_path / "a.zarr")).digest()
    assert not (tmp_path / "malice").exists()
