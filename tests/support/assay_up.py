"""`assay up` as a user starts it, in a folder of its own and on free ports, and what its servers answer."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil

ASSAY = str(Path(sys.executable).with_name("assay"))
READY = "Ctrl-C stops all of it."
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
FOREIGN_PROFILE = """
active = "elsewhere"
[profiles.elsewhere]
PREFECT_API_URL = "http://127.0.0.1:9/api"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment_in(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a user whose files are in a folder and whose Prefect profile names another server."""
    home = folder / "prefect-home"
    home.mkdir(exist_ok=True)
    (home / "profiles.toml").write_text(FOREIGN_PROFILE)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "MLFLOW_", "ASSAY_")) and name != "PYTEST_CURRENT_TEST"
    }
    return {
        **inherited,
        "HOME": str(folder),
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **settings,
    }


def family_of(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@contextmanager
def assay_up(folder: Path, **settings: str) -> Iterator[SimpleNamespace]:
    """The running services in an environment; whatever becomes of the tests, none of their processes is left."""
    prefect_port, mlflow_port = free_port(), free_port()
    store = folder / "store"
    ports = ["--prefect-port", str(prefect_port), "--mlflow-port", str(mlflow_port)]
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(
            [ASSAY, "up", *ports, "--store", str(store)],
            cwd=folder,
            env=environment_in(folder, **settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        family = psutil.Process(process.pid)
        try:
            printed = []
            for line in process.stdout:
                printed.append(line.rstrip())
                if READY in line:
                    break
            else:
                raise AssertionError((folder / "errors").read_text())
            yield SimpleNamespace(
                process=process,
                folder=folder,
                store=store,
                ports=(prefect_port, mlflow_port),
                prefect=f"http://127.0.0.1:{prefect_port}",
                api=f"http://127.0.0.1:{prefect_port}/api",
                mlflow=f"http://127.0.0.1:{mlflow_port}",
                printed="\n".join(printed),
            )
        finally:
            left = family_of(family) if process.poll() is None else []
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs(left, 60)
            for one in alive:
                one.kill()


def read(url: str, **query: Any) -> httpx.Response:
    return httpx.get(url, params=query, timeout=30).raise_for_status()


def post(url: str, **body: Any) -> httpx.Response:
    return httpx.post(url, json=body, timeout=30)


def found(url: str, **body: Any) -> Any:
    return post(url, **body).raise_for_status().json()


def wait_for(look: Callable[[], Any], seconds: float = 120) -> Any:
    """Ask a server until the answer is one; the test's time limit stands behind it."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, "the server never answered so"
        time.sleep(0.3)
    return answer


def deployments(services: SimpleNamespace) -> dict[str, Any]:
    return {entry["name"]: entry for entry in found(f"{services.api}/deployments/filter")}


def request_run(services: SimpleNamespace, deployment: str, parameters: dict[str, Any]) -> httpx.Response:
    identifier = deployments(services)[deployment]["id"]
    address = f"{services.api}/deployments/{identifier}/create_flow_run"
    # Prefect says 503 while its database is busy, and its clients ask again
    return wait_for(lambda: answer if (answer := post(address, parameters=parameters)).status_code != 503 else None)


def state_of(services: SimpleNamespace, run: str) -> dict[str, Any]:
    return read(f"{services.api}/flow_runs/{run}").json()["state"]


def finish(services: SimpleNamespace, run: str) -> dict[str, Any]:
    """The state in which a run ends."""
    return wait_for(lambda: state if (state := state_of(services, run))["type"] in ENDED else None)
