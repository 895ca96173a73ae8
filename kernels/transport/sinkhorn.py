"""Sinkhorn's algorithm: block ascent on the entropic dual, in the log domain and with a stabilised kernel."""

from dataclasses import dataclass, field

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.result import Result, Status
from kernels.transport.entropic import (
    EntropicDual,
    EntropicTransport,
    Plan,
    Vector,
    check_transport,
    marginal_violation,
)

ABSORPTION = 1e3
LEAST_NORMAL = 1e-290  # products with smaller kernel entries fall among the slow subnormal numbers


@dataclass(slots=True)
class SinkhornState:
    """Potentials on their way: sweeps leave the column sums exact, so that only the rows violate their marginal."""

    dual: EntropicDual
    row_potential: Vector = field(init=False)
    column_potential: Vector = field(init=False)

    def __post_init__(self) -> None:
        self.row_potential = np.full(self.dual.source.size, -np.inf)  # the plan without mass
        self.column_potential = np.zeros(self.dual.target.size)

    def sweep(self) -> float:
        """Maximise over the rows, then over the columns; return the violation before."""
        updated = self.dual.maximise_rows(self.column_potential)
        row_sums = self.dual.source * np.exp(self.row_potential - updated)
        self.row_potential = updated
        self.column_potential = self.dual.maximise_columns(updated)
        return float(np.abs(row_sums - self.dual.source).sum())

    def sweeps(self, tolerance: float, limit: int) -> list[float]:
        """Sweep until a violation between two sweeps is at most the tolerance; return these violations."""
        self.sweep()
        violations: list[float] = []
        while len(violations) < limit - 1 and (not violations or violations[-1] > tolerance):
            violations.append(self.sweep())
        return violations


def log_domain_sinkhorn(problem: EntropicTransport, *, tolerance: float = 1e-9, max_iterations: int = 10_000) -> Result:
    """Solve entropic transport by Sinkhorn's algorithm on logarithms, stable at any regularisation.

    Parameters
    ----------
    problem : EntropicTransport
    tolerance : float
        CONVERGED means :func:`~kernels.transport.entropic.marginal_violation` is at most that.
    max_iterations : int
        The limit on sweeps.

    Returns
    -------
    Result
        The plan, shape (n, m). ``history`` is the violation after every sweep (before the first that of the plan
        without mass), ``work`` counts ``iterations`` and ``exponentials``, evaluations of all n m entries.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or range.

    References
    ----------
    .. [1] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013, algorithm 1.
    .. [2] G. Peyre, M. Cuturi, "Computational optimal transport", 2019, section 4.4 (log domain).
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    if not check_transport(problem):
        return not_finite(problem)
    state = SinkhornState(EntropicDual(problem))
    between = state.sweeps(tolerance, max_iterations)
    plan = state.dual.plan(state.row_potential, state.column_potential)
    history = [violation_of_nothing(problem), *between, marginal_violation(problem, plan)]
    status = Status.CONVERGED if history[-1] <= tolerance else Status.ITERATION_LIMIT
    sweeps = len(history) - 1
    return Result(plan, status, np.array(history), {"iterations": sweeps, "exponentials": 2 * sweeps + 1})


def stabilised_sinkhorn(
    problem: EntropicTransport, *, tolerance: float = 1e-9, max_iterations: int = 100_000
) -> Result:
    """Solve entropic transport by Sinkhorn's algorithm on a kernel that absorbs large scalings.

    A sweep is two products of a matrix and a vector. Only where a scaling leaves ``[1 / ABSORPTION, ABSORPTION]`` does
    it move into the potentials, and the kernel is computed anew.

    Parameters
    ----------
    problem : EntropicTransport
    tolerance : float
    max_iterations : int
        As for :func:`log_domain_sinkhorn`, and so are the result and what it raises. Status is BREAKDOWN where a whole
        row or column of the kernel underflows.

    References
    ----------
    .. [1] B. Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", SIAM J. Sci.
       Comput. 41(3), 2019, algorithm 2.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    if not check_transport(problem):
        return not_finite(problem)
    dual = EntropicDual(problem)
    row_potential, column_potential = np.zeros(problem.source.size), np.zeros(problem.target.size)
    kernel = _kernel(dual, row_potential, column_potential)
    row_scaling, column_scaling = np.ones_like(row_potential), np.ones_like(column_potential)
    column_sums = kernel.sum(axis=0)
    history = [marginal_violation(problem, kernel)]
    exponentials = 1
    while history[-1] > tolerance and len(history) <= max_iterations:
        if not column_sums.all():
            break
        column_scaling = problem.target / column_sums
        row_sums = kernel @ column_scaling
        if not row_sums.all():
            break
        row_scaling = problem.source / row_sums
        if _is_extreme(row_scaling) or _is_extreme(column_scaling):
            row_potential += np.log(row_scaling)
            column_potential += np.log(column_scaling)
            kernel = _kernel(dual, row_potential, column_potential)
            row_scaling, column_scaling = np.ones_like(row_scaling), np.ones_like(column_scaling)
            exponentials += 1
        column_sums = row_scaling @ kernel
        history.append(float(np.abs(column_scaling * column_sums - problem.target).sum()))
    plan = row_scaling[:, np.newaxis] * kernel * column_scaling
    if history[-1] <= tolerance:
        status = Status.CONVERGED
    else:
        status = Status.ITERATION_LIMIT if len(history) > max_iterations else Status.BREAKDOWN
    return Result(plan, status, np.array(history), {"iterations": len(history) - 1, "exponentials": exponentials})


def violation_of_nothing(problem: EntropicTransport) -> float:
    """The marginal violation of the plan without mass, from which sweeps in the log domain start."""
    return float(problem.source.sum() + problem.target.sum())


def not_finite(problem: EntropicTransport) -> Result:
    """What a method returns for a problem with NaN or infinity."""
    return Result(np.full(problem.cost.shape, np.nan), Status.NOT_FINITE, np.empty(0))


def _kernel(dual: EntropicDual, row_potential: Vector, column_potential: Vector) -> Plan:
    kernel = dual.plan(row_potential, column_potential)
    kernel[kernel < LEAST_NORMAL] = 0.0
    return kernel


def _is_extreme(scaling: Vector) -> bool:
    return bool(scaling.max() > ABSORPTION or scaling.min() < 1.0 / ABSORPTION)
