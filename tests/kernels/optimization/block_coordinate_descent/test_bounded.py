from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar, nnls

from kernels.optimization.block_coordinate_descent.bounded import (
    bounded_block_coordinate_descent,
    coordinate_decreases,
    projected_gradient,
)
from kernels.optimization.block_coordinate_descent.library_baselines import active_set_reference
from kernels.result import Status

UPDATES = ("projected_gradient", "two_metric", "exact")


def lasso(seed=0, examples=15, features=30, fraction=0.1):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((examples, features)) * np.exp(0.5 * random.standard_normal(features))
    targets = matrix @ np.maximum(random.standard_normal(features) - 1.0, 0.0) + random.standard_normal(examples)
    penalty = fraction * max(float((matrix.T @ targets).max()), 0.0)
    return SimpleNamespace(features=matrix, targets=targets, penalty=penalty)


def descend(problem, **options):
    return bounded_block_coordinate_descent(problem, **{"block_size": 8, "tolerance": 1e-9, **options})


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("blocks", ["variable", "sort"])
@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_minimum_that_celer_finds(update, blocks, seed):
    problem = lasso(seed)
    result = descend(problem, update=update, blocks=blocks, max_iterations=50_000)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.value, active_set_reference(problem).value, atol=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=25, derandomize=True)
def test_without_penalty_it_finds_what_nnls_finds(seed):
    problem = lasso(seed, examples=30, features=12, fraction=0.0)
    result = descend(problem)
    np.testing.assert_allclose(result.value, nnls(problem.features, problem.targets)[0], atol=1e-7)


@given(st.integers(0, 10**6), st.sampled_from(UPDATES), st.sampled_from([0.0, 1.0]))
@settings(max_examples=30, derandomize=True)
def test_no_step_raises_the_objective_or_leaves_the_bounds(seed, update, start):
    result = descend(lasso(seed), update=update, start=start, max_iterations=25)
    assert (np.diff(result.history) <= 1e-11 * result.history[0]).all()
    assert (result.value >= 0.0).all()


def test_the_score_of_a_coordinate_is_the_decrease_it_can_reach():
    random = np.random.default_rng(0)
    weights, gradient, lipschitz = random.random(5), random.standard_normal(5), 1.0 + random.random(5)
    for i, score in enumerate(coordinate_decreases(weights, gradient, lipschitz)):

        def model(step, i=i):
            return gradient[i] * step + 0.5 * lipschitz[i] * step**2

        best = minimize_scalar(model, bounds=(-weights[i], 10.0), method="bounded", options={"xatol": 1e-10})
        assert score == pytest.approx(-best.fun, abs=1e-6)


def test_the_projected_gradient_vanishes_at_the_minimum_alone():
    problem = lasso()
    weights = active_set_reference(problem).value

    def norm(point):
        gradient = problem.features.T @ (problem.features @ point - problem.targets) + problem.penalty
        return np.linalg.norm(projected_gradient(point, gradient))

    assert norm(weights) < 1e-9
    assert norm(weights + 0.01) > 1e-3


def test_once_the_support_is_found_two_metric_projection_ends():
    for seed in range(8):
        result = descend(lasso(seed), block_size=30)
        assert result.status is Status.CONVERGED
        assert result.work["iterations"] - result.work["identification"] <= 2


def test_identification_is_the_last_change_of_the_support_of_a_replayed_descent():
    problem = lasso(1)
    full = descend(problem, update="projected_gradient", max_iterations=40)
    supports = [
        descend(problem, update="projected_gradient", max_iterations=steps).value > 0.0
        for steps in range(1, int(full.work["iterations"]) + 1)
    ]
    changes = [k + 2 for k, (a, b) in enumerate(pairwise(supports)) if (a != b).any()]
    assert full.work["identification"] == max(changes, default=1)


def test_more_dependent_columns_than_rows_do_not_stop_it():
    problem = lasso(2, examples=5, features=40)
    problem.features[:, 20:] = problem.features[:, :20]
    for update in UPDATES:
        result = descend(problem, block_size=40, update=update, tolerance=1e-6, max_iterations=50_000)
        assert result.status is Status.CONVERGED
        residual = problem.features @ result.value - problem.targets
        gradient = problem.features.T @ residual + problem.penalty
        assert gradient.min() >= -1e-4 * abs(problem.features.T @ problem.targets).max()


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_a_column_of_zeros_gets_no_weight(update, fraction):
    problem = lasso(fraction=fraction)
    problem.features[:, 4] = 0.0
    result = descend(problem, block_size=30, update=update, tolerance=1e-6, max_iterations=20_000)
    assert result.status is Status.CONVERGED
    assert result.value[4] == pytest.approx(0.0, abs=1e-9)


def test_a_penalty_beyond_the_greatest_correlation_leaves_all_weights_zero():
    problem = lasso(fraction=1.5)
    result = descend(problem)
    assert (result.status, result.work["iterations"]) == (Status.CONVERGED, 0)
    assert not result.value.any()


def test_data_that_are_not_finite_end_so():
    problem = lasso()
    problem.targets[0] = np.nan
    assert descend(problem).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update": "newton"}, "update must be one of"),
        ({"blocks": "random"}, "blocks must be one of"),
        ({"block_size": 0}, "block_size"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"start": -1.0}, "start must be"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        descend(lasso(), **options)


def test_a_negative_penalty_is_refused():
    problem = lasso()
    problem.penalty = -1.0
    with pytest.raises(ValueError, match="penalty must be"):
        descend(problem)
