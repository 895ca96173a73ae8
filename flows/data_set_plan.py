"""What generating a data set would compute, validated before anything is written."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from data.registry import problem as find_problem
from data.validation import InputError, unknown
from flows.plan import StorePlan, absolute_url, plan_store, require_available, require_memory
from flows.solvers import SOLVER_METRICS, PreconditionerName, Solver, make_solver
from tasks.datasets import DataSet
from tasks.store import require_same_content, require_writable

SHARD_SIZE = 50

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class DataSetPlan:
    """A data set, where it goes, and the request that describes it."""

    data_set: DataSet
    url: str
    request: dict[str, Any]

    def store(self) -> StorePlan:
        """How much of it exists."""
        return plan_store(self.url, self.data_set.layout())

    def require_usable_place(self) -> None:
        """Refuse a place that cannot be written to or holds something else."""
        require_writable(self.url)
        require_same_content(self.url, self.data_set.layout())


def plan_data_set(
    *,
    problem: str,
    count: int,
    settings: dict[str, Any],
    solver: str,
    preconditioner: str,
    tolerance: float,
    seed: int,
    shard_size: int,
    root: str,
    out: str,
) -> DataSetPlan:
    """Validate a request for a data set.

    Raises
    ------
    InputError
        One line for the first parameter that is not allowed.
    """
    for name, value, least in (("count", count, 1), ("seed", seed, 0), ("shard_size", shard_size, 1)):
        if value < least:
            raise InputError(f"{name}={value} is not allowed: it must be at least {least}")
    if not (math.isfinite(tolerance) and 0 < tolerance < 1):
        raise InputError(f"tolerance={tolerance} is not allowed: it must lie between 0 and 1")
    found = find_problem(problem, **settings)
    if found.solution() is None:
        raise InputError(f"problem {problem!r} has no solution to generate: choose a partial differential equation")
    contender = make_solver(
        _choice(Solver, "solver", solver), tolerance, _choice(PreconditionerName, "preconditioner", preconditioner)
    )
    data_set = DataSet(found, seed, count, min(shard_size, count), contender, SOLVER_METRICS)
    require_available(data_set)
    require_memory(data_set.layout())
    request = {
        "problem": problem,
        "count": count,
        "settings": settings,
        "solver": solver,
        "preconditioner": preconditioner,
        "tolerance": tolerance,
        "seed": seed,
        "shard_size": shard_size,
        "out": out,
    }
    return DataSetPlan(data_set, absolute_url(out) if out else data_set.url(root), request)


def _choice(kind: type[Choice], what: str, name: str) -> Choice:
    if name not in list(kind):
        raise unknown(what, name, [member.value for member in kind])
    return kind(name)
