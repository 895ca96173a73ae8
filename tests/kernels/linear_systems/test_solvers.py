import numpy as np
import pytest
from grid_systems import canonical, convection_diffusion, poisson, system
from scipy.sparse.linalg import spsolve

from kernels.linear_systems.cg import cg
from kernels.linear_systems.preconditioners import PRECONDITIONERS, build_preconditioner
from kernels.linear_systems.solvers import (
    KRYLOV,
    SELF_CONTAINED,
    sine_transforms,
    solve_krylov,
    solve_self_contained,
    true_relative_residual,
)
from kernels.result import Result, Status


@pytest.fixture
def poisson_system():
    matrix = poisson(7)
    return system(matrix, np.random.default_rng(0).standard_normal(matrix.shape[0]))


def indefinite_system():
    """A symmetric matrix without an incomplete Cholesky factorisation."""
    return system(canonical(-poisson(4).toarray()), np.ones(16))


@pytest.mark.parametrize("solver", KRYLOV)
@pytest.mark.parametrize("preconditioner", ["none", "jacobi", "ssor", "ilu0"])
def test_a_krylov_method_is_chosen_by_name(poisson_system, solver, preconditioner):
    result = solve_krylov(poisson_system, solver=solver, preconditioner=preconditioner, tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(result.value, spsolve(poisson_system.matrix, poisson_system.rhs), rtol=1e-7, atol=1e-9)


def test_a_method_chosen_by_name_is_the_method_itself(poisson_system):
    chosen = solve_krylov(poisson_system, solver="cg", preconditioner="jacobi", tolerance=1e-6)
    direct = cg(
        poisson_system.matrix,
        poisson_system.rhs,
        preconditioner=build_preconditioner("jacobi", poisson_system.matrix),
        tolerance=1e-6,
    )
    assert chosen.value.tobytes() == direct.value.tobytes()
    assert chosen.history.tobytes() == direct.history.tobytes()


@pytest.mark.parametrize("solver", SELF_CONTAINED)
def test_a_self_contained_method_is_chosen_by_name(poisson_system, solver):
    result = solve_self_contained(poisson_system, solver=solver, tolerance=1e-10)
    assert result.converged
    np.testing.assert_allclose(result.value, spsolve(poisson_system.matrix, poisson_system.rhs), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("solve", "known"), [(solve_krylov, KRYLOV), (solve_self_contained, SELF_CONTAINED)])
def test_an_unknown_method_is_refused_with_the_names_that_exist(poisson_system, solve, known):
    with pytest.raises(ValueError, match="solver must be one of") as caught:
        solve(poisson_system, solver="magic")
    assert all(name in str(caught.value) for name in [*known, "'magic'"])


def test_an_unknown_preconditioner_is_refused(poisson_system):
    with pytest.raises(ValueError, match="magic"):
        solve_krylov(poisson_system, solver="cg", preconditioner="magic")


def test_a_preconditioner_that_does_not_exist_for_the_matrix_is_a_breakdown_and_not_an_exception():
    assert "ic0" in PRECONDITIONERS
    result = solve_krylov(indefinite_system(), solver="cg", preconditioner="ic0")
    assert result.status is Status.BREAKDOWN
    assert np.isnan(result.value).all()
    assert result.work["operator_applications"] == 0


def test_the_sine_transforms_do_not_claim_to_solve_other_systems():
    other = convection_diffusion(7)
    result = sine_transforms(other, np.ones(49), tolerance=1e-8)
    assert result.status is Status.ITERATION_LIMIT
    assert result.history[-1] > 1e-8


def test_the_true_residual_is_computed_from_the_value(poisson_system):
    def residual(value):
        return true_relative_residual(poisson_system, Result(value, Status.CONVERGED, np.array([0.0])))

    solution = spsolve(poisson_system.matrix, poisson_system.rhs)
    assert residual(solution) < 1e-12
    assert residual(0 * solution) == pytest.approx(1.0)
    assert residual(2 * solution) == pytest.approx(1.0)
    assert np.isnan(residual(np.nan * solution))


def test_the_residual_of_a_system_without_a_right_hand_side_is_absolute():
    still = system(poisson(3), np.zeros(9))
    assert true_relative_residual(still, Result(np.zeros(9), Status.CONVERGED, np.array([0.0]))) == 0.0
