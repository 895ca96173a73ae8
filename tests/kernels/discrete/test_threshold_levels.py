import itertools
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from update_streams import toggles

from kernels.discrete.facility_location import facility_location, values_alone
from kernels.discrete.threshold_levels import GROWTH, NONE, empty_levels, follow


def value_of(benefits, subset):
    return float(benefits[list(subset)].max(axis=0).sum()) if len(subset) else 0.0


def gain_of(benefits, subset, element):
    return value_of(benefits, [*subset, element]) - value_of(benefits, subset)


def levels_for(benefits, threshold, cardinality, epsilon=0.2, single_pivot=False):
    function = facility_location(sp.csr_array(benefits))
    levels = empty_levels(
        values_alone(function),
        benefits.shape[1],
        threshold=threshold,
        cardinality=cardinality,
        epsilon=epsilon,
        single_pivot=single_pivot,
    )
    return function, levels


def apply(levels, function, elements, insertions, random):
    values, guesses = np.zeros(len(elements)), np.zeros(len(elements), np.int64)
    follow(levels, function, np.asarray(elements), np.asarray(insertions), random, values, guesses, 7)
    return values, guesses


def check_invariants(levels, benefits, live):
    top, k = levels.top[0], levels.cardinality
    prefixes = levels.prefix[: top + 1]
    assert prefixes[0] == 0
    assert (np.diff(prefixes) > 0).all()
    picks = levels.pick[: prefixes[-1]]
    for i in range(top + 1):
        solution = picks[: prefixes[i]]
        expected = benefits[solution].max(axis=0) if solution.size else np.zeros(benefits.shape[1])
        np.testing.assert_array_equal(levels.best[i], expected)
    for i in range(1, top + 1):
        sample = picks[prefixes[i - 1] : prefixes[i]]
        assert (levels.sampled[sample] == i).all()
        assert levels.lost[i] == (~live[sample]).sum() < levels.epsilon * sample.size
        assert levels.added[i - 1] <= GROWTH * levels.built[i - 1]
    assert (levels.sampled > 0).sum() == picks.size
    ruled_in = (levels.single >= levels.threshold) & (levels.single <= 2 * k * levels.threshold)
    listed = {depth: linked(levels, depth) for depth in range(top + 1)}
    assert sorted(itertools.chain(*listed.values())) == np.flatnonzero(live & ruled_in).tolist()
    last = top - 1 if prefixes[-1] == k else top
    for depth, members in listed.items():
        for element in members:
            assert levels.depth[element] == depth
            if levels.sampled[element]:
                assert levels.sampled[element] == depth + 1
            gains = [gain_of(benefits, picks[: prefixes[i]], element) for i in range(last + 1)]
            assert depth == max(i for i, gain in enumerate(gains) if gain >= levels.threshold)
    assert prefixes[-1] == k or not listed[top]  # full, or nothing is left to gain
    assert levels.value[0] == value_of(benefits, picks[live[picks]])


def linked(levels, depth):
    members, before, element = [], NONE, levels.head[depth]
    while element != NONE:
        assert levels.before[element] == before
        members.append(element)
        before, element = element, levels.after[element]
    return members


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 6]), st.booleans(), st.sampled_from([2.0, 3.0, 5.0]))
@settings(max_examples=30, derandomize=True)
def test_every_level_satisfies_its_definition_after_every_update(seed, cardinality, single_pivot, threshold):
    random = np.random.default_rng(seed)
    benefits = (random.random((20, 40)) < random.uniform(0.05, 0.3, (20, 1))).astype(float)
    function, levels = levels_for(benefits, threshold, cardinality, single_pivot=single_pivot)
    live = np.zeros(20, bool)
    for element, inserted in zip(*toggles(random, 20, 80), strict=True):
        live[element] = inserted
        apply(levels, function, [element], [inserted], random)
        check_invariants(levels, benefits, live)


def test_levels_of_many_elements_and_large_batches_satisfy_their_definition():
    random = np.random.default_rng(5)
    benefits = (random.random((400, 800)) < 0.01).astype(float)
    function, levels = levels_for(benefits, 4.0, 30)
    live = np.ones(400, bool)
    apply(levels, function, np.arange(400), live, random)
    check_invariants(levels, benefits, live)
    assert np.diff(levels.prefix[: levels.top[0] + 1]).max() >= 5
    for block in random.permutation(400)[:150].reshape(15, 10):  # a sample survives the loss of less than epsilon
        apply(levels, function, block, np.zeros(10, bool), random)
        live[block] = False
        check_invariants(levels, benefits, live)


def test_what_comes_back_before_its_level_is_rebuilt_is_in_the_solution_again():
    function, levels = levels_for(np.eye(40), 1.0, 20)
    random = np.random.default_rng(0)
    apply(levels, function, np.arange(40), np.ones(40, bool), random)
    picks = levels.pick.copy()
    sample = picks[levels.prefix[0] : levels.prefix[1]]
    assert sample.size > 5
    values, _ = apply(levels, function, [sample[0], sample[0]], [False, True], random)
    assert values.tolist() == [19.0, 20.0]
    np.testing.assert_array_equal(levels.pick, picks)


def test_elements_that_do_not_overlap_are_sampled_in_one_batch():
    function, levels = levels_for(np.eye(300), 1.0, 20)
    apply(levels, function, np.arange(300), np.ones(300, bool), np.random.default_rng(0))
    assert levels.prefix[1] == levels.prefix[levels.top[0]] == 20


def test_of_copies_a_single_one_is_sampled():
    function, levels = levels_for(np.ones((300, 4)), 1.0, 20)
    apply(levels, function, np.arange(300), np.ones(300, bool), np.random.default_rng(0))
    assert levels.prefix[: levels.top[0] + 1].tolist() == [0, 1]


def test_single_pivots_sample_one_element_a_level():
    function, levels = levels_for(np.eye(300), 1.0, 20, single_pivot=True)
    apply(levels, function, np.arange(300), np.ones(300, bool), np.random.default_rng(0))
    assert levels.prefix.tolist() == list(range(21))


def test_what_the_guess_rules_out_is_no_candidate():
    function, levels = levels_for(np.diag([0.9, 1.0, 4.0, 4.1]), 1.0, 2)
    apply(levels, function, np.arange(4), np.ones(4, bool), np.random.default_rng(0))
    assert sorted(levels.pick.tolist()) == [1, 2]


def test_a_better_guess_replaces_the_values_of_those_before():
    function, levels = levels_for(np.eye(3), 1.0, 2)
    values, guesses = np.array([5.0, 0.5, 2.0]), np.zeros(3, np.int64)
    random = np.random.default_rng(0)
    follow(levels, function, np.arange(3), np.ones(3, bool), random, values, guesses, 7)
    assert values.tolist() == [5.0, 2.0, 2.0]
    assert guesses.tolist() == [0, 7, 0]


def test_the_first_element_costs_one_call_and_one_that_is_too_small_none():
    function, levels = levels_for(np.diag([2.0, 0.5]), 1.0, 1)
    apply(levels, function, [0, 1], [True, True], np.random.default_rng(0))
    assert levels.calls[0] == 1  # the value of the solution; f of one element is known to the caller


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_a_batch_is_as_large_as_most_of_it_keeps_its_gain(epsilon):
    """Copies in 50 groups: of m random elements the last repeats a group with probability 1 - (1 - 1/50)^(m - 1)."""
    benefits = np.repeat(np.eye(50), 40, axis=0)
    function, levels = levels_for(benefits, 1.0, 50, epsilon=epsilon)
    apply(levels, function, np.arange(2000), np.ones(2000, bool), np.random.default_rng(1))
    # the first level with all its candidates was built from at least 2/3 of them
    expected = 1 + math.log(1 - epsilon) / math.log(1 - 1 / 50)
    assert 0.4 * expected <= levels.prefix[1] <= 1.8 * expected
