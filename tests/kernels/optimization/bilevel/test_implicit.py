import numpy as np
import pytest

from data.optimization.bilevel.analytic import CoshBilevel, QuadraticBlocks
from data.optimization.bilevel.hyper_cleaning import DigitsCleaning
from data.problem import make_fields
from kernels.optimization.bilevel.implicit import hypergradient, implicit_differentiation, solve_lower
from kernels.result import Status


def made(problem):
    return problem.assemble(make_fields(problem, 0, 0))


@pytest.mark.parametrize("problem", [CoshBilevel(dimension=5), QuadraticBlocks(blocks=7)])
def test_the_hypergradient_is_the_closed_form(problem):
    instance = made(problem)
    x = instance.upper_start + 0.1
    value, gradient, y = hypergradient(instance, x)
    np.testing.assert_allclose(y, instance.lower_solutions(x), atol=1e-12)
    np.testing.assert_allclose(gradient, instance.exact_gradient(x), rtol=1e-9, atol=1e-9)
    assert value == instance.upper_value(x, y, np.arange(instance.blocks))


def test_the_hypergradient_is_the_difference_of_the_solved_lower_level():
    instance = made(DigitsCleaning(training=12, validation=10))
    x, block = 0.5 * np.random.default_rng(0).standard_normal(12), np.zeros(1, int)

    def solved(point):
        return instance.upper_value(point, solve_lower(instance, point), block)

    shifts = 1e-4 * np.eye(12)
    expected = [(solved(x + shift) - solved(x - shift)) / 2e-4 for shift in shifts]
    np.testing.assert_allclose(hypergradient(instance, x)[1], expected, atol=1e-8)


def test_the_lower_level_is_solved_to_the_end_of_precision():
    instance = made(DigitsCleaning(training=100, validation=50))
    x = np.random.default_rng(0).standard_normal(100)
    y = solve_lower(instance, x)
    assert np.abs(instance.lower_gradient(x, y, np.zeros(1, int))).max() < 1e-12


def test_implicit_differentiation_finds_the_stationary_point_of_quadratics():
    instance = made(QuadraticBlocks(blocks=6))
    result = implicit_differentiation(instance, tolerance=1e-8)
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(instance.exact_gradient(result.value)) < 1e-7
    assert result.history[-1] < 1e-6 * result.history[0]


def test_too_few_iterations_are_said_to_be_too_few():
    result = implicit_differentiation(made(CoshBilevel()), tolerance=1e-8, max_iterations=1)
    assert result.status is Status.ITERATION_LIMIT


def test_what_is_not_finite_is_said_to_be_so():
    problem = CoshBilevel(dimension=3)
    fields = make_fields(problem, 0, 0)
    instance = problem.assemble({**fields, "start": np.full(3, np.nan)})
    assert implicit_differentiation(instance).status is Status.NOT_FINITE


def test_bad_options_are_refused():
    instance = made(CoshBilevel(dimension=3))
    with pytest.raises(ValueError, match="tolerance"):
        implicit_differentiation(instance, tolerance=0.0)
    with pytest.raises(ValueError, match="max_iterations"):
        implicit_differentiation(instance, max_iterations=0)
