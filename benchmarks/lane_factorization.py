"""Factorisations in SIMD lanes against sparse direct solvers: ``python -m benchmarks.lane_factorization``.

Every solver gets the same systems as bare CSR matrices, one thread, in blocks of 16: ours solves a block, then each
peer its systems one by one. A peer that can reuses its symbolic analysis, and refines where its solution misses the
tolerance. The first block is for compiling, analysing and touching memory and is not counted; assembling is not timed.
The time of a block of ours is shared by its systems, those that had to be factorised again in float64 included.
pypardiso and scikit-sparse are measured where they can be imported.
"""

import argparse
import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time
from data.linear_system import LinearSystem
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyThresholded
from data.pde.helmholtz import Helmholtz
from data.problem import Problem, make_fields
from kernels.linear_systems.direct import factorize
from kernels.linear_systems.lane_factorization import lane_factorization_sequence
from kernels.result import Result

Array = NDArray[np.float64]
Solver = Callable[[LinearSystem], Array]

LANES = 16
MOST_REFINEMENTS = 3
FAMILIES: dict[str, Callable[..., Problem]] = {
    "darcy-lognormal": DarcyLognormal,
    "darcy-thresholded": DarcyThresholded,
    "helmholtz": Helmholtz,
    "convection-diffusion": ConvectionDiffusion,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table(
        *("family", "grid", "solver", "CPU ms per system", "mean", "time / ours", "worst residual", "missed"),
        title=f"Medians over {options.systems} systems, true relative residual {options.tolerance:g}",
    )
    with threadpool_limits(1):
        print(describe_machine())
        for family in options.families:
            for grid in options.grids:
                for row in _rows(family, grid, options):
                    table.add_row(*row)
                table.add_section()
    print_table(table)


def _rows(family: str, grid: int, options: argparse.Namespace) -> Iterator[list[str]]:
    blocks = [_block(FAMILIES[family](grid=grid), options.seed, block) for block in range(1 + options.systems // LANES)]
    solvers = _peers(blocks[0][0], options.tolerance)
    ours = lane_factorization_sequence([system for block in blocks for system in block], tolerance=options.tolerance)
    seconds: dict[str, list[float]] = {name: [] for name in ("lanes", *solvers)}
    residuals: dict[str, list[float]] = {name: [] for name in seconds}
    for number, block in enumerate(blocks):
        results, block_seconds = processor_time(partial(_take, ours, len(block)))
        if number > 0:
            seconds["lanes"] += [block_seconds / len(block)] * len(block)
            residuals["lanes"] += [
                _relative(system, result.value) for system, result in zip(block, results, strict=True)
            ]
        for name, solve in solvers.items():
            for system in block if number > 0 else block[:2]:
                solution, spent = processor_time(partial(solve, system))
                if number > 0:
                    seconds[name].append(spent)
                    residuals[name].append(_relative(system, solution))
    lanes_median = np.median(seconds["lanes"])
    for name in seconds:
        median, worst = np.median(seconds[name]), np.array(residuals[name])
        yield [
            *((family, f"{grid}²") if name == "lanes" else ("", "")),
            name,
            f"{1e3 * median:.3g}",
            f"{1e3 * np.mean(seconds[name]):.3g}",
            f"{median / lanes_median:.2f}",
            f"{worst.max():.1e}",
            str(int((worst > options.tolerance).sum())),
        ]


def _take(results: Iterator[tuple[int, Result]], count: int) -> list[Result]:
    return [next(results)[1] for _ in range(count)]


def _block(problem: Problem, seed: int, block: int) -> list[LinearSystem]:
    first = block * LANES
    return [problem.assemble(make_fields(problem, seed, index)) for index in range(first, first + LANES)]


def _relative(system: LinearSystem, solution: Array) -> float:
    return float(np.linalg.norm(system.rhs - system.matrix @ solution) / np.linalg.norm(system.rhs))


def _refined(system: LinearSystem, solve: Callable[[Array], Array], tolerance: float) -> Array:
    solution = solve(system.rhs)
    for _ in range(MOST_REFINEMENTS):
        residual = system.rhs - system.matrix @ solution
        if np.linalg.norm(residual) <= tolerance * np.linalg.norm(system.rhs):
            break
        solution += solve(residual)
    return solution


def _peers(example: LinearSystem, tolerance: float) -> dict[str, Solver]:
    """The peers that can be imported and can solve systems like this one."""

    def superlu(system: LinearSystem) -> Array:
        factors = factorize(system.matrix)
        if factors is None:
            raise ArithmeticError("the matrix is singular")
        return _refined(system, factors.solve, tolerance)

    peers: dict[str, Solver] = {"scipy splu, minimum degree": superlu}
    pypardiso, cholmod = _import("pypardiso"), _import("sksparse.cholmod")
    if pypardiso is not None:
        peers["MKL PARDISO, analysis reused"] = _pardiso(pypardiso, example, tolerance)
    if cholmod is not None and example.symmetric:
        for ordering in ("nesdis", "amd"):
            mode = "supernodal" if example.positive_definite else "simplicial"
            name = f"CHOLMOD {mode} {ordering}, analysis reused"
            peers[name] = _cholmod(cholmod, example, mode, ordering, tolerance)
    return peers


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _pardiso(pypardiso: Any, example: LinearSystem, tolerance: float) -> Solver:
    """MKL PARDISO, symmetric where the systems are; phase 12 analyses and factorises, 22 factorises, 33 solves."""
    kind = 11 if not example.symmetric else 2 if example.positive_definite else -2
    solver = pypardiso.PyPardisoSolver(mtype=kind)
    solver._check_A = lambda *_: None
    # own parameters, METIS order, and for indefinite matrices scaling and matching as the manual advises
    for parameter, value in ((1, 1), (2, 2), (8, 1), *(((10, 8), (11, 1), (13, 1), (21, 1)) if kind == -2 else ())):
        solver.set_iparm(parameter, value)
    if kind == 11:
        for parameter, value in ((10, 13), (11, 1), (13, 1)):
            solver.set_iparm(parameter, value)
    row = np.repeat(np.arange(len(example.rhs)), np.diff(example.matrix.indptr))
    kept = np.flatnonzero(example.matrix.indices >= row) if example.symmetric else slice(None)
    indices = example.matrix.indices[kept]
    indptr = np.searchsorted(row[kept], np.arange(len(example.rhs) + 1)).astype(np.int32)
    analysed = False

    def solve(system: LinearSystem) -> Array:
        nonlocal analysed
        matrix = sp.csr_matrix((system.matrix.data[kept], indices, indptr), shape=system.matrix.shape)
        solver.set_phase(22 if analysed else 12)
        solver._call_pardiso(matrix, np.ascontiguousarray(system.rhs))
        analysed = True
        solver.set_phase(33)
        return _refined(system, lambda rhs: solver._call_pardiso(matrix, np.ascontiguousarray(rhs)).ravel(), tolerance)

    return solve


def _cholmod(cholmod: Any, example: LinearSystem, mode: str, ordering: str, tolerance: float) -> Solver:
    def columns(system: LinearSystem) -> Any:
        # of a symmetric matrix CSR and CSC are the same arrays
        matrix = system.matrix
        return sp.csc_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)

    factor = cholmod.analyze(columns(example), mode=mode, ordering_method=ordering)

    def solve(system: LinearSystem) -> Array:
        factor.cholesky_inplace(columns(system))
        return _refined(system, factor, tolerance)

    return solve


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lane_factorization", description=__doc__)
    parser.add_argument("--grids", type=int, nargs="+", default=[64, 128, 256], help="default: 64 128 256")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), help="default: all")
    parser.add_argument("--systems", type=int, default=64, help="a multiple of 16 (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-8, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.systems < LANES or options.systems % LANES:
        parser.error(f"argument --systems: must be a positive multiple of {LANES}, not {options.systems}")
    if options.quick:
        vars(options).update(grids=[24], systems=LANES)
    return options


if __name__ == "__main__":
    main()
