"""What practitioners call for small problems with constraints: SciPy's solvers, alone and in a penalty loop."""

import math
import warnings
from typing import Any

import numpy as np
from scipy.optimize import NonlinearConstraint, OptimizeResult, minimize

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.constrained.types import (
    ConstrainedProblem,
    Matrix,
    Oracle,
    PrimalDualPoint,
    Vector,
    as_dense,
    check_problem,
    is_finite_matrix,
)
from kernels.result import Result, Status

PENALTY_GROWTH = 1.5
TOLERANCE_SHRINK = 0.1


def trust_constr(problem: ConstrainedProblem, *, tolerance: float = 1e-4, max_iterations: int = 1000) -> Result:
    """SciPy's trust-region SQP of Byrd and Omojokun, with exact second derivatives.

    Parameters
    ----------
    problem : ConstrainedProblem
    tolerance : float
        CONVERGED means that the KKT residual, with multipliers by least squares, is at most this.
    max_iterations : int

    Returns
    -------
    Result
        The variables and multipliers, stacked; ``history`` holds the KKT residual at the start and after each call of
        SciPy; ``work`` counts ``iterations``, ``evaluations`` and ``derivative_evaluations``.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or range.
    """
    oracle = _checked(problem, tolerance, max_iterations)
    none = np.zeros(problem.start_multipliers.size)

    def constraint_hessian(x: Vector, multipliers: Vector) -> Matrix:
        return problem.hessian(x, multipliers) - problem.hessian(x, none)

    curvature: Any = constraint_hessian  # the stubs know no such function of two vectors
    constraint = NonlinearConstraint(problem.constraints, 0.0, 0.0, jac=problem.jacobian, hess=curvature)
    return _solved(
        oracle,
        tolerance,
        max_iterations,
        method="trust-constr",
        hess=lambda x: problem.hessian(x, none),
        constraints=[constraint],
        # its measures are greatest entries
        options=[{"gtol": tolerance / math.sqrt(problem.start.size + none.size), "xtol": 1e-15}],
    )


def slsqp(problem: ConstrainedProblem, *, tolerance: float = 1e-4, max_iterations: int = 100) -> Result:
    """SciPy's SLSQP (Kraft), a quasi-Newton SQP with dense matrices; arguments as for :func:`trust_constr`.

    It stops where the objective changes by less than the squared tolerance, for near a solution the change goes with
    the square of the residual. Where that was too early, it goes on from there with a hundredth of it, twice at most.
    """
    oracle = _checked(problem, tolerance, max_iterations)
    constraint = {"type": "eq", "fun": problem.constraints, "jac": lambda x: as_dense(problem.jacobian(x))}
    return _solved(
        oracle,
        tolerance,
        max_iterations,
        method="SLSQP",
        constraints=[constraint],
        options=[{"ftol": share * tolerance**2} for share in (1.0, 1e-2, 1e-4)],
    )


def classical_augmented_lagrangian(
    problem: ConstrainedProblem, *, penalty: float = 10.0, tolerance: float = 1e-4, max_iterations: int = 100
) -> Result:
    """The method of multipliers: minimise ``f + l^T c + mu / 2 ||c||^2`` over x, then ``l += mu c``.

    Each minimisation is one by SciPy's inexact Newton method in a trust region (Steihaug's conjugate gradients), to a
    tolerance that shrinks tenfold while mu grows by half.

    Parameters
    ----------
    problem : ConstrainedProblem
    penalty : float
        mu at first, positive.
    tolerance : float
        CONVERGED means that the KKT residual is at most this.
    max_iterations : int
        The limit on updates of the multipliers.

    Returns
    -------
    Result
        The variables and multipliers, stacked; ``history`` is the KKT residual after each update; ``work`` counts
        ``iterations``, ``evaluations``, ``derivative_evaluations`` and ``hessian_evaluations``.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or range.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, "Numerical optimization", 2nd ed., Springer 2006, framework 17.3.
    """
    if not (penalty > 0.0 and math.isfinite(penalty)):
        raise ValueError(f"penalty must be positive and finite, not {penalty}")
    oracle = _checked(problem, tolerance, max_iterations)
    point = oracle.point(problem.start, problem.start_multipliers)
    history = [point.kkt_residual]
    inner_tolerance = max(TOLERANCE_SHRINK * point.kkt_residual, 0.5 * tolerance)
    status = Status.CONVERGED
    while point.kkt_residual > tolerance:
        if len(history) > max_iterations:
            status = Status.ITERATION_LIMIT
            break
        if not is_finite_matrix(problem.hessian(point.x, point.multipliers)):
            break
        x = _minimise_augmented(oracle, point, penalty, inner_tolerance)
        moved = oracle.point(x, point.multipliers)
        point = PrimalDualPoint(
            x,
            point.multipliers + penalty * moved.constraints,
            moved.objective,
            moved.constraints,
            moved.gradient,
            moved.jacobian,
        )
        history.append(point.kkt_residual)
        penalty *= PENALTY_GROWTH
        inner_tolerance = max(TOLERANCE_SHRINK * inner_tolerance, 0.5 * tolerance)
    if not math.isfinite(point.kkt_residual):
        status = Status.NOT_FINITE
    return Result(point.stacked, status, np.array(history), {"iterations": len(history) - 1, **oracle.work})


def _minimise_augmented(oracle: Oracle, point: PrimalDualPoint, penalty: float, tolerance: float) -> Vector:
    """The minimiser of the augmented Lagrangian for given multipliers, from the point's variables on."""
    multipliers = point.multipliers

    def value(x: Vector) -> float:
        objective, constraints = oracle.values(x)
        return objective + float(multipliers @ constraints) + 0.5 * penalty * float(constraints @ constraints)

    def gradient(x: Vector) -> Vector:
        slope, jacobian = oracle.derivatives(x)
        return np.asarray(slope + jacobian.T @ (multipliers + penalty * oracle.problem.constraints(x)))

    def hessian(x: Vector) -> Matrix:
        jacobian = oracle.problem.jacobian(x)
        curvature = oracle.hessian(x, multipliers + penalty * oracle.problem.constraints(x))
        return as_dense(curvature + penalty * (jacobian.T @ jacobian))

    with np.errstate(all="ignore"):
        found: OptimizeResult = minimize(
            value, point.x, jac=gradient, hess=hessian, method="trust-ncg", options={"gtol": tolerance}
        )
    return np.asarray(found.x, np.float64)


def _checked(problem: ConstrainedProblem, tolerance: float, max_iterations: int) -> Oracle:
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    check_problem(problem)
    return Oracle(problem)


def _solved(
    oracle: Oracle, tolerance: float, max_iterations: int, *, options: list[dict[str, float]], **arguments: Any
) -> Result:
    """What a SciPy solver finds with the first options that suffice, judged by its KKT residual whatever it says."""
    problem = oracle.problem
    point = oracle.point(problem.start, problem.start_multipliers)
    history = [point.kkt_residual]
    work = {"iterations": 0.0, "evaluations": 0.0, "derivative_evaluations": 0.0}
    if not (math.isfinite(point.kkt_residual) and is_finite_matrix(point.jacobian)):
        return Result(point.stacked, Status.NOT_FINITE, np.array(history), work)
    for given in options:
        limited: Any = {**given, "maxiter": max_iterations - int(work["iterations"])}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found: OptimizeResult = minimize(
                problem.objective, point.x, jac=problem.gradient, options=limited, **arguments
            )
        work = {
            "iterations": work["iterations"] + found.nit,
            "evaluations": work["evaluations"] + found.nfev,
            "derivative_evaluations": work["derivative_evaluations"] + found.njev,
        }
        point = _with_best_multipliers(problem, np.asarray(found.x, np.float64))
        history.append(point.kkt_residual)
        if not point.kkt_residual > tolerance or work["iterations"] >= max_iterations:
            break
    status = Status.CONVERGED if point.kkt_residual <= tolerance else Status.STAGNATED
    if not math.isfinite(point.kkt_residual):
        status = Status.NOT_FINITE
    return Result(point.stacked, status, np.array(history), work)


def _with_best_multipliers(problem: ConstrainedProblem, x: Vector) -> PrimalDualPoint:
    """The point of given variables with the multipliers that leave the least gradient of the Lagrangian."""
    gradient, jacobian = problem.gradient(x), problem.jacobian(x)
    finite = np.isfinite(gradient).all() and is_finite_matrix(jacobian)
    multipliers = np.full(jacobian.shape[0], np.nan)
    if finite:
        multipliers = np.asarray(np.linalg.lstsq(as_dense(jacobian).T, -gradient, rcond=None)[0], np.float64)
    return PrimalDualPoint(x, multipliers, problem.objective(x), problem.constraints(x), gradient, jacobian)
