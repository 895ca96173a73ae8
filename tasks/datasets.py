"""Data sets: the arrays of a problem's instances and, where a solver is named, their solutions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data.problem import Problem, Variable, make_fields
from data.sampling import Sampling, Split
from kernels.result import Status
from tasks.contenders import Outcome, first_failure, status_code, status_legend
from tasks.layout import Description, Layout
from tasks.limits import GENEROUS, Limits, run_watched
from tasks.places import join_url
from tasks.provenance import environment, source_digest
from tasks.storage import EVERY_BIT, RESIDUAL_NOTE, Storage, round_mantissa
from tasks.store import FORMAT_VERSION, canonical_digest, complete_store, read_shard, write_shard
from tasks.study import Contender, Metric
from tasks.watchdog import Watchdog

SOLUTION = "solution"
STATUS = "status"
RESIDUAL = "relative_residual"
# The attributes that together have the digest of a data set.
DESCRIBED = (
    "problem",
    "problem_version",
    "parameters",
    "sampling",
    "split",
    "seed",
    "count",
    "shard_size",
    "format_version",
    "storage",
    "solver",
    "solver_options",
    "solver_source",
)
# The attributes that a data set gets when it is complete.
CERTIFIED = ("unsolved", "max_relative_residual")
CONVENTIONS = "CF-1.11"
# Of what is drawn and computed here, which contains nobody's work; data read from files keep the licence they have.
LICENSE = "CC0-1.0"


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
    storage: Storage = EVERY_BIT
    sampling: Sampling = Sampling.MONTE_CARLO
    split: Split = Split.TRAIN

    @property
    def description(self) -> dict[str, Any]:
        """What made the data set, as JSON-able values."""
        description: dict[str, Any] = {
            "problem": self.problem.name,
            "problem_version": self.problem.version,
            "parameters": self.problem.model_dump(mode="json"),
            "sampling": self.sampling.value,
            "split": self.split.value,
            "seed": self.seed,
            "count": self.count,
            "shard_size": self.shard_size,
            "format_version": FORMAT_VERSION,
        }
        if storage := self.storage.description():
            description["storage"] = storage
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

    def draw(self, index: int) -> dict[str, NDArray[Any]]:
        """The arrays of one instance."""
        return make_fields(self.problem, self.seed, index, self.sampling, self.split)

    def layout(self) -> Layout:
        """The variables of the store and how it is cut into shards."""
        variables = self._stored(self.problem.variables())
        if self.solver is not None:
            solution = self.problem.solution()
            if solution is None:
                raise ValueError(f"problem {self.problem.name} has no solution that a solver could add")
            variables |= self._stored({SOLUTION: solution})
            variables[STATUS] = Variable((), (), status_legend(), dtype="int8")
            variables |= {m.name: Variable((), (), m.long_name, m.units) for m in self.metrics}
        measured = tuple(name for name, variable in variables.items() if np.dtype(variable.dtype).kind == "f")
        return Layout(
            self.digest, self.count, self.shard_size, variables, measured, self.storage.level, self.storage.chunk
        )

    def _stored(self, variables: Mapping[str, Variable]) -> dict[str, Variable]:
        """Variables in the precision that they are stored in."""
        return {
            name: replace(variable, dtype=self.storage.dtype) if variable.dtype == "float64" else variable
            for name, variable in variables.items()
        }

    def kept_bits(self) -> dict[str, int | None]:
        """The mantissa bits asked for of each variable that may be rounded; None: all of its type."""
        parameters = {
            name: self.storage.parameter_bits
            for name, variable in self.problem.variables().items()
            if variable.dtype == "float64"
        }
        return parameters if self.solver is None else {**parameters, SOLUTION: self.storage.solution_bits}

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
            "Conventions": CONVENTIONS,
        }
        if self.problem.available() is None:
            attributes["license"] = LICENSE
        of_variables = {name: self.storage.attributes(bits) for name, bits in self.kept_bits().items()}
        if of_variables.get(SOLUTION):
            of_variables[RESIDUAL] = {"comment": RESIDUAL_NOTE}
        of_variables |= {name: {"units": units} for name, units in self.problem.coordinate_units().items()}
        return Description(coordinates, attributes, of_variables)


# the rounding of BLAS depends on its number of threads
@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator]
def generate_shard(data_set: DataSet, url: str, shard: int, limits: Limits = GENEROUS) -> dict[str, Any]:
    """Make and write one shard (runs on a Dask worker); a solver that exceeds a limit leaves its instances unsolved.

    Returns how many of its instances are unsolved, what solving took, and why the solver failed if it did.
    """
    layout = data_set.layout()
    first = layout.rows(shard).start
    fields = _draw_fields(data_set, shard)
    arrays = _stacked(data_set, fields)
    watchdog = Watchdog(f"{url}.hung", shard, limits.seconds)
    unsolved, seconds, failures = 0, 0.0, []
    if (solver := data_set.solver) is not None:
        instances = [data_set.problem.assemble(instance) for instance in fields]
        outcomes = run_watched(limits, watchdog, solver, instances, data_set.seed, first)
        arrays |= _solutions(data_set, instances, outcomes)
        unsolved = sum(not outcome.result.converged for outcome in outcomes)
        seconds = sum(outcome.cpu_seconds for outcome in outcomes if not outcome.failure)
        failures = [{"contender": solver.name, **failure}] if (failure := first_failure(outcomes, first)) else []
    write_shard(url, layout, shard, _encoded(data_set, arrays))
    watchdog.forget()
    return {"shard": shard, "unsolved": unsolved, "cpu_seconds": seconds, "failures": failures}


def draw_instances(data_set: DataSet, shard: int) -> list[Any]:
    """The assembled instances of a shard, drawn; those of a stored one are the same to the last bit."""
    fields = _draw_fields(data_set, shard)
    if data_set.solver is not None:
        return [data_set.problem.assemble(instance) for instance in fields]
    return _assembled(data_set, _stacked(data_set, fields))


def _draw_fields(data_set: DataSet, shard: int) -> list[dict[str, NDArray[Any]]]:
    rows = data_set.layout().rows(shard)
    return [data_set.draw(index) for index in range(rows.start, rows.stop)]


def _stacked(data_set: DataSet, fields: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {
        name: np.stack([np.asarray(instance[name], variable.dtype) for instance in fields])
        for name, variable in data_set.problem.variables().items()
    }


def _encoded(data_set: DataSet, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays as they are stored: rounded, then narrowed, which changes no kept bit."""
    kept = {name: bits for name, bits in data_set.kept_bits().items() if bits is not None}
    rounded = {name: round_mantissa(arrays[name], bits) for name, bits in kept.items()}
    variables = data_set.layout().variables
    return {name: values.astype(variables[name].dtype, copy=False) for name, values in {**arrays, **rounded}.items()}


def complete_data_set(url: str) -> None:
    """Complete the store of a data set, with its certificate: how many instances are unsolved, the largest residual.

    Raises
    ------
    StoreError
        If a shard is missing.
    """
    complete_store(url, certificate)


def certificate(arrays: Mapping[str, Any]) -> dict[str, float | int]:
    """What the attributes of a solved data set promise of all its instances, from its arrays."""
    if STATUS not in arrays:
        return {}
    status = np.asarray(arrays[STATUS][:])
    promised: dict[str, float | int] = {"unsolved": int(np.count_nonzero(status != status_code(Status.CONVERGED)))}
    if RESIDUAL in arrays:
        residuals = np.asarray(arrays[RESIDUAL][:])
        promised["max_relative_residual"] = float(residuals[np.isfinite(residuals)].max(initial=0.0))
    return promised


def _solutions(data_set: DataSet, instances: list[Any], outcomes: list[Outcome]) -> dict[str, NDArray[Any]]:
    shape = data_set.layout().variables[SOLUTION].shape
    values = [
        np.full(shape, np.nan) if outcome.result.status is Status.FAILED else outcome.result.value.reshape(shape)
        for outcome in outcomes
    ]
    return {
        SOLUTION: np.stack(values).astype(np.float64),
        STATUS: np.array([status_code(outcome.result.status) for outcome in outcomes], np.int8),
        **{
            metric.name: np.array(
                [outcome.score(metric, instance) for outcome, instance in zip(outcomes, instances, strict=True)]
            )
            for metric in data_set.metrics
        },
    }


def load_instances(data_set: DataSet, url: str, shard: int) -> list[Any]:
    """The assembled instances of a stored shard, in order."""
    return _assembled(data_set, read_shard(url, data_set.layout(), shard))


def _assembled(data_set: DataSet, arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
    variables = data_set.problem.variables()
    computed = {name: arrays[name].astype(variable.dtype, copy=False) for name, variable in variables.items()}
    length = len(next(iter(arrays.values())))
    return [data_set.problem.assemble({name: values[i] for name, values in computed.items()}) for i in range(length)]
