"""How well the bandit's model of costs fits this machine: ``python -m benchmarks.solver_costs``.

Each solver of ``kernels.linear_systems.adaptive`` solves systems of several families, and its processor time is held
against the modelled cost that the bandit decides by. The absolute numbers belong to one machine; what matters is that
the ratios of one family and grid agree, for then the solver of least cost is the one of least time.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time
from benchmarks.solvers import FAMILIES, TOLERANCE
from data.problem import make_fields
from kernels.linear_systems.adaptive.arms import make_arms
from kernels.linear_systems.adaptive.features import Pattern, look_at

MEASURED = (
    *("darcy, log-normal", "darcy, two-phase 1e6", "convection-diffusion", "recirculating, Peclet 100"),
    *("helmholtz, 4 waves", "thermal, irregular mesh", "darcy, 3-D"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solver_costs", description=__doc__)
    parser.add_argument("--grids", type=int, nargs="+", default=[32, 64, 128], help="default: 32 64 128")
    parser.add_argument("--systems", type=int, default=16, help="of each family and grid (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one tiny grid; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(grids=[26], systems=2)
    table = Table("family", "grid", "solver", "measured, us", "modelled, us", "measured / modelled", "converged")
    with threadpool_limits(1):
        print(describe_machine())
        for family in MEASURED:
            for grid in options.grids:
                for row in _rows(family, grid, options.systems):
                    table.add_row(family, str(grid), *row)
                table.add_section()
    print_table(table)


def _rows(family: str, grid: int, count: int) -> Iterator[list[str]]:
    problem = FAMILIES[family](grid)
    systems = [problem.assemble(make_fields(problem, 0, index)) for index in range(count)]
    pattern = Pattern(systems[0].matrix)
    features = [look_at(system.matrix, pattern) for system in systems]
    for arm in make_arms():
        if arm.least_cost(features[0]) is None:
            continue
        seconds, costs, converged = [], [], 0
        arm.solve(systems[: arm.batch], TOLERANCE)
        for first in range(0, count, arm.batch):
            group = systems[first : first + arm.batch]
            results, spent = processor_time(partial(arm.solve, group, TOLERANCE))
            seconds += [spent / len(results)] * len(results)
            costs += arm.costs(features[first : first + arm.batch], results)
            converged += sum(result.converged for result in results)
        measured, modelled = 1e6 * np.mean(seconds), float(np.mean(costs))
        yield [arm.name, f"{measured:.0f}", f"{modelled:.0f}", f"{measured / modelled:.2f}", f"{converged} of {count}"]


if __name__ == "__main__":
    main()
