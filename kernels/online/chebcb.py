"""ChebCB: a contextual bandit that learns each arm's cost as a Chebyshev polynomial of the context."""

import math

import numpy as np
from scipy.optimize import lsq_linear

from kernels.linear_systems.validation import check_count
from kernels.online.bandit import ContextualBandit, Interval, Vector


class ChebCB(ContextualBandit):
    """Least squares on Chebyshev features, and inverse-gap weighting (SquareCB) of what they predict.

    The paper divides costs by a scale that grows with the greatest cost seen. In units of the costs themselves, used
    here, that scale cancels from the probabilities and from the fits, so that none has to be rescaled. The learning
    rate grows with t as in the authors' code; their theory fixes it beforehand.

    An arm's observations are kept as the triangular factor of its least-squares problem, to which each new one is
    appended: a round costs the same however many went before.

    Parameters
    ----------
    arms : int
    interval : tuple of two floats
        The least and the greatest context.
    terms : int
        The number of Chebyshev polynomials, those of degree 0 to ``terms - 1``; at least 1.
    least_cost : float
        As for :class:`~kernels.online.bandit.Bandit`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar, "Learning to relax: setting solver parameters across a
       sequence of linear system instances", ICLR 2024.
    .. [2] D. Foster, A. Rakhlin, "Beyond UCB: optimal and efficient contextual bandits with regression oracles", ICML
       2020: inverse-gap weighting.
    """

    def __init__(self, arms: int, interval: Interval, *, terms: int = 6, least_cost: float = 0.0) -> None:
        super().__init__(arms, interval, least_cost=least_cost)
        check_count("terms", terms, least=1)
        self._degrees = np.arange(terms)
        self._coefficients = np.zeros((arms, terms))
        self._triangles = np.zeros((arms, terms + 1, terms + 1))
        self._rounds = 0
        self._squared_error = 0.0
        self._least, self._greatest = math.inf, -math.inf
        self._learning_rate = 0.0

    def probabilities(self, context: float) -> Vector:
        """The distribution that the next arm is drawn from, shape (arms,), float64."""
        return inverse_gap_weighting(self._coefficients @ self._features(context), self._learning_rate)

    def learn(self, arm: int, context: float, excess: float) -> None:
        """Take in what an arm cost beyond the least cost."""
        features = self._features(context)
        self._rounds += 1
        self._squared_error += float(self._coefficients[arm] @ features - excess) ** 2
        observation = np.append(features, excess)
        self._triangles[arm] = np.linalg.qr(np.vstack([self._triangles[arm], observation]), mode="r")
        if self._least <= excess <= self._greatest:
            self._fit(arm)
        else:
            # The bounds on the coefficients, which are those of a function with costs in this range, have widened.
            self._least, self._greatest = min(excess, self._least), max(excess, self._greatest)
            for other in range(self.arms):
                self._fit(other)
        self._learning_rate = self._next_learning_rate()

    def _features(self, context: float) -> Vector:
        """T_0 .. T_(terms - 1) at the context, mapped to [-1, 1]."""
        point = min(1.0, 2.0 * self.fraction(context) - 1.0)
        features: Vector = np.cos(self._degrees * math.acos(point))
        return features

    def _fit(self, arm: int) -> None:
        """The coefficients of least squares within their bounds; those of least norm where many fit."""
        triangle, rotated_costs = self._triangles[arm, :-1, :-1], self._triangles[arm, :-1, -1]
        bounds = 2.0 * (self._greatest - self._least) / np.maximum(self._degrees, 1)
        bounds[0] = self._greatest + self.least_cost
        coefficients = np.linalg.lstsq(triangle, rotated_costs, rcond=None)[0]
        if (np.abs(coefficients) > bounds).any():
            # SciPy wants bounds that differ, which they do not while all costs are the same.
            bounds = np.maximum(bounds, np.finfo(np.float64).eps * np.abs(coefficients).max())
            coefficients = lsq_linear(triangle, rotated_costs, (-bounds, bounds), method="bvls").x
        self._coefficients[arm] = coefficients

    def _next_learning_rate(self) -> float:
        """2 t sqrt(arms t / (R + 2 alpha^2 t)): R the squared error of the predictions, alpha that of the expansion."""
        rounds, terms = self._rounds, self._degrees.size
        constant = math.pi + 2.0 / math.pi * math.log(2.0 * terms + 1.0)
        alpha = constant * (self._greatest - self._least) / (2.0 * (terms + 1.0))
        error = self._squared_error + 2.0 * alpha**2 * rounds
        return 2.0 * rounds * math.sqrt(self.arms * rounds / error) if error > 0.0 else 0.0


def inverse_gap_weighting(predicted: Vector, learning_rate: float) -> Vector:
    """Probabilities 1 / (arms + learning_rate * gap to the least predicted cost); the least takes what remains.

    Parameters
    ----------
    predicted : ndarray, shape (arms,), float64
    learning_rate : float
        Not negative; 0 gives the uniform distribution.

    Returns
    -------
    ndarray, shape (arms,), float64
    """
    best = predicted.argmin()
    probabilities: Vector = 1.0 / (predicted.size + learning_rate * (predicted - predicted[best]))
    probabilities[best] = 0.0
    probabilities[best] = 1.0 - probabilities.sum()
    return probabilities
