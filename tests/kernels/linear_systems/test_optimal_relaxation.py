from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
from systems import csr, laplacian, relative_residual, rough_diffusion

from kernels.linear_systems.optimal_relaxation import (
    best_fixed_omega,
    golden_section_omega,
    optimal_omega,
    sor_at_optimal_omega,
)
from kernels.linear_systems.relaxation import solve_relaxed
from kernels.result import Status

GRID = tuple(np.linspace(1.0, 1.9, 10))
solvers = pytest.mark.parametrize("solver", ["sor", "ssor_cg"])


def shifted(shift, side=8, seed=0):
    rhs = np.random.default_rng(seed).standard_normal(side**2)
    matrix = csr(laplacian(side) + shift * sp.eye_array(side**2))
    return SimpleNamespace(matrix=matrix, rhs=rhs, parameters=np.array([shift]))


def iterations(system, omega, solver="sor"):
    return solve_relaxed(system, solver=solver, omega=omega).work["iterations"]


@solvers
def test_the_best_fixed_omega_is_that_of_the_whole_table_of_costs(solver):
    systems = [shifted(shift, seed=seed) for seed, shift in enumerate(np.linspace(-0.1, 0.6, 30))]
    table = np.array([[iterations(system, omega, solver) for omega in GRID] for system in systems])
    best = list(best_fixed_omega(systems, solver=solver, omegas=GRID))
    assert [position for position, _ in best] == list(range(30))
    counts = [result.work["iterations"] for _, result in best]
    assert sum(counts) == table.sum(axis=0).min()
    assert (table == np.array(counts)[:, None]).all(axis=0).any()


def test_a_stream_of_one_system_has_a_best_omega():
    ((position, result),) = best_fixed_omega([shifted(0.2)], omegas=(1.0, 1.5))
    assert position == 0
    assert result.work["iterations"] == min(iterations(shifted(0.2), omega) for omega in (1.0, 1.5))


@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.5])
def test_youngs_omega_is_the_closed_form_of_the_laplacian(shift):
    radius = 4.0 * np.cos(np.pi / 9) / (4.0 + shift)
    assert optimal_omega(shifted(shift).matrix) == pytest.approx(2.0 / (1.0 + np.sqrt(1.0 - radius**2)), rel=1e-10)


def test_youngs_omega_minimises_the_spectral_radius_of_sor():
    matrix = rough_diffusion(5, 0)
    dense, best = matrix.toarray(), optimal_omega(matrix)

    def radius(omega):
        splitting = np.tril(dense, -1) + np.diag(np.diagonal(dense)) / omega
        return np.abs(la.eigvals(np.eye(25) - la.solve(splitting, dense))).max()

    # at the optimum an eigenvalue is defective: rounding moves it by the root of its size
    assert radius(best) == pytest.approx(best - 1.0, abs=1e-5)
    assert all(radius(best) < radius(best + change) for change in (-0.2, -0.02, 0.02, 0.2))


@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.5])
def test_golden_section_agrees_with_youngs_formula_but_for_the_transient(shift):
    system = shifted(shift)
    asymptotic = sor_at_optimal_omega(system)
    assert asymptotic.converged
    best = golden_section_omega(system)
    assert best.converged
    assert best.work["iterations"] <= asymptotic.work["iterations"] <= 1.15 * best.work["iterations"]


@solvers
def test_golden_section_finds_the_best_of_a_fine_grid_but_for_a_few_iterations(solver):
    system = shifted(0.1)
    fine = min(iterations(system, omega, solver) for omega in np.linspace(1.0, 1.95, 96))
    found = golden_section_omega(system, solver=solver)
    assert fine - 1 <= found.work["iterations"] <= fine + 2
    assert relative_residual(system.matrix, system.rhs, found.value) <= 1e-8


@pytest.mark.parametrize(
    "dense", [[[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]], [[np.nan, 0.0], [0.0, 1.0]], [[0.0]]]
)
def test_where_jacobi_does_not_converge_there_is_no_optimal_omega(dense):
    assert np.isnan(optimal_omega(csr(np.array(dense))))


def test_a_diagonal_matrix_wants_gauss_seidel():
    assert optimal_omega(csr(np.array([[3.0]]))) == 1.0
    assert optimal_omega(csr(np.diag([1.0, 2.0, 3.0]))) == 1.0


def test_data_that_are_not_finite_are_reported():
    system = shifted(0.1)
    system.rhs[0] = np.nan
    assert golden_section_omega(system).status is Status.NOT_FINITE
    assert [result.status for _, result in best_fixed_omega([system], omegas=GRID)] == [Status.NOT_FINITE]
    system.matrix.data[0] = np.nan
    assert sor_at_optimal_omega(system).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lower": 0.0}, "omega must lie strictly between 0 and 2, not 0.0"),
        ({"upper": 2.0}, "omega must lie strictly between 0 and 2, not 2.0"),
        ({"lower": 1.5, "upper": 1.5}, "lower must be less than upper=1.5, not 1.5"),
        ({"width": 0.0}, "width must be positive, not 0.0"),
        ({"solver": "jacobi"}, "solver must be one of"),
    ],
)
def test_bad_options_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        golden_section_omega(shifted(0.0, side=3), **options)


def test_choices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="omegas must hold at least one"):
        next(best_fixed_omega([shifted(0.0, side=3)], omegas=()))
