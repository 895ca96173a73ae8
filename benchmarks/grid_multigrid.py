"""Grid multigrid beside the solvers of other libraries, on the same systems: ``python -m benchmarks.grid_multigrid``.

Every solver takes a batch of systems, then the next one takes the same; who begins rotates. (In a batch, as in
production, what a solver needs stays in the cache.) The set-up counts, for each system has its own matrix. Times are
processor times of this thread, with the BLAS held to one thread; "unsolved" counts the systems whose true relative
residual is above the tolerance. pypardiso and scikit-sparse take part where they are installed, with the symbolic
analysis of the first system reused for all.
"""

import argparse
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table, processor_time
from data.linear_system import LinearSystem
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyThresholded
from data.pde.poisson import Poisson
from data.problem import Problem, make_fields
from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.grid_multigrid import grid_multigrid
from kernels.linear_systems.multigrid import amg_cg, amg_gmres
from kernels.result import Result

TOLERANCE = 1e-8
BATCH = 5
OURS = "grid multigrid"

Solver = Callable[[LinearSystem], NDArray[np.float64]]

FAMILIES: Mapping[str, Callable[[int], Problem]] = {
    "darcy-lognormal": lambda grid: DarcyLognormal(grid=grid, normalise=True, smoothness=2.0, inverse_length=3.0),
    "darcy-thresholded": lambda grid: DarcyThresholded(grid=grid),
    "darcy, contrast 1e6": lambda grid: DarcyThresholded(grid=grid, high=1e6, low=1.0),
    "poisson": lambda grid: Poisson(grid=grid),
    "convection-diffusion": lambda grid: ConvectionDiffusion(grid=grid),
    "convection, Peclet 2": lambda grid: ConvectionDiffusion(grid=grid, viscosity=0.5 / grid),
    "convection, Peclet 5": lambda grid: ConvectionDiffusion(grid=grid, viscosity=0.2 / grid),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table(
        *("family", "grid", "solver", "CPU ms", "quartiles", "ns / unknown", "iterations", "ns / unknown / iteration"),
        *("worst residual", "unsolved", "time / ours"),
        title=f"Medians over {options.systems} systems a family and grid; true relative residual {TOLERANCE:g}",
    )
    with threadpool_limits(1):
        print(describe_machine())
        for family in options.families:
            for grid in options.grids:
                _add_rows(table, family, grid, options)
    print_table(table)


def _add_rows(table: Table, family: str, grid: int, options: argparse.Namespace) -> None:
    problem = FAMILIES[family](grid)
    systems = [problem.assemble(make_fields(problem, options.seed, i)) for i in range(options.systems)]
    measured = measure(dict(_solvers(systems[0], options)), systems)
    ours = float(np.median([seconds for seconds, _, _ in measured[OURS]]))
    for name, runs in measured.items():
        seconds, residuals, iterations = (np.array(column) for column in zip(*runs, strict=True))
        median, unknowns = float(np.median(seconds)), systems[0].rhs.size
        lower, upper = 1e3 * np.quantile(seconds, [0.25, 0.75])
        count = float(np.median(iterations))
        unsolved = int(np.sum(~(residuals <= 1.01 * TOLERANCE)))
        table.add_row(
            family if name == OURS else "",
            str(grid) if name == OURS else "",
            name,
            f"{1e3 * median:.3g}",
            f"{lower:.3g} .. {upper:.3g}",
            f"{1e9 * median / unknowns:.3g}",
            "" if np.isnan(count) else f"{count:.0f}",
            "" if np.isnan(count) else f"{1e9 * median / unknowns / count:.2f}",
            f"{residuals.max():.0e}",
            str(unsolved) if unsolved else "",
            f"{median / ours:.1f}",
            end_section=name == list(measured)[-1],
        )


def measure(solvers: Mapping[str, Callable[[LinearSystem], Any]], systems: Sequence[LinearSystem]) -> dict[str, Any]:
    """The seconds, true relative residual and iterations (NaN where it has none) of every solver on every system."""
    for solve in solvers.values():
        solve(systems[0])
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in solvers}
    names = list(solvers)
    for turn, first in enumerate(range(0, len(systems), BATCH)):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            batch = systems[first : first + BATCH]
            outcomes = [processor_time(partial(solvers[name], system)) for system in batch]
            for system, (outcome, seconds) in zip(batch, outcomes, strict=True):
                runs[name].append((seconds, *_residual_and_iterations(system, outcome)))
    return runs


def _residual_and_iterations(system: LinearSystem, outcome: Any) -> tuple[float, float]:
    solution, iterations = (
        (outcome.value, outcome.work["iterations"]) if isinstance(outcome, Result) else (outcome, np.nan)
    )
    return float(np.linalg.norm(system.rhs - system.matrix @ solution) / np.linalg.norm(system.rhs)), iterations


def _solvers(example: LinearSystem, options: argparse.Namespace) -> Iterator[tuple[str, Callable[[LinearSystem], Any]]]:
    kernels: dict[str, Callable[..., Result]] = {OURS: grid_multigrid}
    if example.rhs.size <= options.most_direct**2:
        kernels["scipy splu, minimum degree"] = sparse_lu
    if example.symmetric:
        kernels["pyamg ruge_stuben, cg"] = amg_cg
        kernels["pyamg aggregation, cg"] = partial(amg_cg, kind="smoothed_aggregation")
    else:
        kernels["pyamg ruge_stuben, gmres"] = amg_gmres
    for name, kernel in kernels.items():
        yield name, partial(_solve, kernel)
    for name, peer in (("pypardiso", _pardiso), ("scikit-sparse cholmod", _cholmod)):
        solver = peer(example)
        if solver is not None:
            yield name, solver


def _solve(kernel: Callable[..., Result], system: LinearSystem) -> Result:
    return kernel(system.matrix, system.rhs, tolerance=TOLERANCE)


def _pardiso(example: LinearSystem) -> Solver | None:
    """MKL PARDISO, its analysis done once; symmetric matrices by their upper triangle."""
    pypardiso = _installed("pypardiso")
    if pypardiso is None:
        return None
    from scipy.sparse import csr_matrix, triu

    def upper(system: LinearSystem) -> Any:
        return csr_matrix(triu(system.matrix) if example.positive_definite else system.matrix)

    solver = pypardiso.PyPardisoSolver(mtype=2 if example.positive_definite else 11)
    solver.set_phase(11)
    solver._call_pardiso(upper(example), example.rhs)
    solver.set_phase(23)
    return lambda system: np.asarray(solver._call_pardiso(upper(system), system.rhs)).ravel()


def _cholmod(example: LinearSystem) -> Solver | None:
    """CHOLMOD, its analysis done once."""
    cholmod = _installed("sksparse.cholmod") if example.positive_definite else None
    if cholmod is None:
        return None
    from scipy.sparse import csc_matrix

    factor = cholmod.analyze(csc_matrix(example.matrix))

    def solve(system: LinearSystem) -> NDArray[np.float64]:
        factor.cholesky_inplace(csc_matrix(system.matrix))
        return np.asarray(factor(system.rhs))

    return solve


def _installed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid_multigrid", description=__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="default: all")
    parser.add_argument("--grids", type=int, nargs="+", default=[64, 128, 256], help="cells per side (64 128 256)")
    parser.add_argument("--systems", type=int, default=20, help="a family and grid (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--most-direct", type=int, default=512, help="the largest grid for SciPy's LU (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="tiny systems, in seconds; the ratios mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(grids=[16], systems=3)
    return options


if __name__ == "__main__":
    main()
