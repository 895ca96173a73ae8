import numpy as np
import pytest
import scipy.sparse as sp

from kernels.optimization.constrained.inner_solvers import DirectSolver, GmresSolver, MinresSolver
from kernels.optimization.constrained.sketching import GaussianSolver, KaczmarzSolver


def saddle_point(is_sparse=False):
    random = np.random.default_rng(0)
    jacobian = random.standard_normal((3, 7))
    matrix = np.block([[np.diag(random.uniform(1.0, 2.0, 7)), jacobian.T], [jacobian, np.zeros((3, 3))]])
    return sp.csr_array(matrix) if is_sparse else matrix, random.standard_normal(10)


def solvers():
    return {
        "kaczmarz": KaczmarzSolver(np.random.default_rng(1), 10**6),
        "gaussian": GaussianSolver(np.random.default_rng(1), 10**6),
        "lu": DirectSolver(),
        "minres": MinresSolver(),
        "gmres": GmresSolver(),
    }


@pytest.fixture(params=solvers())
def solver(request):
    return solvers()[request.param]


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_system_is_solved_to_the_residual_asked_for_and_then_further(solver, is_sparse):
    matrix, rhs = saddle_point(is_sparse)
    solver.begin(matrix, rhs)
    assert not solver.solution.any()
    assert solver.residual_norm == pytest.approx(np.linalg.norm(rhs))
    for target in (1e-1, 1e-6, 1e-9):
        solver.improve(target)
        assert solver.residual_norm <= target
        assert solver.residual_norm == pytest.approx(np.linalg.norm(matrix @ solver.solution - rhs), abs=1e-13)
    exact = np.linalg.solve(matrix.toarray() if is_sparse else matrix, rhs)
    np.testing.assert_allclose(solver.solution, exact, atol=1e-7)


def test_what_is_accurate_enough_costs_nothing_more(solver):
    matrix, rhs = saddle_point()
    solver.begin(matrix, rhs)
    solver.improve(1e-4)
    solution, steps, flops = solver.solution.copy(), solver.steps, solver.flops
    solver.improve(1e-3)
    np.testing.assert_array_equal(solver.solution, solution)
    assert (solver.steps, solver.flops) == (steps, flops)
    assert steps > 0
    assert flops > 0


@pytest.mark.parametrize("name", ["kaczmarz", "gaussian"])
def test_sketching_goes_on_and_does_not_begin_again(name):
    matrix, rhs = saddle_point()
    whole, halves = solvers()[name], solvers()[name]
    for solver in (whole, halves):
        solver.begin(matrix, rhs)
    whole.improve(1e-6)
    halves.improve(1e-3)
    halves.improve(1e-6)
    assert halves.steps <= 1.5 * whole.steps
    again = solvers()[name]
    again.begin(matrix, rhs)
    again.improve(1e-3)
    assert halves.steps < again.steps + whole.steps


@pytest.mark.parametrize("kind", [KaczmarzSolver, GaussianSolver])
def test_sketching_gives_up_at_its_limit_on_steps_each_time(kind):
    matrix, rhs = saddle_point()
    solver = kind(np.random.default_rng(0), 50)
    solver.begin(matrix, rhs)
    solver.improve(1e-12)
    assert solver.steps == 50
    solver.improve(1e-12)
    assert solver.steps == 100
    assert solver.residual_norm > 1e-12


@pytest.mark.parametrize("kind", [KaczmarzSolver, GaussianSolver])
def test_every_projection_brings_the_solution_nearer(kind):
    matrix, rhs = saddle_point()
    exact = np.linalg.solve(matrix, rhs)
    solver = kind(np.random.default_rng(2), 1)
    solver.begin(matrix, rhs)
    distance = np.linalg.norm(exact)
    for _ in range(200):
        solver.improve(1e-12)
        nearer = np.linalg.norm(solver.solution - exact)
        assert nearer <= distance * (1.0 + 1e-12)
        distance = nearer
    assert distance < 0.9 * np.linalg.norm(exact)


def test_one_step_of_kaczmarz_satisfies_the_row_it_draws():
    matrix, rhs = saddle_point()
    solver = KaczmarzSolver(np.random.default_rng(4), 1)
    solver.begin(matrix, rhs)
    solver.improve(1e-12)
    row = int(np.random.default_rng(4).random() * rhs.size)
    np.testing.assert_allclose(solver.solution, rhs[row] / (matrix[row] @ matrix[row]) * matrix[row])


def test_one_gaussian_step_satisfies_the_combination_it_draws():
    matrix, rhs = saddle_point()
    solver = GaussianSolver(np.random.default_rng(4), 1)
    solver.begin(matrix, rhs)
    solver.improve(1e-12)
    sketch = np.random.default_rng(4).standard_normal(rhs.size)
    assert sketch @ (matrix @ solver.solution - rhs) == pytest.approx(0.0, abs=1e-12)


def test_the_error_falls_as_fast_as_uniform_rows_promise():
    """E ||z_k - z||^2 <= (1 - sigma_min(D A)^2 / N)^k ||z||^2 where D scales rows to norm one."""
    matrix, rhs = saddle_point()
    exact = np.linalg.solve(matrix, rhs)
    scaled = matrix / np.linalg.norm(matrix, axis=1)[:, np.newaxis]
    factor = 1.0 - np.linalg.svd(scaled)[1][-1] ** 2 / rhs.size
    errors = []
    for seed in range(200):
        solver = KaczmarzSolver(np.random.default_rng(seed), 300)
        solver.begin(matrix, rhs)
        solver.improve(0.0)
        errors.append(np.sum((solver.solution - exact) ** 2))
    assert np.mean(errors) <= 1.2 * factor**300 * (exact @ exact)


def test_rows_without_entries_are_passed_over():
    matrix, rhs = np.diag([2.0, 0.0, 4.0]), np.array([2.0, 0.0, 8.0])
    solver = KaczmarzSolver(np.random.default_rng(0), 1000)
    solver.begin(matrix, rhs)
    solver.improve(1e-12)
    np.testing.assert_allclose(solver.solution, [1.0, 0.0, 2.0])


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_singular_matrix_has_no_direct_solution(is_sparse):
    solver = DirectSolver()
    matrix = np.diag([1.0, 0.0])
    solver.begin(sp.csr_array(matrix) if is_sparse else matrix, np.ones(2))
    solver.improve(1e-3)
    assert np.isnan(solver.solution).all()


def test_operations_are_counted_by_the_entries_of_rows():
    matrix, rhs = saddle_point(is_sparse=True)
    solver = KaczmarzSolver(np.random.default_rng(0), 2000)
    solver.begin(matrix, rhs)
    solver.improve(0.0)
    # four for each entry of a row, and two for each of the matrix after every 2 N steps
    per_step = solver.flops / solver.steps
    assert per_step == pytest.approx(4.0 * matrix.nnz / 10 + 2.0 * matrix.nnz / 20, rel=0.1)


def test_operations_of_a_factorisation_are_those_of_gauss():
    matrix, rhs = saddle_point()
    dense, sparse = DirectSolver(), DirectSolver()
    dense.begin(matrix, rhs)
    sparse.begin(sp.csr_array(np.eye(10)), rhs)
    for solver in (dense, sparse):
        solver.improve(1e-3)
    assert dense.flops == pytest.approx(2 / 3 * 10**3 + 2 * 10**2)
    assert sparse.flops == 2.0 * 20
