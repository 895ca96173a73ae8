"""Algebraic multigrid, PyAMG's hierarchies in front of CG and GMRES: the baseline for elliptic problems."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pyamg
import scipy.sparse as sp

from kernels.linear_systems.cg import cg
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.preconditioners.factors import FactorizationError, nonzero_diagonal
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_matrix, check_vector, is_finite
from kernels.result import Result, Status

Kind = Literal["ruge_stuben", "smoothed_aggregation"]

# A forward sweep before and a backward one after make the V-cycle symmetric, at half the cost of symmetric sweeps.
SMOOTHERS = {
    "presmoother": ("gauss_seidel", {"sweep": "forward"}),
    "postsmoother": ("gauss_seidel", {"sweep": "backward"}),
}
COARSEST_SIZE = 50


def amg_cg(
    matrix: Matrix,
    rhs: Vector,
    *,
    kind: Kind = "ruge_stuben",
    tolerance: float = 1e-8,
    max_iterations: int = 300,
) -> Result:
    """Solve a symmetric positive definite system by CG with a multigrid V-cycle as preconditioner.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    kind : {"ruge_stuben", "smoothed_aggregation"}
        The coarsening.
    tolerance, max_iterations
        As for :func:`kernels.linear_systems.cg.cg`: CONVERGED is about the true residual.

    Returns
    -------
    Result
        As from :func:`kernels.linear_systems.cg.cg`. ``preconditioner_applications`` counts V-cycles; the set-up of
        the hierarchy, worth several of them, is in no count. Status is BREAKDOWN also where there is no hierarchy.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    solve = partial(cg, matrix, rhs, tolerance=tolerance, max_iterations=max_iterations)
    return _solve_with_v_cycle(solve, matrix, rhs, kind, symmetric=True)


def amg_gmres(
    matrix: Matrix,
    rhs: Vector,
    *,
    kind: Kind = "ruge_stuben",
    restart: int = 30,
    tolerance: float = 1e-8,
    max_iterations: int = 300,
) -> Result:
    """Solve a nonsymmetric system by GMRES(restart) with a multigrid V-cycle as right preconditioner.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    kind : {"ruge_stuben", "smoothed_aggregation"}
        The coarsening.
    restart, tolerance, max_iterations
        As for :func:`kernels.linear_systems.gmres.gmres`: CONVERGED is about the true residual.

    Returns
    -------
    Result
        As from :func:`kernels.linear_systems.gmres.gmres`. ``preconditioner_applications`` counts V-cycles; the set-up
        of the hierarchy, worth several of them, is in no count. Status is BREAKDOWN where there is no hierarchy.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    solve = partial(gmres, matrix, rhs, restart=restart, tolerance=tolerance, max_iterations=max_iterations)
    return _solve_with_v_cycle(solve, matrix, rhs, kind, symmetric=False)


def multigrid_preconditioner(matrix: Matrix, kind: Kind = "ruge_stuben", *, symmetric: bool = False) -> Preconditioner:
    """One V-cycle of algebraic multigrid as M^-1; M itself cannot be applied.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Elliptic, so that smoothing and coarse correction complement each other; symmetric or not.
    kind : {"ruge_stuben", "smoothed_aggregation"}
        Classical coarsening (Ruge and Stueben 1987) or aggregation with smoothed prolongation (Vanek, Mandel and
        Brezina 1996). Neither draws random numbers as set up here.
    symmetric : bool
        Whether the matrix is symmetric, so that aggregation can take the transposed prolongation as restriction.

    Raises
    ------
    ValueError
        If an argument is not as described.
    FactorizationError
        If a diagonal entry is zero or a coarse matrix is not finite; it is a ValueError too.
    """
    nonzero_diagonal(kind, matrix)
    # PyAMG's kernels take 32-bit indices only.
    indices, indptr = matrix.indices.astype(np.int32, copy=False), matrix.indptr.astype(np.int32, copy=False)
    matrix = sp.csr_array((matrix.data, indices, indptr), shape=matrix.shape)
    if kind == "ruge_stuben":
        hierarchy = pyamg.ruge_stuben_solver(matrix, max_coarse=COARSEST_SIZE, **SMOOTHERS)
    elif kind == "smoothed_aggregation":
        hierarchy = pyamg.smoothed_aggregation_solver(
            matrix,
            symmetry="hermitian" if symmetric else "nonsymmetric",
            # Local weights need no spectral radius, whose estimate starts from a random vector.
            smooth=("jacobi", {"omega": 4.0 / 3.0, "weighting": "local"}),
            improve_candidates=None,
            max_coarse=COARSEST_SIZE,
            **SMOOTHERS,
        )
    else:
        raise ValueError(f"kind must be 'ruge_stuben' or 'smoothed_aggregation', not {kind!r}")

    if not all(np.isfinite(level.A.data).all() for level in hierarchy.levels):
        raise FactorizationError(f"{kind}: a coarse matrix is not finite")
    v_cycle = hierarchy.aspreconditioner(cycle="V")

    def solve(vector: Vector) -> Vector:
        check_vector("vector", vector, matrix.shape[0])
        solution: Vector = v_cycle.matvec(vector)
        return solution

    return Preconditioner(kind, solve, None)


def _solve_with_v_cycle(
    solve: Callable[..., Result], matrix: Matrix, rhs: Vector, kind: Kind, *, symmetric: bool
) -> Result:
    check_vector("rhs", rhs, check_matrix(matrix))
    if not (is_finite(matrix, rhs) and rhs.any()):
        return solve()
    try:
        preconditioner = multigrid_preconditioner(matrix, kind, symmetric=symmetric)
    except FactorizationError:
        work = dict.fromkeys(("iterations", "operator_applications", "preconditioner_applications"), 0.0)
        return Result(np.zeros_like(rhs), Status.BREAKDOWN, np.ones(1), work)
    return solve(preconditioner=preconditioner)
