"""Any solver of this family for a sequence of systems, chosen by name: what data sets are made with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from kernels.linear_systems.adaptive import ARM_NAMES, MULTIGRID_ARMS, AdaptiveSolver
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.evolution import Evolution, solve_evolutions, worst_relative_residual
from kernels.linear_systems.lane_factorization import lane_factorization_sequence
from kernels.linear_systems.skr import sorting_krylov_recycling
from kernels.linear_systems.solvers import KRYLOV, solve_krylov, solve_self_contained, true_relative_residual
from kernels.linear_systems.types import System
from kernels.result import Result

SolveSequence = Callable[..., Iterator[tuple[int, Result]]]


def _one_by_one(
    solve: Callable[..., Result], systems: Iterable[System], **options: Any
) -> Iterator[tuple[int, Result]]:
    return ((position, solve(system, **options)) for position, system in enumerate(systems))


def _alone(solve: Callable[..., Result]) -> SolveSequence:
    return partial(_one_by_one, solve)


SEQUENCES: Mapping[str, SolveSequence] = MappingProxyType(
    {
        "lanes": lane_factorization_sequence,
        "direct": sparse_lu_sequence,
        "skr": sorting_krylov_recycling,
        **{name: _alone(partial(solve_krylov, solver=name)) for name in KRYLOV},
        **{
            name.replace("_", "-"): _alone(partial(solve_self_contained, solver=name))
            for name in ("amg_cg", "amg_gmres")
        },
    }
)
BANDITS: Mapping[str, Sequence[str]] = MappingProxyType({"auto": ARM_NAMES, "grid-multigrid": MULTIGRID_ARMS})


def sequence_solver(solver: str, **options: Any) -> SolveSequence:
    """The solver of this name as a function of (systems, tolerance=...), with its memory, if it has one.

    Parameters
    ----------
    solver : str
        ``"auto"`` for the choice of a bandit, ``"grid-multigrid"`` for multigrid on grids in two or three dimensions
        with the bandit's choice as fallback, or one of SEQUENCES.
    **options
        Of the solver.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if solver in BANDITS:
        return AdaptiveSolver(BANDITS[solver]).solve
    if solver not in SEQUENCES:
        raise ValueError(f"solver must be one of {', '.join([*BANDITS, *SEQUENCES])}, not {solver!r}")
    return partial(SEQUENCES[solver], **options)


def evolve(
    evolutions: Iterable[Evolution], *, solver: str, tolerance: float = 1e-8, **options: Any
) -> Iterator[tuple[int, Result]]:
    """Step instances through time by the solver of this name; arguments as for :func:`sequence_solver`."""
    solve = sequence_solver(solver, **options)
    yield from solve_evolutions(evolutions, solve=solve, tolerance=tolerance)


def relative_residual(instance: System | Evolution, result: Result) -> float:
    """The true relative residual of a solution, or the worst of a trajectory; NaN where there is none."""
    if isinstance(instance, Evolution):
        return worst_relative_residual(instance, result)
    return true_relative_residual(instance, result)
