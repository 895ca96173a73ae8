"""What recycling adds to strong preconditioners: ``python -m benchmarks.recycling_on_multigrid``.

Systems are taken in the order drawn, and from the middle of the greedy chain through a pool of the size of a production
job, so that sorting finds the neighbours that it would find there. Methods take five systems each in turn; who begins
rotates. Systems before the measured ones fill what a method carries. Counts and times are medians over the systems of a
seed; ratios compare a method with a plain solver on the same systems, and have 95 % intervals over seeds. Times are
processor times of this thread, BLAS held to one thread, and contain the set-up of the preconditioner, measured once for
all methods (a matrix that stays the same is set up once, which counts as nothing); sorting itself is not timed.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.box import MARKDOWN
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time, ratio_with_interval
from benchmarks.recycling_methods import (
    ORDERS,
    WINDOW,
    Method,
    Order,
    definite_methods,
    direct_methods,
    general_methods,
    own_multigrid_methods,
)
from data.linear_system import LinearSystem
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyParametric, DarcyThresholded
from data.pde.helmholtz import Helmholtz
from data.pde.poisson import Poisson
from data.pde.thermal import Thermal
from data.problem import Problem, make_fields
from kernels.linear_systems.direct import factorize
from kernels.linear_systems.grid_multigrid import grid_multigrid_preconditioner
from kernels.linear_systems.multigrid import multigrid_preconditioner
from kernels.linear_systems.ordering import greedy_order
from kernels.linear_systems.preconditioners import build_preconditioner
from kernels.linear_systems.types import Matrix, Preconditioner

Array = NDArray[np.float64]
Built = tuple[Preconditioner | None, float]

BATCH = 5
REFRESH = 10  # systems that one frozen factorisation serves
COUNTS = ("iterations", "operator_applications", "preconditioner_applications")
FROZEN = f"one LU for {REFRESH} systems"
OWN_SOLVER, DIRECT = "own solver", "direct"

BUILDERS: Mapping[str, Callable[[Matrix], Preconditioner]] = {
    **{name: partial(build_preconditioner, name) for name in ("jacobi", "ic0", "ilu0")},
    "pyamg": multigrid_preconditioner,
    "grid multigrid": grid_multigrid_preconditioner,
}
OWN: Mapping[str, Sequence[Method]] = {OWN_SOLVER: own_multigrid_methods(), DIRECT: direct_methods()}


@dataclass(frozen=True)
class Family:
    """A problem by its grid, its preconditioners, and the methods that take one."""

    problem: Callable[[int], Problem]
    preconditioners: Sequence[str]
    methods: Sequence[Method]


@dataclass(frozen=True)
class Measurement:
    """Medians over the systems of each seed, shape (seeds,): counts, seconds of set-up and in all; how many failed."""

    counts: Mapping[str, Array]
    set_up: Array
    seconds: Array
    unsolved: int


_DEFINITE = definite_methods(limit=1000)
_STRONG = ("jacobi", "ic0", "pyamg", "grid multigrid", OWN_SOLVER, DIRECT)
FAMILIES: Mapping[str, Family] = {
    "darcy-lognormal": Family(lambda grid: DarcyLognormal(grid=grid), _STRONG, _DEFINITE),
    "darcy, contrast 1e6": Family(lambda grid: DarcyThresholded(grid=grid, high=1e6, low=1.0), _STRONG, _DEFINITE),
    "darcy, 3 parameters": Family(lambda grid: DarcyParametric(grid=grid, modes=3), (*_STRONG, FROZEN), _DEFINITE),
    "convection-diffusion": Family(
        lambda grid: ConvectionDiffusion(grid=grid),
        ("jacobi", "ilu0", "pyamg", "grid multigrid", OWN_SOLVER, DIRECT),
        general_methods(limit=1000),
    ),
    "helmholtz": Family(
        lambda grid: Helmholtz(grid=grid, wave_number=min(25.0, grid / 2)),
        ("ilu0", "grid multigrid", FROZEN, DIRECT),
        general_methods(limit=500, sizes=(20,)),
    ),
    "poisson": Family(lambda grid: Poisson(grid=grid), _STRONG, _DEFINITE),
    "thermal": Family(
        lambda grid: Thermal(refinement=max(1, round(grid / 25))), ("jacobi", "ic0", "pyamg", DIRECT), _DEFINITE
    ),
    "darcy, contrast 4": Family(lambda grid: DarcyThresholded(grid=grid), _STRONG, _DEFINITE),
    "darcy, 2 parameters": Family(lambda grid: DarcyParametric(grid=grid, modes=2), (*_STRONG, FROZEN), _DEFINITE),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    options = _parse(arguments)
    with threadpool_limits(1):
        print(describe_machine(), flush=True)
        for name in options.families:
            details, summary = _details(name), _summary(name)
            for labels, measured in measure(FAMILIES[name], options).items():
                _add_details(details, labels, measured)
                summary.add_row(*labels, *_compared(measured))
            print_table(details)
            print_table(summary)


def measure(family: Family, options: argparse.Namespace) -> dict[tuple[str, str], dict[Method, Measurement]]:
    """Run all methods of a family, by preconditioner and tolerance."""
    problem = family.problem(options.grid)
    runs: dict[tuple[str, str], list[dict[Method, Array]]] = {}
    for seed in range(options.seed, options.seed + options.seeds):
        sequences = _sequences(problem, seed, options)
        for name in family.preconditioners:
            built = {order: list(_build(name, systems)) for order, systems in sequences.items()}
            methods = OWN.get(name, family.methods)
            for tolerance in options.tolerances:
                run = _run_in_turn(methods, sequences, built, tolerance)
                runs.setdefault((name, f"{tolerance:g}"), []).append(run)
    return {
        key: {method: _medians([run[method] for run in repeated]) for method in repeated[0]}
        for key, repeated in runs.items()
    }


def _sequences(problem: Problem, seed: int, options: argparse.Namespace) -> dict[Order, list[LinearSystem]]:
    """The first systems of a pool, and as many from the middle of the sorted chain through it."""
    length = WINDOW + options.systems

    def system(index: int) -> LinearSystem:
        assembled: LinearSystem = problem.assemble(make_fields(problem, seed, index))
        return assembled

    chain = greedy_order(np.stack([system(index).parameters for index in range(options.pool)]))
    middle = chain[(options.pool - length) // 2 :][:length]
    return {"drawn": [system(i) for i in range(length)], "sorted": [system(i) for i in middle.tolist()]}


def _build(name: str, systems: Sequence[LinearSystem]) -> Iterator[Built]:
    """The preconditioner of every system and the processor time of its set-up."""
    built: Built = (None, 0.0)
    for position, system in enumerate(systems):
        if name == FROZEN and position % REFRESH == 0:
            factors, seconds = processor_time(partial(factorize, system.matrix))
            assert factors is not None
            built = Preconditioner(name, factors.solve, None), seconds / REFRESH
        elif name in BUILDERS:
            constant = position > 0 and system.matrix is systems[position - 1].matrix
            built = (built[0], 0.0) if constant else processor_time(partial(BUILDERS[name], system.matrix))
        yield built


def _run_in_turn(
    methods: Sequence[Method],
    sequences: Mapping[Order, Sequence[LinearSystem]],
    built: Mapping[Order, Sequence[Built]],
    tolerance: float,
) -> dict[Method, Array]:
    """A row for each measured system: the counts, the seconds of set-up and in all, and whether it is unsolved."""
    chains = {method: method.begin() for method in methods}
    rows: dict[Method, list[list[float]]] = {method: [] for method in methods}
    for method, chain in chains.items():
        for position in range(WINDOW - method.lead, WINDOW):
            chain(sequences[method.order][position], built[method.order][position][0], tolerance)
    length = len(sequences["drawn"])
    for turn, first in enumerate(range(WINDOW, length, BATCH)):
        start = turn % len(methods)
        for method in (*methods[start:], *methods[:start]):
            for position in range(first, min(first + BATCH, length)):
                preconditioner, set_up = built[method.order][position]
                system = sequences[method.order][position]
                result, seconds = processor_time(partial(chains[method], system, preconditioner, tolerance))
                counts = [result.work.get(count, 0.0) for count in COUNTS]
                rows[method].append([*counts, set_up, set_up + seconds, not result.converged])
    return {method: np.array(row) for method, row in rows.items()}


def _medians(runs: Sequence[Array]) -> Measurement:
    *counts, set_up, seconds, _ = np.median(np.array(runs), axis=1).T
    unsolved = int(np.array(runs)[:, :, -1].sum())
    return Measurement(dict(zip(COUNTS, counts, strict=True)), set_up, seconds, unsolved)


def _details(family: str) -> Table:
    return Table(
        *("preconditioner", "tolerance", "method", "systems", "iterations", "products", "preconditionings"),
        *("CPU ms", "of it set-up", "unsolved", "products / plain", "CPU / plain"),
        title=f"{family}: medians over systems, their means over seeds; ratios to the first plain solver",
    )


def _summary(family: str) -> Table:
    return Table(
        *("preconditioner", "tolerance", "fastest plain", "iterations, drawn / sorted", "CPU ms, drawn / sorted"),
        *("fastest recycling", "iterations", "CPU / plain", "sorting, products"),
        *("fastest start", "iterations", "CPU / plain"),
        title=family,
        box=MARKDOWN,
    )


def _add_details(table: Table, labels: Sequence[str], measured: Mapping[Method, Measurement]) -> None:
    for row, (method, spent) in enumerate(measured.items()):
        plain = _first(measured, "plain", method.order)
        ratios = ["", ""]
        if method.kind != "plain":
            ratios = [_ratio(spent, measured[plain], what) for what in ("operator_applications", "seconds")]
        table.add_row(
            *(labels if row == 0 else [""] * len(labels)),
            method.name,
            method.order,
            *(f"{spent.counts[count].mean():.1f}" for count in COUNTS),
            f"{1e3 * spent.seconds.mean():.3g}",
            f"{1e3 * spent.set_up.mean():.2g}",
            str(spent.unsolved or ""),
            *ratios,
            end_section=row == len(measured) - 1,
        )


def _ratio(spent: Measurement, plain: Measurement, what: str) -> str:
    """A ratio with its interval; no more than a bound where a solver gave systems up."""
    values = [measured.seconds if what == "seconds" else measured.counts[what] for measured in (spent, plain)]
    marks = {(False, False): "", (True, False): "≥ ", (False, True): "≤ ", (True, True): "unsolved in both: "}
    return marks[spent.unsolved > 0, plain.unsolved > 0] + ratio_with_interval(values[0] / values[1])


def _compared(measured: Mapping[Method, Measurement]) -> list[str]:
    """The fastest method of each kind; recycling and starts against the fastest plain solver of the same systems."""
    plain = {order: _fastest(measured, "plain", order) for order in ORDERS}
    cells = [
        " / ".join(dict.fromkeys(method.name for method in plain.values())),
        " / ".join(_iterations(measured[method]) for method in plain.values()),
        " / ".join(f"{1e3 * measured[method].seconds.mean():.3g}" for method in plain.values()),
    ]
    for kind in ("recycled", "start"):
        if all(method.kind != kind for method in measured):
            cells += [""] * (4 if kind == "recycled" else 3)
            continue
        method = _fastest(measured, kind)
        ratio = _ratio(measured[method], measured[plain[method.order]], "seconds")
        cells += [f"{method.name}, {method.order}", _iterations(measured[method]), ratio]
        cells += [_sorting(measured)] if kind == "recycled" else []
    return cells


def _fastest(measured: Mapping[Method, Measurement], kind: str, order: Order | None = None) -> Method:
    """Of those that leave the fewest unsolved, the one that takes the least time."""
    candidates = [method for method in measured if method.kind == kind and order in (None, method.order)]
    return min(candidates, key=lambda method: (measured[method].unsolved, measured[method].seconds.mean()))


def _first(measured: Mapping[Method, Measurement], kind: str, order: Order) -> Method:
    return next(method for method in measured if method.kind == kind and method.order == order)


def _iterations(spent: Measurement) -> str:
    unsolved = f" ({spent.unsolved} unsolved)" if spent.unsolved else ""
    return f"{spent.counts['iterations'].mean():.1f}{unsolved}"


def _sorting(measured: Mapping[Method, Measurement]) -> str:
    """Products of the first recycling method, sorted / as drawn, each relative to plain solutions of its systems."""
    relative, unsolved = {}, 0
    for order in ORDERS:
        recycled, plain = (measured[_first(measured, kind, order)] for kind in ("recycled", "plain"))
        relative[order] = recycled.counts["operator_applications"] / plain.counts["operator_applications"]
        unsolved += recycled.unsolved + plain.unsolved
    return f"{ratio_with_interval(relative['sorted'] / relative['drawn'])}{' (some unsolved)' if unsolved else ''}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recycling_on_multigrid", description=__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="default: all")
    parser.add_argument(
        "--tolerances", type=float, nargs="+", default=[1e-5, 1e-8, 1e-10], help="default: 1e-5 1e-8 1e-10"
    )
    parser.add_argument("--grid", type=int, default=64, help="cells per side (default: %(default)s)")
    parser.add_argument("--systems", type=int, default=40, help="measured in a sequence (default: %(default)s)")
    parser.add_argument("--pool", type=int, default=1000, help="systems that are sorted (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="independent sequences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(grid=12, systems=5, pool=50, seeds=2, tolerances=[1e-5])
    if options.pool < WINDOW + options.systems:
        parser.error(f"argument --pool: must be at least {WINDOW + options.systems}, not {options.pool}")
    return options


if __name__ == "__main__":
    main()
