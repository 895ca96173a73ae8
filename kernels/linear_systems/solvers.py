"""Any solver of this family on one system, chosen by name: what contenders and data sets call."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from kernels.linear_systems.bicgstab import bicgstab
from kernels.linear_systems.cg import cg
from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.fast_poisson import fast_poisson
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.multigrid import amg_cg, amg_gmres
from kernels.linear_systems.preconditioners import FactorizationError, build_preconditioner
from kernels.linear_systems.types import Matrix, System, Vector
from kernels.result import Result, Status


def sine_transforms(matrix: Matrix, rhs: Vector, *, tolerance: float = 1e-8) -> Result:
    """Solve the 5-point Poisson system of a square vertex-centred grid by sine transforms.

    Parameters
    ----------
    matrix : csr_array, shape (s^2, s^2), float64
        Only checks the solution: a matrix with other entries than 4 and -1 gives ITERATION_LIMIT.
    rhs : ndarray, shape (s^2,), float64
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||``.
    """
    side = round(rhs.size**0.5)
    solution = fast_poisson(rhs.reshape(side, side), 1.0).ravel()
    residual = float(np.linalg.norm(rhs - matrix @ solution) / (np.linalg.norm(rhs) or 1.0))
    status = Status.CONVERGED if residual <= tolerance else Status.ITERATION_LIMIT
    return Result(solution, status, np.array([1.0, residual]), {"iterations": 1, "operator_applications": 1})


KRYLOV: Mapping[str, Callable[..., Result]] = MappingProxyType({"gmres": gmres, "cg": cg, "bicgstab": bicgstab})
SELF_CONTAINED: Mapping[str, Callable[..., Result]] = MappingProxyType(
    {"sparse_lu": sparse_lu, "amg_cg": amg_cg, "amg_gmres": amg_gmres, "sine_transforms": sine_transforms}
)


def solve_krylov(system: System, *, solver: str, preconditioner: str = "jacobi", **options: Any) -> Result:
    """Solve one system by the Krylov method and preconditioner of these names.

    Parameters
    ----------
    system : System
    solver : {"gmres", "cg", "bicgstab"}
    preconditioner : str
        A name that :func:`~kernels.linear_systems.preconditioners.build_preconditioner` knows.
    **options
        Of the solver.

    Returns
    -------
    Result
        BREAKDOWN where the preconditioner does not exist for the matrix.

    Raises
    ------
    ValueError
        If a name is unknown or an option is not allowed.
    """
    if solver not in KRYLOV:
        raise ValueError(f"solver must be one of {', '.join(KRYLOV)}, not {solver!r}")
    try:
        approximation = build_preconditioner(preconditioner, system.matrix)
    except FactorizationError:
        return not_preconditioned(system)
    return KRYLOV[solver](system.matrix, system.rhs, preconditioner=approximation, **options)


def solve_self_contained(system: System, *, solver: str, **options: Any) -> Result:
    """Solve one system by a method that needs no preconditioner from outside.

    Parameters
    ----------
    system : System
    solver : {"sparse_lu", "amg_cg", "amg_gmres", "sine_transforms"}
    **options
        Of the solver.

    Raises
    ------
    ValueError
        If the name is unknown or an option is not allowed.
    """
    if solver not in SELF_CONTAINED:
        raise ValueError(f"solver must be one of {', '.join(SELF_CONTAINED)}, not {solver!r}")
    return SELF_CONTAINED[solver](system.matrix, system.rhs, **options)


def not_preconditioned(system: System) -> Result:
    """The result for a system whose preconditioner does not exist: nothing was computed."""
    work = {"iterations": 0, "operator_applications": 0, "preconditioner_applications": 0}
    return Result(np.full(system.rhs.shape, np.nan), Status.BREAKDOWN, np.array([1.0]), work)


def true_relative_residual(system: System, result: Result) -> float:
    """``||rhs - matrix @ x|| / ||rhs||`` of a result, computed from its value; NaN where that is not finite."""
    residual = np.linalg.norm(system.rhs - system.matrix @ result.value)
    return float(residual / (np.linalg.norm(system.rhs) or 1.0))
