import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import canonical, convection_diffusion, poisson, random_dominant, system
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import splu

from kernels.linear_systems import direct
from kernels.linear_systems.direct import factorize, sparse_lu, sparse_lu_sequence
from kernels.result import Status


def shifted_laplacian(side):
    return canonical(poisson(side) - 0.9 * sp.eye_array(side**2))


@pytest.mark.parametrize(
    "matrix",
    [poisson(12), convection_diffusion(12), shifted_laplacian(12), random_dominant(60, 1)],
    ids=["spd", "nonsymmetric", "indefinite", "nonsymmetric pattern"],
)
def test_the_solution_is_that_of_a_dense_solver(matrix):
    rhs = np.random.default_rng(0).standard_normal(matrix.shape[0])
    result = sparse_lu(matrix, rhs)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.value, np.linalg.solve(matrix.toarray(), rhs), rtol=1e-9, atol=1e-12)
    residual = np.linalg.norm(rhs - matrix @ result.value) / np.linalg.norm(rhs)
    np.testing.assert_allclose(result.history, [1.0, residual])
    assert result.work == {"iterations": 1, "operator_applications": 1, "factorizations": 1}


@settings(max_examples=15, derandomize=True, deadline=None)
@given(size=st.integers(1, 30), seed=st.integers(0, 1000), scale=st.sampled_from([1e-12, 1.0, 1e12]))
def test_random_systems_are_solved_at_every_scale(size, seed, scale):
    matrix = random_dominant(size, seed)
    solution = np.random.default_rng(seed).standard_normal(size)
    result = sparse_lu(canonical(scale * matrix), scale * (matrix @ solution), tolerance=1e-12)
    assert result.converged
    np.testing.assert_allclose(result.value, solution, rtol=1e-9, atol=1e-10)


def test_a_symmetric_pattern_gets_half_the_fill_of_the_default():
    matrix = convection_diffusion(40)
    assert factorize(matrix).nnz < 0.6 * splu(matrix.tocsc()).nnz


def test_a_zero_diagonal_is_pivoted_in_symmetric_mode_too():
    matrix = canonical(np.array([[0.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(sparse_lu(matrix, np.array([2.0, 3.0])).value, [3.0, 2.0])


def test_refinement_reaches_a_tolerance_that_bad_factors_miss(monkeypatch):
    matrix, rhs = poisson(10), np.ones(100)
    monkeypatch.setattr(direct, "factorize", lambda matrix: splu((1.001 * matrix).tocsc()))
    result = sparse_lu(matrix, rhs, tolerance=1e-8)
    assert result.converged
    assert result.work["iterations"] == 3
    np.testing.assert_allclose(result.history, [1.0, 1e-3, 1e-6, 1e-9], rtol=0.02)


def test_a_tolerance_below_rounding_is_reported_as_stagnation():
    result = sparse_lu(poisson(20), np.ones(400), tolerance=1e-30)
    assert result.status is Status.STAGNATED
    assert result.history[-1] < 1e-12
    assert result.work["iterations"] == 1 + direct.MOST_REFINEMENTS


@pytest.mark.parametrize(
    "matrix", [canonical(np.ones((2, 2))), sp.csr_array((3, 3)), canonical(np.array([[1.0, 0.0], [1.0, 0.0]]))]
)
def test_a_singular_matrix_is_a_breakdown(matrix):
    result = sparse_lu(matrix, np.arange(1.0, matrix.shape[0] + 1))
    assert result.status is Status.BREAKDOWN
    np.testing.assert_array_equal(result.value, 0.0)
    np.testing.assert_array_equal(result.history, [1.0])


def test_an_overflowing_solution_is_a_breakdown():
    result = sparse_lu(canonical(np.diag([1e-300, 1.0])), np.array([1e300, 1.0]))
    assert result.status is Status.BREAKDOWN
    assert np.isfinite(result.value).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_are_reported(bad):
    matrix, rhs = poisson(3), np.ones(9)
    rhs[4] = bad
    assert sparse_lu(matrix, rhs).status is Status.NOT_FINITE
    matrix.data[3] = bad
    assert sparse_lu(matrix, np.ones(9)).status is Status.NOT_FINITE


def test_a_zero_right_hand_side_needs_no_work():
    result = sparse_lu(poisson(3), np.zeros(9))
    assert result.status is Status.CONVERGED
    np.testing.assert_array_equal(result.history, [0.0])
    assert set(result.work.values()) == {0}


def test_a_sequence_factorises_only_where_the_matrix_changes():
    first, second = poisson(8), convection_diffusion(8)
    random = np.random.default_rng(1)
    matrices = [first, first, first.copy(), second, second, canonical(2.0 * second), poisson(5)]
    systems = [system(matrix, random.standard_normal(matrix.shape[0])) for matrix in matrices]
    results = dict(sparse_lu_sequence(systems))
    assert [results[i].work["factorizations"] for i in range(7)] == [1, 0, 0, 1, 0, 1, 1]
    for position, item in enumerate(systems):
        assert results[position].converged
        np.testing.assert_allclose(item.matrix @ results[position].value, item.rhs, atol=1e-10)


def test_a_sequence_goes_on_after_systems_that_fail():
    broken = poisson(4)
    broken.data[0] = np.nan
    good = system(poisson(4), np.ones(16))
    systems = [good, system(broken, np.ones(16)), system(sp.csr_array((16, 16)), np.ones(16)), good]
    assert [result.status for _, result in sparse_lu_sequence(systems)] == [
        Status.CONVERGED,
        Status.NOT_FINITE,
        Status.BREAKDOWN,
        Status.CONVERGED,
    ]


def test_a_sequence_is_solved_one_by_one():
    def systems():
        yield system(poisson(3), np.ones(9))
        raise AssertionError

    position, result = next(sparse_lu_sequence(systems()))
    assert position == 0
    assert result.converged


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, np.inf])
def test_a_bad_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        sparse_lu(poisson(3), np.ones(9), tolerance=tolerance)


@pytest.mark.parametrize(
    ("matrix", "rhs", "name"),
    [
        (poisson(3), np.ones(8), "rhs"),
        (poisson(3), np.ones((9, 1)), "rhs"),
        (poisson(3), np.ones(9, dtype=np.float32), "rhs"),
        (np.eye(3), np.ones(3), "matrix"),
        (sp.csr_array(np.ones((3, 2))), np.ones(3), "matrix"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(matrix, rhs, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        sparse_lu(matrix, rhs)
