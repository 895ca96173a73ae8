import numpy as np
import pytest
import scipy.linalg as la
from grid_systems import system
from hypothesis import given, settings
from hypothesis import strategies as st
from pyamg.relaxation.relaxation import sor as pyamg_sor
from systems import convection, csr, laplacian, relative_residual, rhs_of, rough_diffusion

from kernels.linear_systems.cg import cg
from kernels.linear_systems.preconditioners import ssor
from kernels.linear_systems.relaxation import check_omegas, solve_relaxed, sor, ssor_cg
from kernels.result import Status

methods = pytest.mark.parametrize("method", [sor, ssor_cg])


def textbook(matrix, rhs, omega, steps):
    """The iterates of x += (D / omega + L)^-1 (b - A x) by dense solves."""
    dense = matrix.toarray()
    splitting = np.tril(dense, -1) + np.diag(np.diagonal(dense)) / omega
    iterates = [np.zeros_like(rhs)]
    for _ in range(steps):
        iterates.append(iterates[-1] + la.solve_triangular(splitting, rhs - dense @ iterates[-1], lower=True))
    return iterates


@pytest.mark.parametrize("make", [laplacian, convection, lambda size: rough_diffusion(size, 0)])
@pytest.mark.parametrize("omega", [0.7, 1.0, 1.5])
def test_sor_is_the_textbook_iteration(make, omega):
    matrix = make(6)
    rhs = rhs_of(matrix)
    iterates = textbook(matrix, rhs, omega, 12)
    result = sor(matrix, rhs, omega=omega, max_iterations=12, tolerance=1e-14)
    np.testing.assert_allclose(result.value, iterates[-1], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(result.history, [relative_residual(matrix, rhs, x) for x in iterates], rtol=1e-10)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 12


def test_sor_is_pyamgs():
    matrix = rough_diffusion(9, 1)
    rhs, reference = rhs_of(matrix), np.zeros(81)
    pyamg_sor(matrix, reference, rhs, omega=1.4, iterations=7, sweep="forward")
    np.testing.assert_allclose(sor(matrix, rhs, omega=1.4, max_iterations=7).value, reference, rtol=1e-11, atol=1e-13)


@methods
@given(omega=st.floats(0.2, 1.9), seed=st.integers(0, 99))
@settings(max_examples=15, derandomize=True)
def test_definite_systems_are_solved_at_every_omega(method, omega, seed):
    matrix = rough_diffusion(5, seed)
    rhs = rhs_of(matrix, seed)
    result = method(matrix, rhs, omega=omega)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1e-8
    assert result.history[-1] == pytest.approx(relative_residual(matrix, rhs, result.value), rel=1e-3)
    assert result.history.size == result.work["iterations"] + 1


def test_the_asymptotic_rate_is_the_spectral_radius():
    matrix, omega = laplacian(8), 1.3
    dense = matrix.toarray()
    splitting = np.tril(dense, -1) + np.diag(np.diagonal(dense)) / omega
    radius = np.abs(la.eigvals(np.eye(64) - la.solve_triangular(splitting, dense, lower=True))).max()
    history = sor(matrix, rhs_of(matrix), omega=omega, tolerance=1e-12).history
    assert history[-1] / history[-2] == pytest.approx(radius, rel=1e-4)


def test_ssor_cg_is_cg_with_the_preconditioner():
    matrix = rough_diffusion(10, 3)
    rhs = rhs_of(matrix)
    result = ssor_cg(matrix, rhs, omega=1.6)
    reference = cg(matrix, rhs, preconditioner=ssor(matrix, omega=1.6))
    np.testing.assert_array_equal(result.history, reference.history)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_right_hand_side_does_not_matter_to_sor(scale):
    matrix = laplacian(6)
    rhs = rhs_of(matrix)
    plain, scaled = sor(matrix, rhs, omega=1.5), sor(matrix, scale * rhs, omega=1.5)
    assert scaled.work["iterations"] == plain.work["iterations"]
    np.testing.assert_allclose(scaled.value / scale, plain.value, rtol=1e-12)


@methods
def test_a_zero_right_hand_side_takes_no_iteration(method):
    result = method(laplacian(4), np.zeros(16), omega=1.5)
    assert result.converged
    assert result.work["iterations"] == 0
    assert not result.value.any()


@methods
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_are_reported(method, value):
    matrix, rhs = laplacian(4), np.ones(16)
    rhs[3] = value
    assert method(matrix, rhs, omega=1.5).status is Status.NOT_FINITE
    matrix.data[7] = value
    assert method(matrix, np.ones(16), omega=1.5).status is Status.NOT_FINITE


@methods
def test_a_missing_diagonal_entry_is_a_breakdown(method):
    result = method(csr(np.array([[0.0, 1.0], [1.0, 2.0]])), np.ones(2), omega=1.2)
    assert result.status is Status.BREAKDOWN
    assert result.work["iterations"] == 0


def test_a_divergence_ends_where_it_overflows():
    result = sor(csr(np.array([[1.0, 9.0], [9.0, 1.0]])), np.ones(2), omega=1.5)
    assert result.status is Status.NOT_FINITE
    assert result.history[-2] > 1e100


def test_one_unknown_is_solved_in_one_gauss_seidel_step():
    result = sor(csr(np.array([[4.0]])), np.array([2.0]), omega=1.0)
    assert result.converged
    assert result.work["iterations"] == 1
    np.testing.assert_array_equal(result.value, [0.5])


@methods
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"omega": 0.0}, "omega must lie strictly between 0 and 2, not 0.0"),
        ({"omega": 2.0}, "omega must lie strictly between 0 and 2, not 2.0"),
        ({"omega": np.nan}, "omega must lie strictly between 0 and 2, not nan"),
        ({"omega": 1.5, "tolerance": 0.0}, "tolerance"),
        ({"omega": 1.5, "tolerance": np.nan}, "tolerance"),
        ({"omega": 1.5, "max_iterations": 0}, "max_iterations"),
    ],
)
def test_bad_options_are_refused_by_name(method, options, named):
    with pytest.raises(ValueError, match=named):
        method(laplacian(3), np.ones(9), **options)


@methods
def test_bad_arrays_are_refused_by_name(method):
    with pytest.raises(ValueError, match="rhs"):
        method(laplacian(3), np.ones(8), omega=1.5)
    with pytest.raises(ValueError, match="matrix"):
        method(laplacian(3).astype(np.float32), np.ones(9), omega=1.5)


def test_a_solver_is_chosen_by_name():
    one = system(laplacian(5), np.ones(25))
    np.testing.assert_array_equal(
        solve_relaxed(one, solver="sor", omega=1.4).value, sor(one.matrix, one.rhs, omega=1.4).value
    )
    with pytest.raises(ValueError, match="solver must be one of sor, ssor_cg, not 'jacobi'"):
        solve_relaxed(one, solver="jacobi", omega=1.4)


@pytest.mark.parametrize("omegas", [(), (1.0, 2.0)])
def test_choices_that_cannot_be_are_refused(omegas):
    with pytest.raises(ValueError, match="omega"):
        check_omegas(omegas)
