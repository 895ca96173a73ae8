"""What a practitioner would do with a number of queries: sparse regression, LinUCB, random or exhaustive search."""

import math
import warnings
from typing import Literal

import numpy as np

from kernels.budget import Budget
from kernels.online.misspecified_bandit import (
    Matrix,
    MisspecifiedBandit,
    Queries,
    Vector,
    check_bandit,
    is_finite_bandit,
    not_finite,
)
from kernels.result import Result, Status

FOLDS = 5


def sparse_regression(
    bandit: MisspecifiedBandit,
    *,
    random: np.random.Generator,
    budget: Budget,
    estimator: Literal["lasso", "matching_pursuit"] = "lasso",
) -> Result:
    """Queries at random, a sparse regression on the replies, and one query of the arm that it predicts to be the best.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    random : Generator
    budget : Budget
        Its ``queries``, the distinct arms queried, are spent.
    estimator : {"lasso", "matching_pursuit"}
        Scikit-learn's Lasso with the penalty of cross-validation, or its orthogonal matching pursuit, which is told
        the sparsity.

    Returns
    -------
    Result
        The best arm queried and its reward over eps; ITERATION_LIMIT, or NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described, the estimator is unknown or the budget allows no query.
    """
    if estimator not in ("lasso", "matching_pursuit"):
        raise ValueError(f"estimator must be 'lasso' or 'matching_pursuit', not {estimator!r}")
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    sample = random.choice(bandit.rewards.size, max(1, queries.left - 1), replace=False)
    queries.ask(sample)
    if queries.left and sample.size >= FOLDS:
        fit = _lasso if estimator == "lasso" else _matching_pursuit
        parameter = fit(bandit.arms[sample], queries.rewards(sample), bandit.sparsity)
        queries.ask(np.array([(bandit.arms @ parameter).argmax()]))
    return queries.result(queries.best(), Status.ITERATION_LIMIT)


def _lasso(features: Matrix, replies: Vector, sparsity: int) -> Vector:  # noqa: ARG001 - the signature of a fit
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LassoCV

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at the least penalties, which validation rejects
        parameter: Vector = LassoCV(cv=FOLDS, fit_intercept=False).fit(features, replies).coef_
    return parameter


def _matching_pursuit(features: Matrix, replies: Vector, sparsity: int) -> Vector:
    from sklearn.linear_model import orthogonal_mp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # replies that fewer features explain
        parameter: Vector = orthogonal_mp(features, replies, n_nonzero_coefs=sparsity)
    return parameter


def lin_ucb(bandit: MisspecifiedBandit, *, budget: Budget, ridge: float = 1.0) -> Result:
    """LinUCB with the confidence radius that the misspecification asks for; it answers with the best arm it saw.

    After t replies the radius is ``sqrt(ridge) + eps sqrt(t)``, the first term for the norm of theta, at most 1. An arm
    is asked but once: without noise its reward is known then.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    budget : Budget
        Its ``queries``, the distinct arms queried, are spent.
    ridge : float
        Positive.

    Returns
    -------
    Result
        The best arm queried and its reward over eps; ITERATION_LIMIT, or NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described, ``ridge`` is not positive or the budget allows no query.

    References
    ----------
    Y. Abbasi-Yadkori, D. Pal, C. Szepesvari, "Improved algorithms for linear stochastic bandits", NeurIPS 2011.
    """
    if not 0.0 < ridge < math.inf:
        raise ValueError(f"ridge must be positive and finite, not {ridge}")
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    arms = bandit.arms
    inverse = np.eye(arms.shape[1]) / ridge
    leverages = np.einsum("ij,ij->i", arms, arms) / ridge
    correlation = np.zeros(arms.shape[1])
    seen = np.zeros(len(arms), dtype=bool)
    while queries.left:
        radius = math.sqrt(ridge) + bandit.misspecification * math.sqrt(seen.sum())
        bounds = arms @ (inverse @ correlation) + radius * np.sqrt(leverages)
        chosen = np.array([np.where(seen, -np.inf, bounds).argmax()])
        queries.ask(chosen)
        seen[chosen] = True
        arm, reply = arms[chosen[0]], queries.rewards(chosen)[0]
        correlation += reply * arm
        # Sherman and Morrison; rounding must not make a leverage negative.
        image = inverse @ arm
        share = 1.0 / (1.0 + leverages[chosen[0]])
        inverse -= share * np.outer(image, image)
        leverages = np.maximum(leverages - share * (arms @ image) ** 2, 0.0)
    return queries.result(queries.best(), Status.ITERATION_LIMIT)


def uniform_search(bandit: MisspecifiedBandit, *, random: np.random.Generator, budget: Budget) -> Result:
    """The best of arms drawn at random.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    random : Generator
    budget : Budget
        Its ``queries``, the distinct arms queried, are spent.

    Returns
    -------
    Result
        The best arm queried and its reward over eps; ITERATION_LIMIT, or NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described or the budget allows no query.
    """
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    queries.ask(random.choice(bandit.rewards.size, queries.left, replace=False))
    return queries.result(queries.best(), Status.ITERATION_LIMIT)


def exhaustive_search(bandit: MisspecifiedBandit) -> Result:
    """The best of all arms.

    Parameters
    ----------
    bandit : MisspecifiedBandit

    Returns
    -------
    Result
        The arm and its reward over eps; CONVERGED, or NOT_FINITE if the data are not.

    Raises
    ------
    ValueError
        If the bandit is not as described.
    """
    check_bandit(bandit)
    queries = Queries(bandit)
    if not is_finite_bandit(bandit):
        return not_finite()
    queries.ask(np.arange(bandit.rewards.size))
    return queries.result(queries.best(), Status.CONVERGED)
