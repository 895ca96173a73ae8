"""What every bandit does: choose an arm, pay its cost, learn from that cost alone."""

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.validation import check_count

Vector = NDArray[np.float64]
Interval = tuple[float, float]


class Bandit(ABC):
    """Chooses one of several arms a round and learns from the cost of that arm, never seeing those of the others.

    Every round is one :meth:`choose` and one :meth:`update`; importance weights are those of the latest state.

    Parameters
    ----------
    arms : int
        The number of arms, at least 1.
    least_cost : float
        What every cost is known to be at least, such as 1 for a count of iterations. What is learned from is the cost
        beyond it. Costs need no upper bound: each bandit scales them by those it has seen.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, arms: int, *, least_cost: float = 0.0) -> None:
        check_count("arms", arms, least=1)
        if not math.isfinite(least_cost):
            raise ValueError(f"least_cost must be finite, not {least_cost}")
        self.arms = arms
        self.least_cost = least_cost

    @abstractmethod
    def probabilities(self, context: float) -> Vector:
        """The distribution that the next arm is drawn from, shape (arms,), float64."""

    @abstractmethod
    def learn(self, arm: int, context: float, excess: float) -> None:
        """Take in what an arm cost beyond the least cost; the arguments are checked."""

    def choose(self, context: float, random: np.random.Generator) -> int:
        """Draw an arm for a context; one uniform number is taken from ``random``.

        Raises
        ------
        ValueError
            If the context is not one the bandit is made for.
        """
        cumulative = np.cumsum(self.probabilities(context))
        return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))

    def update(self, arm: int, context: float, cost: float) -> None:
        """Learn what the arm chosen for a context cost.

        Raises
        ------
        ValueError
            If there is no such arm, the cost is not finite or below ``least_cost``, or the context is not one the
            bandit is made for.
        """
        check_count("arm", arm, 0, self.arms - 1)
        if not self.least_cost <= cost < math.inf:
            raise ValueError(f"cost must be finite and at least least_cost={self.least_cost}, not {cost}")
        self.learn(arm, context, cost - self.least_cost)


class ContextualBandit(Bandit):
    """A bandit whose choice depends on a context, a number in an interval.

    Parameters
    ----------
    arms : int
    interval : tuple of two floats
        The least and the greatest context.
    least_cost : float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, arms: int, interval: Interval, *, least_cost: float = 0.0) -> None:
        super().__init__(arms, least_cost=least_cost)
        lower, upper = interval
        if not -math.inf < lower < upper < math.inf:
            raise ValueError(f"interval must be two finite numbers in ascending order, not {interval}")
        self.interval = interval

    def fraction(self, context: float) -> float:
        """Where a context lies in the interval, from 0 to 1.

        Raises
        ------
        ValueError
            If it lies outside.
        """
        lower, upper = self.interval
        if not lower <= context <= upper:
            raise ValueError(f"context must lie in the interval from {lower} to {upper}, not {context}")
        return (context - lower) / (upper - lower)
