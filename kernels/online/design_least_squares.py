"""Misspecified linear bandits by least squares on a G-optimal design: no use of sparsity, an error of eps sqrt(d)."""

import numpy as np

from kernels.budget import Budget
from kernels.online.misspecified_bandit import (
    Indices,
    Matrix,
    MisspecifiedBandit,
    Queries,
    check_bandit,
    is_finite_bandit,
    not_finite,
)
from kernels.online.optimal_design import g_optimal_design
from kernels.result import Result, Status

SLACK = 2.0


def g_optimal_least_squares(bandit: MisspecifiedBandit, *, budget: Budget | None = None) -> Result:
    """The arm that least squares on a G-optimal design predicts to be the best.

    Predictions err by at most ``eps (1 + sqrt(2 d))``, and that is attained.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    budget : Budget, optional
        Limits ``queries``, the distinct arms queried, those of the answer included.

    Returns
    -------
    Result
        The arm and its reward over eps. STAGNATED, for no reply can improve it; ITERATION_LIMIT with the best arm seen
        if the budget ends before the design, NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described, all arms are zero or the budget allows no query.

    References
    ----------
    T. Lattimore, C. Szepesvari, G. Weisz, "Learning with good feature representations in bandits and in RL with a
    generative model", ICML 2020, proposition 4.2.
    """
    return _least_squares(bandit, budget, eliminate=False)


def g_optimal_elimination(bandit: MisspecifiedBandit, *, budget: Budget | None = None) -> Result:
    """Least squares on a G-optimal design of the arms that may yet be the best, phase by phase.

    A prediction is a sum of replies times coefficients, so that its error is at most eps times one more than the sum
    of their absolute values, at most ``eps (1 + sqrt(2 d))``. A phase drops every arm whose reward this shows to be
    less than another's; the phases end when none is dropped. The phases of the paper also halve the error by noise, of
    which there is none here.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    budget : Budget, optional
        Limits ``queries``, the distinct arms queried, those of the answer included.

    Returns
    -------
    Result
        The arm that the last phase predicts to be the best and its reward over eps. STAGNATED, for the arms left cannot
        be told apart; ITERATION_LIMIT with the best arm seen if the budget ends before, NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described, all arms are zero or the budget allows no query.

    References
    ----------
    T. Lattimore, C. Szepesvari, G. Weisz, "Learning with good feature representations in bandits and in RL with a
    generative model", ICML 2020, algorithm 1.
    """
    return _least_squares(bandit, budget, eliminate=True)


def _least_squares(bandit: MisspecifiedBandit, budget: Budget | None, *, eliminate: bool) -> Result:
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    active = np.arange(bandit.rewards.size)
    phases = 0
    while True:
        phases += 1
        coefficients, support = _fit(bandit.arms, active)
        if not queries.ask(support):
            break
        predictions = coefficients @ queries.rewards(support)
        errors = bandit.misspecification * (1.0 + np.abs(coefficients).sum(axis=1))
        hopeful = active[predictions + errors >= (predictions - errors).max()]
        if eliminate and hopeful.size < active.size and bandit.arms[hopeful].any():
            active = hopeful
            continue
        answer = active[[predictions.argmax()]]
        if queries.ask(answer):
            return queries.result(int(answer[0]), Status.STAGNATED, phases=float(phases))
        break
    queries.ask(active[: queries.left])
    return queries.result(queries.best(), Status.ITERATION_LIMIT, phases=float(phases))


def _fit(arms: Matrix, active: Indices) -> tuple[Matrix, Indices]:
    """Least squares on a design of the active arms: what predicts their rewards from replies, and whose replies."""
    weights = g_optimal_design(arms[active], slack=SLACK)
    chosen = np.flatnonzero(weights)
    roots = np.sqrt(weights[chosen])
    support = active[chosen]
    return arms[active] @ (np.linalg.pinv(roots[:, None] * arms[support]) * roots), support
