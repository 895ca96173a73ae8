"""Every oracle of every bilevel problem against finite differences of the values, on all data and on a minibatch."""

import numpy as np
import pytest

from data.optimization.bilevel.analytic import CoshBilevel, QuadraticBlocks
from data.optimization.bilevel.hyper_cleaning import DigitsCleaning
from data.optimization.bilevel.recurrent import RecurrentClassification
from data.optimization.bilevel.task_cleaning import TaskCleaning
from data.problem import make_fields

PROBLEMS = {
    "cosh": CoshBilevel(dimension=4),
    "quadratic": QuadraticBlocks(blocks=5, upper_dimension=4, lower_dimension=3),
    "digits": DigitsCleaning(training=12, validation=10),
    "tasks": TaskCleaning(training=14, validation=12, tasks=4, task_training=8, task_validation=6),
    "recurrent": RecurrentClassification(training=9, validation=8, length=4, hidden=3, classes=3),
}


@pytest.fixture(scope="module", params=list(PROBLEMS))
def instance(request):
    problem = PROBLEMS[request.param]
    return problem.assemble(make_fields(problem, 0, 0))


@pytest.fixture(params=["all data", "minibatch"])
def at(request, instance):
    """A point, a direction, blocks, and the minibatches of the lower and the upper level."""
    random = np.random.default_rng(1)
    blocks = np.arange(instance.blocks)[:3]
    x = instance.upper_start + 0.1 * random.standard_normal(instance.upper_start.size)
    y, v = random.standard_normal((2, blocks.size, instance.lower_start.shape[1]))
    if request.param == "all data":
        return x, 0.3 * y, v, blocks, None, None
    return x, 0.3 * y, v, blocks, instance.draw_lower(blocks, 5, random), instance.draw_upper(blocks, 5, random)


def differences(function, point, step=1e-5):
    """Central differences of a scalar function by every entry of an array."""
    found = np.empty_like(point)
    for index in np.ndindex(point.shape):
        shift = np.zeros_like(point)
        shift[index] = step
        found[index] = (function(point + shift) - function(point - shift)) / (2 * step)
    return found


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-7 * max(1.0, np.abs(expected).max()), rtol=1e-7)


def test_upper_gradients_are_the_differences_of_the_upper_value(instance, at):
    x, y, _, blocks, _, upper = at
    by_x, by_y = instance.upper_gradient(x, y, blocks, upper)
    assert_close(by_x, differences(lambda point: instance.upper_value(point, y, blocks, upper), x))
    expected = differences(lambda point: instance.upper_value(x, point, blocks, upper), y)
    assert_close(by_y / blocks.size, expected)


def test_lower_gradients_are_the_differences_of_the_lower_values(instance, at):
    x, y, _, blocks, lower, _ = at
    expected = differences(lambda point: instance.lower_value(x, point, blocks, lower).sum(), y)
    assert_close(instance.lower_gradient(x, y, blocks, lower), expected)


def test_hessian_products_are_those_with_the_hessians_and_the_differences_of_the_gradients(instance, at):
    x, y, v, blocks, lower, _ = at
    found = instance.hessian_product(x, y, v, blocks, lower)
    hessians = instance.lower_hessian(x, y, blocks, lower)
    np.testing.assert_allclose(found, np.einsum("iqr,ir->iq", hessians, v), atol=1e-12, rtol=1e-10)
    np.testing.assert_allclose(hessians, hessians.transpose(0, 2, 1), atol=1e-14)
    ahead, behind = (instance.lower_gradient(x, y + step * v, blocks, lower) for step in (1e-5, -1e-5))
    assert_close(found, (ahead - behind) / 2e-5)


def test_cross_products_are_the_differences_of_products_with_the_lower_gradients(instance, at):
    x, y, v, blocks, lower, _ = at

    def product(point):
        return (instance.lower_gradient(point, y, blocks, lower) * v).sum() / blocks.size

    assert_close(instance.cross_product(x, y, v, blocks, lower), differences(product, x))


def test_the_mean_over_minibatches_is_the_expectation(instance):
    random = np.random.default_rng(2)
    blocks = np.arange(instance.blocks)
    x, y = instance.upper_start, instance.lower_start + 0.1
    draws = [instance.lower_gradient(x, y, blocks, instance.draw_lower(blocks, 50, random)) for _ in range(200)]
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    bound = 5.0 * error + 1e-12
    assert (np.abs(np.mean(draws, axis=0) - instance.lower_gradient(x, y, blocks)) <= bound).all()


def test_the_lower_level_is_as_convex_as_the_instance_says(instance):
    blocks = np.arange(instance.blocks)
    hessians = instance.lower_hessian(instance.upper_start, instance.lower_start, blocks)
    assert np.linalg.eigvalsh(hessians).min() >= instance.strong_convexity * (1.0 - 1e-9)


def test_a_larger_batch_has_less_noise():
    problem = PROBLEMS["quadratic"]
    instance = problem.assemble(make_fields(problem, 0, 0))
    blocks, random = np.arange(5), np.random.default_rng(0)

    def spread(batch):
        draws = [instance.draw_lower(blocks, batch, random)[2] for _ in range(300)]
        return np.std(draws)

    assert spread(16) == pytest.approx(spread(1) / 4.0, rel=0.1)
