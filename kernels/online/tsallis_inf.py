"""Tsallis-INF: the bandit that is optimal for stochastic and for adversarial costs alike."""

import math

import numpy as np
from numba import njit

from kernels.online.bandit import Bandit, Vector


class TsallisInf(Bandit):
    """Follow the leader, regularised by Tsallis entropy of order 1/2, on importance-weighted costs.

    Costs are divided by their running mean: the learning rate 2 / sqrt(t) is made for costs of order 1, and with raw
    iteration counts it would hardly explore. The context is ignored.

    Parameters
    ----------
    arms : int
    least_cost : float
        As for :class:`~kernels.online.bandit.Bandit`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] J. Zimmert, Y. Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", JMLR 22,
       2021, algorithm 1 with importance weighting.
    .. [2] M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar, "Learning to relax", ICLR 2024: the scaling of the costs.
    """

    def __init__(self, arms: int, *, least_cost: float = 0.0) -> None:
        super().__init__(arms, least_cost=least_cost)
        self._estimates = np.zeros(arms)
        self._total = 0.0
        self._rounds = 0
        self._probabilities = np.full(arms, 1.0 / arms)

    def probabilities(self, context: float) -> Vector:  # noqa: ARG002 - the signature of a bandit
        """The distribution that the next arm is drawn from, shape (arms,), float64."""
        return self._probabilities

    def learn(self, arm: int, context: float, excess: float) -> None:  # noqa: ARG002 - the signature of a bandit
        """Take in what an arm cost beyond the least cost."""
        self._rounds += 1
        self._total += excess
        self._estimates[arm] += excess / self._probabilities[arm]
        if self._total > 0.0:
            scale = self._total / self._rounds
            self._probabilities = tsallis_distribution(self._estimates / scale, 2.0 / math.sqrt(self._rounds + 1))


@njit(cache=True)
def tsallis_distribution(losses: Vector, learning_rate: float) -> Vector:
    """The distribution p_i = 4 / (learning_rate * (losses_i - z))^2, z < min(losses) such that it sums to 1.

    The sum is convex and decreasing in the distance of z from the least loss. It is at least 1 where that distance is
    2 / learning_rate, so that Newton's method, started there, climbs to the root without ever passing it.

    Parameters
    ----------
    losses : ndarray, shape (arms,), float64
        Finite.
    learning_rate : float
        Positive.

    Returns
    -------
    ndarray, shape (arms,), float64
    """
    gaps = 0.5 * learning_rate * (losses - losses.min())
    distance, step = 1.0, 1.0
    while step > 4.0 * np.finfo(np.float64).eps * distance:
        inverse = 1.0 / (gaps + distance)
        step = 0.5 * ((inverse**2).sum() - 1.0) / (inverse**3).sum()
        distance += step
    weights = (gaps + distance) ** -2
    normalised: Vector = weights / weights.sum()
    return normalised
