"""The solvers that a data set can be made with."""

from enum import StrEnum
from typing import Any

from kernels.linear_systems.adaptive import ARM_NAMES, MULTIGRID_ARMS, adaptive_sequence
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.lane_factorization import lane_factorization_sequence
from kernels.linear_systems.sequences import evolve, relative_residual
from kernels.linear_systems.skr import sorting_krylov_recycling
from kernels.linear_systems.solvers import solve_krylov, solve_self_contained
from tasks.study import Contender, Metric, work_metric


class Solver(StrEnum):
    """What solves the systems of a data set."""

    AUTO = "auto"
    GRID_MULTIGRID = "grid-multigrid"
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


_METRICS = (
    Metric("relative_residual", relative_residual, "true relative residual, of a trajectory its worst step's"),
    work_metric("iterations", "iterations"),
    work_metric("operator_applications", "products with the matrix"),
)
_FALLBACKS = work_metric("fallbacks", "solvers that did not reach the tolerance before one did")
_CHOICES = (
    work_metric("solver", "solver: " + ", ".join(f"{code} = {name}" for code, name in enumerate(ARM_NAMES))),
    work_metric("cost", "modelled cost of solving", "us"),
)
_BANDITS = {Solver.AUTO: ARM_NAMES, Solver.GRID_MULTIGRID: MULTIGRID_ARMS}


def solver_metrics(solver: Solver, *, evolving: bool = False) -> tuple[Metric, ...]:
    """The numbers that are stored of every instance; ``evolving`` ones have no single solver."""
    if solver not in {*_BANDITS, Solver.LANES}:
        return _METRICS
    choices = _CHOICES if solver in _BANDITS and not evolving else ()
    return (*_METRICS, _FALLBACKS, *choices)


def make_solver(
    solver: Solver, tolerance: float, preconditioner: PreconditionerName, *, evolving: bool = False
) -> Contender:
    """A solver with its options, as a contender that a data set can be made with.

    Solvers that learn or recycle do so within each shard of the data set, so that shards stay independent. An evolving
    instance is a trajectory, and the instances of a shard are stepped side by side.
    """
    options: dict[str, Any] = {"tolerance": tolerance}
    if solver in {Solver.SKR, Solver.CG, Solver.GMRES, Solver.BICGSTAB}:
        options["preconditioner"] = preconditioner.value
    if evolving:
        return Contender(solver.value, evolve, options | {"solver": solver.value}, sequential=True)
    match solver:
        case Solver.AUTO | Solver.GRID_MULTIGRID:
            return Contender(solver.value, adaptive_sequence, options | {"arms": _BANDITS[solver]}, sequential=True)
        case Solver.LANES:
            return Contender(solver.value, lane_factorization_sequence, options, sequential=True)
        case Solver.DIRECT:
            return Contender(solver.value, sparse_lu_sequence, options, sequential=True)
        case Solver.SKR:
            return Contender(solver.value, sorting_krylov_recycling, options, sequential=True)
        case Solver.AMG_CG | Solver.AMG_GMRES:
            return Contender(solver.value, solve_self_contained, options | {"solver": solver.value.replace("-", "_")})
        case Solver.CG | Solver.GMRES | Solver.BICGSTAB:
            return Contender(solver.value, solve_krylov, options | {"solver": solver.value})
