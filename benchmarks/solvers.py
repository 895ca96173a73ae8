"""Solvers of sequences of related systems against the libraries used today: ``python -m benchmarks.solvers``.

Every solver gets the same systems, in blocks of 16 in turn, who begins rotating, on one thread; the first block, in
which code is compiled, patterns are analysed and solvers are chosen for the first time, is not counted. Times are
processor times per system: ours of a block shared by its systems, a peer's of each system; all set-up that a new matrix
needs is counted. "auto" knows the grid where there is one, "lanes" takes any pattern and knows nothing but the
matrices. A peer that is slow is stopped after ``--seconds``; the column "systems" says how many it was measured on.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time
from benchmarks.peers import peers, relative_residual
from data.linear_system import LinearSystem
from data.pde.absorbing_helmholtz import AbsorbingHelmholtz
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyThresholded
from data.pde.darcy_anisotropic import DarcyAnisotropic
from data.pde.darcy_cube import DarcyCube
from data.pde.helmholtz import Helmholtz
from data.pde.poisson import Poisson
from data.pde.recirculation import Recirculation
from data.pde.thermal import Thermal
from data.problem import Problem, make_fields
from kernels.linear_systems.adaptive import ARM_NAMES, AdaptiveSolver
from kernels.result import Result

BLOCK = 16
TOLERANCE = 1e-8
OURS = {"auto": ARM_NAMES, "lanes": ("lanes",)}

FAMILIES: dict[str, Callable[[int], Problem]] = {
    "darcy, log-normal": lambda grid: DarcyLognormal(grid=grid, normalise=True, smoothness=2.0, inverse_length=3.0),
    "darcy, two-phase 12:3": lambda grid: DarcyThresholded(grid=grid),
    "darcy, two-phase 1e6": lambda grid: DarcyThresholded(grid=grid, high=1e6, low=1.0),
    "darcy, anisotropic 1000:1": lambda grid: DarcyAnisotropic(grid=grid, anisotropy=1000.0),
    "poisson": lambda grid: Poisson(grid=grid),
    "thermal, irregular mesh": lambda grid: Thermal(refinement=max(1, grid // 25)),
    "convection-diffusion": lambda grid: ConvectionDiffusion(grid=grid),
    "recirculating, Peclet 10": lambda grid: Recirculation(grid=grid, cell_peclet=10.0),
    "recirculating, Peclet 100": lambda grid: Recirculation(grid=grid, cell_peclet=100.0),
    "helmholtz, 4 waves": lambda grid: Helmholtz(grid=grid, wave_number=8.0 * np.pi),
    "helmholtz, 10 points a wave": lambda grid: Helmholtz(grid=grid, wave_number=0.2 * np.pi * grid),
    "helmholtz, absorbing": lambda grid: AbsorbingHelmholtz(grid=grid, wave_number=8.0 * np.pi),
    "darcy, 3-D": lambda grid: DarcyCube(grid=round(grid ** (2 / 3))),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table(
        *("family", "grid", "unknowns", "solver", "CPU ms per system", "quartiles", "time / auto", "systems"),
        *("worst residual", "missed"),
        title=f"Medians; true relative residual {TOLERANCE:g}",
    )
    with threadpool_limits(1):
        print(describe_machine())
        for family in options.families:
            for grid in options.grids:
                for row in _rows(family, grid, options):
                    table.add_row(*row)
                table.add_section()
    print_table(table)


class _Record:
    """What was measured of one solver."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.residuals: list[float] = []
        self.spent = 0.0


def _rows(family: str, grid: int, options: argparse.Namespace) -> Iterator[list[str]]:
    problem = FAMILIES[family](grid)
    example = _block(problem, options.seed, 0, 1)[0]
    solvers = {name: partial(_ours, AdaptiveSolver(arms)) for name, arms in OURS.items()}
    solvers |= {name: partial(_peer, solve) for name, solve in peers(example, TOLERANCE).items()}
    records = {name: _Record() for name in solvers}
    names = list(solvers)
    for number in range(1 + options.systems // BLOCK):
        block = _block(problem, options.seed, number * BLOCK, BLOCK)
        start = number % len(names)
        for name in names[start:] + names[:start]:
            if number == 0:
                solvers[name](block if name in OURS else block[:1], np.inf)
            elif records[name].spent < options.seconds:
                _add(records[name], block, solvers[name](block, options.seconds - records[name].spent))
    auto = float(np.median(records["auto"].seconds))
    for name, record in records.items():
        seconds, residuals = np.array(record.seconds), np.array(record.residuals)
        lower, upper = 1e3 * np.quantile(seconds, [0.25, 0.75])
        first = ("", "", "") if name != names[0] else (family, str(grid), f"{example.rhs.size:,}")
        yield [
            *first,
            name,
            f"{1e3 * np.median(seconds):.3g}",
            f"{lower:.3g} .. {upper:.3g}",
            f"{np.median(seconds) / auto:.2f}",
            str(len(seconds)),
            f"{np.max(residuals):.1e}",
            str(int(np.sum(~(residuals <= 1.01 * TOLERANCE)))),
        ]


def _block(problem: Problem, seed: int, first: int, count: int) -> list[LinearSystem]:
    return [problem.assemble(make_fields(problem, seed, index)) for index in range(first, first + count)]


Solutions = list[tuple[np.ndarray, float]]


def _ours(solver: AdaptiveSolver, block: list[LinearSystem], _: float) -> Solutions:
    """The solutions of a block, each with its share of the time."""

    def solve() -> dict[int, Result]:
        return dict(solver.solve(block, TOLERANCE))

    results, seconds = processor_time(solve)
    return [(results[position].value, seconds / len(block)) for position in range(len(block))]


def _peer(solve: Callable[[LinearSystem], np.ndarray], block: list[LinearSystem], seconds: float) -> Solutions:
    """The solutions of as many systems as fit into the time, at least one."""
    solutions: Solutions = []
    for system in block:
        solution, spent = processor_time(partial(solve, system))
        solutions.append((solution, spent))
        seconds -= spent
        if seconds <= 0.0:
            break
    return solutions


def _add(record: _Record, block: list[LinearSystem], solutions: Solutions) -> None:
    for system, (solution, seconds) in zip(block, solutions, strict=False):
        record.seconds.append(seconds)
        record.residuals.append(relative_residual(system, solution))
        record.spent += seconds


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solvers", description=__doc__)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), help="default: all")
    parser.add_argument("--grids", type=int, nargs="+", default=[64, 128, 256], help="default: 64 128 256")
    parser.add_argument("--systems", type=int, default=64, help="a multiple of 16 (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each peer, family and grid (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.systems < BLOCK or options.systems % BLOCK:
        parser.error(f"argument --systems: must be a positive multiple of {BLOCK}, not {options.systems}")
    if options.quick:
        vars(options).update(grids=[40], systems=BLOCK, seconds=0.1)
    return options


if __name__ == "__main__":
    main()
