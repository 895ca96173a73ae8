"""What every Krylov solver must do, and the parts they share."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve
from systems import (
    GENERAL,
    SOLVERS,
    badly_scaled,
    consistent_neumann,
    convection,
    csr,
    jacobi,
    laplacian,
    relative_residual,
    rhs_of,
    rough_diffusion,
    symmetric_gauss_seidel,
)

from kernels.linear_systems.krylov_tools import csr_multiply, orthonormalise
from kernels.linear_systems.types import Preconditioner
from kernels.result import Status

solvers = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)
general_solvers = pytest.mark.parametrize("solve", GENERAL.values(), ids=GENERAL)


@solvers
@pytest.mark.parametrize("precondition", [None, jacobi, symmetric_gauss_seidel])
def test_a_definite_system_is_solved(solve, precondition):
    matrix = rough_diffusion(12, seed=3)
    rhs = rhs_of(matrix)
    result = solve(matrix, rhs, preconditioner=precondition and precondition(matrix), tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(
        result.value, spsolve(matrix.tocsc(), rhs), rtol=0, atol=1e-6 * np.abs(result.value).max()
    )


@general_solvers
def test_a_nonsymmetric_system_is_solved(solve):
    matrix = convection(14)
    rhs = rhs_of(matrix)
    result = solve(matrix, rhs, preconditioner=jacobi(matrix), tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(result.value, spsolve(matrix.tocsc(), rhs), rtol=0, atol=1e-7)


@general_solvers
def test_an_indefinite_system_is_solved(solve):
    matrix = csr(laplacian(10) - 0.5 * sp.eye_array(100))
    rhs = rhs_of(matrix)
    assert np.linalg.eigvalsh(matrix.toarray())[0] < -0.1
    result = solve(matrix, rhs, tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(result.value, spsolve(matrix.tocsc(), rhs), rtol=0, atol=1e-7)


@solvers
@pytest.mark.parametrize("precondition", [None, jacobi])
def test_a_singular_consistent_system_is_solved(solve, precondition):
    matrix, rhs = consistent_neumann(12)
    result = solve(matrix, rhs, preconditioner=precondition and precondition(matrix), tolerance=1e-9)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1e-9
    reference = np.linalg.lstsq(matrix.toarray(), rhs)[0]
    np.testing.assert_allclose(result.value - result.value.mean(), reference - reference.mean(), rtol=0, atol=1e-6)


@solvers
def test_jacobi_undoes_bad_scaling(solve):
    matrix, rhs = badly_scaled(200)
    result = solve(matrix, rhs, preconditioner=jacobi(matrix), tolerance=1e-10)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1e-10


@solvers
def test_the_counts_are_the_calls_that_were_made(solve):
    matrix = rough_diffusion(10, seed=0)
    calls = 0
    diagonal = matrix.diagonal()

    def counted(vector):
        nonlocal calls
        calls += 1
        return vector / diagonal

    result = solve(matrix, rhs_of(matrix), preconditioner=Preconditioner("counted", counted, None))
    assert result.work["preconditioner_applications"] == calls
    assert result.work["operator_applications"] >= result.work["iterations"] == len(result.history) - 1
    assert result.history[0] == pytest.approx(1.0)
    assert result.history[-1] <= 1e-8


@solvers
def test_a_warm_start_is_used(solve):
    matrix = rough_diffusion(10, seed=0)
    rhs = rhs_of(matrix)
    exact = spsolve(matrix.tocsc(), rhs)
    result = solve(matrix, rhs, initial_guess=exact)
    assert result.converged
    assert result.work["iterations"] == 0
    np.testing.assert_array_equal(result.value, exact)
    near = solve(matrix, rhs, initial_guess=exact + 1e-3 * rhs)
    assert near.converged
    assert near.history[0] == pytest.approx(relative_residual(matrix, rhs, exact + 1e-3 * rhs))


@solvers
def test_arguments_are_not_changed(solve):
    matrix = rough_diffusion(8, seed=0)
    rhs, guess = rhs_of(matrix), rhs_of(matrix, seed=5)
    copies = matrix.data.copy(), rhs.copy(), guess.copy()
    solve(matrix, rhs, initial_guess=guess)
    for before, after in zip(copies, (matrix.data, rhs, guess), strict=True):
        np.testing.assert_array_equal(before, after)


@solvers
def test_a_zero_right_hand_side_gives_zero_at_once(solve):
    matrix = laplacian(5)
    result = solve(matrix, np.zeros(25), initial_guess=np.ones(25))
    assert result.status is Status.CONVERGED
    assert result.work["iterations"] == 0
    np.testing.assert_array_equal(result.value, 0.0)
    np.testing.assert_array_equal(result.history, [0.0])


@solvers
@pytest.mark.parametrize("size", [1, 2, 3])
def test_systems_smaller_than_any_restart_are_solved(solve, size):
    matrix = csr(np.diag(np.arange(1.0, size + 1)))
    result = solve(matrix, np.ones(size), tolerance=1e-13)
    assert result.converged
    np.testing.assert_allclose(result.value, 1.0 / np.arange(1.0, size + 1), rtol=1e-12)


@solvers
def test_a_krylov_space_that_closes_early_gives_the_solution(solve):
    matrix = csr(sp.eye_array(50) * 3.0)
    result = solve(matrix, rhs_of(matrix), tolerance=1e-12)
    assert result.converged
    assert result.work["iterations"] == 1


@solvers
def test_an_inverse_as_preconditioner_takes_one_or_two_steps(solve):
    matrix = laplacian(8)
    inverse = np.linalg.inv(matrix.toarray())
    exact = Preconditioner("inverse", lambda v: inverse @ v, lambda v: matrix @ v)
    result = solve(matrix, rhs_of(matrix), preconditioner=exact, tolerance=1e-10)
    assert result.converged
    assert result.work["iterations"] <= 2


@solvers
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["matrix", "rhs", "initial_guess", "preconditioner"])
def test_data_that_are_not_finite_are_reported(solve, bad, place):
    matrix, guess, preconditioner = laplacian(5), None, None
    rhs = rhs_of(matrix)
    if place == "matrix":
        matrix.data[3] = bad
    elif place == "rhs":
        rhs[3] = bad
    elif place == "initial_guess":
        guess = np.full(25, bad)
    else:
        preconditioner = Preconditioner("broken", lambda v: v * bad, None)
    result = solve(matrix, rhs, initial_guess=guess, preconditioner=preconditioner)
    assert result.status is Status.NOT_FINITE


@solvers
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_that_leave_the_range_of_floats_give_no_wrong_answer(solve, scale):
    matrix = laplacian(5)
    rhs = rhs_of(matrix)
    result = solve(csr(matrix * scale), rhs * scale)
    assert not result.converged or relative_residual(matrix, rhs, result.value) <= 1.001e-8


@solvers
def test_the_iteration_limit_is_kept(solve):
    matrix = laplacian(20)
    result = solve(matrix, rhs_of(matrix), max_iterations=7)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 7
    assert len(result.history) == 8
    assert result.history[-1] == pytest.approx(relative_residual(matrix, rhs_of(matrix), result.value), rel=1e-13)


@solvers
def test_the_last_residual_is_the_true_one_even_where_the_iterate_is_useless(solve):
    # inconsistent: no vector solves it, and recurrences drift far from the truth
    matrix = laplacian(5, corner=1.0)
    rhs = rhs_of(matrix, seed=2)
    result = solve(matrix, rhs, max_iterations=300)
    assert not result.converged
    assert result.history[-1] == pytest.approx(relative_residual(matrix, rhs, result.value), rel=1e-6)


@solvers
def test_a_tolerance_below_rounding_ends_in_stagnation(solve):
    matrix = rough_diffusion(10, seed=1)
    rhs = rhs_of(matrix)
    result = solve(matrix, rhs, tolerance=1e-18)
    assert result.status in (Status.STAGNATED, Status.BREAKDOWN)
    assert relative_residual(matrix, rhs, result.value) < 1e-13


@solvers
def test_convergence_is_of_the_true_residual_where_recurrences_drift(solve):
    # far-off guess: the residual's rounding, 1e6 * 1e-16, is above the tolerance until the iteration starts again
    matrix = rough_diffusion(12, seed=2)
    rhs = rhs_of(matrix)
    result = solve(matrix, rhs, initial_guess=1e7 * rhs_of(matrix, seed=4), tolerance=1e-11)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1e-11


@solvers
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rhs": np.zeros(24)}, "rhs"),
        ({"rhs": np.zeros((25, 1))}, "rhs"),
        ({"rhs": np.zeros(25, dtype=np.float32)}, "rhs"),
        ({"rhs": [0.0] * 25}, "rhs"),
        ({"matrix": csr(np.ones((25, 24)))}, "matrix"),
        ({"matrix": laplacian(5).tocsc()}, "matrix"),
        ({"matrix": laplacian(5).astype(np.float32)}, "matrix"),
        ({"matrix": np.eye(25)}, "matrix"),
        ({"initial_guess": np.zeros(24)}, "initial_guess"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": -1e-8}, "tolerance"),
        ({"tolerance": np.nan}, "tolerance"),
        ({"tolerance": np.inf}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"max_iterations": 2.5}, "max_iterations"),
    ],
)
def test_bad_input_is_refused_by_name(solve, change, named):
    arguments = {"matrix": laplacian(5), "rhs": np.ones(25)} | change
    with pytest.raises(ValueError, match=named):
        solve(arguments.pop("matrix"), arguments.pop("rhs"), **arguments)


@solvers
@settings(derandomize=True, max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 40))
def test_random_well_conditioned_systems_are_solved(solve, seed, size):
    random = np.random.default_rng(seed)
    square = random.standard_normal((size, size)) / np.sqrt(size)
    matrix = csr(square @ square.T + np.eye(size))
    rhs = random.standard_normal(size)
    result = solve(matrix, rhs, tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(result.value, np.linalg.solve(matrix.toarray(), rhs), rtol=0, atol=1e-8)


@solvers
@settings(derandomize=True, max_examples=5, deadline=None)
@given(power=st.integers(-40, 40))
def test_a_power_of_two_in_the_right_hand_side_changes_nothing_else(solve, power):
    matrix = rough_diffusion(6, seed=0)
    rhs = rhs_of(matrix)
    plain, scaled = solve(matrix, rhs), solve(matrix, np.ldexp(rhs, power))
    np.testing.assert_array_equal(scaled.history, plain.history)
    np.testing.assert_array_equal(scaled.value, np.ldexp(plain.value, power))


@solvers
def test_an_orthogonal_similarity_keeps_the_history(solve):
    matrix = rough_diffusion(5, seed=0)
    rhs = rhs_of(matrix)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((25, 25)))[0]
    rotated = csr(rotation @ matrix.toarray() @ rotation.T)
    plain, other = solve(matrix, rhs, tolerance=1e-6), solve(rotated, rotation @ rhs, tolerance=1e-6)
    np.testing.assert_allclose(other.history, plain.history, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_the_sparse_product_is_scipys(index_type):
    matrix = csr(sp.random_array((40, 40), density=0.1, rng=np.random.default_rng(0)))
    vector, product = rhs_of(matrix), np.empty(40)
    csr_multiply(matrix.data, matrix.indices.astype(index_type), matrix.indptr.astype(index_type), vector, product)
    np.testing.assert_allclose(product, matrix @ vector, rtol=1e-14, atol=1e-15)


def test_orthonormalise_keeps_orthogonality_for_nearly_dependent_vectors():
    random = np.random.default_rng(0)
    basis = np.empty((21, 60))
    coefficients = np.empty(21)
    vectors = random.standard_normal(60) + 1e-7 * random.standard_normal((21, 60))
    for count, vector in enumerate(vectors):
        basis[count] = vector
        orthonormalise(basis, count, coefficients)
        np.testing.assert_allclose(coefficients[: count + 1] @ basis[: count + 1], vector, rtol=0, atol=1e-14)
    np.testing.assert_allclose(basis @ basis.T, np.eye(21), atol=1e-14)


def test_orthonormalise_makes_a_dependent_vector_zero():
    basis = np.vstack([np.eye(3, 5), np.array([1.0, 2.0, 3.0, 0.0, 0.0])])
    coefficients = np.empty(4)
    assert orthonormalise(basis, 3, coefficients) == 0.0
    np.testing.assert_array_equal(basis[3], 0.0)
    np.testing.assert_array_equal(coefficients, [1.0, 2.0, 3.0, 0.0])
