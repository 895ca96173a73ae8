"""Sparse misspecified bandits by elimination: ask where a parameter that fits all replies promises most."""

import numpy as np
from numba import njit

from kernels.budget import Budget
from kernels.online.misspecified_bandit import (
    Matrix,
    MisspecifiedBandit,
    Queries,
    check_bandit,
    is_finite_bandit,
    not_finite,
)
from kernels.online.sparse_cover import cover_directions
from kernels.result import Result, Status


def sparse_elimination(bandit: MisspecifiedBandit, *, budget: Budget | None = None) -> Result:
    """An O(eps)-optimal arm of a sparse misspecified linear bandit, by optimism over the parameters not yet refuted.

    Along each direction u of a cover the lengths of theta that fit all replies are an interval. A reply r of arm a
    narrows it to those rho with ``|rho <a, u> - r| <= (1 + rho) eps``, which the direction nearest to theta's passes
    with theta's length. No arm's reward exceeds the greatest ``rho (max_a <a, u> + eps) + eps`` of what is left; the
    arm that this promise names is asked next. Once it was, the promise is within 4 eps of its reward, so that no arm
    is asked that :func:`~kernels.online.sparse_cover.sparse_cover` would not ask, and none twice.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    budget : Budget, optional
        Limits ``queries``, the distinct arms queried.

    Returns
    -------
    Result
        The best arm queried and its reward over eps. CONVERGED, within 4 eps of the best arm; ITERATION_LIMIT if the
        budget ends before that is certain, BREAKDOWN if no parameter fits the replies, so that the bandit is not what
        it is said to be, NOT_FINITE if the data are not. Work: ``queries`` and ``candidates``, the directions of the
        cover.

    Raises
    ------
    ValueError
        If the bandit is not as described, the cover is too large to be built or the budget allows no query.

    References
    ----------
    J. Dong, L. F. Yang, "Does sparsity help in learning misspecified linear bandits?", ICML 2023: candidates that
    contradict a reply are eliminated. The optimistic order and the intervals of lengths are this module's.
    """
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    eps = bandit.misspecification
    cover = cover_directions(bandit.arms, bandit.sparsity, eps)
    shortest, longest = np.zeros_like(cover.greatest), np.ones_like(cover.greatest)
    promises = cover.greatest + eps
    candidate = int(promises.argmax())
    promise = float(promises.flat[candidate])
    candidates = float(cover.greatest.size)
    while True:
        arm = int(cover.best_arms.flat[candidate])
        if queries.knows(arm):  # by rounding alone
            return queries.result(queries.best(), Status.CONVERGED, candidates=candidates)
        if not queries.ask(np.array([arm])):
            return queries.result(queries.best(), Status.ITERATION_LIMIT, candidates=candidates)
        products = bandit.arms[arm][cover.supports] @ cover.net.T
        reply = float(queries.rewards(np.array([arm]))[0])
        candidate, promise = _narrow(shortest, longest, products, promises, reply, eps)
        if candidate < 0:
            return queries.result(queries.best(), Status.BREAKDOWN, candidates=candidates)
        if promise + eps - queries.best_reward <= 4.0 * eps:
            return queries.result(queries.best(), Status.CONVERGED, candidates=candidates)


@njit(cache=True)
def _narrow(
    shortest: Matrix, longest: Matrix, products: Matrix, promises: Matrix, reply: float, eps: float
) -> tuple[int, float]:
    """Narrow the lengths to those that fit a reply; the candidate that now promises most, -1 if none is left."""
    chosen, most = -1, -np.inf
    for support in range(products.shape[0]):
        for direction in range(products.shape[1]):
            least, greatest = shortest[support, direction], longest[support, direction]
            if least > greatest:
                continue
            # rho (p - eps) <= r + eps and -rho (p + eps) <= eps - r
            for sign in (1.0, -1.0):
                slope, bound = sign * products[support, direction] - eps, sign * reply + eps
                if slope > 0.0:
                    greatest = min(greatest, bound / slope)
                elif slope < 0.0:
                    least = max(least, bound / slope)
                elif bound < 0.0:
                    greatest = -1.0
            shortest[support, direction], longest[support, direction] = least, greatest
            promise = promises[support, direction]
            promise *= greatest if promise > 0.0 else least
            if least <= greatest and promise > most:
                chosen, most = support * products.shape[1] + direction, promise
    return chosen, most
