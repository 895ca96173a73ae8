"""`assay up`, really started: what it serves, a run from the API to MLflow, what it refuses, and how it ends."""

import re
import signal
import sqlite3
import subprocess
from contextlib import closing

import httpx
import psutil
import pytest
import yaml
from assay_up import (
    ASSAY,
    assay_up,
    deployments,
    environment_in,
    family_of,
    finish,
    found,
    free_port,
    read,
    request_run,
    state_of,
    wait_for,
)
from mlflow import MlflowClient

from data.validation import InputError
from flows.prefect_setup import DEPLOYMENT_FILE, create_work_pool, declare_silent_runs_dead, deploy
from flows.services import require_free_port
from tasks.tracking import Record, log_record, open_tracking

# One server for all of them, also where tests are spread over processes.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("services")]


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """The running services; whatever becomes of the tests, none of their processes is left."""
    with assay_up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture(scope="module")
def finished_run(services):
    """The id of a run of the smallest study, triggered through the API."""
    answer = request_run(services, "run-study", {"study": "compensated-summation", "size": "small"})
    assert answer.status_code == 201, answer.text
    run = answer.json()["id"]
    state = finish(services, run)
    assert state["type"] == "COMPLETED", state["message"]
    return run


def test_the_addresses_are_printed(services):
    assert services.api.removesuffix("/api") in services.printed
    assert services.mlflow in services.printed
    assert str(services.store) in services.printed
    assert "prefect deployment run study/run-study" in services.printed


def test_the_user_interfaces_answer(services):
    assert "<html" in read(services.api.removesuffix("/api") + "/").text
    assert "<html" in read(services.mlflow).text
    assert read(services.api.removesuffix("/api") + "/ui-settings").json()["api_url"] == services.api


def test_logging_to_the_mlflow_server_prints_nothing(services, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", services.mlflow.replace("://", "://me:correct-horse@"))
    root = str(services.store)
    logged = log_record(open_tracking(root), root, "quiet", "once", lambda: Record("parent", "once"))
    assert logged.tracking_uri == services.mlflow
    assert capsys.readouterr() == ("", "")


def test_everything_listens_on_the_loopback_only(services):
    listening = {
        connection.laddr.ip
        for process in family_of(psutil.Process(services.process.pid))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_server_has_the_deployments_of_the_file(services):
    written = {entry["name"]: entry for entry in yaml.safe_load(DEPLOYMENT_FILE.read_text())["deployments"]}
    served = deployments(services)
    assert served.keys() == written.keys()
    for name, entry in written.items():
        deployment = served[name]
        assert deployment["parameters"] == entry.get("parameters", {})
        assert deployment["work_pool_name"] == entry["work_pool"]["name"]
        assert (
            deployment["concurrency_options"]["collision_strategy"] == entry["concurrency_limit"]["collision_strategy"]
        )
        assert deployment["enforce_parameter_schema"]
        assert not deployment["pull_steps"]
        schedules = {schedule["slug"]: schedule for schedule in deployment["schedules"]}
        assert schedules.keys() == {schedule["slug"] for schedule in entry.get("schedules", [])}
        for schedule in entry.get("schedules", []):
            assert schedules[schedule["slug"]]["active"] == schedule["active"]
            assert schedules[schedule["slug"]]["schedule"]["timezone"] == schedule["timezone"]


def test_the_nightly_schedule_plans_runs_and_the_inactive_one_none(services):
    nightly, weekly = (deployments(services)[name]["id"] for name in ("nightly-campaign", "weekly-skr"))

    def planned():
        return [run for run in found(f"{services.api}/flow_runs/filter") if run["auto_scheduled"]]

    runs = wait_for(planned, 60)
    assert {run["deployment_id"] for run in runs} == {nightly}
    assert weekly not in {run["deployment_id"] for run in runs}
    assert all(run["parameters"]["fresh"] for run in runs)


def test_setting_up_twice_changes_nothing(services):
    create_work_pool(services.api)
    declare_silent_runs_dead(services.api)
    assert [pool["type"] for pool in found(f"{services.api}/work_pools/filter")] == ["process"]
    assert len(found(f"{services.api}/automations/filter")) == 1


def test_a_triggered_run_is_found_in_the_database(services, finished_run):
    client = MlflowClient(f"sqlite:///{services.store}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("compensated-summation")
    runs = client.search_runs([experiment.experiment_id], f"tags.`prefect.flow_run` = '{finished_run}'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 5  # the study and its four contenders


def logged_run(services, flow_run):
    """The run that the MLflow server has of a flow run's study."""
    experiment = read(
        f"{services.mlflow}/api/2.0/mlflow/experiments/get-by-name", experiment_name="compensated-summation"
    ).json()["experiment"]["experiment_id"]
    runs = found(
        f"{services.mlflow}/api/2.0/mlflow/runs/search",
        experiment_ids=[experiment],
        filter=f"tags.`prefect.flow_run` = '{flow_run}' and tags.`assay.parent` = 'yes'",
    )["runs"]
    assert len(runs) == 1
    return runs[0]


def test_a_triggered_run_is_served_by_mlflow_with_its_verdicts(services, finished_run):
    run = logged_run(services, finished_run)
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["verdict.cancelling-sums.beats-recursive"] == "holds"
    assert {"git_commit", "lock_digest", "paper"} <= tags.keys()


def test_the_report_of_a_run_leads_to_mlflow_and_to_its_data_and_holds_its_figures(services, finished_run):
    of_run = {"flow_run_id": {"any_": [finished_run]}, "key": {"any_": ["report-compensated-summation"]}}
    (artifact,) = found(f"{services.api}/artifacts/filter", artifacts=of_run)
    assert artifact["type"] == "markdown"
    report, run = artifact["data"], logged_run(services, finished_run)["info"]["run_id"]
    assert re.search(rf"\]\({re.escape(services.mlflow)}/#/experiments/\d+/runs/{run}\b", report)
    assert f'xarray.open_zarr("{services.store}/datasets/' in report
    assert r"- holds\: cancelling\-sums\, beats\-recursive\, " in report
    assert "](data:image/png;base64," in report


def test_the_artifacts_of_a_run_are_served_by_mlflow(services, finished_run):
    run = logged_run(services, finished_run)["info"]["run_id"]
    report = read(f"{services.mlflow}/get-artifact", run_id=run, path="report.json").json()
    assert (report["study"], report["size"], report["settings"]) == ("compensated-summation", "small", {})
    figure = read(f"{services.mlflow}/get-artifact", run_id=run, path="figures/claims.png").content
    assert figure.startswith(b"\x89PNG")


def test_a_triggered_run_keeps_its_arrays_in_the_store_and_nothing_elsewhere(services, finished_run):
    assert {path.name for path in services.store.iterdir()} == {"datasets", "results", "logs", "mlflow"}
    assert {path.name for path in services.folder.iterdir()} <= {"store", "prefect-home", "errors", ".cache", ".config"}


@pytest.mark.parametrize(
    ("deployment", "parameters", "field"),
    [
        ("run-study", {"study": "skrr"}, "study"),
        ("run-study", {}, "study"),
        ("run-skr", {"size": "huge"}, "size"),
        ("run-skr", {"workers": 0}, "workers"),
        ("run-skr", {"fresh": "perhaps"}, "fresh"),
        ("generate-data-set", {"problem": "darcy"}, "problem"),
        ("generate-data-set", {"problem": "poisson", "count": 0}, "count"),
        ("generate-data-set", {"problem": "poisson", "count": 1.5}, "count"),
        ("generate-data-set", {"problem": "poisson", "tolerance": 1}, "tolerance"),
        ("generate-data-set", {"problem": "poisson", "solver": "magic"}, "solver"),
        ("run-campaign", {"studies": ["skr", "skrr"]}, "studies"),
        ("solve-systems", {}, "systems"),
        ("run-skr", {"sise": "small"}, "sise"),
        ("run-campaign", {"sise": "small"}, "sise"),
        ("generate-data-set", {"problem": "poisson", "grid": 8}, "grid"),
    ],
)
def test_a_wrong_parameter_is_refused_by_the_server(services, deployment, parameters, field):
    answer = request_run(services, deployment, parameters)
    assert answer.status_code == httpx.codes.CONFLICT
    assert field in answer.json()["detail"]


def test_what_the_form_cannot_know_ends_the_run_with_one_line(services):
    answer = request_run(services, "run-study", {"study": "compensated-summation", "settings": {"lenght": 8}})
    run = answer.json()["id"]
    state = finish(services, run)
    assert state["type"] == "FAILED"
    assert state["message"].startswith("unknown parameter 'lenght': did you mean 'length'?")

    def logged():
        """All that the run has said, once its last line is there: logs arrive after the state."""
        entries = found(f"{services.api}/logs/filter", logs={"flow_run_id": {"any_": [run]}})
        text = "\n".join(entry["message"] for entry in entries)
        return text if "Engine execution exited" in text else ""

    text = wait_for(logged)
    assert state["message"] in text
    assert "Traceback" not in text


def test_a_deployment_that_fails_is_said_with_the_end_of_its_log(tmp_path, capsys):
    log = tmp_path / "deploy.log"
    with pytest.raises(InputError, match="could not be deployed"):
        deploy(environment_in(tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES="0"), log)
    assert log.read_text().splitlines()[-1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (lambda ports: ["--prefect-port", ports[0]], "--prefect-port {0} cannot be used"),
        (lambda ports: ["--mlflow-port", ports[1]], "--mlflow-port {1} cannot be used"),
        (lambda ports: ["--prefect-port", 5000, "--mlflow-port", 5000], "are both 5000"),
        (lambda ports: ["--store", "s3://bucket/store"], "is not a local folder"),
        (lambda ports: ["--store", "/proc/store"], "is not writable"),
        (lambda ports: ["--prefect-port", 70000], "70000"),
    ],
    ids=["prefect port taken", "mlflow port taken", "one port twice", "remote store", "unwritable store", "no port"],
)
def test_what_cannot_be_started_is_refused_in_one_line_and_leaves_nothing(services, tmp_path, arguments, complaint):
    free = {"--prefect-port": free_port(), "--mlflow-port": free_port(), "--store": tmp_path / "store"}
    given = arguments(services.ports)
    options = {**free, **dict(zip(given[::2], given[1::2], strict=True))}
    completed = subprocess.run(
        [ASSAY, "up", *(str(word) for option in options.items() for word in option)],
        env=environment_in(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 2
    assert complaint.format(*services.ports) in completed.stderr
    assert completed.stderr.count("\n") == 1
    assert completed.stdout == ""
    assert not (tmp_path / "store").exists()


def test_ctrl_c_ends_everything_in_order_and_says_that_a_run_crashed(services):
    answer = request_run(services, "run-skr", {"size": "large"})
    run = answer.json()["id"]
    wait_for(lambda: state_of(services, run)["type"] == "RUNNING")
    wait_for(lambda: list((services.store / "datasets").glob("darcy-*")))
    family = family_of(psutil.Process(services.process.pid))
    services.process.send_signal(signal.SIGINT)
    assert services.process.wait(90) == 0
    _, alive = psutil.wait_procs(family, 10)
    assert alive == []
    for port in services.ports:
        require_free_port("--port", port)
    with closing(sqlite3.connect(services.folder / "prefect-home" / "prefect.db")) as database:
        query = "select state_type from flow_run where id = ?"
        assert database.execute(query, [run]).fetchall() == [("CRASHED",)]
        assert database.execute("select sum(active_slots) from concurrency_limit_v2").fetchall() == [(0,)]
