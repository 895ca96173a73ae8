"""Our kernels against peers that do the same work on the same systems: ``python -m benchmarks.kernels``.

A repetition is one system, or one sequence of systems for what recycles; both sides take it one after the other, the
first of them in turn. Every Krylov solve, ours and the peer's, is preconditioned by the same diagonal; GMRES by
handing the peers the product of matrix and preconditioner as their operator, since their own is on the left.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyamg
import scipy.sparse.linalg as sla
from numpy.typing import NDArray
from pyamg.krylov import gmres as pyamg_gmres
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time, ratio_with_interval
from data.linear_system import LinearSystem
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal
from data.problem import Problem, make_fields
from kernels.linear_systems.bicgstab import bicgstab
from kernels.linear_systems.cg import cg
from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.gcrotmk import gcrotmk_sequence
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.multigrid import amg_cg
from kernels.linear_systems.ordering import greedy_order
from kernels.linear_systems.preconditioners import build_preconditioner
from kernels.linear_systems.preconditioners.ilu0 import ilu0
from kernels.linear_systems.preconditioners.ilut import ilut
from kernels.linear_systems.skr import sorting_krylov_recycling
from kernels.result import Result

TOLERANCE = 1e-8
RESTART, RECYCLE = 40, 20
GMRES_RESTART = 30
DROP_TOLERANCE, FILL_FACTOR = 1e-3, 5.0
SWEEPS = 20
MOST_ITERATIONS = 20_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What one side found (None where it is no solution) and the count that stands beside its time."""

    solutions: Sequence[Array] | None
    count: float


@dataclass(frozen=True)
class Duel:
    """The same work by our kernel and by a peer; each takes one repetition's systems, and what was prepared for it."""

    kernel: str
    peer: str
    count: str
    ours: Callable[[Any], Answer]
    theirs: Callable[[Any], Answer]
    problem: Callable[..., Problem] = DarcyLognormal
    length: Callable[[argparse.Namespace], int] = lambda _: 1
    prepare: Callable[[list[LinearSystem]], tuple[Any, Any]] = lambda systems: (systems, systems)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table(
        *("kernel", "peer", "n", "count", "ours", "peer's", "CPU ms ours", "peer's", "time peer / ours"),
        "worst residual ours / peer's",
        title="Means over repetitions; ratios with 95 % intervals: above 1 ours is faster",
    )
    with threadpool_limits(1):
        print(describe_machine())
        for grid in options.grids:
            for duel in DUELS:
                table.add_row(*_row(duel, grid, options), end_section=duel is DUELS[-1])
    print_table(table)


def _row(duel: Duel, grid: int, options: argparse.Namespace) -> list[str]:
    problem = duel.problem(grid=grid)
    length = duel.length(options)
    counts, seconds, residuals = (np.zeros((options.repetitions, 2)) for _ in range(3))
    for repetition in range(options.repetitions):
        first = repetition * length
        systems = [problem.assemble(make_fields(problem, options.seed, first + i)) for i in range(length)]
        inputs = duel.prepare(systems)
        if repetition == 0:
            for side, call in enumerate((duel.ours, duel.theirs)):
                call(inputs[side])
        for turn in range(2):
            side = (repetition + turn) % 2
            answer, seconds[repetition, side] = processor_time(partial((duel.ours, duel.theirs)[side], inputs[side]))
            counts[repetition, side] = answer.count
            residuals[repetition, side] = _worst_residual(systems, answer)
    worst = residuals.max(axis=0)
    return [
        duel.kernel,
        duel.peer,
        f"{grid**2:,}",
        duel.count,
        *(f"{count:.4g}" for count in counts.mean(axis=0)),
        *(f"{1e3 * value:.3g}" for value in seconds.mean(axis=0)),
        ratio_with_interval(seconds[:, 1] / seconds[:, 0]),
        "" if np.isnan(worst).any() else " / ".join(f"{value:.0e}" for value in worst),
    ]


def _worst_residual(systems: Sequence[LinearSystem], answer: Answer) -> float:
    if answer.solutions is None:
        return float("nan")
    return max(
        float(np.linalg.norm(system.rhs - system.matrix @ solution) / np.linalg.norm(system.rhs))
        for system, solution in zip(systems, answer.solutions, strict=True)
    )


def _solve(kernel: Callable[..., Result], systems: list[LinearSystem], **options: Any) -> Answer:
    [system] = systems
    result = kernel(system.matrix, system.rhs, tolerance=TOLERANCE, **options)
    return Answer([result.value], result.work["iterations"])


def _krylov(kernel: Callable[..., Result], systems: list[LinearSystem], **options: Any) -> Answer:
    preconditioner = build_preconditioner("jacobi", systems[0].matrix)
    return _solve(kernel, systems, preconditioner=preconditioner, max_iterations=MOST_ITERATIONS, **options)


def _scipy_krylov(solver: Callable[..., Any], systems: list[LinearSystem]) -> Answer:
    [system] = systems
    iterates: list[None] = []
    solution, _ = solver(
        system.matrix,
        system.rhs,
        rtol=TOLERANCE,
        atol=0.0,
        maxiter=MOST_ITERATIONS,
        M=sla.LinearOperator(system.matrix.shape, build_preconditioner("jacobi", system.matrix).solve, dtype=float),
        callback=lambda _: iterates.append(None),
    )
    return Answer([solution], len(iterates))


def _scipy_gmres(systems: list[LinearSystem]) -> Answer:
    [system] = systems
    operator, precondition = _preconditioned(system)
    norms: list[float] = []
    solution, _ = sla.gmres(
        operator,
        system.rhs,
        restart=GMRES_RESTART,
        rtol=TOLERANCE,
        atol=0.0,
        maxiter=MOST_ITERATIONS // GMRES_RESTART,
        callback=norms.append,
        callback_type="pr_norm",
    )
    return Answer([precondition(solution)], len(norms))


def _pyamg_gmres(systems: list[LinearSystem]) -> Answer:
    [system] = systems
    operator, precondition = _preconditioned(system)
    norms: list[float] = []
    solution, _ = pyamg_gmres(
        operator,
        system.rhs,
        restart=GMRES_RESTART,
        tol=TOLERANCE,
        maxiter=MOST_ITERATIONS // GMRES_RESTART,
        residuals=norms,
        orthog="mgs",
    )
    return Answer([precondition(solution)], len(norms) - 1)


def _preconditioned(system: LinearSystem) -> tuple[sla.LinearOperator, Callable[[Array], Array]]:
    precondition = build_preconditioner("jacobi", system.matrix).solve
    operator = sla.LinearOperator(system.matrix.shape, lambda vector: system.matrix @ precondition(vector), dtype=float)
    return operator, precondition


def _sequence(method: Callable[..., Any], systems: list[LinearSystem], **options: Any) -> Answer:
    """Solve a sequence; the count is that of iterations per system."""
    results = sorted(
        method(systems, preconditioner="jacobi", restart=RESTART, recycle=RECYCLE, tolerance=TOLERANCE, **options),
        key=lambda pair: pair[0],
    )
    iterations = np.mean([result.work["iterations"] for _, result in results])
    return Answer([result.value for _, result in results], float(iterations))


def _ours_factors(factorise: Callable[..., Any], systems: list[LinearSystem], **options: Any) -> Answer:
    [system] = systems
    return Answer(None, factorise(system.matrix, **options).values.size / system.matrix.nnz)


def _scipy_factors(systems: list[LinearSystem], **options: Any) -> Answer:
    [system] = systems
    factors = sla.spilu(system.matrix.tocsc(), **options)
    # The unit diagonal of L is stored too.
    return Answer(None, (factors.L.nnz + factors.U.nnz - len(system.rhs)) / system.matrix.nnz)


def _prepared_factors(
    factorise: Callable[..., Any], options: dict[str, Any], peer_options: dict[str, Any], systems: list[LinearSystem]
) -> tuple[Any, Any]:
    [system] = systems
    factors = factorise(system.matrix, **options), sla.spilu(system.matrix.tocsc(), **peer_options)
    return (factors[0].solve, system.rhs), (factors[1].solve, system.rhs)


def _sweep(prepared: tuple[Callable[[Array], Array], Array]) -> Answer:
    solve, vector = prepared
    for _ in range(SWEEPS):
        solve(vector)
    return Answer(None, SWEEPS)


def _parameters(systems: list[LinearSystem]) -> tuple[Array, Array]:
    rows = np.stack([system.parameters for system in systems])
    return rows, rows


def _greedy(rows: Array) -> Answer:
    return Answer(None, _path_length(rows, greedy_order(rows)))


def _greedy_by_numpy(rows: Array) -> Answer:
    """The chain of nearest neighbours as one writes it with NumPy: distances to all that are left, at every step."""
    left = np.arange(1, len(rows))
    chain = [0]
    while left.size:
        nearest = np.linalg.norm(rows[left] - rows[chain[-1]], axis=1).argmin()
        chain.append(int(left[nearest]))
        left = np.delete(left, nearest)
    return Answer(None, _path_length(rows, np.array(chain)))


def _path_length(rows: Array, order: NDArray[np.int64]) -> float:
    return float(np.linalg.norm(np.diff(rows[order], axis=0), axis=1).sum())


def _spsolve(systems: list[LinearSystem]) -> Answer:
    [system] = systems
    return Answer([sla.spsolve(system.matrix, system.rhs)], 1)


def _pyamg_default(systems: list[LinearSystem]) -> Answer:
    [system] = systems
    norms: list[float] = []
    solution = pyamg.solve(system.matrix, system.rhs, tol=TOLERANCE, verb=False, residuals=norms)
    return Answer([solution], len(norms) - 1)


_ILU0_OF_SCIPY: dict[str, Any] = {"drop_tol": 0.0, "fill_factor": 1.0, "permc_spec": "NATURAL"}
_ILUT_OF_SCIPY: dict[str, Any] = {"drop_tol": DROP_TOLERANCE, "fill_factor": FILL_FACTOR}
_ILUT: dict[str, Any] = {"drop_tolerance": DROP_TOLERANCE, "fill_factor": FILL_FACTOR}

DUELS = (
    Duel(
        f"gmres({GMRES_RESTART})",
        "scipy gmres",
        "iterations",
        partial(_krylov, gmres, restart=GMRES_RESTART),
        _scipy_gmres,
        ConvectionDiffusion,
    ),
    Duel(
        f"gmres({GMRES_RESTART})",
        "pyamg gmres (mgs)",
        "iterations",
        partial(_krylov, gmres, restart=GMRES_RESTART),
        _pyamg_gmres,
        ConvectionDiffusion,
    ),
    Duel(
        "bicgstab",
        "scipy bicgstab",
        "iterations",
        partial(_krylov, bicgstab),
        partial(_scipy_krylov, sla.bicgstab),
        ConvectionDiffusion,
    ),
    Duel("cg", "scipy cg", "iterations", partial(_krylov, cg), partial(_scipy_krylov, sla.cg)),
    Duel(
        "gcrodr, fresh",
        "scipy gcrotmk",
        "iterations",
        partial(_sequence, sorting_krylov_recycling, ordering="none", carry=False),
        partial(_sequence, gcrotmk_sequence, carry=False),
        length=lambda options: options.sequence,
    ),
    Duel(
        "gcrodr, carried",
        "scipy gcrotmk, carried",
        "iterations",
        partial(_sequence, sorting_krylov_recycling, ordering="none"),
        partial(_sequence, gcrotmk_sequence),
        length=lambda options: options.sequence,
    ),
    Duel(
        "ilu0: set-up",
        "scipy spilu, fill 1",
        "entries / nnz",
        partial(_ours_factors, ilu0),
        partial(_scipy_factors, **_ILU0_OF_SCIPY),
    ),
    Duel(
        "ilu0: solve",
        "scipy spilu, fill 1",
        "solves",
        _sweep,
        _sweep,
        prepare=partial(_prepared_factors, ilu0, {}, _ILU0_OF_SCIPY),
    ),
    Duel(
        "ilut: set-up",
        "scipy spilu",
        "entries / nnz",
        partial(_ours_factors, ilut, **_ILUT),
        partial(_scipy_factors, **_ILUT_OF_SCIPY),
    ),
    Duel(
        "ilut: solve",
        "scipy spilu",
        "solves",
        _sweep,
        _sweep,
        prepare=partial(_prepared_factors, ilut, _ILUT, _ILUT_OF_SCIPY),
    ),
    Duel(
        "greedy_order",
        "numpy, brute force",
        "path length",
        _greedy,
        _greedy_by_numpy,
        length=lambda options: options.chain,
        prepare=_parameters,
    ),
    Duel("sparse_lu", "scipy spsolve", "solves", partial(_solve, sparse_lu), _spsolve),
    Duel("amg_cg", "pyamg.solve", "iterations", partial(_solve, amg_cg), _pyamg_default),
)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument(
        "--grids", type=int, nargs="+", default=[50, 100], help="cells per side, n = grid^2 (default: 50 100)"
    )
    parser.add_argument("--repetitions", type=int, default=5, help="systems or sequences (default: %(default)s)")
    parser.add_argument("--sequence", type=int, default=8, help="systems that recycle (default: %(default)s)")
    parser.add_argument("--chain", type=int, default=300, help="systems that are ordered (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(grids=[16], repetitions=2, sequence=2, chain=20)
    return options


if __name__ == "__main__":
    main()
