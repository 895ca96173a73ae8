import math
import tracemalloc

import numpy as np
import pytest
from attention_layers import automatic_gradient, make_layer, scores
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.adapters.chained import chained_gradient
from kernels.adapters.exact import blocked_gradient
from kernels.adapters.layer import project
from kernels.adapters.polynomial import (
    points_in_unit_ball,
    polynomial_gradient,
    polynomial_weights,
    slope_errors,
)
from kernels.adapters.sufficient_degree import gradient_error
from kernels.compression.tensor_attention.exponentials import exponential_coefficients
from kernels.result import Status


def polynomial_of(coefficients, radius):
    def evaluate(score):
        total = 0.0 * score
        for coefficient in coefficients[::-1]:
            total = total * (score / radius) + coefficient
        return total

    return evaluate


@pytest.mark.parametrize("expansion", ["taylor", "chebyshev"])
@pytest.mark.parametrize("degree", [1, 4, 7])
@pytest.mark.parametrize("dimension", [2, 5])
def test_it_is_the_gradient_formula_with_the_polynomials_attention(expansion, degree, dimension):
    layer = make_layer(25, dimension, largest_score=0.8)
    radius = points_in_unit_ball(project(layer))[2]
    coefficients = exponential_coefficients(expansion, radius, degree)
    keys = layer.inputs @ layer.key_weights
    centred = keys - keys.mean(axis=0)
    weights = layer.query_weights + layer.adapter_scale * layer.adapter_left @ layer.adapter_right
    attention = polynomial_of(coefficients, radius)(layer.inputs @ weights @ centred.T / np.sqrt(dimension))
    attention /= attention.sum(axis=1, keepdims=True)
    values = layer.inputs @ layer.value_weights
    residuals = attention @ values - layer.targets
    products = attention * (residuals @ values.T)
    score_gradient = products - products.sum(axis=1, keepdims=True) * attention
    gradient = layer.adapter_scale / np.sqrt(dimension) * layer.inputs.T @ score_gradient @ keys
    expected = np.stack([gradient @ layer.adapter_right.T, gradient.T @ layer.adapter_left])
    result = polynomial_gradient(layer, degree=degree, expansion=expansion)
    np.testing.assert_allclose(result.value, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("expansion", ["taylor", "chebyshev"])
@pytest.mark.parametrize("largest", [0.1, 1.0, 4.0])
def test_of_high_degree_it_is_the_gradient_of_automatic_differentiation(expansion, largest):
    layer = make_layer(30, 3, largest_score=largest)
    result = polynomial_gradient(layer, tolerance=1e-10, expansion=expansion)
    assert result.converged
    assert gradient_error(result.value, automatic_gradient(layer)) < 1e-8


@settings(derandomize=True, max_examples=30)
@given(
    tokens=st.integers(1, 30),
    dimension=st.integers(1, 4),
    largest=st.floats(0.01, 4.0),
    degree=st.integers(0, 12),
    expansion=st.sampled_from(["taylor", "chebyshev"]),
    seed=st.integers(0, 99),
)
def test_no_row_of_the_attention_is_off_by_more_than_the_stated_bound(
    tokens, dimension, largest, degree, expansion, seed
):
    layer = make_layer(tokens, dimension, 1, largest, seed) if tokens > 1 else make_layer(tokens, dimension, 1)
    result = polynomial_gradient(layer, degree=degree, expansion=expansion)
    queries, keys, radius = points_in_unit_ball(project(layer))
    coefficients = exponential_coefficients(expansion, radius, degree)
    exact = np.exp(radius * queries @ keys.T)
    approximate = np.polynomial.polynomial.polyval(queries @ keys.T, coefficients)
    exact, approximate = (weights / weights.sum(axis=1, keepdims=True) for weights in (exact, approximate))
    from_uniform = np.abs(exact - 1.0 / tokens).sum(axis=1)
    mean_scores = np.abs(radius * queries @ keys.T).mean(axis=1)
    errors = np.abs(approximate - exact).sum(axis=1)
    assert (errors <= result.work["error_bound"] * np.maximum(from_uniform, mean_scores) + 1e-15).all()
    if np.isfinite(result.history[-1]):
        assert result.work["error_bound"] <= result.history[-1] * (1 + 1e-9)
    assert result.history.size == degree + 1


@pytest.mark.parametrize("expansion", ["taylor", "chebyshev"])
@pytest.mark.parametrize("radius", [1e-3, 1.0, 9.0])
def test_the_errors_of_the_slope_are_those_on_a_fine_grid(expansion, radius):
    errors = slope_errors(expansion, radius, 12)
    points = np.linspace(-1.0, 1.0, 2001)
    for degree in (0, 1, 4, 12):
        derivative = np.polynomial.polynomial.polyder(exponential_coefficients(expansion, radius, degree))
        slope = np.polynomial.polynomial.polyval(points, derivative) / radius
        largest = np.abs(slope - np.exp(radius * points)).max() / np.exp(radius)
        assert errors[degree] == pytest.approx(largest, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("largest", [0.5, 3.0, 20.0])
def test_the_radius_bounds_the_scores_and_is_theirs_almost(largest):
    layer = make_layer(300, 4, largest_score=largest)
    queries, keys, radius = points_in_unit_ball(project(layer))
    centred = scores(layer) - scores(layer).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(radius * queries @ keys.T, centred, atol=1e-12 * radius)
    assert np.abs(centred).max() <= radius < 2.0 * np.abs(centred).max()
    assert max(np.linalg.norm(points, axis=1).max() for points in (queries, keys)) <= 1.0 + 1e-12


def test_weights_that_are_hard_on_queries_and_easy_on_keys_leave_the_radius():
    layer = make_layer(50)
    radius = points_in_unit_ball(project(layer))[2]
    skew = np.diag([1e3, 1.0, 1e-3, 1.0])
    layer.query_weights, layer.adapter_right = layer.query_weights @ skew, layer.adapter_right @ skew
    layer.key_weights = layer.key_weights @ np.linalg.inv(skew)
    assert points_in_unit_ball(project(layer))[2] == pytest.approx(radius, rel=1e-9)


def test_the_least_degree_that_is_proven_to_suffice_is_used():
    result = polynomial_gradient(make_layer(), tolerance=1e-4)
    assert result.status is Status.CONVERGED
    assert result.history[-1] <= 1e-4 < result.history[-2]
    degree = result.history.size - 1
    assert (result.work["degree"], result.work["features"]) == (degree, math.comb(4 + degree, 4))
    assert polynomial_gradient(make_layer(), tolerance=1e-7).work["degree"] > degree


def test_the_degree_follows_the_scores():
    degrees = [polynomial_gradient(make_layer(largest_score=gamma)).work["degree"] for gamma in (0.25, 1.0, 4.0)]
    assert degrees[0] < degrees[1] < degrees[2]


def test_chunks_of_tokens_do_not_matter(monkeypatch):
    layer = make_layer(tokens=200)
    whole = polynomial_gradient(layer)
    monkeypatch.setattr("kernels.adapters.chained._CHUNK_ENTRIES", 1)
    np.testing.assert_allclose(polynomial_gradient(layer).value, whole.value, rtol=1e-9)


def test_no_array_has_as_many_rows_as_tokens_and_as_many_columns_as_features():
    layer = make_layer(tokens=200)
    layer.inputs, layer.targets = np.tile(layer.inputs, (100, 1)), np.tile(layer.targets, (100, 1))
    polynomial_gradient(layer, degree=8)  # what is kept from call to call does not count
    tracemalloc.start()
    result = polynomial_gradient(layer, degree=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.work["features"] == 495
    assert peak < 8 * 20_000 * 495 / 4


def test_work_is_proportional_to_the_number_of_tokens():
    short, long = (polynomial_gradient(make_layer(tokens=n), degree=4).work["multiplications"] for n in (50, 100))
    assert long == 2 * short == 2 * 100 * 70 * (25 + 1)


def test_permuting_the_tokens_changes_nothing():
    layer = make_layer()
    value = polynomial_gradient(layer).value
    order = np.random.default_rng(1).permutation(len(layer.inputs))
    layer.inputs, layer.targets = layer.inputs[order], layer.targets[order]
    np.testing.assert_allclose(polynomial_gradient(layer).value, value, rtol=1e-10)


def test_too_few_features_for_the_scores_are_admitted():
    result = polynomial_gradient(make_layer(largest_score=4.0), max_features=70)
    assert result.status in (Status.ITERATION_LIMIT, Status.BREAKDOWN)
    assert result.work["features"] == 70
    assert result.work["error_bound"] > 1e-2


def test_weights_that_sum_to_less_than_nothing_are_a_breakdown():
    layer = make_layer(tokens=3, dimension=1, rank=1)
    projected = project(layer)
    negative = polynomial_weights(np.ones((3, 1)), np.ones((3, 1)), np.array([0.0, -1.0]))
    gradient = chained_gradient(layer, projected, negative)
    assert gradient.failure is Status.BREAKDOWN


def test_a_tolerance_below_rounding_stagnates():
    assert polynomial_gradient(make_layer(dimension=2), tolerance=1e-20).status is Status.STAGNATED


def test_scores_beyond_the_range_of_exp_stagnate():
    result = polynomial_gradient(make_layer(largest_score=5000.0))
    assert result.status is Status.STAGNATED
    assert result.value.shape == (2, 4, 2)


def test_without_scores_every_query_sees_the_mean_and_the_exact_gradient_remains():
    layer = make_layer()
    layer.query_weights[:], layer.adapter_left[:] = 0.0, 0.0
    result = polynomial_gradient(layer)
    assert result.converged
    assert result.work["degree"] == 1
    exact = blocked_gradient(layer).value
    np.testing.assert_allclose(result.value, exact, atol=1e-12 * np.abs(exact).max())


def test_a_layer_that_is_not_finite_gives_a_result_that_says_so():
    layer = make_layer()
    layer.value_weights[1, 1] = np.inf
    assert polynomial_gradient(layer).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be positive and finite, not 0.0"),
        ({"tolerance": math.nan}, "tolerance must be positive and finite, not nan"),
        ({"degree": -1}, "degree must be an integer of at least 0, not -1"),
        ({"max_features": 0}, "max_features must be an integer of at least 1, not 0"),
        ({"expansion": "fourier"}, "expansion must be one of chebyshev, taylor, not 'fourier'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        polynomial_gradient(make_layer(), **options)
