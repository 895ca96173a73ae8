import json
import socket
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from data.validation import InputError
from tasks.tracking import (
    Record,
    StoredInput,
    TrackingError,
    finished_runs,
    log_record,
    mlflow_report,
    open_tracking,
    tracking_uri,
)

STEPS = np.arange(1500)
CURVE = (STEPS, np.geomspace(1.0, 1e-8, 1500))


def log(client, root, experiment, made):
    return log_record(client, root, experiment, made.identity, lambda: made)


def figure():
    drawn = matplotlib.figure.Figure()
    drawn.subplots().plot([0, 1])
    return drawn


def record(identity="parent", **changes):
    child = Record(
        name="darcy: skr",
        identity=f"{identity}/child",
        params={"restart": 20},
        tags={"role": "method"},
        metrics={"iterations": 12.0},
        curves={"relative residual": CURVE},
        inputs=[StoredInput("darcy", "0123", "root/darcy.zarr")],
    )
    given = {
        "name": "skr (small)",
        "identity": identity,
        "params": {"size": "small"},
        "tags": {"paper": "a paper", "verdict.darcy.headline": "holds"},
        "metrics": {"darcy/headline/estimate": 4.5},
        "inputs": [StoredInput("darcy", "0123", "root/darcy.zarr")],
        "figures": {"figures/claims.png": figure()},
        "documents": {"report.json": {"claims": [1, None]}},
        "children": [child],
    }
    return Record(**{**given, **changes})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def client(root):
    return open_tracking(root)


def children(client, logged):
    condition = f"tags.`mlflow.parentRunId` = '{logged.run_id}'"
    return client.search_runs([logged.experiment_id], condition)


def test_a_record_is_logged_whole(client, root, tmp_path):
    logged = log(client, root, "whole", record())
    run = client.get_run(logged.run_id)
    assert not logged.reused
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "skr (small)"
    assert run.data.params == {"size": "small"}
    assert run.data.metrics == {"darcy/headline/estimate": 4.5}
    assert run.data.tags["paper"] == "a paper"
    assert run.data.tags["assay.parent"] == "yes"
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("darcy", "0123")
    assert json.loads(used.dataset.source) == {"uri": "root/darcy.zarr"}
    document = Path(client.download_artifacts(logged.run_id, "report.json", str(tmp_path)))
    assert json.loads(document.read_text()) == {"claims": [1, None]}
    assert [item.path for item in client.list_artifacts(logged.run_id, "figures")] == ["figures/claims.png"]
    assert mlflow_report(logged)["run_id"] == logged.run_id
    assert logged.artifacts.startswith(f"file://{root}/mlflow/artifacts/whole")


def test_a_file_is_kept_under_the_name_it_has_in_the_record(client, root, tmp_path):
    (tmp_path / "skr-small.jsonl").write_text("{}")
    logged = log(client, root, "files", record(files={"logs/skr-small.jsonl": tmp_path / "skr-small.jsonl"}))
    assert [item.path for item in client.list_artifacts(logged.run_id, "logs")] == ["logs/skr-small.jsonl"]


def test_an_experiment_gets_its_tags_and_keeps_a_note_that_it_has(client, root):
    def tags(identity, note, view):
        made = record(identity, experiment_tags={"mlflow.note.content": note, "view": view})
        return client.get_experiment(log(client, root, "tagged", made).experiment_id)

    first = tags("1", "see #/experiments/{experiment_id}", "old")
    assert first.tags["mlflow.note.content"] == f"see #/experiments/{first.experiment_id}"
    second = tags("2", "another", "new")
    assert second.tags["mlflow.note.content"] == first.tags["mlflow.note.content"]
    assert (first.tags["view"], second.tags["view"]) == ("old", "new")


def test_a_child_is_found_below_its_parent_with_its_curve(client, root):
    logged = log(client, root, "child", record())
    (child,) = children(client, logged)
    assert child.info.status == "FINISHED"
    assert child.info.run_name == "darcy: skr"
    assert (child.data.tags["assay.parent"], child.data.tags["role"]) == ("no", "method")
    assert child.data.params == {"restart": "20"}
    history = client.get_metric_history(child.info.run_id, "relative residual")
    assert len(history) == 1500, "more than one batch of 1000"
    assert [point.step for point in history] == STEPS.tolist()
    assert [point.value for point in history] == CURVE[1].tolist()


def test_a_finished_record_is_reused_and_left_as_it_is(client, root):
    first = log(client, root, "reuse", record())
    again = log(client, root, "reuse", record(metrics={"other": 1.0}))
    assert (again.run_id, again.reused) == (first.run_id, True)
    assert client.get_run(first.run_id).data.metrics == {"darcy/headline/estimate": 4.5}
    assert log(client, root, "reuse", record("other")).run_id != first.run_id


def fail(*_, **__):
    raise OSError("the disk is full")


class Unsaved(matplotlib.figure.Figure):
    """A figure at which logging is cut off, after children and values."""

    savefig = fail


@pytest.mark.parametrize("points", [[1500], [1000], [1000, 1500]], ids=str)
def test_a_record_that_was_cut_off_is_completed_and_nothing_doubles(client, root, points):
    experiment = f"cut off after {points}"
    for logged_before in points:
        cut = {"gap": (CURVE[0][:logged_before], CURVE[1][:logged_before])}
        with pytest.raises(OSError, match="disk is full"):
            log(client, root, experiment, record(curves=cut, figures={"claims.png": Unsaved()}))
    logged = log(client, root, experiment, record(curves={"gap": CURVE}))
    assert not logged.reused
    runs = client.search_runs([logged.experiment_id])
    assert len(runs) == 2
    assert all(run.info.status == "FINISHED" for run in runs)
    (child,) = children(client, logged)
    assert len(client.get_metric_history(child.info.run_id, "relative residual")) == 1500
    assert len(client.get_metric_history(logged.run_id, "gap")) == 1500
    assert len(client.get_metric_history(logged.run_id, "darcy/headline/estimate")) == 1
    assert len(client.get_run(logged.run_id).inputs.dataset_inputs) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_logged_as_one(client, root, value):
    curve = (np.array([0, 1, 2]), np.array([1.0, value, 0.5]))
    logged = log(
        client, root, f"not finite {value}", record(metrics={"good": 1.0, "bad": value}, curves={"gap": curve})
    )
    assert client.get_run(logged.run_id).data.metrics.keys() == {"good", "gap"}
    assert [point.value for point in client.get_metric_history(logged.run_id, "gap")] == [1.0, 0.5]


def test_a_long_parameter_is_cut_and_not_refused(client, root):
    logged = log(client, root, "long", record(params={"options": "x" * 10_000}))
    assert client.get_run(logged.run_id).data.params["options"] == "x" * 6000


def test_a_record_whose_place_holds_a_quotation_mark_is_found_again(client, root):
    first = log(client, root, "quoted", record("0123//home/o'neil/it's.zarr"))
    assert log(client, root, "quoted", record("0123//home/o'neil/it's.zarr")).run_id == first.run_id


def test_the_latest_finished_parents_are_found(client, root):
    logged = [log(client, root, "latest", record(str(i), params={"size": "small"})) for i in range(2)]
    found = finished_runs(client, "latest", limit=5)
    assert {run.info.run_id for run in found} == {run.run_id for run in logged}
    assert finished_runs(client, "latest", "params.size = 'large'") == []
    assert finished_runs(client, "never run") == []


def test_the_database_lies_below_the_store_unless_a_server_is_named(tmp_path, monkeypatch):
    assert tracking_uri(str(tmp_path)) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert tracking_uri(str(tmp_path)) == "http://mlflow.example"


def test_the_database_of_a_remote_store_is_local(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("s3://bucket/assay") == f"sqlite:///{tmp_path}/assay-store/mlflow/mlflow.db"


def test_a_server_that_does_not_answer_is_said_in_one_line(tmp_path, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(TrackingError) as caught:
            open_tracking(str(tmp_path))
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert "does not answer within 10 s" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["http://", "http://no such host", "nonsense://somewhere", "https://127.0.0.1:99999"])
def test_an_address_that_is_no_server_is_refused(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError) as caught:
        open_tracking(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert uri in str(caught.value)
