"""The stabilised bi-conjugate gradient method (van der Vorst 1992), preconditioned on the right."""

import math

import numpy as np
from numba import njit

from kernels.linear_systems.krylov_tools import Run, advance
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.result import Result, Status

# inner products below this share of the product of the norms are rounding: dividing by them is a breakdown
_VANISHING = float(np.finfo(np.float64).eps) ** 2


@np.errstate(over="ignore", invalid="ignore")
def bicgstab(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    initial_guess: Vector | None = None,
) -> Result:
    """Solve ``matrix @ x = rhs`` by BiCGStab.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner, optional
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x; where
        it disagrees with the recurrence, the iteration starts again from it.
    max_iterations : int
        The limit on iterations; each has two products with the matrix (one if it ends half-way, converged).
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration, not monotone. Status is BREAKDOWN where the recurrence
        would divide by zero; STAGNATED when the true residual has not decreased since the recurrence last said
        converged; NOT_FINITE for NaN or infinity in the data or the iteration.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] H. A. van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13(2), 1992; in the numbering of Y. Saad,
       "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, algorithm 7.7.
    """
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    status, residual = run.start_status, run.residual
    while status is None:
        status = _iterate(run, residual)
        if status is None:
            residual, status = run.verified_residual()
    return run.finish(status)


def _iterate(run: Run, residual: Vector) -> Status | None:
    """Iterate from ``residual`` (overwritten) until its recurrence says converged (None) or something else ends it."""
    shadow = residual.copy()
    shadow_norm = residual_norm = math.sqrt(residual @ residual)
    direction, product = residual.copy(), np.empty(run.n)
    second_product = np.empty(run.n)
    inner = float(shadow @ residual)
    while residual_norm > run.target:
        if run.iterations >= run.max_iterations:
            return Status.ITERATION_LIMIT
        # steps 4 and 5: the bi-conjugate gradient half
        preconditioned_direction = run.precondition(direction)
        run.multiply(preconditioned_direction, product)
        shadow_product = float(shadow @ product)
        if _vanishes(shadow_product, shadow_norm, product):
            return Status.BREAKDOWN
        alpha = inner / shadow_product
        half_norm = math.sqrt(advance(alpha, preconditioned_direction, product, run.solution, residual))
        if half_norm <= run.target:
            run.step_done(half_norm)
            return None
        # steps 6 to 8: the stabilising half, which minimises the residual along its own image
        preconditioned_residual = run.precondition(residual)
        run.multiply(preconditioned_residual, second_product)
        image_norm_squared = float(second_product @ second_product)
        omega = float(second_product @ residual) / image_norm_squared if image_norm_squared > 0.0 else 0.0
        residual_norm = math.sqrt(advance(omega, preconditioned_residual, second_product, run.solution, residual))
        run.step_done(residual_norm)
        if not math.isfinite(residual_norm):
            return Status.NOT_FINITE
        if residual_norm <= run.target:
            return None
        # steps 9 and 10: the next direction
        new_inner = float(shadow @ residual)
        if omega == 0.0 or _vanishes(new_inner, shadow_norm, residual):
            return Status.BREAKDOWN
        new_direction(residual, new_inner / inner * (alpha / omega), omega, product, direction)
        inner = new_inner
    return None


def _vanishes(inner: float, shadow_norm: float, vector: Vector) -> bool:
    return abs(inner) <= _VANISHING * shadow_norm * math.sqrt(vector @ vector)


@njit(cache=True)
def new_direction(residual: Vector, beta: float, omega: float, product: Vector, direction: Vector) -> None:
    """Overwrite ``direction`` by ``residual + beta * (direction - omega * product)``."""
    for i in range(direction.size):
        direction[i] = residual[i] + beta * (direction[i] - omega * product[i])
