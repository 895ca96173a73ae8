"""Sinkhorn-Newton with the whole Hessian: dense Newton steps on the entropic dual."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.result import Result
from kernels.transport.dual_newton import DualPoint, newton_on_dual
from kernels.transport.entropic import EntropicTransport, Vector


def sinkhorn_newton(
    problem: EntropicTransport, *, tolerance: float = 1e-9, warm_up: int = 20, max_iterations: int = 1000
) -> Result:
    """Solve entropic transport by Sinkhorn sweeps and Newton steps with the whole Hessian.

    Eliminating the column potential leaves an n x n Schur complement, which Cholesky's factorisation solves.

    Parameters
    ----------
    problem : EntropicTransport
    tolerance : float
        CONVERGED means :func:`~kernels.transport.entropic.marginal_violation` is at most that.
    warm_up : int
        Sweeps of Sinkhorn's algorithm before the first Newton step.
    max_iterations : int
        The limit on sweeps and Newton steps together.

    Returns
    -------
    Result
        As of :func:`~kernels.transport.dual_newton.newton_on_dual`.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or range.

    References
    ----------
    .. [1] C. Brauer, C. Clason, D. Lorenz, B. Wirth, "A Sinkhorn-Newton method for entropic optimal transport",
       arXiv:1710.06635, 2017, algorithm 1.
    """
    check_tolerance(tolerance)
    check_count("warm_up", warm_up, 1)
    check_count("max_iterations", max_iterations, 1)
    return newton_on_dual(problem, dense_direction, tolerance=tolerance, warm_up=warm_up, max_iterations=max_iterations)


def dense_direction(point: DualPoint) -> tuple[Vector, Vector]:
    """The Newton direction at a point, without a component along (1, -1), which leaves the plan as it is."""
    weighted = point.plan / np.sqrt(point.column_sums)
    schur = -(weighted @ weighted.T)
    schur[np.diag_indices_from(schur)] += point.row_sums
    # The Schur complement annihilates the constants; added to it, they fix the row step's mean.
    schur += point.row_sums.mean() / len(schur)
    rhs = point.row_gradient - point.plan @ (point.column_gradient / point.column_sums)
    try:
        row_step = cho_solve(cho_factor(schur, overwrite_a=True), rhs)
    except (LinAlgError, ValueError):  # lost in rounding, or NaN where sums of the plan underflow
        return np.full_like(point.row_sums, np.nan), np.full_like(point.column_sums, np.nan)
    return row_step, (point.column_gradient - row_step @ point.plan) / point.column_sums
