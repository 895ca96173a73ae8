"""Logging to MLflow: one parent run a record, one child run a contender, written whole or resumed, never doubled."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from numpy.typing import NDArray
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from data.validation import InputError
from tasks.liveness import HOST, PROCESS, this_host, this_process
from tasks.places import is_local, join_url, without_credentials
from tasks.store import canonical_digest

if TYPE_CHECKING:  # most of what is logged has no figures
    from matplotlib.figure import Figure

IDENTITY = "assay.identity"
EXPERIMENT_ID = "{experiment_id}"
"""Stands for the id of the experiment in the tags of one."""

REPORT = "report.json"  # the document of a study's parent run
TIMEOUT = 10
DATABASES = ("postgresql", "mysql")
_BATCH = 1000  # parameters and metrics; MLflow refuses more
_PARAM_LENGTH = 6000

Curve = tuple[NDArray[np.int64], NDArray[np.float64]]


class TrackingError(InputError):
    """An MLflow server that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Record:
    """What one run in MLflow holds; ``identity`` tells a record logged before from a new one."""

    name: str
    identity: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    inputs: Sequence["StoredInput"] = ()
    figures: Mapping[str, "Figure"] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    experiment_tags: Mapping[str, str] = field(default_factory=dict)
    children: Sequence["Record"] = ()


@dataclass(frozen=True)
class StoredInput:
    """A data set that a run read."""

    name: str
    digest: str
    url: str


@dataclass(frozen=True)
class LoggedRun:
    """Where a record went and whether it was there already."""

    run_id: str
    experiment_id: str
    artifacts: str
    tracking_uri: str
    reused: bool


def tracking_uri(root: str) -> str:
    """MLFLOW_TRACKING_URI where it is set, else an SQLite database below a store's root (or the current folder)."""
    if configured := os.environ.get("MLFLOW_TRACKING_URI"):
        return configured
    folder = Path(root if is_local(root) else "assay-store").absolute() / "mlflow"
    return f"sqlite:///{folder / 'mlflow.db'}"


def open_tracking(root: str, *, probe: bool = True) -> MlflowClient:
    """A client of the tracking store; a new database is created and migrated here, once, by this process.

    Without ``probe``, a server that does not answer is found out, and waited for, by the first request to it.

    Raises
    ------
    TrackingError
        If a tracking server does not answer within ten seconds.
    """
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        # MLflow would print the address of every run, with the password that the server's has, among our output.
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        if probe:
            check_server(uri)
    elif uri.startswith(DATABASES):
        check_database(uri)
    elif uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        return MlflowClient(uri)
    except MlflowException as error:
        reason = without_credentials(str(error).splitlines()[0])
        raise TrackingError(f"MLFLOW_TRACKING_URI={without_credentials(uri)!r} cannot be used: {reason}") from None


def nothing_logged(root: str) -> bool:
    """Whether there is no database yet; opening it would create one."""
    uri = tracking_uri(root)
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()


def check_server(uri: str) -> None:
    """Make sure that an MLflow server answers.

    Raises
    ------
    TrackingError
        One line with the address.
    """
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT).raise_for_status()
    except httpx.HTTPError as error:
        raise TrackingError(
            f"MLflow server {without_credentials(uri)!r} does not answer within {TIMEOUT} s ({type(error).__name__}): "
            "start it, correct MLFLOW_TRACKING_URI, or unset it to use an SQLite file"
        ) from error


def check_database(uri: str) -> None:
    """Make sure that a database server lets us in: MLflow itself would try for most of an hour.

    Raises
    ------
    TrackingError
        One line, without the password.
    """
    try:
        engine = create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": TIMEOUT})
        engine.connect().close()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise TrackingError(
            f"MLflow database {without_credentials(uri)!r} cannot be used ({without_credentials(reason)}): start its "
            "server, install its driver, or correct MLFLOW_TRACKING_URI"
        ) from None


def log_record(
    client: MlflowClient, root: str, experiment: str, identity: str, build: Callable[[], Record]
) -> LoggedRun:
    """Log the record that ``build`` makes, and its children.

    A finished run with the same identity is returned as it is, and nothing is built. One that was cut off is
    completed: its metrics carry timestamps derived from the run's start, so that MLflow drops what was logged before
    instead of doubling it.
    """
    experiment_id = _experiment(client, root, experiment)
    run = _find(client, experiment_id, identity)
    finished = run is not None and run.info.status == "FINISHED"
    if run is None or not finished:
        record = build()
        run = _log(client, experiment_id, record, run, parent=None)
        _tag_experiment(client, experiment_id, record.experiment_tags)
    tracked = without_credentials(str(client.tracking_uri))
    return LoggedRun(run.info.run_id, experiment_id, run.info.artifact_uri or "", tracked, reused=finished)


def mlflow_report(logged: LoggedRun) -> dict[str, Any]:
    """Where a run lies in MLflow."""
    return {
        "run_id": logged.run_id,
        "experiment_id": logged.experiment_id,
        "tracking_uri": logged.tracking_uri,
        "artifacts": logged.artifacts,
        "reused": logged.reused,
    }


def finished_runs(client: MlflowClient, experiment: str, filters: str = "", limit: int = 1) -> list[Run]:
    """The latest finished parent runs of an experiment, newest first."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    conditions = ["attributes.status = 'FINISHED'", "tags.`assay.parent` = 'yes'", *([filters] if filters else [])]
    return list(
        client.search_runs(
            [found.experiment_id], " and ".join(conditions), max_results=limit, order_by=["attributes.start_time DESC"]
        )
    )


def read_document(client: MlflowClient, run_id: str, path: str) -> Any:
    """A document that a run holds."""
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(Path(client.download_artifacts(run_id, path, folder)).read_text())


def _log(client: MlflowClient, experiment_id: str, record: Record, run: Run | None, parent: str | None) -> Run:
    children: Mapping[str, Run] = {}
    holder = {HOST: this_host(), PROCESS: this_process()}
    if run is None:
        marks = {IDENTITY: canonical_digest(record.identity), "assay.parent": "no" if parent else "yes"}
        tags = {**marks, **holder, **record.tags}
        tags |= {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        run = client.create_run(experiment_id, int(time.time() * 1000), tags, record.name)
    elif run.info.status != "FINISHED":
        renewed = [RunTag(name, value) for name, value in {**holder, **record.tags}.items()]
        client.log_batch(run.info.run_id, tags=renewed)
        children = _children(client, experiment_id, run.info.run_id)
    run_id, start = run.info.run_id, run.info.start_time
    if run.info.status != "FINISHED":
        for child in record.children:
            _log(client, experiment_id, child, children.get(canonical_digest(child.identity)), run_id)
        _log_values(client, run_id, start, record)
        for path, figure in record.figures.items():
            client.log_figure(run_id, figure, path)
        for path, document in record.documents.items():
            client.log_text(run_id, json.dumps(document, indent=2), path)
        for path, file in record.files.items():
            client.log_artifact(run_id, str(file), str(Path(path).parent))
        client.set_terminated(run_id)
    return run


def _tag_experiment(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> None:
    """Set the tags of an experiment; a note that it has stays, somebody may have written it."""
    present = client.get_experiment(experiment_id).tags if tags else {}
    for name, value in tags.items():
        if name != MLFLOW_RUN_NOTE or name not in present:
            client.set_experiment_tag(experiment_id, name, value.replace(EXPERIMENT_ID, experiment_id))


def _log_values(client: MlflowClient, run_id: str, start: int, record: Record) -> None:
    metrics = [Metric(name, value, start, 0) for name, value in record.metrics.items() if np.isfinite(value)]
    for name, (steps, values) in record.curves.items():
        metrics += [
            Metric(name, float(value), start + int(step), int(step))
            for step, value in zip(steps, values, strict=True)
            if np.isfinite(value)
        ]
    params = [Param(name, str(value)[:_PARAM_LENGTH]) for name, value in record.params.items()]
    beside = _BATCH - len(params)
    client.log_batch(run_id, metrics[:beside], params)
    for begin in range(beside, len(metrics), _BATCH):
        client.log_batch(run_id, metrics[begin : begin + _BATCH])
    if record.inputs:
        client.log_inputs(
            run_id,
            [
                DatasetInput(
                    Dataset(item.name, item.digest, "zarr", json.dumps({"uri": item.url})),
                    [InputTag("mlflow.data.context", "problem")],
                )
                for item in record.inputs
            ],
        )


def _find(client: MlflowClient, experiment_id: str, identity: str) -> Run | None:
    condition = f"tags.`{IDENTITY}` = '{canonical_digest(identity)}'"
    found = client.search_runs([experiment_id], condition, max_results=1, order_by=["attributes.start_time DESC"])
    return found[0] if found else None


def _children(client: MlflowClient, experiment_id: str, parent: str) -> dict[str, Run]:
    condition = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'"
    found = client.search_runs([experiment_id], condition, max_results=SEARCH_MAX_RESULTS_THRESHOLD)
    return {run.data.tags[IDENTITY]: run for run in found}


def _experiment(client: MlflowClient, root: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, _artifacts(str(client.tracking_uri), root, name)))


def _artifacts(uri: str, root: str, name: str) -> str | None:
    """Where an experiment keeps its files: where its server says, beside an SQLite file, else in the store."""
    if uri.startswith(("http://", "https://")):
        return None
    if uri.startswith("sqlite:///"):
        return (Path(uri.removeprefix("sqlite:///")).absolute().parent / "artifacts" / name).as_uri()
    folder = join_url(root, "mlflow", "artifacts", name)
    return Path(folder).absolute().as_uri() if is_local(root) else folder
