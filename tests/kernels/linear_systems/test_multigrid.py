import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
from grid_systems import canonical, convection_diffusion, poisson
from scipy.sparse.linalg import spsolve

from kernels.linear_systems.multigrid import amg_cg, amg_gmres, multigrid_preconditioner
from kernels.result import Status

KINDS = ["ruge_stuben", "smoothed_aggregation"]


def rough_diffusion(side, seed=0):
    """Finite volumes with a coefficient that jumps from cell to cell by orders of magnitude."""
    random = np.random.default_rng(seed)
    difference = sp.diags_array([1.0, -1.0], offsets=[0, -1], shape=(side + 1, side))
    identity = sp.eye_array(side)
    gradient = sp.vstack([sp.kron(difference, identity), sp.kron(identity, difference)])
    coefficient = sp.diags_array(np.exp(random.standard_normal(gradient.shape[0])))
    return canonical(gradient.T @ coefficient @ gradient)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
@pytest.mark.parametrize("matrix", [poisson(32), rough_diffusion(32)], ids=["poisson", "rough"])
def test_elliptic_systems_are_solved_in_few_iterations(solver, kind, matrix):
    rhs = np.random.default_rng(1).standard_normal(1024)
    result = solver(matrix, rhs, kind=kind, tolerance=1e-10)
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(rhs - matrix @ result.value) <= 1e-10 * np.linalg.norm(rhs)
    np.testing.assert_allclose(result.value, spsolve(matrix.tocsc(), rhs), rtol=1e-6, atol=1e-8)
    assert result.work["iterations"] < 30
    assert result.work["preconditioner_applications"] >= result.work["iterations"]
    assert result.work["operator_applications"] > result.work["iterations"]
    assert len(result.history) == result.work["iterations"] + 1


@pytest.mark.parametrize("kind", KINDS)
def test_convection_is_solved_by_multigrid_gmres(kind):
    matrix, rhs = convection_diffusion(32), np.ones(1024)
    result = amg_gmres(matrix, rhs, kind=kind)
    assert result.converged
    np.testing.assert_allclose(result.value, spsolve(matrix.tocsc(), rhs), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_iterations_hardly_grow_with_the_grid(kind):
    iterations = [amg_cg(poisson(side), np.ones(side**2), kind=kind).work["iterations"] for side in (32, 96)]
    assert iterations[1] <= iterations[0] + 5


@pytest.mark.parametrize("kind", KINDS)
def test_the_v_cycle_is_symmetric_and_positive_as_cg_needs_it(kind):
    solve = multigrid_preconditioner(poisson(20), kind, symmetric=True).solve
    first, second = np.random.default_rng(2).standard_normal((2, 400))
    np.testing.assert_allclose(first @ solve(second), second @ solve(first), rtol=1e-10)
    assert first @ solve(first) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_v_cycle_is_linear(kind):
    solve = multigrid_preconditioner(convection_diffusion(20), kind).solve
    first, second = np.random.default_rng(3).standard_normal((2, 400))
    np.testing.assert_allclose(solve(2.0 * first - second), 2.0 * solve(first) - solve(second), atol=1e-10)
    np.testing.assert_array_equal(solve(np.zeros(400)), 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_hierarchy_does_not_depend_on_the_global_random_state(kind):
    vector = np.random.default_rng(4).standard_normal(900)
    first = multigrid_preconditioner(poisson(30), kind).solve(vector)
    second = multigrid_preconditioner(poisson(30), kind).solve(vector)
    np.testing.assert_array_equal(first, second)


def test_it_needs_no_more_iterations_than_pyamg_as_it_comes():
    matrix, rhs = rough_diffusion(48), np.ones(48**2)
    residuals = []
    pyamg.ruge_stuben_solver(matrix).solve(rhs, tol=1e-8, accel="cg", residuals=residuals)
    # One-directional sweeps cost half of PyAMG's symmetric ones.
    assert amg_cg(matrix, rhs).work["iterations"] <= 2 * (len(residuals) - 1)


def test_64_bit_indices_are_taken():
    matrix = poisson(20)
    wide = sp.csr_array(matrix.shape)
    wide.data, wide.indices, wide.indptr = matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    np.testing.assert_array_equal(amg_cg(wide, np.ones(400)).value, amg_cg(matrix, np.ones(400)).value)


@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
def test_an_indefinite_matrix_is_never_claimed_to_be_solved_when_it_is_not(solver):
    matrix, rhs = canonical(poisson(40) - 0.5 * sp.eye_array(1600)), np.ones(1600)
    result = solver(matrix, rhs, max_iterations=20)
    residual = np.linalg.norm(rhs - matrix @ result.value) / np.linalg.norm(rhs)
    assert result.converged == (residual <= 1e-8)
    np.testing.assert_allclose(result.history[-1], residual, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
def test_the_iteration_limit_is_kept(solver, kind):
    result = solver(poisson(32), np.ones(1024), kind=kind, max_iterations=2)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 2


@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
def test_data_that_are_not_finite_and_zero_right_hand_sides_need_no_hierarchy(solver):
    matrix = poisson(6)
    assert solver(matrix, np.full(36, np.nan)).status is Status.NOT_FINITE
    assert solver(matrix, np.zeros(36)).status is Status.CONVERGED
    matrix.data[0] = np.inf
    assert solver(matrix, np.ones(36)).status is Status.NOT_FINITE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
def test_a_matrix_without_a_hierarchy_is_a_breakdown(solver, kind):
    matrix = poisson(12)
    matrix.data[matrix.indptr[70] : matrix.indptr[71]] = 0.0
    result = solver(matrix, np.ones(144), kind=kind)
    assert result.status is Status.BREAKDOWN
    np.testing.assert_array_equal(result.value, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_singular_consistent_system_is_solved(kind):
    laplacian = poisson(12)
    neumann = canonical(laplacian - sp.diags_array(laplacian.sum(axis=1)))
    rhs = np.random.default_rng(5).standard_normal(144)
    assert amg_cg(neumann, rhs - rhs.mean(), kind=kind).converged


@pytest.mark.parametrize("solver", [amg_cg, amg_gmres])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"matrix": np.eye(9)}, "matrix"),
        ({"rhs": np.ones(8)}, "rhs"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"kind": "geometric"}, "kind"),
    ],
)
def test_bad_arguments_are_refused_by_name(solver, change, name):
    with pytest.raises(ValueError, match=name):
        solver(**{"matrix": poisson(3), "rhs": np.ones(9)} | change)


def test_vectors_of_the_wrong_kind_are_refused():
    with pytest.raises(ValueError, match="vector must be"):
        multigrid_preconditioner(poisson(3)).solve(np.ones(4))
