from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from kernels.optimization.block_coordinate_descent.objectives import (
    objective_and_gradient,
    objective_of,
    objective_value,
)

LOSSES = ("squared", "logistic", "softmax")


def regression(loss, seed=0, examples=12, features=5, ridge=0.3):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((examples, features))
    targets = {
        "squared": random.standard_normal(examples),
        "logistic": random.choice([-1.0, 1.0], examples),
        "softmax": np.arange(examples) % 3.0,
    }[loss]
    return SimpleNamespace(features=matrix, targets=targets, loss=loss, ridge=ridge)


def numeric_gradient(function, point, width=1e-6):
    steps = width * np.eye(point.size)
    return np.array([(function(point + step) - function(point - step)) / (2 * width) for step in steps])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_finite_differences(loss):
    problem = regression(loss)
    weights = np.random.default_rng(1).standard_normal(objective_of(problem).size)
    _, gradient = objective_and_gradient(problem, weights)
    expected = numeric_gradient(lambda point: objective_value(problem, point), weights)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_moves_of_blocks_keep_value_and_gradient_up_to_date(loss):
    problem = regression(loss)
    objective = objective_of(problem)
    random = np.random.default_rng(2)
    iterate = objective.start()
    for _ in range(20):
        block = random.choice(objective.size, 4, replace=False)
        step = random.standard_normal(4)
        foreseen = objective.value_after(iterate, block, step)
        objective.move(iterate, block, step)
        value, gradient = objective_and_gradient(problem, iterate.weights)
        assert foreseen == pytest.approx(value)
        assert iterate.value == pytest.approx(value)
        np.testing.assert_allclose(iterate.gradient, gradient, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_hessian_of_a_block_is_that_of_finite_differences(loss):
    problem = regression(loss)
    objective = objective_of(problem)
    iterate = objective.start()
    everything = np.arange(objective.size)
    objective.move(iterate, everything, np.random.default_rng(3).standard_normal(objective.size))
    block = np.array([4, 0, 3])
    columns = [
        numeric_gradient(lambda point, j=j: objective_and_gradient(problem, point)[1][j], iterate.weights)[block]
        for j in block
    ]
    np.testing.assert_allclose(objective.hessian_block(iterate, block), np.array(columns), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_curvature_bounds_the_hessian_everywhere(loss):
    objective = objective_of(regression(loss))
    random = np.random.default_rng(4)
    everything = np.arange(objective.size)
    for _ in range(5):
        iterate = objective.start()
        objective.move(iterate, everything, random.standard_normal(objective.size))
        excess = objective.curvature - objective.hessian_block(iterate, everything)
        assert eigvalsh(excess)[0] >= -1e-10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "hinge"}, "loss must be"),
        ({"ridge": -1.0}, "ridge must be"),
        ({"ridge": float("nan")}, "ridge must be"),
        ({"features": np.ones(3)}, "features must be"),
        ({"features": np.ones((3, 2), np.float32)}, "features must be float64"),
        ({"targets": np.ones(3)}, "targets must be"),
        ({"loss": "logistic", "targets": np.full(12, 2.0)}, "targets must be -1 or 1"),
        ({"loss": "softmax", "targets": np.full(12, 0.5)}, "targets must be classes"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        objective_of(SimpleNamespace(**{**vars(regression("squared")), **change}))
