"""Methods with a relaxation parameter omega: SOR, and conjugate gradients preconditioned by SSOR."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numba import njit

from kernels.linear_systems.cg import cg
from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.preconditioners import FactorizationError
from kernels.linear_systems.preconditioners.factors import Positions, nonzero_diagonal
from kernels.linear_systems.preconditioners.ssor import ssor
from kernels.linear_systems.types import Matrix, System, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector, is_finite
from kernels.result import Result, Status


def sor(matrix: Matrix, rhs: Vector, *, omega: float, tolerance: float = 1e-8, max_iterations: int = 10_000) -> Result:
    """Solve ``matrix @ x = rhs`` by successive over-relaxation, from zero.

    An iteration is x += (D / omega + L)^-1 (b - A x) for A = L + D + U. It touches every entry of A once: the products
    with U serve both the residual of one iteration and the sweep of the next.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Converges where it is symmetric and positive definite.
    rhs : ndarray, shape (n,), float64
    omega : float
        Relaxation, between 0 and 2 (excluded); 1 is Gauss-Seidel.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||``; the residual is computed from x.
    max_iterations : int
        The limit on iterations.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration. Status is NOT_FINITE for NaN or infinity in the data or
        a divergence that overflows, BREAKDOWN for a diagonal entry that is missing or zero.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, section 4.1.
    """
    size = check_matrix(matrix)
    check_vector("rhs", rhs, size)
    check_omega(omega)
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, least=1)
    if not is_finite(matrix, rhs):
        return _unsolved(size, Status.NOT_FINITE, math.nan)
    rhs_norm = norm(rhs)
    if rhs_norm == 0.0:
        return _unsolved(size, Status.CONVERGED, 0.0)
    try:
        positions, diagonal = nonzero_diagonal("sor", matrix)
    except FactorizationError:
        return _unsolved(size, Status.BREAKDOWN, 1.0)
    # With a unit right-hand side no square underflows, and residuals are relative.
    solution, history = _sor(
        matrix.indptr,
        matrix.indices,
        matrix.data,
        positions,
        diagonal,
        rhs / rhs_norm,
        omega,
        tolerance,
        max_iterations,
    )
    if not math.isfinite(history[-1]):
        status = Status.NOT_FINITE
    else:
        status = Status.CONVERGED if history[-1] <= tolerance else Status.ITERATION_LIMIT
    iterations = history.size - 1
    work = {"iterations": iterations, "operator_applications": iterations}
    return Result(rhs_norm * solution, status, history, work)


def ssor_cg(
    matrix: Matrix, rhs: Vector, *, omega: float, tolerance: float = 1e-8, max_iterations: int = 10_000
) -> Result:
    """Solve ``matrix @ x = rhs`` by conjugate gradients, preconditioned by one symmetric SOR sweep.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric (not checked) and positive definite.
    rhs : ndarray, shape (n,), float64
    omega : float
        Relaxation of :func:`~kernels.linear_systems.preconditioners.ssor.ssor`, between 0 and 2 (excluded).
    tolerance, max_iterations
        As for :func:`~kernels.linear_systems.cg.cg`.

    Returns
    -------
    Result
        As from :func:`~kernels.linear_systems.cg.cg`; BREAKDOWN also where a diagonal entry is missing or zero.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    check_omega(omega)
    try:
        preconditioner = ssor(matrix, omega=omega)
    except FactorizationError:
        finite = is_finite(matrix, rhs)
        return _unsolved(rhs.size, Status.BREAKDOWN if finite else Status.NOT_FINITE, 1.0 if finite else math.nan)
    return cg(matrix, rhs, preconditioner=preconditioner, tolerance=tolerance, max_iterations=max_iterations)


RELAXED: Mapping[str, Callable[..., Result]] = MappingProxyType({"sor": sor, "ssor_cg": ssor_cg})


def solve_relaxed(
    system: System, *, solver: str, omega: float, tolerance: float = 1e-8, max_iterations: int = 10_000
) -> Result:
    """Solve one system by the method of a name at a given omega.

    Parameters
    ----------
    system : System
    solver : {"sor", "ssor_cg"}
    omega, tolerance, max_iterations
        Of the method.

    Raises
    ------
    ValueError
        If the name is unknown or an option is not allowed.
    """
    if solver not in RELAXED:
        raise ValueError(f"solver must be one of {', '.join(RELAXED)}, not {solver!r}")
    return RELAXED[solver](system.matrix, system.rhs, omega=omega, tolerance=tolerance, max_iterations=max_iterations)


def check_omega(omega: float) -> None:
    """Check that a relaxation parameter lies in the interval where SOR can converge.

    Raises
    ------
    ValueError
        If it does not.
    """
    if not 0.0 < omega < 2.0:
        raise ValueError(f"omega must lie strictly between 0 and 2, not {omega}")


def check_omegas(omegas: Sequence[float]) -> None:
    """Check the relaxation parameters that a method may choose from.

    Raises
    ------
    ValueError
        If there are none, or one is not strictly between 0 and 2.
    """
    if len(omegas) == 0:
        raise ValueError("omegas must hold at least one relaxation parameter")
    for omega in omegas:
        check_omega(omega)


def _unsolved(size: int, status: Status, relative_residual: float) -> Result:
    work = {"iterations": 0, "operator_applications": 0}
    return Result(np.zeros(size), status, np.array([relative_residual]), work)


@njit(cache=True)
def _sor(
    indptr: Positions,
    indices: Positions,
    values: Vector,
    positions: Positions,
    diagonal: Vector,
    rhs: Vector,
    omega: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[Vector, Vector]:
    """Iterate from zero until the residual norm is at most ``tolerance``; return the iterate and all norms."""
    size = rhs.size
    solution, lower, history = np.zeros(size), np.empty(size), np.empty(max_iterations + 1)
    step_lengths = omega / diagonal
    # what the sweep makes of each row before its products with L, which alone must wait for the rows above
    start = step_lengths * rhs
    history[0] = np.sqrt((rhs**2).sum())
    iterations = 0
    while tolerance < history[iterations] < np.inf and iterations < max_iterations:
        for row in range(size):
            total = 0.0
            for entry in range(np.uint64(indptr[row]), np.uint64(positions[row])):
                total += values[entry] * solution[np.uint64(indices[entry])]
            lower[row] = total
            solution[row] = start[row] - step_lengths[row] * total
        squared_norm = 0.0
        for row in range(size):
            remainder = rhs[row]
            for entry in range(np.uint64(positions[row] + 1), np.uint64(indptr[row + 1])):
                remainder -= values[entry] * solution[np.uint64(indices[entry])]
            start[row] = (1.0 - omega) * solution[row] + step_lengths[row] * remainder
            squared_norm += (remainder - lower[row] - diagonal[row] * solution[row]) ** 2
        iterations += 1
        history[iterations] = np.sqrt(squared_norm)
    return solution, history[: iterations + 1].copy()
