import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from update_streams import live_sets, make_stream

from kernels.discrete.greedy_streams import lazy_greedy
from kernels.discrete.sieve_streaming import sieve_streaming


def plain_greedy(benefits, live, k):
    best, total = np.zeros(benefits.shape[1]), 0.0
    rest = sorted(live)
    for _ in range(min(k, len(rest))):
        gains = np.maximum(benefits[rest] - best, 0.0).sum(axis=1)
        chosen = rest.pop(int(gains.argmax()))
        total += gains.max()
        best = np.maximum(best, benefits[chosen])
    return total


def plain_sieve(benefits, arrived, k, guess):
    best, chosen = np.zeros(benefits.shape[1]), []
    for element in arrived:
        alone = benefits[element].sum()
        needed = (guess / 2 - best.sum()) / (k - len(chosen)) if len(chosen) < k else math.inf
        if guess / (2 * k) <= alone <= guess and np.maximum(benefits[element] - best, 0.0).sum() >= needed:
            chosen.append(element)
            best = np.maximum(best, benefits[element])
    return best.sum()


@given(st.builds(make_stream, st.integers(0, 10**6)), st.sampled_from([1, 4, 12]), st.booleans())
@settings(max_examples=30, derandomize=True)
def test_lazy_greedy_is_greedy_after_every_update(stream, k, incremental):
    benefits = stream.benefits.toarray()
    expected = [plain_greedy(benefits, live, k) for live in live_sets(stream)]
    np.testing.assert_array_equal(lazy_greedy(stream, cardinality=k, incremental=incremental).value, expected)


@given(st.builds(make_stream, st.integers(0, 10**6), fractional=st.just(True)), st.sampled_from([2, 5]))
@settings(max_examples=20, derandomize=True)
def test_keeping_picks_changes_no_solution_and_saves_calls(stream, k):
    afresh = lazy_greedy(stream, cardinality=k)
    kept = lazy_greedy(stream, cardinality=k, incremental=True)
    np.testing.assert_array_equal(kept.value, afresh.value)
    np.testing.assert_allclose(
        afresh.value, [plain_greedy(stream.benefits.toarray(), live, k) for live in live_sets(stream)], rtol=1e-12
    )
    assert kept.work["oracle_calls"] <= afresh.work["oracle_calls"]


def test_greedy_evaluates_elements_alone_once_and_for_one_pick_nothing_else():
    stream = make_stream(0)
    assert lazy_greedy(stream, cardinality=1).work["oracle_calls"] == np.unique(stream.elements).size


def test_laziness_leaves_most_elements_alone():
    """One element far above the rest, which do not overlap: each further pick is the first that is looked at."""
    benefits = sp.csr_array(np.diag(np.arange(50.0, 0.0, -1.0)))
    stream = SimpleNamespace(benefits=benefits, elements=np.arange(50), insertions=np.ones(50, bool))
    calls = [lazy_greedy(stream, cardinality=k).work["oracle_calls"] for k in (1, 3)]
    assert calls == [50, 50 + 1 + 2 * 48]  # one call a further pick, once there are enough elements


@pytest.mark.parametrize("k", [1, 3, 6])
def test_without_deletions_a_sieve_is_the_textbooks(k):
    random = np.random.default_rng(k)
    stream = make_stream(k)
    order = random.permutation(12)
    stream.elements, stream.insertions = order, np.ones(12, bool)
    benefits = stream.benefits.toarray()
    alone = benefits.sum(axis=1)
    alone = alone[alone > 0.0]
    exponents = range(
        math.floor(math.log(alone.min()) / math.log1p(0.2)),
        math.ceil(math.log(2 * k * alone.max()) / math.log1p(0.2)) + 1,
    )
    expected = [
        max(plain_sieve(benefits, order[: count + 1], k, 1.2**exponent) for exponent in exponents)
        for count in range(12)
    ]
    np.testing.assert_allclose(sieve_streaming(stream, cardinality=k).value, np.maximum.accumulate(expected))


def test_deleting_what_no_sieve_holds_costs_nothing_and_deleting_what_one_holds_restarts_it():
    benefits = sp.csr_array(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))

    def followed(*updates):
        elements, insertions = (
            np.array(updates),
            np.array([updates[:i].count(e) % 2 == 0 for i, e in enumerate(updates)]),
        )
        return sieve_streaming(
            SimpleNamespace(benefits=benefits, elements=elements, insertions=insertions), cardinality=1
        )

    inserted = followed(0, 1, 2)
    assert followed(0, 1, 2, 1).work["oracle_calls"] == inserted.work["oracle_calls"]
    assert followed(0, 1, 2, 0).value[-1] == 2.0
    assert followed(0, 1, 2, 0, 1, 2).value.tolist() == [2.0, 2.0, 2.0, 2.0, 2.0, 0.0]
