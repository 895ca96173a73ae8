"""Stacked systems in .npz files: rows as they were saved, and everything else refused in one line."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from sequences import COUNT, SIZE, save_npz, stacked, systems_of

from data.systems.npz import NpzSystems
from data.systems.system import BadSystemError, Defect
from data.validation import InputError


def same_systems(source, pairs):
    assert source.count == len(pairs)
    for index, (matrix, rhs) in enumerate(pairs):
        system = source.read(index)
        np.testing.assert_array_equal(system.matrix.toarray(), matrix.toarray())
        np.testing.assert_array_equal(system.rhs, rhs)


@pytest.mark.parametrize("compressed", [False, True])
def test_systems_are_read_as_they_were_saved(tmp_path, compressed):
    same_systems(NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", compressed)), systems_of(stacked()))


@pytest.mark.parametrize("name", ["data", "rhs"])
def test_an_uncompressed_file_is_mapped_and_not_loaded(tmp_path, name):
    source = NpzSystems(tmp_path / save_npz(tmp_path / "a.npz"))
    assert isinstance(getattr(source, f"_{name}"), np.memmap)


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_in_the_order_of_columns_are_read_too(tmp_path, compressed):
    arrays = stacked()
    path = tmp_path / save_npz(tmp_path / "a.npz", compressed, data=np.asfortranarray(arrays["data"]))
    same_systems(NpzSystems(path), systems_of(arrays))


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": stacked()["indices"].astype(np.int64), "indptr": stacked()["indptr"].astype(np.uint64)},
        {"indices": stacked()["indices"].astype(np.uint8)},
        {"data": stacked()["data"].astype(np.longdouble)},
        {name: array.astype(array.dtype.newbyteorder(">")) for name, array in stacked().items()},
        {"extra": np.array(["coordinates of the unknowns"])},
    ],
    ids=["wide indices", "narrow indices", "long double", "big endian", "an array that nobody asked for"],
)
def test_other_types_hold_the_same_systems(tmp_path, changes):
    same_systems(NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", **changes)), systems_of(stacked()))


def test_float32_is_accepted(tmp_path):
    path = tmp_path / save_npz(tmp_path / "a.npz", data=stacked()["data"].astype(np.float32))
    np.testing.assert_allclose(NpzSystems(path).read(1).matrix.data, stacked()["data"][1], rtol=1e-6)


def test_one_right_hand_side_may_be_shared(tmp_path):
    source = NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", rhs=np.arange(SIZE)))
    for index in range(COUNT):
        np.testing.assert_array_equal(source.read(index).rhs, np.arange(SIZE))


def test_unsorted_indices_and_duplicates_are_made_canonical(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=[[3.0, 1.0, 1.0, 5.0]], indices=[1, 0, 0, 1], indptr=[0, 3, 4], rhs=[[1.0, 2.0]])
    system = NpzSystems(path).read(0)
    np.testing.assert_array_equal(system.matrix.toarray(), [[2.0, 3.0], [0.0, 5.0]])
    assert system.matrix.has_canonical_format


def test_a_system_of_one_unknown_is_a_system(tmp_path):
    np.savez(tmp_path / "a.npz", data=[[2.0]], indices=[0], indptr=[0, 1], rhs=[4.0])
    assert NpzSystems(tmp_path / "a.npz").read(0).matrix.toarray() == 2.0


def test_only_the_row_with_nan_is_bad(tmp_path):
    data = stacked()["data"]
    data[2, 0] = np.nan
    source = NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", data=data))
    with pytest.raises(BadSystemError) as caught:
        source.read(2)
    assert caught.value.defect is Defect.NOT_FINITE
    for index in {*range(COUNT)} - {2}:
        source.read(index)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": None}, "no array 'data'"),
        ({"indptr": None}, "no array 'indptr'"),
        ({"data": stacked()["data"] * 1j}, "data holds complex128, it must hold real numbers"),
        ({"data": stacked()["data"].astype(str)}, "data holds <U"),
        ({"data": stacked()["data"].astype(object)}, "cannot be read"),
        ({"rhs": np.full((COUNT, SIZE), None)}, "cannot be read"),
        ({"indices": stacked()["indices"].astype(float)}, "indices holds float64, it must hold integers"),
        ({"data": stacked()["data"][0]}, "data has shape (64,), it must be of shape (count, nnz)"),
        ({"data": np.empty((0, 64)), "rhs": np.empty((0, SIZE))}, "holds no systems"),
        ({"data": stacked()["data"][:, 1:]}, "indices has 64 entries, data has 63 a system"),
        ({"rhs": stacked()["rhs"][1:]}, "rhs has shape (5, 16), not (6, 16)"),
        ({"rhs": np.ones(SIZE + 1)}, "rhs has shape (17,), not (16,)"),
        ({"rhs": np.ones((COUNT, SIZE, 1))}, "rhs has shape (6, 16, 1)"),
        ({"indptr": stacked()["indptr"][::-1]}, "indptr must begin with 0"),
        ({"indptr": stacked()["indptr"][:0]}, "indptr must begin with 0"),
        ({"indices": stacked()["indices"] + 1}, "not square: indices from 1 to 16 for 16 rows"),
        ({"indices": stacked()["indices"] - 1}, "not square: indices from -1 to 14"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_no_stack_of_square_systems_is_refused_in_one_line(tmp_path, changes, words, compressed):
    with pytest.raises(InputError) as caught:
        NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", compressed, **changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"\x93NUMPY"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        NpzSystems(tmp_path / "a.npz")


def test_a_changed_bit_is_found_before_anything_is_solved(tmp_path):
    path = tmp_path / save_npz(tmp_path / "a.npz")
    intact = path.read_bytes()
    at = intact.index(stacked()["data"][3].tobytes())
    path.write_bytes(intact[:at] + bytes([intact[at] ^ 1]) + intact[at + 1 :])
    with pytest.raises(InputError, match=r"damaged: data\.npy"):
        NpzSystems(path).digest()


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, stacked()["data"])
    boast = content.getvalue().replace(b"(6, 64)", b"(9, 64)")
    path = tmp_path / save_npz(tmp_path / "a.npz", data=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data.npy", boast)
    with pytest.raises(InputError, match="does not hold"):
        NpzSystems(path)


def test_the_digest_is_that_of_the_content(tmp_path):
    digests = [NpzSystems(tmp_path / save_npz(tmp_path / "a.npz")).digest() for _ in range(2)]
    assert digests[0] == digests[1]
    changed = NpzSystems(tmp_path / save_npz(tmp_path / "a.npz", rhs=np.ones(SIZE)))
    assert changed.digest() != digests[0]


ANY_ARRAY = arrays_of.arrays(
    st.one_of(arrays_of.floating_dtypes(), arrays_of.integer_dtypes(), arrays_of.complex_number_dtypes()),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
SMALL_INTEGERS = arrays_of.arrays(np.int64, st.integers(0, 4), elements=st.integers(-1, 4))
FILES = st.fixed_dictionaries(
    {},
    optional={
        "data": st.one_of(ANY_ARRAY, arrays_of.arrays(float, st.tuples(st.integers(0, 3), st.integers(0, 4)))),
        "indices": st.one_of(ANY_ARRAY, SMALL_INTEGERS),
        "indptr": st.one_of(ANY_ARRAY, SMALL_INTEGERS.map(np.sort)),
        "rhs": st.one_of(ANY_ARRAY, arrays_of.arrays(float, st.integers(0, 4))),
    },
)


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.booleans())
def test_whatever_arrays_a_file_holds_it_is_read_or_refused(tmp_path, arrays, compressed):
    path = tmp_path / "a.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    read_or_refused(path)


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4000), st.integers(1, 255), st.booleans())
def test_whatever_byte_is_changed_a_file_is_read_or_refused(tmp_path, place, flip, compressed):
    path = tmp_path / save_npz(tmp_path / "a.npz", compressed)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    read_or_refused(path)


def read_or_refused(path):
    try:
        source = NpzSystems(path)
        source.digest()
    except InputError:
        return
    for index in range(source.count):
        try:
            system = source.read(index)
        except BadSystemError:
            continue
        assert np.isfinite(system.matrix.data).all()
        assert system.matrix.shape == (len(system.rhs),) * 2
