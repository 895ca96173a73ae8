"""`assay up` whose Prefect server asks for a password, with an MLflow server elsewhere that has one in its address."""

import subprocess
from pathlib import Path

import httpx
import pytest
from assay_up import assay_up, finish, free_port, request_run
from mlflow import MlflowClient
from servers import running, wait_for_answer

USER, PASSWORD = "assay", "correct-horse"
STUDY = {"study": "compensated-summation", "size": "small"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("up"), free_port()
    elsewhere = tmp_path_factory.mktemp("mlflow")
    command = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{elsewhere}/mlflow.db", "--port", str(port)]
    log = elsewhere / "log"
    with running([*command, "--artifacts-destination", str(elsewhere / "artifacts")], log) as process:
        wait_for_answer(f"http://127.0.0.1:{port}/health", log, process)
        settings = {
            "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{PASSWORD}",
            "MLFLOW_TRACKING_URI": f"http://{USER}:{PASSWORD}@127.0.0.1:{port}",
        }
        with assay_up(folder, **settings) as up:
            up.mlflow = f"http://127.0.0.1:{port}"
            up.open_api, up.api = up.api, up.api.replace("://", f"://{USER}:{PASSWORD}@")
            yield up


def test_a_run_from_its_form_ends_well_for_who_has_the_password(services):
    refused = httpx.post(f"{services.open_api}/deployments/filter", json={})
    assert refused.status_code == httpx.codes.UNAUTHORIZED
    state = finish(services, request_run(services, "run-study", STUDY).json()["id"])
    assert state["type"] == "COMPLETED", state["message"]
    experiments = MlflowClient(services.mlflow).search_experiments()
    assert STUDY["study"] in {experiment.name for experiment in experiments}


def test_no_password_is_printed_or_kept(services):
    assert f"MLflow   {services.mlflow} " in services.printed
    kept = {path: path.read_bytes() for path in Path(services.store).rglob("*") if path.is_file()}
    assert any(path.name == "worker.log" for path in kept)
    assert PASSWORD not in services.printed + (services.folder / "errors").read_text()
    assert [path for path, content in kept.items() if PASSWORD.encode() in content] == []
    # nor does any process have it where everybody of this machine can read it
    assert PASSWORD not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
