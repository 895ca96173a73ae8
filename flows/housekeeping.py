"""What a store holds that no run in MLflow refers to, and runs whose stores are gone."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
from mlflow import MlflowClient
from mlflow.entities import Run

from data.validation import InputError
from flows.plan import store_root
from tasks.places import is_local, join_url, reaching, require_writable, store_exists
from tasks.results import results_url, timings_url
from tasks.store import store_state
from tasks.tracking import nothing_logged, open_tracking

FOLDERS = ("datasets", "results")
_PAGE = 1000


@dataclass(frozen=True)
class Orphan:
    """What no run refers to; an unfinished store may still be written to, and a foreign one is no store of ours."""

    url: str
    state: str
    nbytes: int
    age_days: float


@dataclass(frozen=True)
class BrokenRun:
    """A run in MLflow that refers to stores that are gone."""

    run_id: str
    name: str
    missing: Sequence[str]


def collect_garbage(store: str, older_than: float, *, dry_run: bool) -> dict[str, Any]:
    """List orphans and broken runs and, unless it is a dry run, delete the orphans that are old enough.

    Parameters
    ----------
    store : str
        The root; its folders datasets and results are looked at, and nothing else is ever deleted.
    older_than : float
        Days since an orphan was last written; younger ones are listed and stay.
    dry_run : bool
        Delete nothing.
    """
    root = store_root(store)
    if not (dry_run or is_local(root) or os.environ.get("MLFLOW_TRACKING_URI")):
        # The runs of whoever shares this store are in their databases, not in the one of the current folder.
        raise InputError(
            f"store {root} is remote: set MLFLOW_TRACKING_URI to the database of all its runs, or --dry-run"
        )
    runs = [] if nothing_logged(root) else list(_parents(open_tracking(root)))
    referred = {url for run in runs for url in _references(run)}
    orphans = [_orphan(url) for url in _stores(root) if url not in referred]
    doomed = [orphan for orphan in orphans if orphan.state != "foreign" and orphan.age_days >= older_than]
    if doomed and not dry_run:
        require_writable(root)
        for orphan in doomed:
            filesystem, path = fsspec.url_to_fs(orphan.url)
            filesystem.rm(path, recursive=True)
    return {
        "root": root,
        "orphans": [asdict(orphan) for orphan in orphans],
        "deleted": [] if dry_run else [orphan.url for orphan in doomed],
        "broken_runs": [asdict(broken) for run in runs if (broken := _broken(run)).missing],
    }


def _stores(root: str) -> Iterator[str]:
    """Data sets and folders of results below a root."""
    for folder in FOLDERS:
        with reaching(root):
            filesystem, path = fsspec.url_to_fs(join_url(root, folder))
            entries = sorted(filesystem.ls(path, detail=False)) if filesystem.isdir(path) else []
        for entry in entries:
            yield join_url(root, folder, entry.rstrip("/").rsplit("/", 1)[-1])


def _orphan(url: str) -> Orphan:
    filesystem, path = fsspec.url_to_fs(url)
    written = [_modified(filesystem, file) for file in filesystem.find(path)]
    age = datetime.now(UTC) - max(written, default=datetime.fromtimestamp(0, UTC))
    return Orphan(url, _state(url), int(filesystem.du(path)), age / timedelta(days=1))


def _state(url: str) -> str:
    """That of a data set, or of a folder of results, which holds two stores."""
    if url.endswith(".zarr"):
        return store_state(url)
    states = {store_state(results_url(url)), store_state(timings_url(url))}
    if not states & {"complete", "unfinished"}:
        return "foreign"
    return "complete" if states == {"complete"} else "unfinished"


def _modified(filesystem: Any, file: str) -> datetime:
    modified: datetime = filesystem.modified(file)
    return modified if modified.tzinfo else modified.replace(tzinfo=UTC)


def _parents(client: MlflowClient) -> Iterator[Run]:
    """The parent runs of all experiments."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token = None
    while True:
        page = client.search_runs(experiments, "tags.`assay.parent` = 'yes'", max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _references(run: Run) -> list[str]:
    """The stores that a run wrote or read."""
    written = [value for name, value in run.data.tags.items() if name.startswith("results.") or name == "data_set_url"]
    sources = [json.loads(used.dataset.source)["uri"] for used in (run.inputs.dataset_inputs if run.inputs else [])]
    return list(dict.fromkeys([*written, *sources]))


def _broken(run: Run) -> BrokenRun:
    return BrokenRun(run.info.run_id, run.info.run_name, [url for url in _references(run) if not store_exists(url)])
