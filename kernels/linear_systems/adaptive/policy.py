"""A bandit for costs that have a known lower bound: optimism decides what is worth a try.

Solving the same kind of system twice costs nearly the same, and of every solver something is known before its first
run: what it costs at the very least. An arm whose least cost exceeds what another arm is known to cost is never tried,
which is what keeps exploration cheap where some arms are a hundred times dearer than others.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

# The standard deviation of a cost, as a share of its mean, that counts as one observation beside those made.
PRIOR_SPREAD = 0.1


@dataclass(slots=True)
class _Record:
    """The costs of one arm in one context: how many, their mean and their summed squared deviations (Welford)."""

    count: int = 0
    mean: float = 0.0
    deviations: float = 0.0

    def add(self, cost: float) -> None:
        self.count += 1
        change = cost - self.mean
        self.mean += change / self.count
        self.deviations += change * (cost - self.mean)

    def lower_confidence_bound(self, rounds: int) -> float:
        variance = ((PRIOR_SPREAD * self.mean) ** 2 + self.deviations) / self.count
        return self.mean - math.sqrt(2.0 * math.log(rounds) * variance / self.count)


class OptimisticPolicy:
    """Choose the arm of the least lower confidence bound; each context learns for itself.

    The index is UCB1-Normal's in spirit, for costs, with their known least cost as the bound of an arm that was not
    tried yet. Choices are deterministic.

    References
    ----------
    P. Auer, N. Cesa-Bianchi and P. Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine Learning
    47, 2002: UCB1, UCB1-NORMAL.
    """

    def __init__(self) -> None:
        self._records: dict[Hashable, dict[str, _Record]] = {}

    def choose(self, context: Hashable, least_costs: Mapping[str, float]) -> str:
        """One of the arms that have a least cost; of equals the first.

        Raises
        ------
        ValueError
            If there is no arm.
        """
        if not least_costs:
            raise ValueError("least_costs is empty: there is no arm to choose")
        records = self._records.get(context, {})
        rounds = 1 + sum(record.count for record in records.values())

        def bound(arm: str) -> float:
            record = records.get(arm)
            least = least_costs[arm]
            return least if record is None else max(least, record.lower_confidence_bound(rounds))

        return min(least_costs, key=bound)

    def update(self, context: Hashable, arm: str, cost: float) -> None:
        """Take in what an arm cost.

        Raises
        ------
        ValueError
            If the cost is negative or not finite.
        """
        if not (math.isfinite(cost) and cost >= 0.0):
            raise ValueError(f"cost must be a finite number that is not negative, not {cost}")
        self._records.setdefault(context, {}).setdefault(arm, _Record()).add(cost)
