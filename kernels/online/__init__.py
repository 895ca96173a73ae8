"""Learning while working: bandits that choose one of several options a round and see the cost of that one alone."""

from collections.abc import Callable

from kernels.online.bandit import Bandit, ContextualBandit, Interval
from kernels.online.baselines import UCB1, EpsilonGreedy, UniformRandom
from kernels.online.binned import Binned
from kernels.online.chebcb import ChebCB
from kernels.online.tsallis_inf import TsallisInf

__all__ = [
    "BANDITS",
    "UCB1",
    "Bandit",
    "Binned",
    "ChebCB",
    "ContextualBandit",
    "EpsilonGreedy",
    "TsallisInf",
    "UniformRandom",
    "build_bandit",
]

BINS = 5  # as in the paper's repository


def build_bandit(name: str, arms: int, *, interval: Interval = (0.0, 1.0), least_cost: float = 0.0) -> Bandit:
    """Build a bandit by its name.

    Parameters
    ----------
    name : {"tsallis_inf", "binned_tsallis_inf", "chebcb", "epsilon_greedy", "ucb1", "uniform"}
    arms : int
        The number of arms, at least 1.
    interval : tuple of two floats
        The least and the greatest context; only ``binned_tsallis_inf`` and ``chebcb`` look at it.
    least_cost : float
        What every cost is known to be at least.

    Raises
    ------
    ValueError
        If the name is unknown or an argument is out of range.
    """
    if name not in BANDITS:
        raise ValueError(f"name must be one of {', '.join(BANDITS)}, not {name!r}")
    return BANDITS[name](arms, interval, least_cost)


def _without_context(kind: Callable[..., Bandit]) -> Callable[[int, Interval, float], Bandit]:
    def build(arms: int, interval: Interval, least_cost: float) -> Bandit:  # noqa: ARG001 - the signature of a maker
        return kind(arms, least_cost=least_cost)

    return build


def _binned_tsallis_inf(arms: int, interval: Interval, least_cost: float) -> Bandit:
    return Binned([TsallisInf(arms, least_cost=least_cost) for _ in range(BINS)], interval)


def _chebcb(arms: int, interval: Interval, least_cost: float) -> Bandit:
    return ChebCB(arms, interval, least_cost=least_cost)


BANDITS: dict[str, Callable[[int, Interval, float], Bandit]] = {
    "tsallis_inf": _without_context(TsallisInf),
    "binned_tsallis_inf": _binned_tsallis_inf,
    "chebcb": _chebcb,
    "epsilon_greedy": _without_context(EpsilonGreedy),
    "ucb1": _without_context(UCB1),
    "uniform": _without_context(UniformRandom),
}
