"""`assay up` whose Prefect server asks for a password, with an MLflow server elsewhere that has one in its address."""

import subprocess
from pathlib import Path

import httpx
import pytest
from assay_up import ENDED, assay_up, free_port, wait_for
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
            yield up


def test_a_run_from_its_form_ends_well_for_who_has_the_password(services):
    assert httpx.post(f"{services.api}/deployments/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
    with httpx.Client(base_url=services.api, auth=(USER, PASSWORD), timeout=30) as server:
        deployments = {one["name"]: one["id"] for one in server.post("/deployments/filter", json={}).json()}
        address = f"/deployments/{deployments['run-study']}/create_flow_run"
        run = server.post(address, json={"parameters": STUDY}).raise_for_status().json()["id"]

        def ended():
            state = server.get(f"/flow_runs/{run}").json()["state"]
            return state if state["type"] in ENDED else None

        state = wait_for(ended)
    assert state["type"] == "COMPLETED", state["message"]
    experiments = httpx.post(f"{services.mlflow}/api/2.0/mlflow/experiments/search", json={"max_results": 10}).json()
    assert STUDY["study"] in {one["name"] for one in experiments["experiments"]}


def test_no_password_is_printed_or_kept(services):
    assert f"MLflow   {services.mlflow} " in services.printed
    kept = {path: path.read_bytes() for path in Path(services.store).rglob("*") if path.is_file()}
    assert any(path.name == "worker.log" for path in kept)
    assert PASSWORD not in services.printed + (services.folder / "errors").read_text()
    assert [path for path, content in kept.items() if PASSWORD.encode() in content] == []
    # nor does any process have it where everybody of this machine can read it
    assert PASSWORD not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
