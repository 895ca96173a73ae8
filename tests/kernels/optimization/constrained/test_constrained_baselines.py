import numpy as np
import pytest

from data.optimization.constrained.hock_schittkowski import SmoothProgram, collection
from data.optimization.constrained.logistic_regression import ConstrainedLogistic
from data.optimization.constrained.poisson_control import PoissonControl
from data.optimization.constrained.smooth_functions import Polynomial
from data.problem import make_fields
from kernels.optimization.constrained.library_baselines import classical_augmented_lagrangian, slsqp, trust_constr
from kernels.optimization.constrained.penalty_sqp import l1_penalty_sqp
from kernels.optimization.constrained.types import Oracle
from kernels.result import Status

METHODS = [l1_penalty_sqp, classical_augmented_lagrangian, slsqp, trust_constr]


@pytest.fixture(params=METHODS, ids=lambda method: method.__name__)
def method(request):
    return request.param


@pytest.mark.parametrize("problem", collection(), ids=lambda problem: f"hs{problem.number}")
def test_baselines_find_the_known_minima(method, problem):
    program = problem.program(np.array(problem.start, float))
    result = method(program)
    assert result.status is Status.CONVERGED
    n = program.start.size
    assert program.objective(result.value[:n]) == pytest.approx(problem.least_objective, abs=2e-3)
    residual = Oracle(program).point(result.value[:n], result.value[n:]).kkt_residual
    assert residual <= 1e-4
    assert result.history[-1] == pytest.approx(residual, rel=1e-9, abs=1e-12)
    assert result.work["evaluations"] >= result.work["iterations"] >= 1


@pytest.mark.parametrize("problem", [ConstrainedLogistic(), PoissonControl(side=3)], ids=lambda problem: problem.name)
def test_baselines_agree_where_there_are_more_variables(problem):
    instance = problem.assemble(make_fields(problem, 0, 0))
    results = [method(instance, tolerance=1e-5) for method in METHODS]
    assert all(result.converged for result in results)
    for result in results[1:]:
        np.testing.assert_allclose(result.value, results[0].value, atol=1e-3)


def test_l1_steps_that_overshoot_are_shortened():
    result = l1_penalty_sqp(collection()[0].program(np.array([-1.2, 1.0])))
    assert result.work["line_search_trials"] > result.work["iterations"]
    assert result.work["derivative_evaluations"] == result.work["iterations"] + 1
    assert result.work["evaluations"] == result.work["line_search_trials"] + 1


def test_the_limit_on_iterations_is_kept(method):
    result = method(collection()[0].program(np.array([-1.2, 1.0])), tolerance=1e-9, max_iterations=1)
    assert not result.converged
    assert result.work["iterations"] == 1


def test_data_that_are_not_finite_are_reported(method):
    program = SmoothProgram(
        Polynomial([np.nan], [[1, 1]]), [Polynomial([1, -1], [[2, 0], [0, 0]])], np.ones(2), np.zeros(1)
    )
    assert method(program).status is Status.NOT_FINITE


def test_bad_options_are_refused(method):
    program = collection()[0].program(np.array([-1.2, 1.0]))
    for options, message in (({"tolerance": -1.0}, "tolerance"), ({"max_iterations": 0}, "max_iterations")):
        with pytest.raises(ValueError, match=message):
            method(program, **options)


def test_penalties_and_accuracies_out_of_range_are_refused():
    program = collection()[0].program(np.array([-1.2, 1.0]))
    with pytest.raises(ValueError, match="penalty"):
        classical_augmented_lagrangian(program, penalty=0.0)
    with pytest.raises(ValueError, match="accuracy"):
        l1_penalty_sqp(program, accuracy=0.0)
