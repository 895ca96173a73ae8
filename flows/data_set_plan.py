"""What generating a data set would compute, validated before anything is written."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data.registry import problem as find_problem
from data.sampling import Sampling, Split
from data.validation import InputError, choice, validated
from flows.plan import StorePlan, absolute_url, plan_store, require_available, require_memory
from flows.solvers import PreconditionerName, Solver, make_solver, solver_metrics
from tasks.datasets import DataSet
from tasks.places import join_url, require_writable
from tasks.storage import Storage
from tasks.store import require_same_content

SHARD_SIZE = 50


class FloatType(StrEnum):
    """The type that fields are stored as."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"


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


def plan_data_sets(
    *,
    problem: str,
    count: int,
    valid: int = 0,
    test: int = 0,
    settings: dict[str, Any],
    solver: str,
    preconditioner: str,
    tolerance: float,
    sampling: str = Sampling.MONTE_CARLO.value,
    seed: int,
    shard_size: int,
    dtype: str = FloatType.FLOAT64.value,
    solution_bits: int | None = None,
    parameter_bits: int | None = None,
    level: int = 0,
    chunk: int | None = None,
    root: str,
    out: str,
) -> list[DataSetPlan]:
    """Validate a request for a data set for training and, where they are asked for, for validation and testing.

    With ``out`` a single data set lies there; several lie below it, each named by its split.

    Raises
    ------
    InputError
        One line for the first parameter that is not allowed.
    """
    for name, value, least in (
        *(("count", count, 1), ("valid", valid, 0), ("test", test, 0)),
        *(("seed", seed, 0), ("shard_size", shard_size, 1)),
    ):
        if value < least:
            raise InputError(f"{name}={value} is not allowed: it must be at least {least}")
    if not (math.isfinite(tolerance) and 0 < tolerance < 1):
        raise InputError(f"tolerance={tolerance} is not allowed: it must lie between 0 and 1")
    found = find_problem(problem, **settings)
    solution = found.solution()
    if solution is None:
        raise InputError(f"problem {problem!r} has no solution to generate: choose a partial differential equation")
    evolving = "time" in solution.dims
    chosen = choice(Solver, "solver", solver)
    contender = make_solver(
        chosen, tolerance, choice(PreconditionerName, "preconditioner", preconditioner), evolving=evolving
    )
    encoding = {
        "dtype": dtype,
        "solution_bits": solution_bits,
        "parameter_bits": parameter_bits,
        "level": level,
        "chunk": chunk,
    }
    storage = validated(Storage, encoding)
    if valid + test > 0 and found.available() is not None:
        raise InputError(f"problem {problem!r} reads its instances from a file: give each split a file of its own")
    request = {
        "problem": problem,
        "count": count,
        "valid": valid,
        "test": test,
        "settings": settings,
        "solver": solver,
        "preconditioner": preconditioner,
        "tolerance": tolerance,
        "sampling": sampling,
        "seed": seed,
        "shard_size": shard_size,
        **encoding,
        "out": out,
    }
    plans = []
    counts = {Split.TRAIN: count, Split.VALID: valid, Split.TEST: test}
    wanted = {split: instances for split, instances in counts.items() if instances > 0}
    for split, instances in wanted.items():
        data_set = DataSet(
            problem=found,
            seed=seed,
            count=instances,
            shard_size=min(shard_size, instances),
            solver=contender,
            metrics=solver_metrics(chosen, evolving=evolving),
            storage=storage,
            sampling=choice(Sampling, "sampling", sampling),
            split=split,
        )
        require_available(data_set)
        require_memory(data_set.layout())
        place = absolute_url(out) if out else data_set.url(root)
        url = join_url(place, f"{split}.zarr") if out and len(wanted) > 1 else place
        plans.append(DataSetPlan(data_set, url, request))
    return plans
