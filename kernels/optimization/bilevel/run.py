"""A run of a stochastic method: where it was by the time each hundredth of its budget was spent, and how it ended."""

import math
from collections.abc import Iterator

import numpy as np

from kernels.budget import Budget
from kernels.optimization.bilevel.oracles import BudgetSpentError
from kernels.optimization.bilevel.problem import BilevelProblem, Matrix, Vector
from kernels.result import Result, Status

CHECKPOINTS = 100
TAIL = CHECKPOINTS // 10
Iterates = Iterator[tuple[Vector, Matrix]]


def follow(problem: BilevelProblem, iterates: Iterates, budget: Budget, target: float | None = None) -> Result:
    """Let a method step until its budget is spent, it reaches the target or leaves the finite numbers.

    Parameters
    ----------
    problem : BilevelProblem
    iterates : iterator of (x, y)
        Yields the starting point, then the point after each step; raises :class:`BudgetSpentError` at its end.
    budget : Budget
        Charged with every step as one of ``iterations``.
    target : float, optional
        The run ends once the mean of the problem's progress over all iterates so far is at most this.

    Returns
    -------
    Result
        The value is the mean of x over the last tenth of the checkpoints, as constant steps never settle. The history
        holds the progress at the start and at every hundredth of the budget, the last one repeated after an early end.
        CONVERGED means that the target was reached; without one, that the mean progress over the last tenth is below
        that at the start. ITERATION_LIMIT and STAGNATED are the contrary; NOT_FINITE goes before all of them.

    Raises
    ------
    ValueError
        If the target is not positive.
    """
    if target is not None and not target > 0.0:
        raise ValueError(f"target must be positive, not {target}")
    history: list[float] = []
    points: list[Vector] = []
    total, measured, finite = 0.0, 0, True
    with np.errstate(all="ignore"):  # too long a step shows as NaN
        for x, y in _until_spent(iterates, budget):
            reached = _reached_checkpoint(budget)
            if target is None and len(history) > reached:
                continue
            progress = problem.progress(x, y)
            finite = math.isfinite(progress) and bool(np.isfinite(x).all())
            if not finite:
                break
            _record(history, points, reached, progress, x)
            total, measured = total + progress, measured + 1
            if target is not None and total <= target * measured:
                break
    if not history:
        return Result(np.full_like(problem.upper_start, np.nan), Status.NOT_FINITE, np.empty(0), budget.spent)
    _record(history, points, CHECKPOINTS, history[-1], points[-1])
    value = np.mean(points[-TAIL:], axis=0)
    if not finite:
        status = Status.NOT_FINITE
    elif target is not None:
        status = Status.CONVERGED if total <= target * measured else Status.ITERATION_LIMIT
    else:
        status = Status.CONVERGED if np.mean(history[-TAIL:]) < history[0] else Status.STAGNATED
    return Result(value, status, np.array(history), budget.spent)


def _until_spent(iterates: Iterates, budget: Budget) -> Iterates:
    try:
        for point in iterates:
            yield point
            if not budget.spend(iterations=1):
                return
    except BudgetSpentError:
        return


def _reached_checkpoint(budget: Budget) -> int:
    """By the limited unit of which the largest share is spent."""
    spent = budget.spent
    return max(math.floor(CHECKPOINTS * spent[unit] / limit) for unit, limit in budget.limits.items() if limit > 0)


def _record(history: list[float], points: list[Vector], reached: int, progress: float, x: Vector) -> None:
    """Note the point at all checkpoints that were reached and not noted yet."""
    missing = min(reached, CHECKPOINTS) + 1 - len(history)
    history.extend([progress] * missing)
    points.extend([x.copy()] * missing)
