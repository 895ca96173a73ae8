import numpy as np
import pytest

from data.optimization.constrained.hock_schittkowski import HockSchittkowski, collection
from data.problem import make_fields


@pytest.fixture(params=collection(), ids=lambda problem: f"hs{problem.number}")
def problem(request):
    return request.param


def at(problem, x):
    return problem.program(np.array(x, float)), np.array(x, float)


def differences(function, x, step=1e-5):
    return np.array([(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(x.size)]).T


def test_the_twelve_problems_are_those_of_the_study():
    assert [problem.number for problem in collection()] == [6, 7, 28, 40, 42, 48, 50, 51, 52, 77, 78, 79]


def test_first_and_second_derivatives_are_those_of_differences(problem):
    random = np.random.default_rng(problem.number)
    program, _ = at(problem, problem.start)
    x = random.uniform(-1.5, 1.5, program.start.size)
    multipliers = random.standard_normal(program.start_multipliers.size)
    np.testing.assert_allclose(program.gradient(x), differences(program.objective, x), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(program.jacobian(x), differences(program.constraints, x), rtol=1e-6, atol=1e-7)
    of_lagrangian = differences(lambda y: program.gradient(y) + program.jacobian(y).T @ multipliers, x)
    np.testing.assert_allclose(program.hessian(x, multipliers), of_lagrangian, rtol=1e-6, atol=1e-6)


def test_the_known_solution_is_stationary_feasible_and_has_the_known_objective(problem):
    program, x = at(problem, problem.minimiser)
    assert program.objective(x) == pytest.approx(problem.least_objective, abs=2e-6)
    np.testing.assert_allclose(program.constraints(x), 0.0, atol=1e-5)
    multipliers = np.linalg.lstsq(program.jacobian(x).T, -program.gradient(x), rcond=None)[0]
    np.testing.assert_allclose(program.gradient(x) + program.jacobian(x).T @ multipliers, 0.0, atol=1e-5)


def test_the_known_solution_is_a_strict_local_minimum(problem):
    program, x = at(problem, problem.minimiser)
    jacobian = program.jacobian(x)
    multipliers = np.linalg.lstsq(jacobian.T, -program.gradient(x), rcond=None)[0]
    null_space = np.linalg.svd(jacobian)[2][len(jacobian) :].T
    assert np.linalg.matrix_rank(jacobian) == len(jacobian)
    assert np.linalg.eigvalsh(null_space.T @ program.hessian(x, multipliers) @ null_space)[0] > 0.1


def test_instances_take_the_problems_in_turn():
    family = HockSchittkowski()
    fields = [make_fields(family, 0, index) for index in range(13)]
    assert [int(instance["number"]) for instance in fields] == [*(p.number for p in collection()), 6]
    for instance, problem in zip(fields, collection(), strict=False):
        program = family.assemble(instance)
        np.testing.assert_array_equal(program.start, problem.start)
        assert program.start_multipliers.size == len(problem.constraints)
        assert instance.keys() == family.variables().keys()
        for name, variable in family.variables().items():
            assert (instance[name].shape, instance[name].dtype) == (variable.shape, np.dtype(variable.dtype))


@pytest.mark.parametrize(
    ("number", "expected"),
    [(6, (4.84, [-4.4])), (7, (np.log(5.0) - 2.0, [25.0])), (40, (-(0.8**4), [0.152, -0.288, -0.16]))],
)
def test_values_at_the_starts_are_those_of_the_collection(number, expected):
    problem = next(problem for problem in collection() if problem.number == number)
    program, x = at(problem, problem.start)
    assert program.objective(x) == pytest.approx(expected[0])
    np.testing.assert_allclose(program.constraints(x), expected[1])
