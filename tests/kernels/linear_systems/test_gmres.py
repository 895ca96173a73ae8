import numpy as np
import pyamg.krylov
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import convection, csr, jacobi, laplacian, relative_residual, rhs_of, rough_diffusion, same_history

from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.types import Preconditioner
from kernels.result import Status


def scipy_history(operator, start, norm, restart):
    """Residual norms per Arnoldi step of SciPy's GMRES without preconditioner, over ``norm``."""
    steps = []
    sla.gmres(operator, start, restart=restart, rtol=1e-10, maxiter=200, callback=steps.append, callback_type="pr_norm")
    return np.r_[1.0, np.array(steps) * np.linalg.norm(start) / norm]


def varying_convection():
    matrix = convection(12)
    return csr(sp.diags_array(np.linspace(1, 5, 144)) @ matrix)


@pytest.mark.parametrize("restart", [5, 12, 30])
def test_the_history_is_that_of_scipy_over_many_cycles(restart):
    matrix = varying_convection()
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    right = sla.LinearOperator(matrix.shape, matvec=lambda v: matrix @ preconditioner.solve(v), dtype=float)
    result = gmres(matrix, rhs, preconditioner=preconditioner, restart=restart, tolerance=1e-10)
    assert result.converged
    same_history(result.history, scipy_history(right, rhs, np.linalg.norm(rhs), restart))


def test_on_the_left_a_cycle_is_that_of_pyamg():
    matrix = varying_convection()
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    operator = sla.LinearOperator(matrix.shape, matvec=preconditioner.solve, dtype=float)
    expected = []
    pyamg.krylov.gmres(matrix, rhs, M=operator, restart=60, maxiter=1, tol=1e-10, residuals=expected)
    result = gmres(matrix, rhs, preconditioner=preconditioner, side="left", restart=60, tolerance=1e-12)
    same_history(result.history, np.array(expected) / expected[0])


def test_on_the_left_the_steps_of_all_cycles_are_those_of_scipy():
    matrix = varying_convection()
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    left = sla.LinearOperator(matrix.shape, matvec=lambda v: preconditioner.solve(matrix @ v), dtype=float)
    start = preconditioner.solve(rhs)
    result = gmres(matrix, rhs, preconditioner=preconditioner, side="left", restart=8, max_iterations=32)
    reference = sla.gmres(left, start, restart=8, rtol=1e-14, maxiter=4)[0]
    np.testing.assert_allclose(result.value, reference, rtol=1e-8)
    assert result.history[-1] == pytest.approx(relative_residual(matrix, rhs, reference))


def test_entries_at_the_end_of_cycles_are_true_residuals():
    matrix = varying_convection()
    rhs = rhs_of(matrix)
    for side in ("left", "right"):
        result = gmres(matrix, rhs, preconditioner=jacobi(matrix), side=side, restart=7, max_iterations=21)
        assert result.history[-1] == pytest.approx(relative_residual(matrix, rhs, result.value), rel=1e-12)


def test_one_true_residual_per_cycle_is_counted():
    matrix = varying_convection()
    result = gmres(matrix, rhs_of(matrix), preconditioner=jacobi(matrix), restart=10)
    cycles = -(-result.work["iterations"] // 10)
    assert result.work["operator_applications"] == result.work["iterations"] + cycles
    assert result.work["preconditioner_applications"] == result.work["iterations"] + cycles


@settings(derandomize=True, max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 30), restart=st.integers(1, 35))
def test_the_residual_never_grows(seed, size, restart):
    random = np.random.default_rng(seed)
    matrix = csr(random.standard_normal((size, size)) + 2.0 * np.sqrt(size) * np.eye(size))
    result = gmres(matrix, random.standard_normal(size), restart=restart, tolerance=1e-12, max_iterations=200)
    assert (np.diff(result.history) <= 1e-13).all()


@settings(derandomize=True, max_examples=10, deadline=None)
@given(factor=st.floats(1e-3, 1e3), shift=st.sampled_from([-1.0, 1.0]))
def test_scaling_the_matrix_scales_the_solution(factor, shift):
    matrix = convection(6)
    rhs = rhs_of(matrix)
    plain, scaled = gmres(matrix, rhs), gmres(csr(matrix * (shift * factor)), rhs)
    np.testing.assert_allclose(scaled.value * (shift * factor), plain.value, rtol=1e-6)
    np.testing.assert_allclose(scaled.history, plain.history, rtol=1e-6, atol=1e-12)


def test_without_restart_it_ends_in_n_steps():
    matrix = convection(5)
    result = gmres(matrix, rhs_of(matrix), restart=100, tolerance=1e-12)
    assert result.converged
    assert result.work["iterations"] <= 25


def test_as_many_steps_as_distinct_eigenvalues_suffice():
    matrix = csr(np.diag(np.repeat([1.0, 2.0, 5.0], 10)))
    result = gmres(matrix, np.ones(30), tolerance=1e-12)
    assert result.converged
    assert result.work["iterations"] == 3


def cyclic_shift(size):
    return csr(np.roll(np.eye(size), 1, axis=0))


def test_a_cycle_without_any_progress_is_stagnation():
    result = gmres(cyclic_shift(10), np.eye(10)[0], restart=5)
    assert result.status is Status.STAGNATED
    assert result.work["iterations"] == 5
    np.testing.assert_array_equal(result.history, 1.0)


def test_the_same_system_is_solved_by_a_full_cycle():
    result = gmres(cyclic_shift(10), np.eye(10)[0], restart=10)
    assert result.converged
    assert result.work["iterations"] == 10


def test_slow_progress_may_go_on_to_the_limit():
    matrix = csr(laplacian(20) - 0.8 * sp.eye_array(400))
    result = gmres(matrix, rhs_of(matrix), restart=10, max_iterations=3000)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 3000
    assert result.history[-1] < result.history[1500]


@pytest.mark.parametrize("rhs", [[1.0, 0.0], [0.0, 1.0]])
def test_a_singular_system_that_krylov_spaces_cannot_solve_is_no_success(rhs):
    result = gmres(csr(np.array([[0.0, 1.0], [0.0, 0.0]])), np.array(rhs))
    assert result.status is Status.STAGNATED
    assert np.isfinite(result.value).all()


def test_a_cycle_that_does_harm_is_undone():
    # inconsistent: the Hessenberg matrix becomes singular to rounding and the minimiser useless
    matrix = laplacian(5, corner=1.0)
    rhs = rhs_of(matrix)
    result = gmres(matrix, rhs, restart=25)
    assert result.status is Status.STAGNATED
    assert result.history[-1] <= 1.0
    assert relative_residual(matrix, rhs, result.value) == pytest.approx(result.history[-1])


def test_on_the_left_a_preconditioner_that_hides_the_residual_does_not_fake_convergence():
    matrix = rough_diffusion(8, seed=0)
    weights = np.where(np.arange(64) % 2, 1.0, 1e-6)
    hiding = Preconditioner("hiding", lambda v: v * weights, None)
    rhs = rhs_of(matrix)
    result = gmres(matrix, rhs, preconditioner=hiding, side="left", restart=64)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1e-8


def test_on_the_left_a_preconditioner_that_annihilates_the_residual_is_a_breakdown():
    zero = Preconditioner("zero", np.zeros_like, None)
    assert gmres(laplacian(4), np.ones(16), preconditioner=zero, side="left").status is Status.BREAKDOWN


@pytest.mark.parametrize("options", [{"side": "both"}, {"restart": 0}, {"restart": -3}, {"restart": 1.5}])
def test_bad_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        gmres(laplacian(3), np.ones(9), **options)
