import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebvander
from scipy.optimize import lsq_linear

from kernels.online.chebcb import ChebCB, inverse_gap_weighting


def observe(bandit, contexts, costs, arm=0):
    for context, cost in zip(contexts, costs, strict=True):
        bandit.update(arm, context, cost)


def features(contexts, terms, interval=(0.0, 1.0)):
    lower, upper = interval
    return chebvander(2.0 * (np.asarray(contexts) - lower) / (upper - lower) - 1.0, terms - 1)


def test_a_polynomial_cost_is_fitted_exactly():
    bandit = ChebCB(2, (-1.0, 3.0), terms=4)
    contexts = np.linspace(-1.0, 3.0, 12)
    costs = 40.0 + 3.0 * contexts - contexts**2
    observe(bandit, contexts, costs)
    expected = np.linalg.lstsq(features(contexts, 4, (-1.0, 3.0)), costs, rcond=None)[0]
    np.testing.assert_allclose(bandit._coefficients[0], expected, atol=1e-10)


@pytest.mark.parametrize("count", [1, 3, 6, 40])
def test_the_fit_is_the_bounded_least_squares_of_all_observations(count):
    random = np.random.default_rng(count)
    contexts, costs = random.random(count), random.integers(10, 60, count).astype(float)
    bandit = ChebCB(3, (0.0, 1.0), terms=5)
    observe(bandit, contexts, costs, arm=1)
    spread = np.ptp(costs)
    bounds = np.r_[costs.max(), 2.0 * max(spread, 1e-12) / np.arange(1, 5)]
    matrix = features(contexts, 5)
    expected = lsq_linear(matrix, costs, (-bounds, bounds), tol=1e-12).x
    actual = bandit._coefficients[1]
    assert (np.abs(actual) <= bounds * (1 + 1e-9)).all()
    assert np.linalg.norm(matrix @ actual - costs) == pytest.approx(np.linalg.norm(matrix @ expected - costs), abs=1e-5)


def test_of_many_fits_the_one_of_least_norm_is_taken():
    bandit = ChebCB(1, (0.0, 1.0), terms=5)
    observe(bandit, [0.2, 0.6], [60.0, 100.0])
    expected = np.linalg.pinv(features([0.2, 0.6], 5)) @ [60.0, 100.0]
    np.testing.assert_allclose(bandit._coefficients[0], expected, atol=1e-12)


def test_wild_fits_are_held_within_their_bounds():
    bandit = ChebCB(1, (0.0, 1.0), terms=6)
    observe(bandit, [0.5, 0.5 + 1e-5, 0.5 + 2e-5], [10.0, 90.0, 10.0])
    assert (np.abs(bandit._coefficients[0]) <= np.r_[90.0, 160.0 / np.arange(1, 6)] * (1 + 1e-9)).all()


def test_a_wider_range_of_costs_refits_the_arms_that_were_bounded():
    contexts, costs = [0.1, 0.12, 0.9], [10.0, 14.0, 12.0]
    bandit = ChebCB(2, (0.0, 1.0), terms=6)
    observe(bandit, contexts, costs)
    tight = bandit._coefficients[0].copy()
    bandit.update(1, 0.5, 1000.0)
    free = np.linalg.pinv(features(contexts, 6)) @ costs
    np.testing.assert_allclose(bandit._coefficients[0], free, rtol=1e-8)
    assert not np.allclose(tight, free)


def test_the_learning_rate_is_the_formula():
    bandit = ChebCB(3, (0.0, 1.0), terms=4)
    observe(bandit, [0.5], [8.0])
    bandit.update(1, 0.5, 20.0)
    squared_error = 8.0**2 + 20.0**2
    alpha = (np.pi + 2.0 / np.pi * np.log(9.0)) * 12.0 / (2.0 * 5.0)
    expected = 2.0 * 2 * np.sqrt(3 * 2 / (squared_error + 2.0 * alpha**2 * 2))
    predicted = bandit._coefficients @ features([0.5], 4)[0]
    np.testing.assert_allclose(bandit.probabilities(0.5), inverse_gap_weighting(predicted, expected))


@pytest.mark.parametrize("rate", [0.0, 0.5, 1e6])
def test_inverse_gap_weighting_favours_the_least_prediction(rate):
    predicted = np.array([3.0, 1.0, 2.0, 1.5])
    probabilities = inverse_gap_weighting(predicted, rate)
    assert probabilities.sum() == pytest.approx(1.0)
    others = predicted > 1.0
    np.testing.assert_allclose(probabilities[others], 1.0 / (4.0 + rate * (predicted[others] - 1.0)))
    assert probabilities[1] >= 0.25


def test_too_few_terms_are_refused():
    with pytest.raises(ValueError, match="terms must be an integer at least 1, not 0"):
        ChebCB(3, (0.0, 1.0), terms=0)
