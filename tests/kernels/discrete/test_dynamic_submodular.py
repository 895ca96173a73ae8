import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from update_streams import live_sets, make_stream

from kernels.discrete.dynamic_submodular import DynamicSubmodular, dynamic_submodular
from kernels.discrete.greedy_streams import lazy_greedy
from kernels.discrete.sieve_streaming import sieve_streaming
from kernels.discrete.subset_controls import enumerated_optimum, random_subset
from kernels.result import Status

METHODS = [dynamic_submodular, lazy_greedy, sieve_streaming, enumerated_optimum, random_subset]
STOCHASTIC = {dynamic_submodular, random_subset}


def value_of(stream, subset):
    return float(stream.benefits.toarray()[list(subset)].max(axis=0).sum()) if len(subset) else 0.0


def optimum_of(stream, live, k):
    return max(value_of(stream, subset) for subset in itertools.combinations(live, min(k, len(live))))


def run(method, stream, **options):
    if method in STOCHASTIC:
        options["random"] = np.random.default_rng(0)
    return method(stream, **options)


streams = st.builds(make_stream, st.integers(0, 10**6), fractional=st.booleans())


@given(streams, st.sampled_from([1, 3, 5]))
@settings(max_examples=15, derandomize=True)
def test_the_optimum_is_that_of_all_subsets(stream, k):
    expected = [optimum_of(stream, live, k) for live in live_sets(stream)]
    np.testing.assert_allclose(enumerated_optimum(stream, cardinality=k).value, expected, rtol=1e-12)


@given(streams, st.sampled_from([1, 3, 5]), st.sampled_from([0.1, 0.2, 0.4]))
@settings(max_examples=30, derandomize=True)
def test_single_pivots_and_sieves_keep_half_of_the_optimum_but_for_a_factor_of_the_guess(stream, k, epsilon):
    optimum = enumerated_optimum(stream, cardinality=k).value
    pivots = dynamic_submodular(
        stream, cardinality=k, epsilon=epsilon, single_pivot=True, random=np.random.default_rng(1)
    )
    for result in (pivots, sieve_streaming(stream, cardinality=k, epsilon=epsilon)):
        assert (result.value >= optimum / (2.0 * (1.0 + epsilon)) - 1e-12).all()
        assert (result.value <= optimum + 1e-12).all()


def test_batches_keep_half_less_epsilon_of_greedy_on_many_elements_for_fewer_calls():
    stream = make_stream(3, size=500, clients=1000, updates=1500, density=(0.002, 0.02))
    greedy = lazy_greedy(stream, cardinality=20, every=50)
    batches = run(dynamic_submodular, stream, cardinality=20, every=50)
    assert (batches.value >= 0.3 * greedy.value).all()
    pivots = run(dynamic_submodular, stream, cardinality=20, every=50, single_pivot=True)
    assert batches.work["oracle_calls"] < 0.5 * pivots.work["oracle_calls"]


def test_the_solution_is_live_small_enough_and_worth_what_is_said():
    stream = make_stream(4, size=40, clients=90, updates=300)
    maximiser = DynamicSubmodular(stream.benefits, cardinality=6, random=np.random.default_rng(2))
    assert maximiser.solution.size == 0
    for update, live in enumerate(live_sets(stream)):
        one = slice(update, update + 1)
        value = maximiser.apply(stream.elements[one], stream.insertions[one])
        solution = maximiser.solution
        assert solution.size <= 6
        assert set(solution) <= set(live)
        assert value.tolist() == [value_of(stream, solution)]


@pytest.mark.parametrize("blocks", [1, 7, 60])
def test_how_a_stream_is_split_changes_nothing(blocks):
    stream = make_stream(5)
    expected = run(dynamic_submodular, stream, cardinality=4)
    maximiser = DynamicSubmodular(stream.benefits, cardinality=4, random=np.random.default_rng(0))
    parts = np.array_split(np.arange(60), blocks)
    values = [maximiser.apply(stream.elements[part], stream.insertions[part]) for part in parts]
    np.testing.assert_array_equal(np.concatenate(values), expected.value)
    assert maximiser.oracle_calls == expected.work["oracle_calls"]


def test_scaling_the_function_by_a_power_of_the_guesses_scales_the_solution():
    stream = make_stream(6)
    scaled = SimpleNamespace(**{**vars(stream), "benefits": stream.benefits * 2.0**20})
    first, second = (run(dynamic_submodular, s, cardinality=4, epsilon=0.2) for s in (stream, scaled))
    assert (second.value >= 0.4 * 2.0**20 * first.value).all()


def test_elements_without_any_benefit_leave_the_solution_empty():
    stream = make_stream(7)
    stream.benefits = sp.csr_array(stream.benefits.shape)
    for method in METHODS:
        result = run(method, stream, cardinality=4)
        assert (result.value == 0.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_values_are_kept_after_every_so_many_updates(method):
    stream = make_stream(8)
    every = run(method, stream, cardinality=4, every=7)
    assert every.value.shape == (60 // 7,)
    assert every.history.tolist() == [0.0, *every.value]
    assert every.work["oracle_calls_per_update"] == every.work["oracle_calls"] / 60
    if method is not random_subset:
        np.testing.assert_array_equal(every.value, run(method, stream, cardinality=4).value[6::7])


@pytest.mark.parametrize("method", METHODS)
def test_how_a_method_ends(method):
    status = Status.STAGNATED if method is random_subset else Status.CONVERGED
    assert run(method, make_stream(9), cardinality=4).status is status


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_benefits_that_are_not_finite_end_so(method, bad):
    stream = make_stream(10)
    stream.benefits.data[3] = bad
    result = run(method, stream, cardinality=4)
    assert result.status is Status.NOT_FINITE
    assert np.isnan(result.value).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benefits": np.ones((12, 3))}, "benefits must be a two-dimensional csr_array"),
        ({"benefits": -sp.csr_array(np.ones((12, 3)))}, "benefits must be at least 0, not -1.0"),
        ({"benefits": sp.csr_array((12, 0))}, "benefits must have elements and clients"),
        ({"insertions": np.zeros(60, bool)}, "update 0 deletes .*, which is absent"),
        ({"insertions": np.ones(60, bool)}, "inserts .*, which is present"),
        ({"insertions": np.ones(5, bool)}, "insertions must be bool of shape"),
        ({"elements": np.full(60, 12)}, "elements must lie between 0 and 11"),
        ({"elements": np.zeros(60)}, "elements must be int64"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(method, changes, message):
    stream = SimpleNamespace(**{**vars(make_stream(11)), **changes})
    with pytest.raises(ValueError, match=message):
        run(method, stream, cardinality=2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cardinality": 0}, "cardinality must be an integer between 1 and 12, not 0"),
        ({"cardinality": 13}, "cardinality must be an integer between 1 and 12, not 13"),
        ({"cardinality": 2.0}, "cardinality must be an integer"),
        ({"cardinality": 2, "every": 61}, "every must be an integer between 1 and 60, not 61"),
    ],
)
def test_options_out_of_range_are_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        run(method, make_stream(12), **options)


@pytest.mark.parametrize("method", [dynamic_submodular, sieve_streaming])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, np.nan])
def test_an_epsilon_that_promises_nothing_is_refused(method, epsilon):
    with pytest.raises(ValueError, match="epsilon must lie between 0 and"):
        run(method, make_stream(13), cardinality=2, epsilon=epsilon)


def test_the_class_refuses_what_is_not_finite_and_what_is_there_already():
    stream = make_stream(14)
    maximiser = DynamicSubmodular(stream.benefits, cardinality=2, random=np.random.default_rng(0))
    maximiser.apply(np.array([3]), np.array([True]))
    with pytest.raises(ValueError, match="update 0 inserts 3, which is present"):
        maximiser.apply(np.array([3]), np.array([True]))
    stream.benefits.data[0] = np.nan
    with pytest.raises(ValueError, match="benefits must be finite"):
        DynamicSubmodular(stream.benefits, cardinality=2, random=np.random.default_rng(0))


def test_too_many_subsets_are_refused():
    with pytest.raises(ValueError, match="at most 1000000 subsets"):
        enumerated_optimum(make_stream(15, size=100), cardinality=50)


def test_a_random_subset_is_worth_no_more_than_the_optimum_and_changes():
    stream = make_stream(16)
    drawn = run(random_subset, stream, cardinality=3).value
    assert (drawn <= enumerated_optimum(stream, cardinality=3).value).all()
    other = random_subset(stream, cardinality=3, random=np.random.default_rng(1)).value
    assert not np.array_equal(drawn, other)
