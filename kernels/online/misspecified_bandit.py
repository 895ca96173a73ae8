"""What the methods for misspecified linear bandits share: the instance, the queries that they pay for, the result."""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.budget import Budget
from kernels.linear_systems.validation import check_count, check_vector
from kernels.result import Result, Status

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]

LONGEST_HISTORY = 256
_ROUNDING = 1e-9


class MisspecifiedBandit(Protocol):
    """Arms whose rewards are linear but for a bounded error: r(a) = <a, theta> + eta(a), |eta(a)| <= eps."""

    @property
    def arms(self) -> Matrix:
        """The features of the arms, one a row, shape (n, d), float64, of Euclidean norm at most 1."""
        ...

    @property
    def rewards(self) -> Vector:
        """The reward of every arm, shape (n,), float64; a method sees those that it queries."""
        ...

    @property
    def misspecification(self) -> float:
        """The bound eps on the error of the linear model."""
        ...

    @property
    def sparsity(self) -> int:
        """The most entries of theta that are not zero; its norm is at most 1."""
        ...


def check_bandit(bandit: MisspecifiedBandit) -> None:
    """Check that an instance is as :class:`MisspecifiedBandit` describes it; NaN and infinity are let through.

    Raises
    ------
    ValueError
        If it is not; the message names the attribute.
    """
    arms = bandit.arms
    if not isinstance(arms, np.ndarray) or arms.ndim != 2 or 0 in arms.shape or arms.dtype != np.float64:
        raise ValueError(f"arms must be a float64 array of shape (n, d), not empty, not of shape {np.shape(arms)}")
    check_vector("rewards", bandit.rewards, arms.shape[0])
    check_count("sparsity", bandit.sparsity, 1, arms.shape[1])
    if not 0.0 < bandit.misspecification < math.inf:
        raise ValueError(f"misspecification must be positive and finite, not {bandit.misspecification}")
    longest = np.einsum("ij,ij->i", arms, arms).max()
    if longest > 1.0 + _ROUNDING and math.isfinite(longest):
        raise ValueError(f"arms must have norms of at most 1, not {math.sqrt(longest)}")


def is_finite_bandit(bandit: MisspecifiedBandit) -> bool:
    """Whether neither arms nor rewards hold NaN or infinity."""
    return bool(np.isfinite(bandit.arms).all() and np.isfinite(bandit.rewards).all())


def not_finite() -> Result:
    """The result where the data hold NaN or infinity: no arm."""
    return Result(np.full(2, np.nan), Status.NOT_FINITE, np.empty(0), {"queries": 0.0})


class Queries:
    """The rewards a method has paid for. Rewards are free of noise, so an arm that was queried costs nothing again.

    Parameters
    ----------
    bandit : MisspecifiedBandit
        Finite.
    budget : Budget or None
        The limit of ``queries``; None if there is none.

    Attributes
    ----------
    best_reward : float
        The greatest reward seen, minus infinity before the first.

    Raises
    ------
    ValueError
        If the bandit is not as described, or the budget does not allow a single query.
    """

    def __init__(self, bandit: MisspecifiedBandit, budget: Budget | None = None) -> None:
        if budget is not None and budget.left("queries") < 1:
            raise ValueError(f"budget must leave at least one of queries, not {budget.left('queries')}")
        self._bandit = bandit
        self._budget = budget
        self._asked = np.zeros(bandit.rewards.size, dtype=bool)
        self._order: list[int] = []
        self.best_reward = -math.inf

    @property
    def arms(self) -> Indices:
        """The arms queried, in this order."""
        return np.array(self._order, dtype=np.intp)

    @property
    def left(self) -> int:
        """How many more arms can be queried."""
        unseen = self._asked.size - len(self._order)
        return unseen if self._budget is None else int(min(unseen, self._budget.left("queries")))

    def knows(self, arm: int) -> bool:
        """Whether an arm was queried."""
        return bool(self._asked[arm])

    def ask(self, arms: Indices) -> bool:
        """Query arms, each of which is charged once; False, and nothing is asked, where the budget does not suffice."""
        fresh = np.unique(arms[~self._asked[arms]])
        if fresh.size and self._budget is not None and not self._budget.spend(queries=fresh.size):
            return False
        self._asked[fresh] = True
        self._order.extend(fresh.tolist())
        self.best_reward = float(self._bandit.rewards[fresh].max(initial=self.best_reward))
        return True

    def rewards(self, arms: Indices) -> Vector:
        """The rewards of arms that were queried.

        Raises
        ------
        ValueError
            If one was not.
        """
        if not self._asked[arms].all():
            raise ValueError(f"arms must have been queried, not {arms[~self._asked[arms]].tolist()}")
        seen: Vector = self._bandit.rewards[arms]
        return seen

    def best(self) -> int:
        """The best arm seen, the first of several."""
        return self._order[int(self.rewards(self.arms).argmax())]

    def result(self, arm: int, status: Status, **work: float) -> Result:
        """The result of a method that settles on an arm it has queried.

        Its value is the arm's index and its reward in units of the misspecification; its history the best reward so
        far, in the same units, after each of the first queries.
        """
        unit = self._bandit.misspecification
        history = np.maximum.accumulate(self.rewards(self.arms[: LONGEST_HISTORY + 1])) / unit
        counts: Mapping[str, float] = {"queries": float(len(self._order)), **work}
        return Result(np.array([arm, self.rewards(np.array([arm]))[0] / unit]), status, history, counts)
