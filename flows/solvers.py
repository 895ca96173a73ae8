"""The solvers a data set can be made with, by the name that the command line and the forms show."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.lane_factorization import lane_factorization_sequence
from kernels.linear_systems.skr import sorting_krylov_recycling
from kernels.linear_systems.solvers import solve_krylov, solve_self_contained, true_relative_residual
from tasks.study import Contender, Metric, work_metric


class Solver(StrEnum):
    """What solves the systems of a data set."""

    LANES = "lanes"
    DIRECT = "direct"
    SKR = "skr"
    CG = "cg"
    GMRES = "gmres"
    BICGSTAB = "bicgstab"
    AMG_CG = "amg-cg"
    AMG_GMRES = "amg-gmres"


class PreconditionerName(StrEnum):
    """The preconditioner of a Krylov solver."""

    NONE = "none"
    JACOBI = "jacobi"
    BLOCK_JACOBI = "block-jacobi"
    SSOR = "ssor"
    ILU0 = "ilu0"
    ILUT = "ilut"
    IC0 = "ic0"


SOLVER_METRICS = (
    Metric("relative_residual", true_relative_residual, "true relative residual"),
    work_metric("iterations", "iterations"),
    work_metric("operator_applications", "products with the matrix"),
)


def make_solver(solver: Solver, tolerance: float, preconditioner: PreconditionerName) -> Contender:
    """A solver with its options, as a contender that a data set can be made with.

    SKR sorts and recycles within each shard of the data set, so that shards stay independent.
    """
    method: Callable[..., Any]
    options: dict[str, Any] = {"tolerance": tolerance}
    match solver:
        case Solver.LANES:
            method = lane_factorization_sequence
        case Solver.DIRECT:
            method = sparse_lu_sequence
        case Solver.SKR:
            method, options["preconditioner"] = sorting_krylov_recycling, preconditioner.value
        case Solver.AMG_CG | Solver.AMG_GMRES:
            method, options["solver"] = solve_self_contained, solver.value.replace("-", "_")
        case Solver.CG | Solver.GMRES | Solver.BICGSTAB:
            method = solve_krylov
            options |= {"solver": solver.value, "preconditioner": preconditioner.value}
    return Contender(solver.value, method, options, sequential=solver in {Solver.LANES, Solver.DIRECT, Solver.SKR})
