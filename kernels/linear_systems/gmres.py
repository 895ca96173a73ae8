"""Restarted GMRES (Saad and Schultz 1986), preconditioned on the right or on the left."""

import math

import numpy as np

from kernels.linear_systems.krylov_tools import NO_PROGRESS, ArnoldiRelation, Run, norm
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count
from kernels.result import Result, Status


@np.errstate(over="ignore", invalid="ignore")
def gmres(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner | None = None,
    side: str = "right",
    restart: int = 30,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    initial_guess: Vector | None = None,
) -> Result:
    """Solve ``matrix @ x = rhs`` by GMRES(restart).

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner, optional
    side : {"right", "left"}
        ``right`` minimises the residual norm; ``left`` minimises the norm of the preconditioned residual.
    restart : int
        Arnoldi steps per cycle, at least 1.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x at the
        end of each cycle, on either side.
    max_iterations : int
        The limit on Arnoldi steps over all cycles.
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per Arnoldi step; its entry at the end of a cycle is the true one. On
        the left the entries inside a cycle are ``||M^-1 residual||``, scaled to agree with the true one at its start.
        Status is STAGNATED when a cycle brings no progress beyond rounding (a relative decrease below 1e-12 of what
        is minimised, from which restarted GMRES would not recover); BREAKDOWN when M^-1 annihilates the residual;
        NOT_FINITE for NaN or infinity in the data or the iteration.
        In an invariant subspace (lucky breakdown) the solution is exact: CONVERGED.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] Y. Saad, M. H. Schultz, "GMRES", SIAM J. Sci. Stat. Comput. 7(3), 1986.
    .. [2] Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, algorithms 9.4 (left), 9.5 (right).
    """
    if side not in ("right", "left"):
        raise ValueError(f"side is {side!r}; it must be 'right' or 'left'")
    check_count("restart", restart, least=1)
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    if run.start_status is not None:
        return run.finish(run.start_status)

    relation = ArnoldiRelation(run, min(restart, run.n), side=side)
    residual, residual_norm = run.residual, norm(run.residual)
    # on the left the recurrence only estimates the residual: it is held to less when it proves too hopeful
    caution = 1.0
    previous = math.inf
    solution_before, residual_norm_before = run.solution, residual_norm
    while True:
        # step 1: the start vector, and whether the last cycle brought anything
        start = run.precondition(residual) if side == "left" else residual
        start_norm = norm(start)
        if not (math.isfinite(start_norm) and start_norm > 0.0):
            return run.finish(Status.BREAKDOWN if start_norm == 0.0 else Status.NOT_FINITE)
        if start_norm > NO_PROGRESS * previous:
            if start_norm > previous:
                # a nearly singular Hessenberg matrix made the cycle harmful: undo it
                run.solution, run.history[-1] = solution_before, residual_norm_before / run.rhs_norm
            return run.finish(Status.STAGNATED)
        if run.iterations >= max_iterations:
            return run.finish(Status.ITERATION_LIMIT)
        relation.basis[0] = start / start_norm

        # step 2: Arnoldi
        scale = residual_norm / start_norm
        columns, estimate, exhausted = relation.expand(0, start_norm, caution * run.target, scale)
        if not math.isfinite(estimate):
            return run.finish(Status.NOT_FINITE)

        # step 3: the minimiser over the Krylov space, and the true residual there
        correction = relation.minimiser(0, columns, exhausted) @ relation.basis[:columns]
        solution_before, residual_norm_before = run.solution, residual_norm
        run.solution = run.solution + (correction if side == "left" else run.precondition(correction))
        residual, residual_norm = run.true_residual()
        if residual_norm <= run.target:
            return run.finish(Status.CONVERGED)
        previous = start_norm
        if side == "left" and estimate <= caution * run.target:
            caution *= 0.5
