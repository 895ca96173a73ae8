"""The preconditioned conjugate gradient method (Hestenes and Stiefel 1952)."""

import math
from typing import Protocol

import numpy as np
from numba import njit

from kernels.linear_systems.krylov_tools import Run, advance
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.result import Result, Status


class Deflation(Protocol):
    """What a deflated variant does inside the iteration."""

    def deflate(self, preconditioned: Vector, direction: Vector) -> None:
        """Make ``direction`` (in place) conjugate to the deflation space, given the new ``M^-1 residual``."""

    def observe(self, direction: Vector, step_length: float, product: float) -> None:
        """See a search direction, its step length and the inner product ``residual . M^-1 residual`` before it."""


@np.errstate(over="ignore", invalid="ignore")
def cg(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    initial_guess: Vector | None = None,
) -> Result:
    """Solve ``matrix @ x = rhs``, the matrix symmetric and positive (semi)definite, by conjugate gradients.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric (not checked) and positive definite; semidefinite if ``rhs`` is in its range.
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner, optional
        Symmetric and positive definite.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x; where
        it disagrees with the recurrence, the iteration starts again from it.
    max_iterations : int
        The limit on iterations.
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration. Status is BREAKDOWN where a search direction p has
        ``p . A p <= 0`` or ``residual . M^-1 residual <= 0`` (matrix or preconditioner not positive definite);
        STAGNATED when the true residual has not decreased since the recurrence last said converged; NOT_FINITE for NaN
        or infinity in the data or the iteration.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, algorithm 9.1.
    """
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    status, residual = run.start_status, run.residual
    while status is None:
        status = conjugate_directions(run, residual)
        if status is None:
            residual, status = run.verified_residual()
    return run.finish(status)


def conjugate_directions(run: Run, residual: Vector, deflation: Deflation | None = None) -> Status | None:
    """Iterate from ``residual`` (overwritten) until its recurrence says converged (None) or something else ends it."""
    direction, product = np.zeros(run.n), np.empty(run.n)
    squared_norm = float(residual @ residual)
    previous = math.inf
    while math.sqrt(squared_norm) > run.target:
        if run.iterations >= run.max_iterations:
            return Status.ITERATION_LIMIT
        # steps 6 to 8: the next direction, conjugate to those before
        preconditioned = run.precondition(residual)
        inner = squared_norm if preconditioned is residual else float(residual @ preconditioned)
        if not inner > 0.0:
            return Status.NOT_FINITE if math.isnan(inner) else Status.BREAKDOWN
        new_direction(preconditioned, inner / previous, direction)
        if deflation is not None:
            deflation.deflate(preconditioned, direction)
        # steps 3 to 5: the step that minimises the error's energy norm along it
        run.multiply(direction, product)
        curvature = float(direction @ product)
        if not curvature > 0.0:
            return Status.NOT_FINITE if math.isnan(curvature) else Status.BREAKDOWN
        step_length = inner / curvature
        squared_norm = advance(step_length, direction, product, run.solution, residual)
        run.step_done(math.sqrt(squared_norm))
        if deflation is not None:
            deflation.observe(direction, step_length, inner)
        previous = inner
    return None if math.isfinite(squared_norm) else Status.NOT_FINITE


@njit(cache=True)
def new_direction(preconditioned: Vector, factor: float, direction: Vector) -> None:
    """Overwrite ``direction`` by ``preconditioned + factor * direction``."""
    for i in range(direction.size):
        direction[i] = preconditioned[i] + factor * direction[i]
