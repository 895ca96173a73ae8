import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.sketching.row_sampling import SCORES, RowSampler, inclusion_probabilities


def gaussian(rows=300, columns=4):
    return np.random.default_rng(0).standard_normal((rows, columns))


def sampler(scheme, p=1.0, matrix=None, seed=0):
    matrix = gaussian() if matrix is None else matrix
    return RowSampler(matrix, p, scheme=scheme, random=np.random.default_rng(seed))


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30), st.floats(0.01, 1.0))
def test_probabilities_sum_to_what_is_expected_and_go_as_the_scores_below_one(scores, share):
    scores = np.array(scores)
    scores[scores < 1e-6] = 0.0
    positive = np.count_nonzero(scores)
    if positive == 0:
        return
    expected = share * positive
    probabilities = inclusion_probabilities(scores, expected)
    assert probabilities.sum() == pytest.approx(expected)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    uncapped = (probabilities < 1) & (scores > 0)
    if uncapped.any():
        factors = probabilities[uncapped] / scores[uncapped]
        np.testing.assert_allclose(factors, factors[0], rtol=1e-9)
        assert (factors[0] * scores[(probabilities == 1) & (scores > 0)] >= 1 - 1e-9).all()


def test_more_rows_than_have_a_score_are_all_taken():
    np.testing.assert_array_equal(inclusion_probabilities(np.array([0.0, 2.0, 1e-9]), 2.5), [0.0, 1.0, 1.0])


@pytest.mark.parametrize("scheme", SCORES)
def test_a_sample_of_all_rows_has_weights_of_one(scheme):
    np.testing.assert_allclose(sampler(scheme).weights(300), 1.0)


@pytest.mark.parametrize("scheme", SCORES)
def test_a_sample_has_the_size_asked_for_and_is_unbiased_on_average(scheme):
    matrix = gaussian(100)
    costs = np.abs(matrix @ np.ones(4))
    drawn = [sampler(scheme, matrix=matrix, seed=seed).weights(30) for seed in range(60)]
    counts = [np.count_nonzero(weights) for weights in drawn]
    sums = [weights @ costs / costs.sum() for weights in drawn]
    assert np.mean(counts) == pytest.approx(30, abs=3)
    assert abs(np.mean(sums) - 1.0) < 4 * np.std(sums) / np.sqrt(len(sums))


@pytest.mark.parametrize("scheme", ["sensitivity", "lewis", "uniform"])
def test_larger_samples_contain_smaller_ones(scheme):
    drawn = sampler(scheme)
    small, large = (drawn.weights(rows) > 0 for rows in (30, 90))
    assert (large | ~small).all()
    assert large.sum() > small.sum()


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_sample_may_be_too_small_for_full_rank(rows):
    for seed in range(20):
        assert np.count_nonzero(sampler("root_leverage", seed=seed).weights(rows)) < 20


def test_rows_that_matter_are_in_every_sample_but_the_uniform_one():
    matrix = gaussian()
    matrix[:4] = 1e3 * np.eye(4)
    for seed in range(5):
        for scheme in ("sensitivity", "root_leverage", "lewis"):
            assert (sampler(scheme, matrix=matrix, seed=seed).weights(40)[:4] > 0).all()
    missed = [(sampler("uniform", matrix=matrix, seed=seed).weights(40)[:4] == 0).any() for seed in range(5)]
    assert any(missed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scheme": "leverages"}, "scheme must be one of sensitivity"),
        ({"scheme": "root_leverage", "p": 2.0}, "p must be less than 2"),
        ({"scheme": "uniform", "p": 0.0}, "p must be finite and at least 1"),
        ({"scheme": "lewis", "matrix": np.ones((9, 2))}, "linearly independent"),
    ],
)
def test_what_cannot_be_sampled_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        sampler(**arguments)


@pytest.mark.parametrize("rows", [0, 301, 2.5])
def test_sizes_that_no_sample_has_are_refused(rows):
    with pytest.raises(ValueError, match="rows must be an integer between 1 and 300"):
        sampler("uniform").weights(rows)
