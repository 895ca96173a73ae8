"""What a run would compute, validated and compared with what the store holds, before anything is written."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.validation import InputError, refused, validated
from tasks.datasets import DataSet
from tasks.layout import Layout
from tasks.places import is_local, store_exists, without_credentials
from tasks.provenance import source_digest
from tasks.results import ResultSet, results_url
from tasks.store import canonical_digest, open_store, pending_shards, store_state
from tasks.study import Settings, Size, Study

MEMORY_PER_SHARD = 4 * 2**30


@dataclass(frozen=True)
class StorePlan:
    """One store of a plan: where it lies, how large it gets and how much of it exists."""

    url: str
    state: str
    shards: int
    shards_present: int
    nbytes: int

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-able values."""
        return {
            "url": self.url,
            "state": self.state,
            "shards": self.shards,
            "shards_present": self.shards_present,
            "bytes": self.nbytes,
        }


@dataclass(frozen=True)
class StudyPlan:
    """A study with its settings, resolved into result sets and the folders that hold them."""

    study: Study
    size: Size
    settings: Settings
    root: str
    result_sets: Mapping[str, ResultSet]
    folders: Mapping[str, str]

    @property
    def identity(self) -> str:
        """What tells this run's record from any other: settings, the study's own source, and where its results lie."""
        settings = self.settings.model_dump(mode="json")
        return canonical_digest([settings, source_digest(self.study.claims), list(self.folders.values())])

    def data_url(self, problem: str) -> str:
        """The store of a problem's data set."""
        return self.result_sets[problem].data_set.url(self.root)

    def stores(self) -> list[StorePlan]:
        """All stores of the plan, data sets first."""
        data = [plan_store(self.data_url(name), rs.data_set.layout()) for name, rs in self.result_sets.items()]
        results = [plan_store(results_url(self.folders[name]), rs.layout()) for name, rs in self.result_sets.items()]
        return data + results


def resolve_settings(study: Study, size: Size, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a study at a size, with some replaced.

    Raises
    ------
    InputError
        One line for the first keys or values that are not allowed.
    """
    return validated(study.settings, {**study.sizes[size], **overrides})


def plan_study(study: Study, size: Size, overrides: Mapping[str, Any], root: str, *, fresh: bool = False) -> StudyPlan:
    """Resolve a study; ``fresh`` plans new results beside those that exist.

    Raises
    ------
    InputError
        For settings that are not allowed or need more memory than a worker should take, and where a package is missing.
    """
    settings = resolve_settings(study, size, overrides)
    try:
        problems = study.problems(settings)
    except ValidationError as error:
        raise refused(error) from None
    result_sets = {}
    for name, problem in problems.items():
        data_set = DataSet(problem, settings.seed, settings.count, settings.instances_per_shard)
        result_sets[name] = ResultSet(
            study=study.name,
            problem=name,
            data_set=data_set,
            instances_per_repetition=settings.instances,
            contenders=study.contenders(settings, name),
            metrics=study.metrics,
            agreement=study.agreement(settings),
            history_length=study.history_length(settings),
            history_label=study.history_label,
            budget=study.budget(settings, name),
        )
        require_available(data_set)
        for layout in (data_set.layout(), result_sets[name].layout()):
            require_memory(layout)
    folders = {name: _folder(results, root, fresh=fresh) for name, results in result_sets.items()}
    return StudyPlan(study, size, settings, root, result_sets, folders)


def require_available(data_set: DataSet) -> None:
    """Refuse a data set of more instances than its problem has, or whose problem needs a package that is missing.

    Raises
    ------
    InputError
        One line with both numbers, or with the command that installs the package.
    """
    problem = data_set.problem
    if problem.extra and find_spec(problem.extra) is None:
        raise InputError(
            f"{problem.name} needs {problem.extra}, which is not installed: "
            f"pip install --require-hashes --no-deps -r requirements-{problem.extra}.lock"
        )
    available = problem.available()
    if available is not None and data_set.count > available:
        raise InputError(f"{data_set.count} instances wanted, but {problem.name} has {available}")


def require_memory(layout: Layout) -> None:
    """Refuse a shard that does not fit into a worker.

    Raises
    ------
    InputError
        One line with the memory that a shard would take.
    """
    needed = layout.nbytes // layout.count * min(layout.shard_size, layout.count)
    if needed > MEMORY_PER_SHARD:
        raise InputError(
            f"a shard of {min(layout.shard_size, layout.count)} instances takes {needed / 2**30:,.1f} GiB of memory, "
            f"more than the {MEMORY_PER_SHARD / 2**30:.0f} GiB allowed: choose smaller instances or shards"
        )


def plan_store(url: str, layout: Layout) -> StorePlan:
    """How much of a store exists."""
    state = store_state(url)
    present = 0
    if state == "complete":
        present = layout.shard_count
    elif state == "unfinished":
        present = layout.shard_count - len(pending_shards(open_store(url, "r")))
    return StorePlan(url, state, layout.shard_count, present, layout.nbytes)


def _folder(results: ResultSet, root: str, *, fresh: bool) -> str:
    """The folder of the latest attempt, or of the next where a fresh one is asked for."""
    attempt = 1
    while store_exists(results.url(root, attempt + 1)):
        attempt += 1
    if fresh and store_state(results_url(results.url(root, attempt))) == "complete":
        attempt += 1
    return results.url(root, attempt)


def store_root(store: str = "") -> str:
    """The folder or URL that holds everything: the one named, ASSAY_STORE, or ./assay-store."""
    return absolute_url(store or os.environ.get("ASSAY_STORE") or "assay-store")


def absolute_url(url: str) -> str:
    """A URL as it is, a path made absolute.

    Raises
    ------
    InputError
        For a URL with a password in it, since URLs are recorded.
    """
    if not is_local(url) and without_credentials(url) != url:
        place = without_credentials(url)
        raise InputError(f"the URL of {place} must not hold credentials: give them as its file system reads them")
    return str(Path(url).expanduser().absolute()) if is_local(url) else url
