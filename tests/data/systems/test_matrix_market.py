"""Folders of Matrix Market files: pairs by name, each bad one alone."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequences import save_matrix_market, stacked, systems_of

from data.systems.matrix_market import MatrixMarketSystems
from data.systems.system import BadSystemError, Defect
from data.validation import InputError

PAIRS = systems_of(stacked(3))


@pytest.mark.parametrize("ending", ["_rhs", "_b"])
def test_pairs_are_read_in_the_order_of_their_names(tmp_path, ending):
    source = MatrixMarketSystems(tmp_path / save_matrix_market(tmp_path / "pairs", PAIRS, ending))
    assert source.count == 3
    for index, (matrix, rhs) in enumerate(PAIRS):
        system = source.read(index)
        np.testing.assert_array_equal(system.matrix.toarray(), matrix.toarray())
        np.testing.assert_array_equal(system.rhs, rhs)


def test_symmetric_dense_and_integer_files_are_read(tmp_path):
    dense = np.array([[2, 1], [1, 3]])
    scipy.io.mmwrite(tmp_path / "a.mtx", sp.coo_array(dense), symmetry="symmetric")
    scipy.io.mmwrite(tmp_path / "a_b.mtx", sp.coo_array([[1.0], [0.0]]))
    scipy.io.mmwrite(tmp_path / "c.mtx", dense)
    scipy.io.mmwrite(tmp_path / "c_b.mtx", np.array([[1.0, 0.0]]))
    source = MatrixMarketSystems(tmp_path)
    for index in range(2):
        np.testing.assert_array_equal(source.read(index).matrix.toarray(), dense)
        np.testing.assert_array_equal(source.read(index).rhs, [1.0, 0.0])


def spoil(folder, defect):
    """Make the second of three pairs bad."""
    matrix, rhs = PAIRS[1]
    path, rhs_path = folder / "0001.mtx", folder / "0001_rhs.mtx"
    match defect:
        case "not square":
            scipy.io.mmwrite(path, sp.coo_array(matrix)[:, :-1])
        case "complex":
            scipy.io.mmwrite(path, sp.coo_array(matrix) * 1j)
        case "complex right-hand side":
            scipy.io.mmwrite(rhs_path, rhs.reshape(-1, 1) * 1j)
        case "NaN":
            path.write_text(path.read_text().replace(f"{matrix.data[5]:.16e}", "nan"))
        case "no right-hand side":
            rhs_path.unlink()
        case "no matrix":
            path.unlink()
        case "a short right-hand side":
            scipy.io.mmwrite(rhs_path, rhs[1:].reshape(-1, 1))
        case "cut off":
            path.write_bytes(path.read_bytes()[:-200])
        case "empty":
            path.write_bytes(b"")
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "a boastful header":
            path.write_text("%%MatrixMarket matrix coordinate real general\n16 16 1000000000000\n1 1 1.0\n")
        case "a boastful size":
            path.write_text("%%MatrixMarket matrix coordinate real general\n" + "1000000000000 " * 2 + "1\n1 1 1.0\n")


@pytest.mark.parametrize(
    ("spoiled", "defect", "words"),
    [
        ("not square", Defect.NOT_SQUARE, "0001.mtx is 16 x 15"),
        ("complex", Defect.NOT_REAL, "0001.mtx is complex"),
        ("complex right-hand side", Defect.NOT_REAL, "0001_rhs.mtx is complex"),
        ("no right-hand side", Defect.UNREADABLE, "no file 0001_rhs.mtx or 0001_b.mtx"),
        ("no matrix", Defect.UNREADABLE, "no file 0001.mtx"),
        ("a short right-hand side", Defect.RHS_LENGTH, "0001_rhs.mtx is 15 x 1 for 16 rows"),
        ("cut off", Defect.UNREADABLE, "0001.mtx"),
        ("empty", Defect.UNREADABLE, "0001.mtx"),
        ("binary", Defect.UNREADABLE, "0001.mtx"),
        ("a boastful header", Defect.UNREADABLE, "too short for 1000000000000 entries"),
        ("a boastful size", Defect.STRUCTURALLY_SINGULAR, "1 entries in 1000000000000 rows"),
    ],
)
def test_a_bad_pair_is_named_and_the_others_are_read(tmp_path, spoiled, defect, words):
    save_matrix_market(tmp_path, PAIRS)
    spoil(tmp_path, spoiled)
    source = MatrixMarketSystems(tmp_path)
    assert source.count == 3
    with pytest.raises(BadSystemError) as caught:
        source.read(1)
    assert caught.value.defect is defect
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(source.read(2).rhs, PAIRS[2][1])


@pytest.mark.parametrize("name", ["0001.mtx", "0001_rhs.mtx"])
def test_the_digest_changes_with_each_file(tmp_path, name):
    before = MatrixMarketSystems(tmp_path / save_matrix_market(tmp_path, PAIRS)).digest()
    (tmp_path / name).write_text((tmp_path / name).read_text() + "% a comment\n")
    assert MatrixMarketSystems(tmp_path).digest() != before


def test_a_folder_without_matrices_is_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds no Matrix Market files"):
        MatrixMarketSystems(tmp_path)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "a.mtx").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        MatrixMarketSystems(tmp_path).digest()


@settings(derandomize=True, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 800), st.binary(max_size=3))
def test_whatever_is_written_into_a_file_it_is_read_or_named(tmp_path, place, inserted):
    save_matrix_market(tmp_path, PAIRS[:1])
    path = tmp_path / "0000.mtx"
    content = path.read_bytes()
    path.write_bytes(content[:place] + inserted + content[place + 1 :])
    try:
        system = MatrixMarketSystems(tmp_path).read(0)
    except BadSystemError:
        return
    assert system.matrix.shape == (16, 16)
    assert np.isfinite(system.matrix.data).all()
