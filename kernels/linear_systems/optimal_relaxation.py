"""The omegas that learners are measured against: the best fixed one in hindsight, and the best for each system."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import eigsh

from kernels.linear_systems.learning_to_relax import OMEGAS, cost_of
from kernels.linear_systems.relaxation import check_omega, check_omegas, solve_relaxed
from kernels.linear_systems.types import Matrix, System
from kernels.linear_systems.validation import check_matrix
from kernels.result import Result

PROBES = 20
DENSE_SIZE = 300  # up to here LAPACK is faster than ARPACK
GOLDEN_RATIO = (1.0 + math.sqrt(5.0)) / 2.0


def best_fixed_omega(
    systems: Sequence[System],
    *,
    solver: str = "sor",
    omegas: Sequence[float] = OMEGAS,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> Iterator[tuple[int, Result]]:
    """Solve all systems at the one omega that takes the fewest iterations in total, known only in hindsight.

    All omegas are tried, each until its total exceeds the least so far; the work of the search is not counted.

    Parameters
    ----------
    systems : sequence of System
    solver : {"sor", "ssor_cg"}
    omegas : sequence of float
        The choices, between 0 and 2 (excluded).
    tolerance, max_iterations
        As for the solver; a solve that does not converge counts as the limit.

    Yields
    ------
    position : int
        Of the system in ``systems``.
    result : Result
        As from the solver.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    check_omegas(omegas)

    def run(omega: float, among: Sequence[System], limit: float = math.inf) -> tuple[float, list[Result]]:
        total, results = 0.0, []
        for system in among:
            result = solve_relaxed(
                system, solver=solver, omega=omega, tolerance=tolerance, max_iterations=max_iterations
            )
            total += cost_of(result, max_iterations)
            if total >= limit:
                break
            results.append(result)
        return total, results

    # Where the likely best come first, the others are given up early.
    ranked = sorted(omegas, key=lambda omega: run(omega, systems[:PROBES])[0])
    least, best = run(ranked[0], systems)
    for omega in ranked[1:]:
        total, results = run(omega, systems, limit=least)
        if total < least:
            least, best = total, results
    yield from enumerate(best)


def sor_at_optimal_omega(system: System, *, tolerance: float = 1e-8, max_iterations: int = 10_000) -> Result:
    """Solve one system by SOR at :func:`optimal_omega`; the work of finding it is not counted.

    Parameters
    ----------
    system : System
        Symmetric positive definite and consistently ordered.
    tolerance, max_iterations
        As for :func:`~kernels.linear_systems.relaxation.sor`.

    Returns
    -------
    Result
        As from SOR; SOR at omega = 1 where there is no optimal omega, as for data that are not finite.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    omega = optimal_omega(system.matrix)
    return solve_relaxed(
        system,
        solver="sor",
        omega=1.0 if math.isnan(omega) else omega,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def optimal_omega(matrix: Matrix) -> float:
    """Young's omega, 2 / (1 + sqrt(1 - rho^2)): SOR's asymptotic optimum, rho Jacobi's spectral radius.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric positive definite and consistently ordered (neither is checked), such as a five-point Laplacian. The
        eigenvalues of its Jacobi iteration then lie symmetrically about zero.

    Returns
    -------
    float
        Between 1 and 2; NaN where rho is not below 1, the diagonal is not positive, or the data are not finite.

    Raises
    ------
    ValueError
        If the matrix has a wrong type, shape or dtype.

    References
    ----------
    .. [1] D. Young, "Iterative methods for solving partial difference equations of elliptic type", Trans. AMS 76, 1954.
    """
    size = check_matrix(matrix)
    diagonal = matrix.diagonal()
    if not (np.isfinite(matrix.data).all() and (diagonal > 0.0).all()):
        return math.nan
    # D^-1/2 A D^-1/2 is similar to D^-1 A = I - (Jacobi's iteration matrix), and symmetric.
    scale = 1.0 / np.sqrt(diagonal)
    scaled = matrix * scale[:, None] * scale
    if size <= DENSE_SIZE:
        least = eigvalsh(scaled.toarray(), subset_by_index=(0, 0))[0]
    else:
        least = eigsh(scaled, k=1, which="SA", v0=np.ones(size), return_eigenvectors=False)[0]
    radius = max(0.0, 1.0 - float(least))
    return 2.0 / (1.0 + math.sqrt(1.0 - radius**2)) if radius < 1.0 else math.nan


def golden_section_omega(
    system: System,
    *,
    solver: str = "sor",
    lower: float = 1.0,
    upper: float = 1.95,
    width: float = 0.02,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> Result:
    """Solve one system at the omega with the fewest iterations that golden-section search finds.

    The search takes the count as unimodal in omega. Its work is not counted.

    Parameters
    ----------
    system : System
    solver : {"sor", "ssor_cg"}
    lower, upper : float
        Where omega is sought, between 0 and 2 (excluded).
    width : float
        The search ends when omega is known so closely.
    tolerance, max_iterations
        As for the solver; a solve that does not converge counts as the limit.

    Returns
    -------
    Result
        As from the solver, the best of all that were tried.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    check_omega(lower)
    check_omega(upper)
    if not lower < upper:
        raise ValueError(f"lower must be less than upper={upper}, not {lower}")
    if not width > 0.0:
        raise ValueError(f"width must be positive, not {width}")

    def run(omega: float) -> tuple[float, Result]:
        result = solve_relaxed(system, solver=solver, omega=omega, tolerance=tolerance, max_iterations=max_iterations)
        return cost_of(result, max_iterations), result

    # the interval is cut so that one of the two inner points is an inner point of what remains
    left, right = upper - (upper - lower) / GOLDEN_RATIO, lower + (upper - lower) / GOLDEN_RATIO
    at_left, at_right = run(left), run(right)
    best = min(at_left, at_right, key=_cost)
    while upper - lower > width:
        if at_left[0] <= at_right[0]:
            upper, right, at_right = right, left, at_left
            left = upper - (upper - lower) / GOLDEN_RATIO
            at_left = run(left)
            best = min(best, at_left, key=_cost)
        else:
            lower, left, at_left = left, right, at_right
            right = lower + (upper - lower) / GOLDEN_RATIO
            at_right = run(right)
            best = min(best, at_right, key=_cost)
    return best[1]


def _cost(tried: tuple[float, Result]) -> float:
    return tried[0]
