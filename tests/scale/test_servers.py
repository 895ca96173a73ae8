"""Prefect behind basic authentication, Prefect and MLflow on PostgreSQL: a study runs through, and is found."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import Assay
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings
from servers import POSTGRES, postgresql, prefect_server

from flows.doctor import examine
from flows.prefect_api import PrefectServerError, check_prefect_server
from flows.session import computing
from tasks.tracking import Record, TrackingError, log_record, open_tracking

SECRET = "assay:correct-horse"
STUDY = "compensated-summation"
RUN = ["run", STUDY, "--size", "small", "--set", "instances=4", "--scheduler", "in-process", "--json"]
INSTALLED = all(POSTGRES.values())
needs_postgresql = pytest.mark.skipif(
    not INSTALLED, reason="PostgreSQL is not installed: initdb is neither in PATH nor in /usr/lib/postgresql"
)


@pytest.fixture(scope="module")
def databases():
    """The addresses of two databases, without their scheme; none where PostgreSQL is not installed."""
    if not INSTALLED:
        yield {}
        return
    with postgresql("prefect", "mlflow") as addresses:
        yield addresses


@pytest.fixture(scope="module")
def api(databases, tmp_path_factory):
    """A Prefect server that asks for a password, on PostgreSQL where that is installed."""
    settings = {"PREFECT_SERVER_API_AUTH_STRING": SECRET}
    if databases:
        settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"postgresql+asyncpg://{databases['prefect']}"
    with prefect_server(tmp_path_factory.mktemp("prefect"), **settings) as address:
        yield address


@pytest.fixture(scope="module")
def finished(api, databases, tmp_path_factory):
    """A study of the command line on these servers: what it was, and all that it said and kept."""
    folder = tmp_path_factory.mktemp("finished")
    environment = {"PREFECT_API_AUTH_STRING": SECRET}
    if databases:
        environment["MLFLOW_TRACKING_URI"] = f"postgresql://{databases['mlflow']}"
    ended = Assay(folder, api)(*RUN, **environment)
    assert ended.returncode == 0, ended.stderr
    return folder, ended


def test_a_study_runs_on_a_prefect_server_that_asks_for_a_password_and_keeps_the_password_nowhere(finished):
    folder, ended = finished
    assert json.loads(ended.stdout)["claims"]
    kept = {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    assert any("zarr.json" in path for path in kept)
    for word in (SECRET, SECRET.partition(":")[2]):
        assert word not in ended.stdout + ended.stderr
        assert [path for path, content in kept.items() if word.encode() in content] == []


@pytest.mark.parametrize("given", [None, "assay:wrong-horse"], ids=["missing", "wrong"])
def test_a_password_that_is_missing_or_wrong_is_said_in_one_line(api, monkeypatch, tmp_path, given):
    monkeypatch.setenv("PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_AUTH_STRING: given}):
        with pytest.raises(PrefectServerError, match="does not let us in: set PREFECT_API_AUTH_STRING") as caught:
            check_prefect_server()
        (found,) = [one for one in examine(str(tmp_path), "local", {})["findings"] if one["check"] == "Prefect"]
    assert found["state"] == "bad"
    for message in (str(caught.value), found["found"]):
        assert "\n" not in message
        assert "horse" not in message


def test_the_right_password_lets_us_in(api, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_AUTH_STRING: SECRET}):
        assert check_prefect_server()
        (found,) = [one for one in examine(str(tmp_path), "local", {})["findings"] if one["check"] == "Prefect"]
    assert found["state"] == "good"


def test_a_command_refuses_before_it_starts_or_writes_anything(api, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_API_URL", api)
    refused = pytest.raises(PrefectServerError, match="does not let us in")
    with refused, computing(str(tmp_path / "store"), "in-process", None):
        pytest.fail("started although the server does not let us in")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/api", "http://nowhere.invalid/api", "nonsense"])
def test_a_prefect_server_that_does_not_answer_is_said_in_one_line(monkeypatch, address):
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(PrefectServerError, match="does not answer") as caught:
        check_prefect_server()
    assert "\n" not in str(caught.value)


def test_an_address_that_is_not_of_the_api_is_said_to_be_none(api, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", api.removesuffix("/api"))
    with pytest.raises(PrefectServerError):
        check_prefect_server()


@needs_postgresql
def test_a_study_is_found_in_prefect_and_mlflow_on_postgresql(finished, databases):
    folder, ended = finished
    report = json.loads(ended.stdout)
    client = MlflowClient(f"postgresql://{databases['mlflow']}")
    run = client.get_run(report["mlflow"]["run_id"])
    assert (run.info.status, run.data.tags["prefect.flow_run"]) == ("FINISHED", report["prefect_flow_run"])
    assert len(client.search_runs([run.info.experiment_id])) == 1 + len(report["contenders"])
    assert {one.path for one in client.list_artifacts(run.info.run_id)} >= {"figures", "report.json"}
    assert Path(folder, "store", "mlflow", "artifacts", STUDY, run.info.run_id, "artifacts", "report.json").exists()
    query = f"select state_type from flow_run where id = '{report['prefect_flow_run']}'"
    command = [str(POSTGRES["psql"]), "-At", "-c", query, f"postgresql://{databases['prefect']}"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "COMPLETED"


@needs_postgresql
def test_a_record_on_postgresql_that_was_cut_off_is_completed_and_no_curve_is_doubled(
    databases, make_root, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://{databases['mlflow']}")
    root = make_root("postgresql")
    client = open_tracking(root)
    steps = np.arange(1500)
    curves = {"residual": (steps, 0.5 ** steps.astype(float))}
    child = Record("child", "child", metrics={"cost": 2.0}, curves=curves)
    record = Record("parent", "cut-off", metrics={"estimate": 1.0}, curves=curves, children=[child])
    logged = log_record(client, root, "curves", record.identity, lambda: record)
    for run in client.search_runs([logged.experiment_id]):
        client.set_terminated(run.info.run_id, "RUNNING")
    again = log_record(client, root, "curves", record.identity, lambda: record)
    assert (again.run_id, again.reused) == (logged.run_id, False)
    runs = client.search_runs([logged.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [len(client.get_metric_history(run.info.run_id, "residual")) for run in runs] == [1500, 1500]


def test_a_database_server_that_is_not_there_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:horse@127.0.0.1:9/mlflow")
    with pytest.raises(TrackingError, match="Connection refused") as caught:
        open_tracking(str(tmp_path))
    (found,) = [one for one in examine(str(tmp_path), "local", {})["findings"] if one["check"] == "MLflow"]
    assert found["state"] == "bad"
    for message in (str(caught.value), found["found"]):
        assert "horse" not in message
        assert "\n" not in message
