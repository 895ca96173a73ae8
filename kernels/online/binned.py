"""A context in bins: one bandit for each."""

from collections.abc import Sequence

from kernels.online.bandit import Bandit, ContextualBandit, Interval, Vector


class Binned(ContextualBandit):
    """One bandit for each of several bins of equal width; with Tsallis-INF in them, the paper's Tsallis-INF-CB.

    Parameters
    ----------
    bandits : sequence of Bandit
        One for each bin, at least one; all with the same number of arms and the same ``least_cost``.
    interval : tuple of two floats
        The least and the greatest context.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """

    def __init__(self, bandits: Sequence[Bandit], interval: Interval) -> None:
        kinds = {(bandit.arms, bandit.least_cost) for bandit in bandits}
        if len(kinds) != 1:
            raise ValueError(f"bandits must all have the same arms and least_cost, not {sorted(kinds)}")
        ((arms, least_cost),) = kinds
        super().__init__(arms, interval, least_cost=least_cost)
        self._bandits = tuple(bandits)

    def probabilities(self, context: float) -> Vector:
        """The distribution of the bin that the context lies in, shape (arms,), float64."""
        return self._bandit(context).probabilities(context)

    def learn(self, arm: int, context: float, excess: float) -> None:
        """Hand the cost to the bandit of the bin."""
        self._bandit(context).learn(arm, context, excess)

    def _bandit(self, context: float) -> Bandit:
        count = len(self._bandits)
        return self._bandits[min(int(count * self.fraction(context)), count - 1)]
