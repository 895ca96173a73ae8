"""One system: what is made of a matrix and a right-hand side, and what is wrong with bad ones."""

import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import canonical
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from data.systems.system import BadSystemError, Defect, linear_system, require_pattern, require_structural_rank

GOOD = [[2.0, -1.0], [0.0, 2.0]]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dia", "bsr"])
@pytest.mark.parametrize("kind", [sp.coo_array, sp.coo_matrix])
def test_every_sparse_format_gives_the_same_canonical_system(form, kind):
    system = linear_system(kind(np.array(GOOD)).asformat(form), np.ones(2))
    np.testing.assert_array_equal(system.matrix.toarray(), GOOD)
    assert system.matrix.has_canonical_format
    assert system.matrix.dtype == system.rhs.dtype == np.float64
    assert system.matrix.indices.dtype == system.matrix.indptr.dtype == np.int32


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8", "bool", ">f8", "longdouble"])
def test_every_real_type_becomes_float64(dtype):
    system = linear_system(np.eye(3).astype(dtype), np.ones((3, 1), dtype))
    np.testing.assert_array_equal(system.matrix.toarray(), np.eye(3))
    np.testing.assert_array_equal(system.rhs, np.ones(3))
    assert system.matrix.dtype == system.rhs.dtype == np.float64


def test_duplicates_are_summed_and_indices_sorted_while_the_input_stays_as_it_is():
    given_matrix = sp.csr_array((np.array([3.0, 1.0, 1.0, 5.0]), np.array([1, 0, 0, 1]), np.array([0, 3, 4])))
    system = linear_system(given_matrix, np.ones(2))
    np.testing.assert_array_equal(system.matrix.toarray(), [[2.0, 3.0], [0.0, 5.0]])
    assert system.matrix.nnz == 3
    assert given_matrix.nnz == 4
    np.testing.assert_array_equal(system.parameters, [2.0, 3.0, 5.0])


def test_stored_zeros_belong_to_the_pattern():
    stored = sp.csr_array((np.array([1.0, 0.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])))
    assert linear_system(stored, np.ones(2)).matrix.nnz == 3


@pytest.mark.parametrize(
    ("matrix", "rhs", "defect", "words"),
    [
        (np.ones((2, 3)), np.ones(2), Defect.NOT_SQUARE, "(2, 3)"),
        (np.ones((0, 0)), np.ones(0), Defect.NOT_SQUARE, "(0, 0)"),
        (np.ones(3), np.ones(3), Defect.NOT_SQUARE, "(3,)"),
        (GOOD, np.ones(3), Defect.RHS_LENGTH, "3 numbers for 2 rows"),
        (np.array(GOOD) * 1j, np.ones(2), Defect.NOT_REAL, "matrix of type complex128"),
        (GOOD, np.ones(2) * 1j, Defect.NOT_REAL, "right-hand side of type complex128"),
        (GOOD, ["a", "b"], Defect.NOT_REAL, "right-hand side"),
        ([[np.nan, 1.0], [np.inf, 1.0]], np.ones(2), Defect.NOT_FINITE, "2 in the matrix"),
        (GOOD, [1.0, np.inf], Defect.NOT_FINITE, "1 in the right-hand side"),
        (np.array([[np.finfo(np.longdouble).max]]), [1.0], Defect.NOT_FINITE, "matrix"),
        ("a matrix", np.ones(2), Defect.NOT_REAL, "matrix of type <U8"),
        (None, np.ones(2), Defect.NOT_REAL, "matrix of type object"),
        ([[1.0, 2.0], [3.0]], np.ones(2), Defect.UNREADABLE, "inhomogeneous"),
        (np.ones((2, 2, 2)), np.ones(2), Defect.UNREADABLE, "3D"),
        (sp.csr_array((2, 2)).tocsr(), None, Defect.NOT_REAL, "right-hand side of type object"),
    ],
)
def test_a_bad_system_is_refused_with_its_defect(matrix, rhs, defect, words):
    with pytest.raises(BadSystemError) as caught:
        linear_system(matrix, rhs)
    assert caught.value.defect is defect
    assert str(caught.value).startswith(defect)
    assert words in str(caught.value)


def test_a_matrix_whose_arrays_contradict_each_other_is_unreadable():
    corrupt = sp.csr_array(np.eye(3))
    corrupt.indices[0] = 1000
    with pytest.raises(BadSystemError) as caught:
        linear_system(corrupt, np.ones(3))
    assert caught.value.defect is Defect.UNREADABLE


def system_of(dense):
    return linear_system(canonical(np.array(dense, float)), np.ones(len(dense)))


FIRST = system_of([[1, 1, 0], [0, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize(
    ("dense", "defect"),
    [
        ([[1, 0, 1], [0, 1, 1], [0, 0, 1]], Defect.PATTERN_CHANGED),
        ([[1, 1, 1], [0, 1, 1], [0, 0, 1]], Defect.PATTERN_CHANGED),
        ([[1, 1, 0], [0, 0, 0], [0, 0, 1]], Defect.STRUCTURALLY_SINGULAR),
        ([[1, 1], [0, 1]], Defect.SIZE_CHANGED),
    ],
)
def test_another_pattern_than_the_first_is_refused(dense, defect):
    with pytest.raises(BadSystemError) as caught:
        require_pattern(system_of(dense), FIRST)
    assert caught.value.defect is defect


def test_the_same_pattern_with_other_entries_passes():
    require_pattern(system_of([[7, -1, 0], [0, 2, 3], [0, 0, 4]]), FIRST)


@settings(derandomize=True, max_examples=60)
@given(arrays_of.arrays(bool, st.integers(1, 5).map(lambda size: (size, size))))
def test_structural_rank_is_that_of_random_entries(pattern):
    """With probability one, random entries make a matrix as regular as its pattern allows."""
    entries = np.where(pattern, np.random.default_rng(0).uniform(1.0, 2.0, pattern.shape), 0.0)
    rank = np.linalg.matrix_rank(entries)
    if rank == len(pattern):
        require_structural_rank(system_of(entries))
    else:
        with pytest.raises(BadSystemError, match=f"structurally singular: rank at most {rank} of {len(pattern)}"):
            require_structural_rank(system_of(entries))


def test_the_codes_of_defects_are_their_positions_and_zero_is_none():
    assert [defect.code for defect in Defect] == list(range(len(Defect)))
    assert Defect.NONE.code == 0
