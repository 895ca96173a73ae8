import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq

from kernels.online.tsallis_inf import TsallisInf, tsallis_distribution

losses_of_arms = arrays(np.float64, st.integers(1, 25), elements=st.floats(0.0, 1e6))


def bracketed(losses, rate):
    """The same distribution by bisection on the interval that always brackets z."""

    def weights(z):
        return 4.0 / (rate * (losses - z)) ** 2

    losses = losses - losses.min()
    left, right = -2.0 * np.sqrt(losses.size) / rate * (1 + 1e-12), -2.0 / rate * (1 - 1e-12)
    return weights(brentq(lambda z: weights(z).sum() - 1.0, left, right, xtol=1e-14, rtol=1e-14))


@given(losses_of_arms, st.floats(0.01, 2.0))
@settings(max_examples=60, derandomize=True)
def test_the_distribution_is_that_of_a_bracketed_root(losses, rate):
    np.testing.assert_allclose(tsallis_distribution(losses, rate), bracketed(losses, rate), rtol=1e-6, atol=1e-9)


@given(losses_of_arms, st.floats(0.001, 2.0))
@settings(max_examples=60, derandomize=True)
def test_a_lower_loss_never_has_a_lower_probability(losses, rate):
    probabilities = tsallis_distribution(losses, rate)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (np.diff(probabilities[np.argsort(losses)]) <= 0.0).all()


def test_it_minimises_the_regularised_loss():
    losses, rate = np.array([0.3, 0.0, 2.0, 0.7]), 0.8
    probabilities = tsallis_distribution(losses, rate)

    def objective(p):
        return p @ losses - 4.0 / rate * np.sqrt(p).sum()

    random = np.random.default_rng(0)
    assert all(objective(probabilities) < objective(other) for other in random.dirichlet(np.ones(4), 200))


def test_the_root_is_found_where_newton_from_minus_one_leaves_the_bracket():
    losses = np.r_[0.0, np.linspace(200.0, 5000.0, 19)]
    probabilities = tsallis_distribution(losses + 1e4, 2.0 / np.sqrt(1000.0))
    np.testing.assert_allclose(probabilities, bracketed(losses, 2.0 / np.sqrt(1000.0)), rtol=1e-8)


def test_costs_are_weighted_by_importance_and_scaled_by_their_mean():
    bandit = TsallisInf(2, least_cost=1.0)
    bandit.update(0, 0.0, 11.0)
    after_first = bracketed(np.array([10.0 / 0.5, 0.0]) / 10.0, 2.0 / np.sqrt(2.0))
    np.testing.assert_allclose(bandit.probabilities(0.0), after_first, rtol=1e-10)
    bandit.update(1, 0.0, 5.0)
    estimates = np.array([10.0 / 0.5, 4.0 / after_first[1]])
    np.testing.assert_allclose(bandit.probabilities(0.0), bracketed(estimates / 7.0, 2.0 / np.sqrt(3.0)), rtol=1e-10)


def test_regret_to_the_best_arm_grows_slower_than_the_rounds():
    means, random = np.array([0.5, 0.6, 0.7, 0.8]), np.random.default_rng(0)
    regrets = []
    for _ in range(10):
        bandit = TsallisInf(4)
        gaps = []
        for _ in range(4000):
            arm = bandit.choose(0.0, random)
            bandit.update(arm, 0.0, float(random.random() < means[arm]))
            gaps.append(means[arm] - 0.5)
        regrets.append(np.cumsum(gaps))
    early, late = np.mean(regrets, axis=0)[[499, 3999]]
    assert late < 4.0 * early


def test_it_finds_another_best_arm_after_the_costs_change():
    bandit, random = TsallisInf(3), np.random.default_rng(0)
    for best, rounds in ((0, 1000), (2, 3000)):
        for _ in range(rounds):
            arm = bandit.choose(0.0, random)
            bandit.update(arm, 0.0, 1.0 if arm == best else 10.0)
        assert bandit.probabilities(0.0).argmax() == best
