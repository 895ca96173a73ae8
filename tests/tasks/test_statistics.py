import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.statistics import MOMENTS, combined, moments, statistics, store_statistics

blocks = st.lists(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(0, 4)), elements=st.floats(-1e6, 1e6)),
    min_size=1,
    max_size=6,
)


@settings(derandomize=True, max_examples=60)
@given(blocks)
def test_combined_blocks_have_the_statistics_of_all_their_numbers(parts):
    numbers = np.concatenate([part.ravel() for part in parts])
    found = statistics(combined(np.stack([moments(part) for part in parts])))
    if numbers.size == 0:
        assert found == {}
        return
    scale = np.abs(numbers).max()
    assert found["mean"] == pytest.approx(numbers.mean(), rel=1e-12, abs=1e-12 * scale)
    assert found["standard_deviation"] == pytest.approx(numbers.std(), rel=1e-9, abs=1e-9 * scale)
    assert found["actual_range"] == [numbers.min(), numbers.max()]


def test_small_deviations_from_a_large_mean_are_not_cancelled():
    values = 1e9 + np.random.default_rng(0).standard_normal((60, 10))
    found = statistics(combined(np.stack([moments(part) for part in np.split(values, 6)])))
    assert found["standard_deviation"] == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_instance_that_is_not_finite_is_counted_and_left_out(bad):
    values = np.arange(12.0).reshape(4, 3)
    values[1, 2] = bad
    found = statistics(moments(values))
    kept = values[[0, 2, 3]]
    assert found["mean"] == pytest.approx(kept.mean())
    assert found["actual_range"] == [0.0, 11.0]
    assert found["instances_not_finite"] == 1


def test_a_variable_without_a_finite_number_has_no_mean():
    assert statistics(moments(np.full((3, 2), np.nan))) == {"instances_not_finite": 3}


def test_single_precision_is_averaged_in_double():
    values = np.full((10**6, 1), 0.1, np.float32)
    assert statistics(moments(values))["mean"] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_every_variable_has_its_own_statistics():
    first, second = moments(np.ones((2, 1))), moments(np.full((2, 1), 5.0))
    found = store_statistics(["a", "b"], np.stack([[first, second], [first, second]]))
    assert (found["a"]["mean"], found["b"]["mean"]) == (1.0, 5.0)
    assert first.shape == (len(MOMENTS),)
