import math

import numpy as np
import pytest
from attention_tokens import brute_force, make_tokens
from scipy.special import softmax

from kernels.compression.tensor_attention.direct import direct_attention, running_softmax_attention
from kernels.compression.tensor_attention.polynomial import polynomial_attention
from kernels.compression.tensor_attention.sampling import sampled_attention
from kernels.compression.tensor_attention.sufficient_degree import sufficient_degree
from kernels.result import Status


def sampled(tokens):
    return sampled_attention(tokens, samples=10, random=np.random.default_rng(0))


METHODS = [direct_attention, running_softmax_attention, polynomial_attention, sampled, sufficient_degree]
EXACT = METHODS[:2]


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("n", [1, 7])
def test_exact_attention_is_its_definition(method, order, n):
    tokens = make_tokens(n=n, d=5, bound=2.0, order=order)
    result = method(tokens)
    assert result.converged
    np.testing.assert_allclose(result.value, brute_force(tokens), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("method", EXACT)
def test_of_order_two_it_is_scipys_softmax(method):
    tokens = make_tokens(n=11, d=4, bound=3.0, order=2)
    expected = softmax(tokens.queries @ tokens.keys[0].T / 4, axis=1) @ tokens.values[0]
    np.testing.assert_allclose(method(tokens).value, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("method", EXACT)
def test_exponents_beyond_the_range_of_exp_do_no_harm(method):
    tokens = make_tokens(n=6, d=2, bound=30.0)
    value = method(tokens).value
    assert np.isfinite(value).all()
    assert np.abs(value).max() <= np.prod(np.abs(tokens.values).max(axis=1), axis=0).max()


def test_drawing_more_pairs_brings_the_sampled_attention_closer():
    tokens = make_tokens(n=10, d=3)
    exact = direct_attention(tokens).value
    errors = [
        np.abs(sampled_attention(tokens, samples=count, random=np.random.default_rng(1)).value - exact).max()
        for count in (100, 1_000_000)
    ]
    assert errors[1] < 0.05 * errors[0]


def test_sampling_promises_no_accuracy_and_depends_on_its_generator_alone():
    tokens = make_tokens()
    assert sampled(tokens).status is Status.ITERATION_LIMIT
    assert sampled(tokens).value.tobytes() == sampled(tokens).value.tobytes()


def test_queries_in_several_chunks_meet_the_same_sample(monkeypatch):
    tokens = make_tokens()
    expected = sampled(tokens).value
    monkeypatch.setattr("kernels.compression.tensor_attention.sampling._CHUNK_ENTRIES", 30)
    np.testing.assert_allclose(sampled(tokens).value, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3])
def test_the_sufficient_degree_suffices_and_the_one_below_does_not(order):
    tokens = make_tokens(n=10, d=3, bound=1.5, order=order)
    exact = direct_attention(tokens).value
    result = sufficient_degree(tokens, relative_tolerance=1e-4)
    assert result.converged
    degree = result.work["degree"]
    allowed = 1e-4 * np.abs(exact).max()
    for used, suffices in ((degree, True), (degree - 1, False)):
        value = polynomial_attention(tokens, degree=used, expansion="taylor").value
        assert bool(np.abs(value - exact).max() <= allowed) is suffices
    np.testing.assert_allclose(
        result.value, polynomial_attention(tokens, degree=degree, expansion="taylor").value, atol=1e-12
    )
    assert result.work["features"] == math.comb(3 + degree, 3)


def test_a_degree_that_never_suffices_is_admitted():
    result = sufficient_degree(make_tokens(bound=3.0), max_degree=2)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["degree"] == 2


@pytest.mark.parametrize("method", METHODS)
def test_tokens_that_are_not_finite_give_a_result_that_says_so(method):
    tokens = make_tokens()
    tokens.keys[0, 3, 1] = math.nan
    assert method(tokens).status is Status.NOT_FINITE


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("queries", np.ones(4), r"queries must have shape \(n, d\) and not be empty, not \(4,\)"),
        ("queries", np.ones((0, 4)), r"queries must have shape \(n, d\) and not be empty, not \(0, 4\)"),
        ("keys", np.ones((2, 19, 4)), r"keys must have shape \(m, 20, 4\), not \(2, 19, 4\)"),
        ("keys", np.ones((0, 20, 4)), r"keys must have shape \(m, 20, 4\), not \(0, 20, 4\)"),
        ("values", np.ones((1, 20, 4)), r"values must have the shape of keys, \(2, 20, 4\), not \(1, 20, 4\)"),
        ("values", np.ones((2, 20, 4), np.float32), r"values must be a float64 array, not float32"),
        ("queries", [[1.0]], r"queries must be a float64 array, not list"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(method, name, bad, message):
    tokens = make_tokens()
    setattr(tokens, name, bad)
    with pytest.raises(ValueError, match=message):
        method(tokens)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="samples must be an integer of at least 1, not 0"):
        sampled_attention(make_tokens(), samples=0, random=np.random.default_rng(0))
    with pytest.raises(ValueError, match="relative_tolerance must be positive and finite, not -1"):
        sufficient_degree(make_tokens(), relative_tolerance=-1)
    with pytest.raises(ValueError, match="max_degree must be an integer of at least 0, not -1"):
        sufficient_degree(make_tokens(), max_degree=-1)
