"""Conjugate gradients whose preconditioner may be any map: directions are made conjugate to the last few explicitly."""

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from kernels.linear_systems.krylov_tools import Run, advance
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count
from kernels.result import Result, Status


class _Direction(NamedTuple):
    """A search direction d, A d and d . A d."""

    vector: Vector
    product: Vector
    curvature: float


@np.errstate(over="ignore", invalid="ignore")
def flexible_cg(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner,
    conjugated: int = 2,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
    initial_guess: Vector | None = None,
) -> Result:
    """Solve ``matrix @ x = rhs``, symmetric and positive definite, along the directions that a preconditioner proposes.

    What it proposes for a residual may depend on it in any way: neither linear nor symmetric, of any scale and sign.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric (not checked) and positive definite.
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner
        Its ``solve`` proposes a direction for a residual.
    conjugated : int
        The number of last directions that a new one is made conjugate to: 0 for steepest descent along the proposals,
        1 for the form of Golub and Ye, 2 for the deep conjugate direction method.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x; where
        it disagrees with the recurrence, the iteration goes on from it.
    max_iterations : int
        The limit on iterations.
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration. Status is BREAKDOWN where a direction d has
        ``d . A d <= 0`` (it vanishes, or the matrix is not positive definite); STAGNATED when the true residual has not
        decreased since the recurrence last said converged; NOT_FINITE for NaN or infinity in the data or the iteration.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] Y. Notay, "Flexible conjugate gradients", SIAM J. Sci. Comput. 22(4), 2000.
    .. [2] A. Kaneda et al., "A deep conjugate direction method for iteratively solving linear systems", ICML 2023,
       algorithm 1.
    """
    check_count("conjugated", conjugated, least=0)
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    kept: deque[_Direction] = deque(maxlen=conjugated)
    status, residual = run.start_status, run.residual
    while status is None:
        status = _descend(run, residual, kept)
        if status is None:
            residual, status = run.verified_residual()
    return run.finish(status)


def _descend(run: Run, residual: Vector, kept: deque[_Direction]) -> Status | None:
    """Iterate from ``residual`` (overwritten) until its recurrence says converged (None) or something else ends it."""
    residual_norm = math.inf
    while residual_norm > run.target:
        if run.iterations >= run.max_iterations:
            return Status.ITERATION_LIMIT
        # the proposal, made conjugate to the last directions, which are so to one another
        direction = run.precondition(residual).copy()
        components = [float(direction @ last.product) / last.curvature for last in kept]
        for component, last in zip(components, kept, strict=True):
            direction -= component * last.vector
        product = run.multiply(direction, np.empty(run.n))
        curvature = float(direction @ product)
        if not curvature > 0.0:
            return Status.NOT_FINITE if math.isnan(curvature) else Status.BREAKDOWN
        # the step that minimises the error's energy norm, whatever the direction's length and sign
        step_length = float(residual @ direction) / curvature
        residual_norm = math.sqrt(advance(step_length, direction, product, run.solution, residual))
        run.step_done(residual_norm)
        kept.append(_Direction(direction, product, curvature))
    return None if math.isfinite(residual_norm) else Status.NOT_FINITE
