import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from kernels.online.optimal_design import g_optimal_design


def leverages(arms, weights):
    return np.einsum("ij,ij->i", arms @ np.linalg.pinv(arms.T @ (weights[:, None] * arms), hermitian=True), arms)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(8, 60), st.sampled_from([2.0, 1.1]))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_greatest_leverage_is_within_the_slack_of_the_rank(seed, dimension, count, slack):
    arms = np.random.default_rng(seed).standard_normal((count, dimension)) ** 3
    weights = g_optimal_design(arms, slack=slack)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0.0).all()
    assert leverages(arms, weights).max() <= slack * dimension * (1 + 1e-6)


def test_the_determinant_is_that_of_a_numerical_optimum():
    arms = np.random.default_rng(3).standard_normal((12, 3))

    def objective(logits):
        return -np.linalg.slogdet(arms.T @ (softmax(logits)[:, None] * arms))[1]

    best = -minimize(objective, np.zeros(12), method="BFGS").fun
    weights = g_optimal_design(arms, slack=1.0001)
    assert np.linalg.slogdet(arms.T @ (weights[:, None] * arms))[1] == pytest.approx(best, abs=1e-3)


def test_the_design_of_a_simplex_is_uniform():
    np.testing.assert_allclose(g_optimal_design(np.eye(5), slack=1.01), 0.2)


def test_arms_in_a_subspace_have_a_design_of_its_rank():
    random = np.random.default_rng(0)
    arms = random.standard_normal((50, 3)) @ random.standard_normal((3, 9))
    weights = g_optimal_design(arms, slack=1.5)
    assert leverages(arms, weights).max() <= 4.5 * (1 + 1e-6)
    assert np.count_nonzero(weights) >= 3


@pytest.mark.parametrize("dimension", [5, 20, 40])
def test_at_a_factor_of_two_the_design_has_no_more_arms_than_todds_bound(dimension):
    arms = np.random.default_rng(1).standard_normal((2000, dimension))
    support = np.count_nonzero(g_optimal_design(arms))
    assert support <= 4 * dimension * np.log(np.log(dimension)) + 16


@pytest.mark.parametrize("slack", [1.0, 0.5, np.nan, np.inf])
def test_a_slack_that_cannot_be_reached_is_refused(slack):
    with pytest.raises(ValueError, match="slack must be"):
        g_optimal_design(np.eye(3), slack=slack)


def test_arms_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match="all be zero"):
        g_optimal_design(np.zeros((4, 3)))
