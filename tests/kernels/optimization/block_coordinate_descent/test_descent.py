from types import SimpleNamespace

import numpy as np
import pytest

from kernels.optimization.block_coordinate_descent.descent import block_coordinate_descent
from kernels.optimization.block_coordinate_descent.library_baselines import scipy_lbfgs
from kernels.optimization.block_coordinate_descent.objectives import objective_and_gradient, objective_value
from kernels.result import Status

LOSSES = ("squared", "logistic", "softmax")


def regression(loss, seed=0, examples=40, features=12, ridge=2.0):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((examples, features)) * np.exp(0.5 * random.standard_normal(features))
    responses = matrix @ random.standard_normal((features, 3)) + random.standard_normal((examples, 3))
    targets = {
        "squared": responses[:, 0],
        "logistic": np.sign(responses[:, 0]),
        "softmax": responses.argmax(axis=1).astype(float),
    }[loss]
    return SimpleNamespace(features=matrix, targets=targets, loss=loss, ridge=ridge)


def descend(problem, **options):
    return block_coordinate_descent(problem, **{"block_size": 4, "random": np.random.default_rng(0), **options})


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("blocks", "update"), [("variable", "matrix"), ("sort", "newton"), ("order", "adaptive")])
def test_it_finds_the_minimum_that_lbfgs_finds(loss, blocks, update):
    problem = regression(loss)
    rule = "gsd" if blocks == "variable" else "gsl"
    result = descend(problem, blocks=blocks, rule=rule, update=update, max_iterations=20_000)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.value, scipy_lbfgs(problem, tolerance=1e-9).value, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("update", ["gradient", "adaptive", "matrix", "newton"])
@pytest.mark.parametrize("rule", ["gs", "gsl", "gsq", "cyclic", "lipschitz"])
def test_no_step_raises_the_objective(loss, rule, update):
    result = descend(regression(loss), blocks="average", rule=rule, update=update, max_iterations=60)
    assert (np.diff(result.history) <= 1e-12 * result.history[0]).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_gradient_step_decreases_at_least_what_the_bound_promises(loss):
    problem = regression(loss)
    weights = np.zeros(12 * (3 if loss == "softmax" else 1))
    gradient = objective_and_gradient(problem, weights)[1]
    result = descend(problem, blocks="order", rule="gsl", update="gradient", max_iterations=1)
    moved = np.flatnonzero(result.value)
    step = result.value[moved]
    promised = -0.5 * gradient[moved] @ step
    assert result.history[0] - result.history[1] >= promised * (1 - 1e-12)


def test_the_history_is_the_objective():
    problem = regression("logistic")
    result = descend(problem, max_iterations=7)
    assert result.status is Status.ITERATION_LIMIT
    assert result.history[0] == pytest.approx(40 * np.log(2.0))
    assert result.history[-1] == pytest.approx(objective_value(problem, result.value))
    assert result.work == {"iterations": 7, "coordinate_updates": 28}


def test_one_block_of_everything_solves_least_squares_in_a_step():
    result = descend(regression("squared"), block_size=12)
    assert result.work["iterations"] == 1
    assert result.status is Status.CONVERGED


def test_gsq_makes_the_most_progress_in_a_step_of_all_rules_with_matrix_updates():
    for seed in range(10):
        problem = regression("squared", seed)
        after = {
            rule: descend(problem, blocks="sort", rule=rule, update="matrix", max_iterations=1).history[-1]
            for rule in ("gs", "gsl", "gsd", "gsd_rows", "gsq")
        }
        assert after["gsq"] <= min(after.values()) * (1 + 1e-12)


def test_zero_columns_are_left_alone():
    problem = regression("squared", ridge=0.0)
    problem.features[:, 3] = 0.0
    result = descend(problem, blocks="sort", rule="gsl", update="gradient", max_iterations=50_000)
    assert result.status is Status.CONVERGED
    assert result.value[3] == 0.0


def test_targets_of_zero_are_solved_at_once():
    problem = regression("squared")
    problem.targets[:] = 0.0
    result = descend(problem)
    assert (result.status, result.work["iterations"]) == (Status.CONVERGED, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["features", "targets"])
def test_data_that_are_not_finite_end_so(field, value):
    problem = regression("squared")
    getattr(problem, field).flat[1] = value
    assert descend(problem).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"block_size": 13}, "block_size"),
        ({"update": "lucky"}, "update must be one of"),
        ({"update": "adaptive"}, "needs fixed blocks"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        descend(regression("squared"), **options)
