"""The bandits of the textbooks: uniform choice, epsilon-greedy and UCB1. They ignore the context."""

import math

import numpy as np

from kernels.online.bandit import Bandit, Vector


class UniformRandom(Bandit):
    """Every arm with the same probability, whatever it costs."""

    def probabilities(self, context: float) -> Vector:  # noqa: ARG002 - the signature of a bandit
        """The uniform distribution, shape (arms,), float64."""
        return np.full(self.arms, 1.0 / self.arms)

    def learn(self, arm: int, context: float, excess: float) -> None:
        """Nothing is learned."""


class _MeanCosts(Bandit):
    """Keeps the mean cost of every arm and prefers one; each is played once before."""

    def __init__(self, arms: int, *, least_cost: float = 0.0) -> None:
        super().__init__(arms, least_cost=least_cost)
        self._plays = np.zeros(arms)
        self._totals = np.zeros(arms)

    def learn(self, arm: int, context: float, excess: float) -> None:  # noqa: ARG002 - the signature of a bandit
        """Take in what an arm cost beyond the least cost."""
        self._plays[arm] += 1.0
        self._totals[arm] += excess

    def _preferred(self) -> int:
        unplayed = self._plays == 0.0
        return int(unplayed.argmax() if unplayed.any() else self._scores(self._totals / self._plays).argmin())

    def _scores(self, means: Vector) -> Vector:
        return means


class EpsilonGreedy(_MeanCosts):
    """The arm with the least mean cost, but one drawn uniformly in a share ``epsilon`` of the rounds.

    Parameters
    ----------
    arms : int
    epsilon : float
        Between 0 and 1.
    least_cost : float
        As for :class:`~kernels.online.bandit.Bandit`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    R. Sutton, A. Barto, "Reinforcement Learning", 2nd ed., 2018, section 2.4.
    """

    def __init__(self, arms: int, *, epsilon: float = 0.1, least_cost: float = 0.0) -> None:
        super().__init__(arms, least_cost=least_cost)
        if not 0.0 <= epsilon <= 1.0:
            raise ValueError(f"epsilon must lie between 0 and 1, not {epsilon}")
        self.epsilon = epsilon

    def probabilities(self, context: float) -> Vector:  # noqa: ARG002 - the signature of a bandit
        """Epsilon shared by all arms, the rest on the preferred one; shape (arms,), float64."""
        probabilities = np.full(self.arms, self.epsilon / self.arms)
        probabilities[self._preferred()] += 1.0 - self.epsilon
        return probabilities


class UCB1(_MeanCosts):
    """The arm whose cost may yet be the least: its mean minus a confidence radius.

    UCB1 is made for rewards in [0, 1]; costs are divided by the greatest seen.

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
    P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine Learning 47,
    2002, figure 1.
    """

    def __init__(self, arms: int, *, least_cost: float = 0.0) -> None:
        super().__init__(arms, least_cost=least_cost)
        self._greatest = 0.0

    def probabilities(self, context: float) -> Vector:  # noqa: ARG002 - the signature of a bandit
        """All on one arm; shape (arms,), float64."""
        probabilities = np.zeros(self.arms)
        probabilities[self._preferred()] = 1.0
        return probabilities

    def learn(self, arm: int, context: float, excess: float) -> None:
        """Take in what an arm cost beyond the least cost."""
        super().learn(arm, context, excess)
        self._greatest = max(self._greatest, excess)

    def _scores(self, means: Vector) -> Vector:
        radius: Vector = np.sqrt(2.0 * math.log(self._plays.sum()) / self._plays)
        return means - self._greatest * radius
