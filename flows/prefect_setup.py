"""What `assay up` sets up on its Prefect server: work pool, worker, deployments, and the end of dead runs."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from data.validation import InputError
from flows.deployments import check_deployment_file
from flows.prefect_api import authorisation
from flows.processes import Service, show_tail
from tasks.artifacts import MLFLOW_UI
from tasks.provenance import REPOSITORY

DEPLOYMENT_FILE = REPOSITORY / "deployment.yaml"
WORK_POOL = "assay"
POLL_SECONDS = 5
HEARTBEAT_SECONDS = 30
SILENCE_SECONDS = 120
TIMEOUT = 30
BUSY_SECONDS = 0.3

# A run whose processes were killed cannot say so: without this it stays "Running" and holds its concurrency slot.
DEAD_RUNS: Mapping[str, Any] = {
    "name": "assay: a run that went silent has crashed",
    "description": f"Runs report every {HEARTBEAT_SECONDS} s; one that was silent for {SILENCE_SECONDS} s is dead.",
    "trigger": {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.id": "prefect.tag.assay", "prefect.resource.role": "tag"},
        "for_each": ["prefect.resource.id"],
        "after": ["prefect.flow-run.heartbeat"],
        "expect": [
            "prefect.flow-run.heartbeat",
            *(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")),
        ],
        "threshold": 1,
        "within": SILENCE_SECONDS,
    },
    "actions": [{"type": "change-flow-run-state", "state": "CRASHED", "message": "The run stopped reporting."}],
}


def create_work_pool(api: str) -> None:
    """Create the work pool for runs in processes of this machine, unless it is there."""
    answer = _ask("POST", f"{api}/work_pools/", {"name": WORK_POOL, "type": "process"})
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()


def worker(api: str, root: str, database: str, mlflow_ui: str) -> Service:
    """The worker: one run at a time, so that no two share the cores that their timings are taken on."""
    name = f"assay-{os.getpid()}"
    command = ("prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process", "--name", name, "--limit", "1")
    environment = {
        "ASSAY_STORE": root,
        "MLFLOW_TRACKING_URI": database,
        MLFLOW_UI: mlflow_ui,
        "PREFECT_WORKER_QUERY_SECONDS": str(POLL_SECONDS),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    }
    return Service("worker", command, partial(_is_online, api, name), environment)


def declare_silent_runs_dead(api: str) -> None:
    """Create the automation that marks runs as crashed whose processes are gone, unless it is there."""
    query = {"automations": {"name": {"any_": [DEAD_RUNS["name"]]}}}
    found = _ask("POST", f"{api}/automations/filter", query).raise_for_status().json()
    if not found:
        _ask("POST", f"{api}/automations/", DEAD_RUNS).raise_for_status()


def require_valid_deployments() -> None:
    """Refuse a deployment file that Prefect would read otherwise than it is written.

    Raises
    ------
    InputError
        One line with all its problems.
    """
    if problems := check_deployment_file(DEPLOYMENT_FILE):
        raise InputError(f"{DEPLOYMENT_FILE}: {'; '.join(problems)}")


def deploy(environment: Mapping[str, str], log: Path) -> None:
    """Deploy the deployment file to the server that the environment names.

    Raises
    ------
    InputError
        One line that names the log, if Prefect refuses it; the end of the log goes to standard error.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", str(DEPLOYMENT_FILE)]
    with log.open("wb") as output:
        completed = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if completed.returncode:
        show_tail(log)
        raise InputError(f"{DEPLOYMENT_FILE} could not be deployed: see {log}")


def refuse_unknown_parameters(api: str) -> None:
    """Have the server refuse parameters that a flow does not have, which `prefect deploy` cannot tell it."""
    query = {"deployments": {"tags": {"all_": ["assay"]}}}
    for deployment in _ask("POST", f"{api}/deployments/filter", query).raise_for_status().json():
        schema = deployment["parameter_openapi_schema"] | {"additionalProperties": False}
        change = {"parameter_openapi_schema": schema}
        _ask("PATCH", f"{api}/deployments/{deployment['id']}", change).raise_for_status()


def _is_online(api: str, name: str) -> bool:
    try:
        answer = _ask("POST", f"{api}/work_pools/{WORK_POOL}/workers/filter", {}).raise_for_status()
    except httpx.HTTPError:
        return False
    return any(worker["name"] == name and worker["status"] == "ONLINE" for worker in answer.json())


def _ask(method: str, url: str, body: Mapping[str, Any]) -> httpx.Response:
    """The server's answer; while its database is busy it says 503, and is asked again as Prefect's own clients do."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        answer = httpx.request(method, url, json=body, headers=authorisation(), timeout=TIMEOUT)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return answer
        time.sleep(BUSY_SECONDS)
