"""Sparse direct solution, SuperLU: the baseline for two-dimensional problems and for operators that do not change."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.sparse.linalg import SuperLU, splu

from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.types import Matrix, System, Vector
from kernels.linear_systems.validation import check_matrix, check_tolerance, check_vector, is_finite
from kernels.result import Result, Status

MOST_REFINEMENTS = 3


def sparse_lu(matrix: Matrix, rhs: Vector, *, tolerance: float = 1e-8) -> Result:
    """Solve ``matrix @ x = rhs`` by a sparse LU factorisation and, where it is needed, iterative refinement.

    A matrix with a symmetric pattern is ordered by minimum degree on A^T + A and keeps diagonal pivots unless they are
    small (SuperLU's symmetric mode); on 5-point matrices this has half the fill of the default. Others are ordered by
    COLAMD and pivoted by rows.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||``, computed from x.

    Returns
    -------
    Result
        ``history`` is the relative residual norm of zero, of the solution and of each refinement of it. Status is
        BREAKDOWN for a singular matrix, STAGNATED if refinement does not reach the tolerance. ``work`` counts
        ``iterations`` (solves with the factors), ``operator_applications`` and ``factorizations``.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    return _Solver(tolerance).solve(matrix, rhs)


def sparse_lu_sequence(systems: Iterable[System], *, tolerance: float = 1e-8) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems as :func:`sparse_lu` does, factorising only where the matrix changes.

    Parameters
    ----------
    systems : iterable of System
    tolerance : float
        On the relative residual of each system.

    Yields
    ------
    position : int
        Of the system in the sequence.
    result : Result
        As from :func:`sparse_lu`; ``factorizations`` is 0 where the factors of the system before were used.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    solver = _Solver(tolerance)
    for position, system in enumerate(systems):
        yield position, solver.solve(system.matrix, system.rhs)


class _Solver:
    """Solves systems one by one and keeps the factors of the last matrix."""

    def __init__(self, tolerance: float) -> None:
        check_tolerance(tolerance)
        self.tolerance = tolerance
        self._matrix: Matrix | None = None
        self._factors: SuperLU | None = None

    def solve(self, matrix: Matrix, rhs: Vector) -> Result:
        size = check_matrix(matrix)
        check_vector("rhs", rhs, size)
        solution = np.zeros(size)
        if not is_finite(matrix, rhs):
            return _result(solution, Status.NOT_FINITE, [np.nan], 0)
        rhs_norm = norm(rhs)
        if rhs_norm == 0.0:
            return _result(solution, Status.CONVERGED, [0.0], 0)

        factorizations = 0
        if self._matrix is None or not _equal(matrix, self._matrix):
            self._matrix, self._factors = matrix, factorize(matrix)
            factorizations = 1
        history = [1.0]
        if self._factors is None:
            return _result(solution, Status.BREAKDOWN, history, factorizations)

        residual = rhs
        while history[-1] > self.tolerance and len(history) <= 1 + MOST_REFINEMENTS:
            refined = solution + self._factors.solve(residual)
            residual = rhs - matrix @ refined
            relative = norm(residual) / rhs_norm
            if not np.isfinite(relative):
                return _result(solution, Status.BREAKDOWN, history, factorizations)
            solution = refined
            history.append(relative)
        status = Status.CONVERGED if history[-1] <= self.tolerance else Status.STAGNATED
        return _result(solution, status, history, factorizations)


def factorize(matrix: Matrix) -> SuperLU | None:
    """The sparse LU factors of a finite matrix, or None if it is singular."""
    columns = matrix.tocsc()
    # CSC of A read as CSR is A^T: its pattern is at hand.
    symmetric_pattern = np.array_equal(columns.indptr, matrix.indptr) and np.array_equal(
        columns.indices, matrix.indices
    )
    try:
        if symmetric_pattern:
            return splu(columns, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.1, options={"SymmetricMode": True})
        return splu(columns, permc_spec="COLAMD")
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        return None


def _equal(first: Matrix, second: Matrix) -> bool:
    return first is second or (
        first.shape == second.shape
        and np.array_equal(first.indptr, second.indptr)
        and np.array_equal(first.indices, second.indices)
        and np.array_equal(first.data, second.data)
    )


def _result(solution: Vector, status: Status, history: list[float], factorizations: int) -> Result:
    solves = len(history) - 1
    work = {"iterations": solves, "operator_applications": solves, "factorizations": factorizations}
    return Result(solution, status, np.array(history), work)
