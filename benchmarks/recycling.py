"""What sorting, recycling and deflation each bring against restarted GMRES: ``python -m benchmarks.recycling``.

The contenders are those of the study ``skr``, run one system at a time in turn. Products with the matrix are counted
in full, those for the recycled space included; the processor time of SKR includes its sorting.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time, ratio_with_interval
from data.problem import Problem, make_fields
from data.validation import validated
from flows.studies.linear_systems.skr import ABLATION, PAPER_FAMILY, PAPER_RATIOS, STUDY, Family, SkrSettings
from kernels.linear_systems.types import System
from kernels.result import Result
from tasks.study import Contender

GMRES, FRESH, CARRIED, SORTED = "gmres", "gcrodr-fresh", "gcrodr-unsorted", "skr"
HEADLINE = "headline"
# What is measured against what, in the rows of the contenders after the first; the headline has a row of its own.
RATIOS = {
    "deflation": (GMRES, FRESH),
    "recycling": (FRESH, CARRIED),
    "sorting": (CARRIED, SORTED),
    HEADLINE: (GMRES, SORTED),
}
FAMILIES = {
    "darcy-lognormal": Family.DARCY,
    "darcy-published": Family.DARCY_PUBLISHED,
    "darcy-parametric": Family.DARCY_PARAMETRIC,
    "helmholtz": Family.HELMHOLTZ,
    "poisson": Family.POISSON,
    "thermal": Family.THERMAL,
    "convection-diffusion": Family.CONVECTION_DIFFUSION,
}
PRECONDITIONERS = get_args(SkrSettings.model_fields["preconditioner"].annotation)


@dataclass(frozen=True)
class Case:
    """One family at one setting, and the products per system that a pilot counted there."""

    name: str
    family: Family
    settings: SkrSettings
    pilot: Mapping[str, int]

    @property
    def problem(self) -> Problem:
        """What the systems are made by."""
        return STUDY.problems(self.settings)[self.family]

    @property
    def contenders(self) -> list[Contender]:
        """The four of the ratios, in their order."""
        known = {contender.name: contender for contender in STUDY.contenders(self.settings, self.family)}
        return [known[name] for name in (GMRES, FRESH, CARRIED, SORTED)]


@dataclass(frozen=True)
class Measurement:
    """What one contender spent per system, one value a repetition, and how many systems it left unsolved."""

    applications: NDArray[np.float64]
    iterations: NDArray[np.float64]
    seconds: NDArray[np.float64]
    unsolved: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table(
        *("systems", "contender", "products", "iterations", "CPU ms", "CPU µs / iteration"),
        *("gain", "in products", "in CPU time", "elsewhere"),
        title="Means per system; gains with 95 % intervals over repetitions; µs / iteration also relative to GMRES",
    )
    with threadpool_limits(1):
        print(describe_machine())
        for case in _cases(options):
            _add_rows(table, case, measure(case))
    print_table(table)


def measure(case: Case) -> dict[str, Measurement]:
    """Run the contenders of a case on all its repetitions."""
    settings = case.settings
    spent: dict[str, list[tuple[Result, float]]] = {contender.name: [] for contender in case.contenders}
    for repetition in range(settings.repetitions):
        indices = range(repetition * settings.instances, (repetition + 1) * settings.instances)
        systems = [case.problem.assemble(make_fields(case.problem, settings.seed, index)) for index in indices]
        if repetition == 0:
            run_in_turn(case.contenders, systems[:1])
        for name, solves in run_in_turn(case.contenders, systems).items():
            spent[name] += solves
    return {name: _per_repetition(solves, settings.repetitions) for name, solves in spent.items()}


def _per_repetition(solves: Sequence[tuple[Result, float]], repetitions: int) -> Measurement:
    def means(values: list[float]) -> NDArray[np.float64]:
        per_repetition: NDArray[np.float64] = np.array(values).reshape(repetitions, -1).mean(axis=1)
        return per_repetition

    return Measurement(
        means([result.work["operator_applications"] for result, _ in solves]),
        means([result.work["iterations"] for result, _ in solves]),
        means([seconds for _, seconds in solves]),
        sum(not result.converged for result, _ in solves),
    )


def run_in_turn(contenders: Sequence[Contender], systems: Sequence[System]) -> dict[str, list[tuple[Result, float]]]:
    """Let each contender solve one system before any solves its next; who begins rotates.

    Returns the result and the processor time of every solve, in the order that each contender chose.
    """
    names = [contender.name for contender in contenders]
    runs = {contender.name: _results(contender, systems) for contender in contenders}
    spent: dict[str, list[tuple[Result, float]]] = {name: [] for name in names}
    for step in range(len(systems)):
        turn = step % len(names)
        for name in names[turn:] + names[:turn]:
            spent[name].append(processor_time(partial(next, runs[name])))
    return spent


def _results(contender: Contender, systems: Sequence[System]) -> Iterator[Result]:
    if contender.sequential:
        return (result for _, result in contender.method(systems, **contender.options))
    return (contender.method(system, **contender.options) for system in systems)


def _add_rows(table: Table, case: Case, measured: dict[str, Measurement]) -> None:
    settings = case.settings
    size = len(case.problem.assemble(make_fields(case.problem, settings.seed, 0)).rhs)
    labels = [
        case.name,
        f"n = {size:,}, {settings.preconditioner}",
        f"({settings.restart}, {settings.recycle}), {settings.tolerance:.0e}",
        f"{settings.repetitions} x {settings.instances} systems",
    ]
    for label, contender, gain in zip(labels, measured, ["", *RATIOS], strict=False):
        gained = _gained(measured, gain) if gain else ["", ""]
        spent = _spent(measured[contender], measured[GMRES])
        table.add_row(label, contender, *spent, gain, *gained, _elsewhere(case, contender, gain))
    table.add_row(*[""] * 6, HEADLINE, *_gained(measured, HEADLINE), _elsewhere(case, SORTED, HEADLINE))
    table.add_section()


def _spent(measurement: Measurement, gmres: Measurement) -> list[str]:
    per_iteration, of_gmres = (1e6 * m.seconds.sum() / m.iterations.sum() for m in (measurement, gmres))
    unsolved = f" ({measurement.unsolved} unsolved)" if measurement.unsolved else ""
    return [
        f"{measurement.applications.mean():.1f}{unsolved}",
        f"{measurement.iterations.mean():.1f}",
        f"{1e3 * measurement.seconds.mean():.2f}",
        f"{per_iteration:.1f} ({per_iteration / of_gmres:.2f})",
    ]


def _gained(measured: dict[str, Measurement], gain: str) -> list[str]:
    """The ratios of products and of time; no more than bounds where a contender was stopped before it had solved."""
    before, after = (measured[name] for name in RATIOS[gain])
    marks = {(False, False): "", (True, False): "≥ ", (False, True): "≤ ", (True, True): "both stopped: "}
    mark = marks[before.unsolved > 0, after.unsolved > 0]
    ratios = before.applications / after.applications, before.seconds / after.seconds
    return [mark + ratio_with_interval(values) for values in ratios]


def _elsewhere(case: Case, contender: str, gain: str) -> str:
    """What the paper's table or the pilot has in this place."""
    if case.pilot:
        return f"pilot: {case.pilot[contender]} products" if gain != HEADLINE else ""
    settings = case.settings
    family = PAPER_FAMILY.get(case.family, case.family.value)
    if gain == HEADLINE:
        figures = PAPER_RATIOS.get(family, {}).get(settings.tolerance, {}).get(settings.preconditioner)
        return f"paper: {figures[1]} iterations, {figures[0]} time" if figures else ""
    return f"paper: {ABLATION:.2f} iterations (SSOR)" if gain == "sorting" and family == "darcy" else ""


def _cases(options: argparse.Namespace) -> list[Case]:
    cases = []
    for name in options.families:
        tolerance = options.tolerance or (1e-7 if name == "helmholtz" else 1e-8)
        cases.append(_case(name, options, {}, grid=options.grid, tolerance=tolerance))
    if options.pilot:
        pilot: dict[str, Any] = {"preconditioner": "jacobi", "restart": 30, "recycle": 10}
        counts = {GMRES: 421, FRESH: 191, CARRIED: 156, SORTED: 150}
        cases.append(_case("darcy-lognormal", options, counts, **pilot, grid=50, instances=40))
        counts = {GMRES: 378, FRESH: 150, CARRIED: 123, SORTED: 96}
        cases.append(_case("darcy-parametric", options, counts, **pilot, grid=40, instances=100))
    return cases


def _case(name: str, options: argparse.Namespace, pilot: Mapping[str, int], **settings: Any) -> Case:
    common = {
        key: getattr(options, key)
        for key in ("instances", "repetitions", "seed", "restart", "recycle", "preconditioner", "max_iterations")
    }
    family = FAMILIES[name]
    return Case(name, family, validated(SkrSettings, {"family": family, **common, **settings}), pilot)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recycling", description=__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="default: all")
    parser.add_argument("--grid", type=int, default=50, help="cells per side (default: %(default)s)")
    parser.add_argument("--instances", type=int, default=12, help="systems in a sequence (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="independent sequences (default: %(default)s)")
    parser.add_argument("--restart", type=int, default=40, help="m (default: the paper's %(default)s)")
    parser.add_argument("--recycle", type=int, default=20, help="k (default: the paper's %(default)s)")
    parser.add_argument("--preconditioner", choices=PRECONDITIONERS, default="jacobi", help="default: %(default)s")
    parser.add_argument("--tolerance", type=float, help="default: the paper's, 1e-7 for helmholtz, else 1e-8")
    parser.add_argument(
        "--max-iterations", type=int, default=10_000, help="where a solve is stopped (default: the paper's %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--no-pilot", dest="pilot", action="store_false", help="leave out the settings of the pilot")
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(grid=16, instances=4, repetitions=2, restart=20, recycle=8, pilot=False)
    return options


if __name__ == "__main__":
    main()
