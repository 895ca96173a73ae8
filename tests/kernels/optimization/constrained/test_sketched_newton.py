from dataclasses import replace

import numpy as np
import pytest

from data.optimization.constrained.hock_schittkowski import SmoothProgram, collection
from data.optimization.constrained.logistic_regression import ConstrainedLogistic
from data.optimization.constrained.poisson_control import PoissonControl
from data.optimization.constrained.smooth_functions import LinearFormPowers, LogarithmOfSquare, Polynomial
from data.problem import make_fields
from kernels.optimization.constrained.kkt_system import newton_system
from kernels.optimization.constrained.merit import ExactAugmentedLagrangian
from kernels.optimization.constrained.penalty_sqp import l1_penalty_sqp
from kernels.optimization.constrained.sketched_newton import Accuracy, adasketch_newton
from kernels.optimization.constrained.types import Oracle
from kernels.result import Status


def sketched(program, seed=0, **options):
    return adasketch_newton(program, random=np.random.default_rng(seed), **options)


def start_of(problem):
    return problem.program(np.array(problem.start, float))


def logistic(index=0):
    problem = ConstrainedLogistic()
    return problem.assemble(make_fields(problem, 0, index))


def control(side=3):
    problem = PoissonControl(side=side)
    return problem.assemble(make_fields(problem, 0, 0))


@pytest.mark.parametrize("problem", collection(), ids=lambda problem: f"hs{problem.number}")
@pytest.mark.parametrize("constants", ["literal", "practical"])
def test_the_collections_problems_are_solved_from_their_starts(problem, constants):
    program = start_of(problem)
    result = sketched(program, constants=constants)
    assert result.status is Status.CONVERGED
    n = program.start.size
    assert result.history[-1] == pytest.approx(
        Oracle(program).point(result.value[:n], result.value[n:]).kkt_residual, rel=1e-12
    )
    assert program.objective(result.value[:n]) == pytest.approx(problem.least_objective, abs=2e-3)
    assert result.history.size == result.work["iterations"] + 1
    assert result.work["evaluations"] == result.work["line_search_trials"] + 1 == result.work["derivative_evaluations"]


@pytest.mark.parametrize("solver", ["kaczmarz", "gaussian", "lu", "minres", "gmres"])
def test_all_solvers_lead_to_the_same_weights(solver):
    program = logistic()
    options = {"least_curvature": 1e-2, "constants": "practical"}
    reference = adasketch_newton(program, solver="lu", tolerance=1e-10, **options)
    result = sketched(program, solver=solver, **options)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.value, reference.value, atol=2e-3)


def test_sparse_matrices_stay_sparse_and_lead_to_the_same_point():
    program = control()
    result = sketched(program, constants="practical", most_inner_steps=10**6)
    assert result.status is Status.CONVERGED
    reference = adasketch_newton(program, solver="lu", constants="practical", tolerance=1e-10)
    np.testing.assert_allclose(result.value, reference.value, atol=1e-3)


@pytest.mark.parametrize("accuracy", [0.3, 0.1, 0.03])
def test_the_residual_falls_at_the_rate_of_the_inner_accuracy(accuracy):
    # a convex quadratic with linear constraints: only the inner solves keep Newton's method from ending at once
    program = start_of(collection()[5])
    result = sketched(program, constants="practical", accuracy=accuracy, tolerance=1e-10)
    assert result.status is Status.CONVERGED
    ratios = result.history[1:] / result.history[:-1]
    assert ratios.max() <= accuracy * (1.0 + 1e-6)
    assert np.median(ratios) > 0.2 * accuracy


@pytest.mark.parametrize("sharpening", ["residual", "quadratic"])
def test_sharpened_accuracy_takes_fewer_steps_than_a_constant_one(sharpening):
    program = start_of(collection()[9])
    options = {"constants": "practical", "tolerance": 1e-10, "most_inner_steps": 10**6}
    plain, sharpened = sketched(program, **options), sketched(program, sharpening=sharpening, **options)
    assert plain.converged
    assert sharpened.converged
    assert sharpened.work["iterations"] < plain.work["iterations"]


def test_exact_solves_converge_quadratically():
    result = adasketch_newton(start_of(collection()[11]), solver="lu", constants="practical", tolerance=1e-12)
    last = result.history[-4:-1]
    assert (last[1:] <= 10.0 * last[:-1] ** 2).all()


def test_the_merit_function_decides_where_a_full_step_would_ascend():
    result = adasketch_newton(start_of(collection()[0]), solver="lu", constants="practical")
    assert result.converged
    assert result.work["line_search_trials"] > result.work["iterations"]


def test_where_curvature_is_negative_the_hessian_is_modified():
    # from the far side of the circle Newton's method goes to the maximum
    program = SmoothProgram(
        Polynomial([1.0], [[1, 0]]),
        [Polynomial([1, 1, -1], [[2, 0], [0, 2], [0, 0]])],
        np.array([0.5, 1.0]),
        np.array([-2.0]),
    )
    result = adasketch_newton(program, solver="lu", constants="practical", tolerance=1e-8)
    assert result.converged
    assert result.work["modified_share"] > 0.0
    np.testing.assert_allclose(result.value[:2], [-1.0, 0.0], atol=1e-6)


def test_the_published_constants_demand_far_more_than_descent_needs():
    literal, practical = (sketched(logistic(), least_curvature=1e-2, constants=c) for c in ("literal", "practical"))
    assert literal.converged
    assert practical.converged
    assert literal.work["demanded_residual"] < 1e-7
    assert practical.work["demanded_residual"] == pytest.approx(0.1)
    assert literal.work["inaccurate_share"] > 0.5


def test_a_run_depends_on_its_generator_alone():
    first, again, other = (
        sketched(logistic(), seed, constants="practical", least_curvature=1e-2) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.value, again.value)
    assert first.work == again.work
    assert not np.array_equal(first.value, other.value)


def test_the_published_constants_are_those_of_the_paper():
    program = start_of(collection()[10])
    point = Oracle(program).point(program.start, np.array([0.4, -0.3, 0.2]))
    hessian = program.hessian(point.x, point.multipliers)
    system = newton_system(point, hessian, least_curvature=1e-6, shift=0.1)
    smallest = np.linalg.svd(point.jacobian)[1][-1] ** 2
    modified = np.linalg.norm(system.modified_hessian)
    psi = 20.0 * max(modified**2, 1.0) / (min(smallest, 1.0) * 0.1)
    upsilon = max(np.linalg.norm(point.jacobian), np.linalg.norm(hessian), 1.0)
    accuracy, merit = Accuracy(0.9, is_literal=True), ExactAugmentedLagrangian(1.0, 0.1)
    accuracy.look_at(system, point)
    assert accuracy.relative_residual(0.5) == pytest.approx(0.45 / (np.linalg.norm(system.matrix, 2) * psi))
    assert 0.4 * 0.1 / (2.1 * upsilon**2 * psi**2) < 1e-6
    accuracy.restrict(merit)
    assert accuracy.bound == 1e-6


def test_on_the_best_of_problems_the_published_constants_still_ask_for_less_than_the_floor():
    quarter_squares = Polynomial([0.25, 0.25], [[2, 0], [0, 2]])
    program = SmoothProgram(quarter_squares, [Polynomial([1], [[1, 0]])], np.ones(2), np.zeros(1))
    point = Oracle(program).point(program.start, program.start_multipliers)
    system = newton_system(point, program.hessian(point.x, point.multipliers), least_curvature=1e-6, shift=0.1)
    accuracy = Accuracy(0.9, is_literal=True)
    accuracy.look_at(system, point)
    # Psi = 20 / 0.1 and Upsilon = 1, the least they can be
    accuracy.restrict(ExactAugmentedLagrangian(1.0, 1e6))
    assert accuracy.bound == pytest.approx(0.4 / 200**2, rel=1e-5)
    accuracy.restrict(ExactAugmentedLagrangian())
    assert accuracy.bound == 1e-6 > 0.4 * 0.1 / 2.1 / 200**2


def test_practical_accuracy_shrinks_to_its_floor_and_not_below():
    accuracy = Accuracy(0.1, is_literal=False)
    for _ in range(10):
        accuracy.restrict(None, 1.5**4)
    assert accuracy.bound == 1e-6
    assert accuracy.relative_residual(0.5) == 0.5e-6


def test_the_limit_on_iterations_is_kept():
    result = sketched(start_of(collection()[0]), max_iterations=2)
    assert result.status is Status.ITERATION_LIMIT
    assert result.history.size == 3


def test_a_start_that_is_stationary_is_returned():
    problem = collection()[2]
    program = replace(start_of(problem), start=np.array(problem.minimiser))
    result = sketched(program)
    assert result.status is Status.CONVERGED
    assert result.work["iterations"] == 0
    np.testing.assert_array_equal(result.value, [*problem.minimiser, 0.0])


@pytest.mark.parametrize("method", [sketched, l1_penalty_sqp])
def test_infeasible_constraints_end_without_convergence(method):
    program = SmoothProgram(
        LinearFormPowers(np.eye(2)), [Polynomial([1, 1, 1], [[2, 0], [0, 2], [0, 0]])], np.ones(2), np.zeros(1)
    )
    result = method(program, max_iterations=200)
    assert result.status in (Status.STAGNATED, Status.ITERATION_LIMIT)
    assert result.history[-1] > 0.5


@pytest.mark.parametrize("method", [sketched, l1_penalty_sqp])
@pytest.mark.parametrize("where", [0, 1])
def test_data_that_are_not_finite_are_reported(method, where):
    functions = [LogarithmOfSquare(0), Polynomial([1.0], [[1, 1]])]
    functions[where] = Polynomial([np.nan], [[1, 1]])
    program = SmoothProgram(functions[0], [functions[1]], np.ones(2), np.zeros(1))
    result = method(program)
    assert result.status is Status.NOT_FINITE
    assert result.work["iterations"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"accuracy": 1.0}, "accuracy"),
        ({"accuracy": np.nan}, "accuracy"),
        ({"constants": "tuned"}, "constants"),
        ({"sharpening": "never"}, "sharpening"),
        ({"solver": "cholesky"}, "solver"),
        ({"random": None}, "random"),
        ({"least_curvature": 0.0}, "least_curvature"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"most_inner_steps": 0}, "most_inner_steps"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        adasketch_newton(logistic(), **{"random": np.random.default_rng(0), **options})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_multipliers": np.zeros(2)}, "constraints"),
        ({"start_multipliers": np.zeros(0)}, "start_multipliers"),
        ({"start": np.zeros(2, np.float32)}, "start"),
    ],
)
def test_problems_whose_shapes_do_not_fit_are_refused(changes, message):
    program = replace(start_of(collection()[0]), **changes)
    for method in (sketched, l1_penalty_sqp):
        with pytest.raises(ValueError, match=message):
            method(program)
