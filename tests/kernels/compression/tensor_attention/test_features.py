import numpy as np
import pytest
from attention_tokens import exponents, make_tokens

from kernels.compression.tensor_attention.features import PowerFeatures


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_means_are_those_over_all_tuples_of_tokens(order):
    tokens = make_tokens(n=6, d=3, bound=2.0, order=order)
    features = PowerFeatures.of(tokens, 5)
    means = features.mean_powers()
    assert means.shape == (6, 6, 4)
    powers = (exponents(tokens) / features.scale).reshape(6, -1) ** np.arange(6)[:, None, None]
    values = np.ones((1, 3))
    for factor in tokens.values:
        values = (values[:, None] * factor).reshape(-1, 3)
    np.testing.assert_allclose(means[:, :, 3], powers.mean(axis=2), rtol=1e-11)
    np.testing.assert_allclose(means[:, :, :3], powers @ values / len(values), rtol=1e-11, atol=1e-15)


def test_a_polynomial_is_the_sum_of_its_powers():
    features = PowerFeatures.of(make_tokens(), 4)
    coefficients = np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    expected = np.tensordot(coefficients, features.mean_powers(), axes=1)
    np.testing.assert_allclose(features.mean_polynomial(coefficients), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 700])
def test_rows_in_several_chunks_are_those_of_one(n, monkeypatch):
    tokens = make_tokens(n=n)
    whole = PowerFeatures.of(tokens, 4).mean_powers()
    monkeypatch.setattr("kernels.compression.tensor_attention.features._CHUNK_ENTRIES", 1)
    np.testing.assert_allclose(PowerFeatures.of(tokens, 4).mean_powers(), whole, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("entry", [1e-60, 1e60])
def test_the_powers_of_entries_of_any_size_are_numbers(entry):
    tokens = make_tokens(n=5, d=2)
    tokens.queries *= entry
    tokens.keys *= entry
    assert np.isfinite(PowerFeatures.of(tokens, 30).mean_powers()).all()


def test_factors_that_are_zero_leave_the_power_zero_alone():
    tokens = make_tokens(n=5, d=2)
    tokens.keys[1] = 0.0
    means = PowerFeatures.of(tokens, 3).mean_powers()
    np.testing.assert_array_equal(means[1:], 0.0)
    np.testing.assert_allclose(means[0, :, 2], 1.0)
