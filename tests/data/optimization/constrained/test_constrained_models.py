import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import ValidationError

from data.optimization.constrained.logistic_regression import ConstrainedLogistic, signed_tumours
from data.optimization.constrained.poisson_control import PoissonControl, dirichlet_laplacian
from data.problem import make_fields

PROBLEMS = [ConstrainedLogistic(equations=4), PoissonControl(side=3), PoissonControl(side=2, reaction=0.0)]


@pytest.fixture(params=PROBLEMS, ids=["logistic", "control", "poisson"])
def problem(request):
    return request.param


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


def differences(function, x, step=1e-6):
    return np.array([(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(x.size)]).T


def test_instances_are_as_declared_and_depend_on_seed_and_index_alone(problem):
    fields, again, other = make_fields(problem, 0, 1), make_fields(problem, 0, 1), make_fields(problem, 0, 2)
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in problem.variables().items()}
    assert {key: (values.shape, values.dtype) for key, values in fields.items()} == declared
    assert all(np.array_equal(fields[key], again[key]) for key in fields)
    assert not any(np.array_equal(fields[key], other[key]) for key in fields)


def test_first_and_second_derivatives_are_those_of_differences(problem):
    instance = problem.assemble(make_fields(problem, 0, 0))
    random = np.random.default_rng(1)
    x = random.standard_normal(instance.start.size)
    multipliers = random.standard_normal(instance.start_multipliers.size)
    np.testing.assert_allclose(instance.gradient(x), differences(instance.objective, x), atol=1e-6)
    np.testing.assert_allclose(dense(instance.jacobian(x)), differences(instance.constraints, x), atol=1e-6)
    of_lagrangian = differences(lambda y: instance.gradient(y) + instance.jacobian(y).T @ multipliers, x)
    np.testing.assert_allclose(dense(instance.hessian(x, multipliers)), of_lagrangian, atol=1e-6)


def test_some_weights_on_the_sphere_lie_in_the_plane():
    problem = ConstrainedLogistic(equations=10)
    for index in range(3):
        instance = problem.assemble(make_fields(problem, 0, index))
        nearest = np.linalg.lstsq(instance.matrix, instance.rhs, rcond=None)[0]
        assert np.linalg.norm(nearest) < 1.0


def test_tumours_are_scaled_to_one_and_signed_by_their_label():
    signed = signed_tumours()
    assert signed.shape == (569, 30)
    np.testing.assert_allclose(np.abs(signed).max(axis=0), 1.0)
    assert (signed[:, 0] > 0.0).sum() == 357  # benign


def test_the_laplacian_has_the_eigenvalues_of_the_square():
    side = 5
    one = 4.0 / (2.0 / (side + 1)) ** 2 * np.sin(np.arange(1, side + 1) * np.pi / (2 * (side + 1))) ** 2
    expected = -np.sort(np.add.outer(one, one).ravel())[::-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(dirichlet_laplacian(side).toarray()), expected)


def test_a_target_is_a_sine_plus_a_cosine_of_long_waves():
    target = make_fields(PoissonControl(side=15), 0, 0)["target"]
    np.testing.assert_allclose(np.diff(target, axis=0), np.diff(target, axis=0)[:, :1] * np.ones(15))
    assert 0.0 < np.abs(np.diff(target, axis=0)).max() < 0.03


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (ConstrainedLogistic, {"equations": 0}),
        (ConstrainedLogistic, {"equations": 29}),
        (PoissonControl, {"side": 1}),
        (PoissonControl, {"reaction": -1.0}),
    ],
)
def test_bad_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)
