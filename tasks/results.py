"""Results: what every contender did on every instance of a data set; the timings lie in a store beside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data.problem import Variable
from tasks.contenders import Outcome, first_failure, status_code, status_legend
from tasks.datasets import DataSet, load_instances
from tasks.layout import Description, Layout
from tasks.limits import Limits, run_watched
from tasks.places import join_url
from tasks.provenance import environment, machine, source_digest
from tasks.store import FORMAT_VERSION, canonical_digest, write_shard
from tasks.study import Agreement, Contender, Metric
from tasks.watchdog import Watchdog

DISTANCE = "distance_to_reference"
TIMINGS = {
    "cpu_seconds": "processor time of the solving thread",
    "wall_seconds": "elapsed time",
}


@dataclass(frozen=True)
class ResultSet:
    """All contenders of a study on one of its problems."""

    study: str
    problem: str
    data_set: DataSet
    instances_per_repetition: int
    contenders: tuple[Contender, ...]
    metrics: tuple[Metric, ...]
    agreement: Agreement
    history_length: int
    history_label: str
    budget: Mapping[str, float] = field(default_factory=dict)

    @property
    def description(self) -> dict[str, Any]:
        """What the results depend on: data, methods with their options and source, metrics."""
        return {
            "data_set": self.data_set.digest,
            "contenders": [
                {"name": c.name, "options": dict(c.options), "source": source_digest(c.method)} for c in self.contenders
            ],
            "metrics": {metric.name: source_digest(metric.measure) for metric in self.metrics},
            "reference": self.agreement.reference,
            "history_length": self.history_length,
            **({"budget": dict(self.budget)} if self.budget else {}),
            "format_version": FORMAT_VERSION,
        }

    @property
    def digest(self) -> str:
        """The identity of the results."""
        return canonical_digest(self.description)

    def url(self, root: str, attempt: int) -> str:
        """The folder of the results below a root; each fresh attempt has its own."""
        return join_url(root, "results", f"{self.study}-{self.problem}-{self.digest}-{attempt}")

    def layout(self) -> Layout:
        """The variables of the results."""
        names = ("contender",)
        shape = (len(self.contenders),)
        variables = {metric.name: Variable(names, shape, metric.long_name, metric.units) for metric in self.metrics}
        variables[DISTANCE] = Variable(names, shape, f"distance of the value to that of {self.agreement.reference}")
        variables["status"] = Variable(names, shape, status_legend(), dtype="int8")
        variables["steps"] = Variable(names, shape, "length of the history", dtype="int32")
        variables["history"] = Variable((*names, "step"), (*shape, self.history_length), self.history_label)
        return self._layout(variables)

    def timing_layout(self) -> Layout:
        """The variables of the timings, which differ from run to run and so lie in a store of their own."""
        shape = (len(self.contenders),)
        return self._layout({name: Variable(("contender",), shape, text, "s") for name, text in TIMINGS.items()})

    def _layout(self, variables: dict[str, Variable]) -> Layout:
        return Layout(self.digest, self.data_set.count, self.data_set.shard_size, variables)

    def order(self, shard: int) -> list[Contender]:
        """The contenders in the order in which they run on a shard."""
        turn = shard % len(self.contenders)
        return [*self.contenders[turn:], *self.contenders[:turn]]

    def describe(self) -> Description:
        """Coordinates and provenance of the results."""
        names = np.array([contender.name for contender in self.contenders], dtype=np.dtypes.StringDType())
        repetition = np.arange(self.data_set.count) // self.instances_per_repetition
        coordinates = {"repetition": (("instance",), repetition), "contender": (("contender",), names)}
        return Description(
            coordinates, {"study": self.study, "problem": self.problem, **self.description, **environment()}
        )

    def describe_timings(self) -> Description:
        """Provenance of the timings: the same, and the machine."""
        description = self.describe()
        return Description(description.coordinates, {**description.attributes, **machine()})


def results_url(folder: str) -> str:
    """The store of the results in their folder."""
    return join_url(folder, "results.zarr")


def timings_url(folder: str) -> str:
    """The store of the timings in the folder of the results."""
    return join_url(folder, "timings.zarr")


# the rounding of BLAS depends on its number of threads
@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator]
def run_shard(results: ResultSet, data_url: str, folder: str, limits: Limits, shard: int) -> dict[str, Any]:
    """Run all contenders on one shard and write what they did (runs on a Dask worker).

    They run back to back in this process; which one begins rotates from shard to shard, so that none always meets a
    cold or a warm machine. One that exceeds a limit fails and the others do not, see :func:`run_watched`. Returns who
    failed and why.
    """
    data_set = results.data_set
    instances = load_instances(data_set, data_url, shard)
    first = data_set.layout().rows(shard).start
    watchdog = Watchdog(join_url(folder, "hung"), shard, limits.seconds)
    outcomes = {
        contender.name: run_watched(limits, watchdog, contender, instances, data_set.seed, first, results.budget)
        for contender in results.order(shard)
    }
    by_contender = [outcomes[contender.name] for contender in results.contenders]
    timings = {
        name: np.array([[getattr(outcome, name) for outcome in column] for column in by_contender]).T
        for name in TIMINGS
    }
    # The timings go first: the digest of the results is what says that a shard is done.
    write_shard(timings_url(folder), results.timing_layout(), shard, timings)
    write_shard(results_url(folder), results.layout(), shard, _arrays(results, instances, by_contender))
    watchdog.forget()
    failures = [
        {"contender": name, **failure} for name, column in outcomes.items() if (failure := first_failure(column, first))
    ]
    return {"shard": shard, "failures": failures}


def _arrays(results: ResultSet, instances: list[Any], columns: list[list[Outcome]]) -> dict[str, NDArray[Any]]:
    shape = (len(instances), len(columns))
    arrays: dict[str, NDArray[Any]] = {metric.name: np.full(shape, np.nan) for metric in results.metrics}
    arrays[DISTANCE] = np.full(shape, np.nan)
    arrays["status"] = np.empty(shape, np.int8)
    arrays["steps"] = np.empty(shape, np.int32)
    arrays["history"] = np.full((*shape, results.history_length), np.nan)
    reference = columns[[c.name for c in results.contenders].index(results.agreement.reference)]
    for j, column in enumerate(columns):
        for i, (outcome, instance) in enumerate(zip(column, instances, strict=True)):
            for metric in results.metrics:
                arrays[metric.name][i, j] = outcome.score(metric, instance)
            if not (outcome.failure or reference[i].failure):
                arrays[DISTANCE][i, j] = results.agreement.distance(outcome.result.value, reference[i].result.value)
            history = outcome.result.history[: results.history_length]
            arrays["status"][i, j] = status_code(outcome.result.status)
            arrays["steps"][i, j] = history.size
            arrays["history"][i, j, : history.size] = history
    return arrays
