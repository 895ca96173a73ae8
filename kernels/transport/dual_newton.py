"""Newton's method on the entropic dual, from where a few sweeps of Sinkhorn's algorithm lead."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernels.result import Result, Status
from kernels.transport.entropic import EntropicDual, EntropicTransport, Plan, Vector, check_transport
from kernels.transport.sinkhorn import SinkhornState, not_finite, violation_of_nothing

CURVATURE_SHARE = 0.1  # Hager and Zhang's delta
MOST_GROWTH = 10.0  # of an entry's logarithm in one step
MOST_TRIALS = 20


@dataclass(frozen=True, slots=True)
class DualPoint:
    """Potentials, their plan and the gradient of the dual: what is missing of the row and of the column sums."""

    row_potential: Vector
    column_potential: Vector
    plan: Plan
    row_sums: Vector
    column_sums: Vector
    row_gradient: Vector
    column_gradient: Vector

    @property
    def violation(self) -> float:
        """The 1-norm of the gradient."""
        return float(np.abs(self.row_gradient).sum() + np.abs(self.column_gradient).sum())

    def slope(self, row_step: Vector, column_step: Vector) -> float:
        """The derivative of the dual along a direction."""
        return float(self.row_gradient @ row_step + self.column_gradient @ column_step)


Direction = Callable[[DualPoint], tuple[Vector, Vector]]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def newton_on_dual(
    problem: EntropicTransport, direction: Direction, *, tolerance: float, warm_up: int, max_iterations: int
) -> Result:
    """Maximise the entropic dual: Sinkhorn sweeps, then Newton steps with a line search.

    Where no step along the direction ascends, as where sums of the plan underflow, come as many sweeps again.

    Parameters
    ----------
    problem : EntropicTransport
    direction : callable
        Point -> the Newton direction there, or an approximation; one that is not finite counts as none.
    tolerance : float
        On the violation of the marginals.
    warm_up : int
        Sweeps before the first Newton step, and after one that failed; at least 1.
    max_iterations : int
        The limit on sweeps and Newton steps together.

    Returns
    -------
    Result
        The plan, shape (n, m). ``history`` is the violation after every sweep or step (before the first sweep that of
        the plan without mass); ``work`` counts ``iterations``, of these ``newton_steps``, and ``exponentials``,
        evaluations of all n m entries.
    """
    if not check_transport(problem):
        return not_finite(problem)
    state = SinkhornState(EntropicDual(problem))
    history = [violation_of_nothing(problem)]
    newton_steps = exponentials = 0
    ascended: DualPoint | None = None
    while True:
        if ascended is None:
            between = state.sweeps(tolerance, min(warm_up, max_iterations + 1 - len(history)))
            history += between
            exponentials += 2 * len(between) + 3
            point = dual_point(state.dual, state.row_potential, state.column_potential)
        else:
            newton_steps += 1
            point = ascended
        history.append(point.violation)
        if point.violation <= tolerance or len(history) > max_iterations:
            break
        state.row_potential, state.column_potential = point.row_potential, point.column_potential
        ascended, trials = line_search(state.dual, point, *direction(point))
        exponentials += trials
    status = Status.CONVERGED if point.violation <= tolerance else Status.ITERATION_LIMIT
    work = {"iterations": len(history) - 1, "newton_steps": newton_steps, "exponentials": exponentials}
    return Result(point.plan, status, np.array(history), work)


def dual_point(dual: EntropicDual, row_potential: Vector, column_potential: Vector) -> DualPoint:
    """The point of two potentials; its plan lives until the next is made."""
    plan = dual.plan(row_potential, column_potential)
    row_sums, column_sums = plan.sum(axis=1), plan.sum(axis=0)
    gradients = dual.source - row_sums, dual.target - column_sums
    return DualPoint(row_potential, column_potential, plan, row_sums, column_sums, *gradients)


def line_search(
    dual: EntropicDual, point: DualPoint, row_step: Vector, column_step: Vector
) -> tuple[DualPoint | None, int]:
    """Halve the step until the dual has risen enough; return the point reached, or None, and the trials.

    The test is Armijo's on gradients, ``slope(t) >= (2 delta - 1) slope(0)``: the same for a quadratic, and meaningful
    to the last digit, when the rise itself has long been lost in rounding.

    References
    ----------
    .. [1] W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient line
       search", SIAM J. Optim. 16(1), 2005, equation 23 (approximate Wolfe conditions).
    """
    slope = point.slope(row_step, column_step)
    if not slope > 0.0:
        return None, 0
    # Where parts of the plan hardly exchange mass the Hessian is nearly singular, and its step far too long.
    length = min(1.0, MOST_GROWTH / max(row_step.max() + column_step.max(), np.finfo(np.float64).tiny))
    for trials in range(1, MOST_TRIALS + 1):
        trial = dual_point(dual, point.row_potential + length * row_step, point.column_potential + length * column_step)
        if trial.slope(row_step, column_step) >= (2.0 * CURVATURE_SHARE - 1.0) * slope:
            return trial, trials
        length *= 0.5
    return None, MOST_TRIALS
