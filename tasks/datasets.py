"""Data sets: the arrays of a problem's instances and, where a solver is named, their solutions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data.problem import Problem, Variable, make_fields
from kernels.result import Status
from tasks.contenders import Outcome, run_contender, status_code, status_legend
from tasks.provenance import environment, source_digest
from tasks.store import FORMAT_VERSION, Description, Layout, canonical_digest, join_url, read_shard, write_shard
from tasks.study import Contender, Metric

SOLUTION = "solution"


@dataclass(frozen=True)
class DataSet:
    """Instances ``0 .. count - 1`` of a problem, with solutions if a solver is given.

    The digest covers everything that the arrays depend on, so that a name never stands for two contents.
    """

    problem: Problem
    seed: int
    count: int
    shard_size: int
    solver: Contender | None = None
    metrics: tuple[Metric, ...] = ()

    @property
    def description(self) -> dict[str, Any]:
        """What made the data set, as JSON-able values."""
        description: dict[str, Any] = {
            "problem": self.problem.name,
            "problem_version": self.problem.version,
            "parameters": self.problem.model_dump(mode="json"),
            "seed": self.seed,
            "count": self.count,
            "shard_size": self.shard_size,
            "format_version": FORMAT_VERSION,
        }
        if self.solver is not None:
            description["solver"] = self.solver.name
            description["solver_options"] = dict(self.solver.options)
            description["solver_source"] = source_digest(self.solver.method)
        return description

    @property
    def digest(self) -> str:
        """The identity of the content."""
        return canonical_digest(self.description)

    def url(self, root: str) -> str:
        """Where the data set lies below a root."""
        return join_url(root, "datasets", f"{self.problem.name}-{self.digest}.zarr")

    def layout(self) -> Layout:
        """The variables of the store and how it is cut into shards."""
        variables = self.problem.variables()
        if self.solver is not None:
            solution = self.problem.solution()
            if solution is None:
                raise ValueError(f"problem {self.problem.name} has no solution that a solver could add")
            variables = {**variables, SOLUTION: solution, "status": Variable((), (), status_legend(), dtype="int8")}
            variables |= {m.name: Variable((), (), m.long_name, m.units) for m in self.metrics}
        return Layout(self.digest, self.count, self.shard_size, variables)

    def describe(self) -> Description:
        """Coordinates, and in the attributes all that a reader needs to trust the data set or make it again."""
        extents = {
            dim: extent for v in self.layout().variables.values() for dim, extent in zip(v.dims, v.shape, strict=True)
        }
        coordinates: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
        for name, values in self.problem.coordinates().items():
            # A coordinate lies along the dimension of its name or, on unstructured meshes, along the one of its length.
            candidates = [name] if name in extents else [dim for dim, n in extents.items() if n == len(values)]
            if candidates:
                coordinates[name] = (candidates[0],), values
        attributes = {
            "title": self.problem.summary,
            "references": self.problem.reference,
            **self.description,
            **self.problem.verification(),
            "problem_source": source_digest(type(self.problem)),
            **environment(),
        }
        return Description(coordinates, attributes)


def generate_shard(data_set: DataSet, url: str, shard: int) -> dict[str, Any]:
    """Make and write one shard (runs on a Dask worker); returns how many of its instances are unsolved."""
    layout = data_set.layout()
    rows = layout.rows(shard)
    with threadpool_limits(1):  # the rounding of BLAS depends on its number of threads
        fields = [make_fields(data_set.problem, data_set.seed, index) for index in range(rows.start, rows.stop)]
    arrays = {
        name: np.stack([np.asarray(instance[name], variable.dtype) for instance in fields])
        for name, variable in data_set.problem.variables().items()
    }
    unsolved, seconds = 0, 0.0
    if data_set.solver is not None:
        instances = [data_set.problem.assemble(instance) for instance in fields]
        outcomes = run_contender(data_set.solver, instances, data_set.seed, rows.start)
        arrays |= _solutions(data_set, instances, outcomes)
        unsolved = sum(not outcome.result.converged for outcome in outcomes)
        seconds = sum(outcome.cpu_seconds for outcome in outcomes)
    write_shard(url, layout, shard, arrays)
    return {"shard": shard, "unsolved": unsolved, "cpu_seconds": seconds}


def _solutions(data_set: DataSet, instances: list[Any], outcomes: list[Outcome]) -> dict[str, NDArray[Any]]:
    shape = data_set.layout().variables[SOLUTION].shape
    values = [
        np.full(shape, np.nan) if outcome.result.status is Status.FAILED else outcome.result.value.reshape(shape)
        for outcome in outcomes
    ]
    return {
        SOLUTION: np.stack(values).astype(np.float64),
        "status": np.array([status_code(outcome.result.status) for outcome in outcomes], np.int8),
        **{
            metric.name: np.array(
                [outcome.score(metric, instance) for outcome, instance in zip(outcomes, instances, strict=True)]
            )
            for metric in data_set.metrics
        },
    }


def load_instances(data_set: DataSet, url: str, shard: int) -> list[Any]:
    """The assembled instances of a stored shard, in order."""
    arrays = read_shard(url, data_set.layout(), shard)
    length = len(next(iter(arrays.values())))
    return [data_set.problem.assemble({name: values[i] for name, values in arrays.items()}) for i in range(length)]
