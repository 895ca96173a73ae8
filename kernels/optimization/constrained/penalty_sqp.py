"""Inexact sequential quadratic programming on an l1 penalty function, with GMRES for the Newton systems."""

import math

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.constrained.inner_solvers import GmresSolver
from kernels.optimization.constrained.kkt_system import NewtonSystem, newton_system
from kernels.optimization.constrained.line_search import MOST_HALVINGS, late_step_length, rounding_of
from kernels.optimization.constrained.types import (
    ConstrainedProblem,
    Oracle,
    PrimalDualPoint,
    Vector,
    check_problem,
    is_finite_matrix,
)
from kernels.result import Result, Status

# in comments, the names that the paper gives them
HESSIAN_SHIFT = 0.1
ARMIJO = 1e-8  # eta
REDUCTION_SHARE = 0.1  # tau
FEASIBILITY_SHARE = 0.1  # epsilon
LEAST_CURVATURE = 1e-8  # theta
PENALTY_MARGIN = 1e-4
ACCURACY_SHRINK = 2.25
LEAST_ACCURACY = 1e-12


def l1_penalty_sqp(
    problem: ConstrainedProblem,
    *,
    accuracy: float = 0.1,
    least_curvature: float = 1e-6,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> Result:
    """Find a KKT point by Newton steps that are accurate enough to reduce a model of the penalty function.

    GMRES stops where the residual is small and the step reduces the model ``f + g^T d + pi ||c + G d||_1`` enough, or
    where it is so nearly feasible for the linearised constraints that a greater penalty pi makes it so; else it goes on
    to a higher accuracy.

    Parameters
    ----------
    problem : ConstrainedProblem
    accuracy : float
        The relative residual at which GMRES is looked at first, kappa.
    least_curvature : float
        As for :func:`~kernels.optimization.constrained.sketched_newton.adasketch_newton`.
    tolerance : float
        CONVERGED means that the KKT residual is at most this.
    max_iterations : int
        The limit on Newton steps.

    Returns
    -------
    Result
        As of :func:`~kernels.optimization.constrained.sketched_newton.adasketch_newton`.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or range.

    References
    ----------
    .. [1] R. H. Byrd, F. E. Curtis, J. Nocedal, "An inexact SQP method for equality constrained optimization", SIAM J.
       Optim. 19(1), 2008, termination tests I and II.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    if not 0.0 < accuracy < 1.0:
        raise ValueError(f"accuracy must lie between 0 and 1, not {accuracy}")
    check_problem(problem)
    oracle, solver = Oracle(problem), GmresSolver()
    point = oracle.point(problem.start, problem.start_multipliers)
    penalty = 1.0
    history, steps = [point.kkt_residual], list[float]()
    trials = 0
    dual_scale = max(_l1(point.lagrangian_gradient) / (_l1(point.constraints) + 1.0), 1.0)  # beta
    status = Status.CONVERGED
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while point.kkt_residual > tolerance:
            if len(steps) == max_iterations:
                status = Status.ITERATION_LIMIT
                break
            hessian = oracle.hessian(point.x, point.multipliers)
            if not (is_finite_matrix(hessian) and is_finite_matrix(point.jacobian)):
                status = Status.NOT_FINITE
                break
            system = newton_system(point, hessian, least_curvature=least_curvature, shift=HESSIAN_SHIFT)
            solver.begin(system.matrix, system.rhs)
            penalty, reduction = _inexact_step(solver, system, point, penalty, accuracy, dual_scale)
            reached, length, tried = _line_search(oracle, point, solver.solution, penalty, reduction)
            trials += tried
            if reached is None:
                status = Status.STAGNATED
                break
            point = reached
            steps.append(length)
            history.append(point.kkt_residual)
    if not math.isfinite(point.kkt_residual):
        status = Status.NOT_FINITE
    work = {
        "iterations": len(steps),
        **oracle.work,
        "line_search_trials": trials,
        "inner_steps": solver.steps,
        "inner_flops": solver.flops,
        "late_step_length": late_step_length(steps),
    }
    return Result(point.stacked, status, np.array(history), work)


def _l1(vector: Vector) -> float:
    return float(np.abs(vector).sum())


def _inexact_step(
    solver: GmresSolver,
    system: NewtonSystem,
    point: PrimalDualPoint,
    penalty: float,
    accuracy: float,
    dual_scale: float,
) -> tuple[float, float]:
    """Solve until a termination test holds; the penalty and the model's reduction, not positive where none does."""
    n = point.x.size
    infeasibility = _l1(point.constraints)
    sufficient = REDUCTION_SHARE * (1.0 - FEASIBILITY_SHARE)  # sigma
    while True:
        solver.improve(accuracy * point.kkt_residual)
        direction = solver.solution[:n]
        residual = system.matrix @ solver.solution - system.rhs
        dual_residual, remaining = _l1(residual[:n]), _l1(residual[n:])
        slope = float(point.gradient @ direction)
        curvature = max(
            0.5 * float(direction @ (system.modified_hessian @ direction)),
            LEAST_CURVATURE * float(direction @ direction),
        )
        reduction = -slope + penalty * (infeasibility - remaining)
        # termination test I
        if reduction >= curvature + sufficient * penalty * max(infeasibility, remaining - infeasibility):
            return penalty, reduction
        # termination test II
        if dual_residual <= dual_scale * infeasibility and remaining <= FEASIBILITY_SHARE * infeasibility:
            wanted = (slope + curvature) / ((1.0 - REDUCTION_SHARE) * (infeasibility - remaining))
            if penalty < wanted:
                penalty = wanted + PENALTY_MARGIN
            return penalty, -slope + penalty * (infeasibility - remaining)
        if accuracy < LEAST_ACCURACY or not np.isfinite(residual).all():
            return penalty, 0.0
        accuracy /= ACCURACY_SHRINK


def _line_search(
    oracle: Oracle, point: PrimalDualPoint, step: Vector, penalty: float, reduction: float
) -> tuple[PrimalDualPoint | None, float, int]:
    """Halve the step until the penalty function falls enough; the point reached, the length and the trials."""
    if not reduction > 0.0:
        return None, 0.0, 0
    n = point.x.size
    merit = point.objective + penalty * _l1(point.constraints)
    length = 1.0
    for trials in range(1, MOST_HALVINGS + 1):
        x = point.x + length * step[:n]
        objective, constraints = oracle.values(x)
        if objective + penalty * _l1(constraints) <= merit - ARMIJO * length * reduction + rounding_of(merit):
            multipliers = point.multipliers + length * step[n:]
            return PrimalDualPoint(x, multipliers, objective, constraints, *oracle.derivatives(x)), length, trials
        length *= 0.5
    return None, 0.0, MOST_HALVINGS
