import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from attention_layers import automatic_gradient, make_layer
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.adapters.exact import blocked_gradient, dense_gradient, exact_multiplications
from kernels.result import Status


def loss(layer):
    weights = layer.query_weights + layer.adapter_scale * layer.adapter_left @ layer.adapter_right
    scores = layer.inputs @ weights @ (layer.inputs @ layer.key_weights).T / np.sqrt(layer.inputs.shape[1])
    attention = np.exp(scores)
    attention /= attention.sum(axis=1, keepdims=True)
    return ((attention @ layer.inputs @ layer.value_weights - layer.targets) ** 2).sum() / 2


# few shapes, since each is compiled for automatic differentiation
@settings(derandomize=True, max_examples=10)
@given(shape=st.sampled_from([(1, 1, 1), (30, 4, 2)]), largest=st.floats(0.1, 30.0), seed=st.integers(0, 99))
def test_it_is_the_gradient_of_automatic_differentiation(shape, largest, seed):
    layer = make_layer(*shape, largest_score=largest, seed=seed)
    expected = automatic_gradient(layer)
    result = dense_gradient(layer)
    assert result.converged
    np.testing.assert_allclose(result.value, expected, rtol=1e-8, atol=1e-9 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("factor", ["adapter_left", "adapter_right"])
def test_it_is_what_finite_differences_approach(factor):
    layer = make_layer(largest_score=2.0)
    gradients = dense_gradient(layer).value
    gradient = gradients[0] if factor == "adapter_left" else gradients[1].T
    entries = getattr(layer, factor)
    for index in np.ndindex(entries.shape):
        step = np.zeros_like(entries)
        step[index] = 1e-5
        ahead, behind = (loss(replace(layer, **{factor: entries + sign * step})) for sign in (1, -1))
        assert (ahead - behind) / 2e-5 == pytest.approx(gradient[index], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_the_blocks_do_not_matter(block):
    layer = make_layer(tokens=130)
    np.testing.assert_allclose(blocked_gradient(layer, block=block).value, dense_gradient(layer).value, rtol=1e-10)


def test_moving_all_keys_by_one_vector_changes_no_gradient():
    layer = make_layer()
    layer.inputs[:, 0] = 1.0  # an entry that is one turns a row of the key weights into such a vector
    moved = replace(layer, key_weights=layer.key_weights + np.eye(4)[:, :1] * np.array([3.0, -1.0, 2.0, 0.5]))
    np.testing.assert_allclose(dense_gradient(moved).value, dense_gradient(layer).value, rtol=1e-9)


def test_targets_that_are_met_leave_no_gradient():
    layer = make_layer()
    weights = layer.query_weights + layer.adapter_scale * layer.adapter_left @ layer.adapter_right
    attention = np.exp(layer.inputs @ weights @ (layer.inputs @ layer.key_weights).T / 2.0)
    layer.targets = attention / attention.sum(axis=1, keepdims=True) @ layer.inputs @ layer.value_weights
    np.testing.assert_allclose(dense_gradient(layer).value, 0.0, atol=1e-12)


def test_scores_beyond_the_range_of_exp_are_no_trouble():
    layer = make_layer(largest_score=5000.0)
    assert blocked_gradient(layer).converged


def test_blocks_take_memory_in_proportion_to_the_length():
    layer = make_layer(tokens=4000)
    tracemalloc.start()
    blocked_gradient(layer, block=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 4000 * 100


def test_multiplications_are_counted():
    assert exact_multiplications(10, 8) == dense_gradient(make_layer(10, 8)).work["multiplications"] == 3500


@pytest.mark.parametrize("name", ["inputs", "query_weights", "adapter_left", "targets"])
def test_a_layer_that_is_not_finite_gives_a_result_that_says_so(name):
    layer = make_layer()
    getattr(layer, name)[0, 0] = np.nan
    result = blocked_gradient(layer)
    assert result.status is Status.NOT_FINITE
    assert result.value.shape == (2, 4, 2)


def test_a_scale_that_is_not_finite_is_seen():
    assert dense_gradient(replace(make_layer(), adapter_scale=np.inf)).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.ones((3, 4), int)}, "inputs must be a float64 array, not int64"),
        ({"inputs": np.ones(4)}, r"inputs must have shape \(L, d\)"),
        ({"inputs": np.ones((0, 4))}, r"inputs must have shape \(L, d\) and not be empty"),
        ({"targets": np.ones((29, 4))}, r"targets must have shape \(30, 4\), not \(29, 4\)"),
        ({"key_weights": np.ones((4, 3))}, r"key_weights must have shape \(4, 4\), not \(4, 3\)"),
        ({"adapter_left": np.ones((4, 3))}, r"adapter_left must have shape \(4, 2\), not \(4, 3\)"),
        ({"adapter_right": np.ones((5, 4))}, r"adapter_right must have between 1 and d = 4 rows"),
        ({"adapter_right": np.array(1.0)}, r"adapter_right must have between 1 and d = 4 rows"),
        ({"value_weights": [[1.0]]}, "value_weights must be a float64 array, not list"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dense_gradient(replace(make_layer(), **changes))


def test_a_block_without_rows_is_refused():
    with pytest.raises(ValueError, match="block must be an integer of at least 1, not 0"):
        blocked_gradient(make_layer(), block=0)
