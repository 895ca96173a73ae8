"""SciPy's GCROT(m,k) on a sequence of systems, its recycled vectors carried over: the peer of GCRO-DR."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, gcrotmk

from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.preconditioners import PRECONDITIONERS, FactorizationError, build_preconditioner
from kernels.linear_systems.types import Preconditioner, System, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector, is_finite
from kernels.result import Result, Status

# Pairs (c, u) with c = A u, or (None, u) where the product is to be computed for the next matrix.
OuterVectors = list[Any]


def gcrotmk_sequence(
    systems: Iterable[System],
    *,
    preconditioner: str = "jacobi",
    restart: int = 30,
    recycle: int = 10,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    carry: bool = True,
) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems by GCROT(m,k) (Hicken and Zingg 2010, SISC 32(1)) as SciPy implements it.

    Parameters
    ----------
    systems : iterable of System
    preconditioner : str
        A name that :func:`~kernels.linear_systems.preconditioners.build_preconditioner` knows; on the right.
    restart, recycle : int
        k = recycle outer vectors and m = restart - recycle inner steps, so that the memory is that of
        GCRO-DR(restart, recycle); 1 <= recycle < restart.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||``, computed from x.
    max_iterations : int
        The limit on inner steps for one system; the cycle in which it is reached is lost.
    carry : bool
        Whether the outer vectors go on to the next system, whose products with them are then computed anew (SciPy's
        ``CU`` and ``discard_C=True``). They do while the systems have one size.

    Yields
    ------
    position : int
        Of the system in the sequence.
    result : Result
        ``history`` has the relative residual norm of zero and of the end of each cycle, the last one computed from x.
        Status is BREAKDOWN if the preconditioner does not exist for the matrix or SciPy gives up; STAGNATED if the
        true residual stays above the tolerance for three cycles after its recurrence went below (or below rounding).
        ``work`` counts ``iterations`` (inner steps), ``operator_applications`` and ``preconditioner_applications``.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    if preconditioner not in PRECONDITIONERS:
        raise ValueError(f"preconditioner must be one of {', '.join(PRECONDITIONERS)}, not {preconditioner!r}")
    check_count("restart", restart, 2)
    check_count("recycle", recycle, 1, restart - 1)
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)

    outer_vectors: OuterVectors = []
    for position, system in enumerate(systems):
        size = check_matrix(system.matrix)
        check_vector("rhs", system.rhs, size)
        if not carry or (outer_vectors and outer_vectors[0][1].size != size):
            outer_vectors.clear()
        if not is_finite(system.matrix, system.rhs):
            yield position, _unsolved(size, Status.NOT_FINITE, math.nan)
        elif not system.rhs.any():
            yield position, _unsolved(size, Status.CONVERGED, 0.0)
        else:
            try:
                built = build_preconditioner(preconditioner, system.matrix)
            except FactorizationError:
                yield position, _unsolved(size, Status.BREAKDOWN, 1.0)
                continue
            run = _Run(system, built, outer_vectors, tolerance, max_iterations)
            yield position, run.solve(restart - recycle, recycle)


class _StopError(Exception):
    """Leaves SciPy's solver, which knows neither a limit on inner steps nor stagnation."""

    def __init__(self, status: Status) -> None:
        self.status = status


class _Run:
    """One solve: what SciPy calls back to, with its counts, the latest iterate and the history."""

    def __init__(
        self,
        system: System,
        preconditioner: Preconditioner,
        outer_vectors: OuterVectors,
        tolerance: float,
        max_iterations: int,
    ) -> None:
        self.system = system
        self.preconditioner = preconditioner
        self.outer_vectors = outer_vectors
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.solution = np.zeros_like(system.rhs)
        self.residual = system.rhs.copy()
        self.rhs_norm = norm(system.rhs)
        self.history = [1.0]
        self.started = False
        self.iterations = 0
        self.operator_applications = 0

    def solve(self, inner: int, recycle: int) -> Result:
        status = Status.BREAKDOWN
        try:
            self.solution, _ = gcrotmk(
                LinearOperator(self.system.matrix.shape, self.multiply, dtype=np.float64),
                self.system.rhs,
                rtol=self.tolerance,
                atol=0.0,
                maxiter=self.max_iterations,
                M=LinearOperator(self.system.matrix.shape, self.precondition, dtype=np.float64),
                callback=self.observe,
                m=inner,
                k=recycle,
                CU=self.outer_vectors,
                discard_C=True,
            )
        except _StopError as stop:
            status = stop.status
            self.outer_vectors[:] = [(None, u) for _, u in self.outer_vectors]

        residual = self.system.rhs - self.multiply(self.solution)
        self.history[-1] = norm(residual) / self.rhs_norm
        if not math.isfinite(self.history[-1]):
            status = Status.NOT_FINITE
            self.outer_vectors.clear()
        elif self.history[-1] <= self.tolerance:
            status = Status.CONVERGED
        work = {
            "iterations": self.iterations,
            "operator_applications": self.operator_applications,
            "preconditioner_applications": self.iterations,
        }
        return Result(self.solution, status, np.array(self.history), work)

    def multiply(self, vector: Vector) -> Vector:
        self.operator_applications += 1
        product: Vector = self.system.matrix @ vector
        return product

    def precondition(self, vector: Vector) -> Vector:
        """Each inner step applies the preconditioner once."""
        if self.iterations == self.max_iterations:
            raise _StopError(Status.ITERATION_LIMIT)
        self.iterations += 1
        return self.preconditioner.solve(vector)

    def observe(self, solution: Vector) -> None:
        """At the start of a cycle, record the iterate and follow the residual through the c that are new in C."""
        if self.started or self.outer_vectors:
            for c, _ in self.outer_vectors[-1:] if self.started else self.outer_vectors:
                self.residual -= (c @ self.residual) * c
            relative = norm(self.residual) / self.rhs_norm
            if max(relative, *self.history[-3:]) <= max(self.tolerance, np.finfo(np.float64).eps):
                # The recurrence was done three cycles ago but the true residual still is not; SciPy would diverge.
                raise _StopError(Status.STAGNATED)
            self.history.append(relative)
        self.started = True
        # SciPy goes on to update its iterate in place.
        self.solution = solution.copy()


def _unsolved(size: int, status: Status, relative_residual: float) -> Result:
    work = dict.fromkeys(("iterations", "operator_applications", "preconditioner_applications"), 0.0)
    return Result(np.zeros(size), status, np.array([relative_residual]), work)
