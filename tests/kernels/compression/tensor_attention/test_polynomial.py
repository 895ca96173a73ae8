import math
from dataclasses import replace

import numpy as np
import pytest
from attention_tokens import brute_force, make_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.compression.tensor_attention.monomials import monomial_count
from kernels.compression.tensor_attention.polynomial import largest_degree, polynomial_attention
from kernels.result import Status


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("degree", [0, 1, 4])
def test_it_is_attention_with_taylors_polynomial_for_exp(order, degree):
    tokens = make_tokens(n=9, d=3, order=order)
    taylor = [1.0 / math.factorial(k) for k in range(degree + 1)]
    expected = brute_force(tokens, lambda x: np.polynomial.polynomial.polyval(x, taylor))
    result = polynomial_attention(tokens, degree=degree, expansion="taylor")
    np.testing.assert_allclose(result.value, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("degree", [1, 4, 9])
def test_it_is_attention_with_chebyshevs_series_on_the_range_of_the_exponents(order, degree):
    tokens = make_tokens(n=9, d=3, bound=1.5, order=order)
    columns = np.prod(np.abs(tokens.keys).max(axis=1), axis=0)
    radius = (np.abs(tokens.queries) @ columns).max() / 3
    # the coefficients of the series are Fourier's of exp(radius cos angle), by the trapezoidal rule
    angles = 2.0 * np.pi * np.arange(256) / 256
    fourier = np.fft.rfft(np.exp(radius * np.cos(angles))).real[: degree + 1] / 128
    fourier[0] /= 2.0
    expected = brute_force(tokens, lambda x: np.polynomial.chebyshev.chebval(x / radius, fourier))
    result = polynomial_attention(tokens, degree=degree)
    np.testing.assert_allclose(result.value, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("expansion", ["taylor", "chebyshev"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_of_high_degree_it_is_attention(order, expansion):
    tokens = make_tokens(n=10, d=3, bound=1.2, order=order)
    result = polynomial_attention(tokens, tolerance=1e-10, expansion=expansion)
    assert result.converged
    np.testing.assert_allclose(result.value, brute_force(tokens), atol=1e-11)


@settings(derandomize=True, max_examples=40)
@given(
    n=st.integers(1, 12),
    d=st.integers(1, 4),
    bound=st.floats(0.01, 2.0),
    order=st.integers(2, 3),
    degree=st.integers(0, 12),
    expansion=st.sampled_from(["taylor", "chebyshev"]),
    seed=st.integers(0, 99),
)
def test_no_entry_is_off_by_more_than_the_stated_bound(n, d, bound, order, degree, expansion, seed):
    tokens = make_tokens(n, d, bound, order, seed)
    result = polynomial_attention(tokens, degree=degree, expansion=expansion)
    error = np.abs(result.value - brute_force(tokens)).max()
    assert error <= result.work["error_bound"]
    assert result.work["error_bound"] <= result.history[-1] * (1 + 1e-9)
    assert result.history.size == degree + 1


def test_the_least_degree_that_is_proven_to_suffice_is_used():
    tokens = make_tokens(n=15, d=3, bound=1.5)
    result = polynomial_attention(tokens, tolerance=1e-5)
    assert result.status is Status.CONVERGED
    assert result.history[-1] <= 1e-5 < result.history[-2]
    assert result.work["degree"] == result.history.size - 1
    assert result.work["features"] == math.comb(3 + result.history.size - 1, 3)
    tighter = polynomial_attention(tokens, tolerance=1e-8)
    assert tighter.work["degree"] > result.work["degree"]


def test_permuting_the_tokens_of_a_factor_changes_nothing_and_of_queries_the_rows():
    tokens = make_tokens(n=12, d=3)
    value = polynomial_attention(tokens).value
    order = np.random.default_rng(5).permutation(12)
    keys, values = tokens.keys.copy(), tokens.values.copy()
    keys[1], values[1] = keys[1, order], values[1, order]
    np.testing.assert_allclose(polynomial_attention(replace(tokens, keys=keys, values=values)).value, value, atol=1e-14)
    permuted = polynomial_attention(replace(tokens, queries=tokens.queries[order])).value
    np.testing.assert_allclose(permuted, value[order], atol=1e-14)


def test_too_few_features_for_the_entries_are_admitted():
    tokens = make_tokens(n=12, d=4, bound=3.0)
    result = polynomial_attention(tokens, max_features=70)
    assert result.status in (Status.ITERATION_LIMIT, Status.BREAKDOWN)
    assert result.work["features"] == 70
    assert result.work["error_bound"] > 1e-3


def test_weights_that_sum_to_less_than_nothing_are_a_breakdown():
    tokens = make_tokens(n=6, d=1)
    tokens.queries[:], tokens.keys[:] = -3.0, 1.0
    result = polynomial_attention(tokens, degree=1, expansion="taylor")
    assert result.status is Status.BREAKDOWN
    assert result.work["error_bound"] == np.inf


def test_a_tolerance_below_rounding_stagnates():
    assert polynomial_attention(make_tokens(n=8, d=2), tolerance=1e-20).status is Status.STAGNATED


@pytest.mark.parametrize("entry", [1e3, 1e200])
def test_entries_whose_exponentials_overflow_stagnate(entry):
    tokens = make_tokens(n=8, d=2)
    tokens.queries[0, 0] = tokens.keys[0, 0, 0] = tokens.keys[1, 0, 0] = entry
    result = polynomial_attention(tokens)
    assert result.status is Status.STAGNATED
    assert result.value.shape == (8, 2)


def test_zero_queries_give_the_mean_of_all_values():
    tokens = make_tokens(n=8, d=3)
    tokens.queries[:] = 0.0
    result = polynomial_attention(tokens)
    assert result.converged
    assert result.work["degree"] == 0
    np.testing.assert_allclose(result.value, [np.prod(tokens.values.mean(axis=1), axis=0)] * 8, atol=1e-15)


@pytest.mark.parametrize("name", ["queries", "keys", "values"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_tokens_that_are_not_finite_give_a_result_that_says_so(name, bad):
    tokens = make_tokens()
    getattr(tokens, name)[..., 0, 0] = bad
    assert polynomial_attention(tokens).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, r"tolerance must be positive and finite, not 0.0"),
        ({"tolerance": math.nan}, r"tolerance must be positive and finite, not nan"),
        ({"degree": -1}, r"degree must be an integer of at least 0, not -1"),
        ({"degree": 2.0}, r"degree must be an integer of at least 0, not 2.0"),
        ({"max_features": 0}, r"max_features must be an integer of at least 1, not 0"),
        ({"expansion": "fourier"}, r"expansion must be one of chebyshev, taylor, not 'fourier'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        polynomial_attention(make_tokens(), **options)


@pytest.mark.parametrize(("variables", "features"), [(6, 210), (6, 209), (4, 70), (1, 10), (3, 1)])
def test_the_largest_degree_is_the_last_that_is_allowed(variables, features):
    degree = largest_degree(variables, features)
    assert monomial_count(variables, degree) <= features < monomial_count(variables, degree + 1)
