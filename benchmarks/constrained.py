"""Solvers for equality constraints side by side, also Ipopt if installed: ``python -m benchmarks.constrained``.

To the same KKT residual, from the same starts, on one thread. Ipopt is that of CasADi (``pip install casadi``), with
exact second derivatives by automatic differentiation and MUMPS; building its functions is not timed.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table
from data.optimization.constrained.logistic_regression import ConstrainedLogistic, SphericalLogisticRegression
from data.optimization.constrained.poisson_control import PoissonControl, ReactionControl
from data.problem import make_fields
from kernels.optimization.constrained.library_baselines import slsqp, trust_constr
from kernels.optimization.constrained.penalty_sqp import l1_penalty_sqp
from kernels.optimization.constrained.sketched_newton import adasketch_newton
from kernels.optimization.constrained.types import Oracle
from kernels.result import Result, Status

TOLERANCE = 1e-4
LARGEST_FOR_KACZMARZ = 8
LARGEST_FOR_DENSE = 16

Solve = Callable[[], Result]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest control problem alone, once")
    options = parser.parse_args(arguments)
    sides = (3,) if options.quick else (4, 8, 16, 32)
    models: list[tuple[str, Any, int]] = [(f"control, side {side}", PoissonControl(side=side), side) for side in sides]
    if not options.quick:
        models.insert(0, ("logistic", ConstrainedLogistic(), 0))
    with threadpool_limits(1):
        print(describe_machine())
        table = Table("problem", "unknowns", "solver", "steps", "evaluations", "inner operations", "KKT residual", "ms")
        for name, model, side in models:
            instance = model.assemble(make_fields(model, 0, 0))
            unknowns = instance.start.size + instance.start_multipliers.size
            for solver, solve in _solvers(instance, side).items():
                table.add_row(name, str(unknowns), solver, *_measured(solve, 1 if options.quick else 3))
        print_table(table)


def _solvers(instance: Any, side: int) -> dict[str, Solve]:
    curvature: dict[str, Any] = {"least_curvature": 1e-6 if side else 1e-2, "tolerance": TOLERANCE}
    newton = partial(adasketch_newton, instance, constants="practical", **curvature)
    found: dict[str, Solve] = {
        "Newton, LU": partial(newton, solver="lu"),
        "Newton, MINRES": partial(newton, solver="minres"),
        "l1 SQP, GMRES": partial(l1_penalty_sqp, instance, **curvature),
        "SciPy trust-constr": partial(trust_constr, instance, tolerance=TOLERANCE),
    }
    if side <= LARGEST_FOR_DENSE:
        found["SciPy SLSQP"] = partial(slsqp, instance, tolerance=TOLERANCE)
    if side <= LARGEST_FOR_KACZMARZ:
        for constants in ("literal", "practical"):
            found[f"Newton, Kaczmarz, {constants}"] = partial(
                _kaczmarz, instance, constants=constants, most_inner_steps=10**6, **curvature
            )
    try:
        casadi = importlib.import_module("casadi")
    except ImportError:
        return found
    return {**found, "Ipopt": _ipopt(casadi, instance)}


def _kaczmarz(instance: Any, **options: Any) -> Result:
    return adasketch_newton(instance, random=np.random.default_rng(0), **options)


def _measured(solve: Solve, repetitions: int) -> list[str]:
    """What a solver did, and the least time of several runs after one that compiles."""
    result = solve()
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        solve()
        seconds.append(time.perf_counter() - started)
    work = result.work
    operations = f"{work['inner_flops']:.2g}" if "inner_flops" in work else ""
    residual = f"{result.history[-1]:.1e}{'' if result.converged else ' (unsolved)'}"
    counts = [f"{work[name]:.0f}" for name in ("iterations", "evaluations")]
    return [*counts, operations, residual, f"{1e3 * min(seconds):#.3g}"]


def _ipopt(casadi: Any, instance: SphericalLogisticRegression | ReactionControl) -> Solve:
    """Ipopt on a model's symbolic twin."""
    x = casadi.SX.sym("x", instance.start.size)
    objective, constraints = (
        _control(casadi, instance, x) if isinstance(instance, ReactionControl) else _logistic(casadi, instance, x)
    )
    quiet = {"print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes"}
    # its test is on greatest entries
    tolerance = TOLERANCE / np.sqrt(instance.start.size + instance.start_multipliers.size)
    solver = casadi.nlpsol(
        "ipopt", "ipopt", {"x": x, "f": objective, "g": constraints}, {**quiet, "ipopt.tol": tolerance}
    )

    def solve() -> Result:
        found = solver(x0=instance.start, lam_g0=instance.start_multipliers, lbg=0.0, ubg=0.0)
        value = [np.asarray(found[name], np.float64).ravel() for name in ("x", "lam_g")]
        residual = Oracle(instance).point(*value).kkt_residual
        statistics = solver.stats()
        work = {"iterations": statistics["iter_count"], "evaluations": statistics["n_call_nlp_f"]}
        status = Status.CONVERGED if residual <= TOLERANCE else Status.STAGNATED
        return Result(np.concatenate(value), status, np.array([residual]), work)

    return solve


def _logistic(casadi: Any, instance: SphericalLogisticRegression, x: Any) -> tuple[Any, Any]:
    margins = casadi.DM(instance.samples) @ x
    objective = casadi.sum1(casadi.log1p(casadi.exp(-margins))) / len(instance.samples)
    return objective, casadi.vertcat(casadi.DM(instance.matrix) @ x - instance.rhs, casadi.sumsqr(x) - 1.0)


def _control(casadi: Any, instance: ReactionControl, x: Any) -> tuple[Any, Any]:
    state, source = x[: instance.target.size], x[instance.target.size :]
    objective = 0.5 * casadi.sumsqr(state - instance.target) + 0.05 * casadi.sumsqr(source)
    return objective, casadi.DM(instance.laplacian.tocsc()) @ state - instance.reaction * state**3 + source


if __name__ == "__main__":
    main()
