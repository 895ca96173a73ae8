"""`assay up`: a Prefect server, a worker with the deployments and an MLflow server, on this machine only."""

import os
import signal
import socket
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

import click
import httpx

from data.validation import InputError
from flows.processes import MARKER, Running, Service, kill_leftovers, running, wait_until
from tasks.places import is_local, require_writable, without_credentials

HOST = "127.0.0.1"
STARTUP_SECONDS = 180.0


def serve(root: str, prefect_port: int, mlflow_port: int) -> None:
    """Start the services, say where they are, keep them until Ctrl-C (or SIGTERM) and stop them; that end is in order.

    Runs of the worker keep everything in ``root`` and write to its MLflow database directly, as the command line does:
    they do not depend on the MLflow server, which only shows them. Where MLFLOW_TRACKING_URI names a server, that one
    is used and none is started. Where PREFECT_SERVER_API_AUTH_STRING is set, the Prefect server asks for it.

    Raises
    ------
    InputError
        One line, if the store is not a local folder, a port is taken, or a service does not come up.
    SystemExit
        With status 1, if a service ends by itself later.
    """
    if not is_local(root):
        raise InputError(f"store {root} is not a local folder: `assay up` keeps its logs and its database in one")
    require_writable(root)
    if prefect_port == mlflow_port:
        raise InputError(f"--prefect-port and --mlflow-port are both {prefect_port}: choose two")
    require_free_port("--prefect-port", prefect_port)
    require_free_port("--mlflow-port", mlflow_port)
    # A closed terminal stops everything too, as Ctrl-C and SIGTERM do, unless nohup keeps it from that.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    # A script's background job ignores SIGINT, and its children would: Prefect's worker then never stops.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ["PREFECT_API_AUTH_STRING"] = password  # the server asks its own worker for it, too
    with ExitStack() as stack:
        services = _start_all(stack, root, prefect_port, mlflow_port)
        try:
            wait_until(lambda: False, services)
        except KeyboardInterrupt:
            click.echo("stopping ...")
        except InputError as error:
            sys.exit(f"assay: {error}; the others are stopped")
    click.echo("stopped")


def require_free_port(option: str, port: int) -> None:
    """Refuse a port that something listens on.

    Raises
    ------
    InputError
        One line that names the option and the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"{option} {port} cannot be used ({error.strerror}): choose another port") from None


def _start_all(stack: ExitStack, root: str, prefect_port: int, mlflow_port: int) -> list[Running]:
    """Start what `serve` keeps; the stack stops it, last started first."""
    prefect_url, mlflow_url = f"http://{HOST}:{prefect_port}", f"http://{HOST}:{mlflow_port}"
    api = f"{prefect_url}/api"
    logs = Path(root) / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"store {root} is not writable: {error.strerror}") from None
    environment = service_environment(api)
    stack.callback(kill_leftovers, environment[MARKER])

    def start(service: Service) -> Running:
        return stack.enter_context(running(service, environment, logs / f"{service.name}.log"))

    click.echo("starting (half a minute) ...")
    services = [start(prefect_server(prefect_url, prefect_port))]
    # These take seconds to import, in which the Prefect server comes up.
    from tasks.tracking import open_tracking, tracking_uri

    open_tracking(root)
    database = tracking_uri(root)
    if database.startswith(("http://", "https://")):
        mlflow_url = without_credentials(database)
    else:
        services.append(start(mlflow_server(mlflow_url, mlflow_port, database, root)))
    from flows import prefect_setup

    prefect_setup.require_valid_deployments()
    wait_until(services[0].service.ready, services, STARTUP_SECONDS)
    prefect_setup.create_work_pool(api)
    prefect_setup.declare_silent_runs_dead(api)
    services.append(start(prefect_setup.worker(api, root, database, mlflow_url)))
    prefect_setup.deploy(environment, logs / "deploy.log")
    prefect_setup.refuse_unknown_parameters(api)
    for one in services:
        wait_until(one.service.ready, services, STARTUP_SECONDS)
    _announce(root, prefect_url, mlflow_url)
    return services


def service_environment(api: str) -> dict[str, str]:
    """The environment of all services; it outranks the user's Prefect profile, which may name another server."""
    return {
        **os.environ,
        MARKER: uuid4().hex,
        "PREFECT_API_URL": api,
        "PREFECT_UI_URL": api.removesuffix("/api"),
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # The command line silences Prefect for itself only.
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        # A file of the current folder must not stand in for a module that a service imports.
        "PYTHONSAFEPATH": "1",
    }


def prefect_server(url: str, port: int) -> Service:
    """The Prefect server with its user interface."""
    command = ("prefect", "server", "start", "--host", HOST, "--port", str(port))
    return Service("prefect-server", command, partial(_answers, f"{url}/api/health"))


def mlflow_server(url: str, port: int, database: str, root: str) -> Service:
    """The MLflow server on a store's database; it also hands out the artifacts."""
    artifacts = str(Path(root) / "mlflow" / "artifacts")
    command = ("mlflow", "server", "--backend-store-uri", database, "--artifacts-destination", artifacts)
    address = ("--host", HOST, "--port", str(port), "--workers", "1")
    return Service("mlflow-server", command + address, partial(_answers, f"{url}/health"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _announce(root: str, prefect_url: str, mlflow_url: str) -> None:
    click.echo(
        f"Prefect  {prefect_url}  runs, schedules, and a form for each deployment\n"
        f"MLflow   {mlflow_url}  metrics, curves, figures and verdicts\n"
        f"store    {root}\n"
        f"logs     {root}/logs\n"
        "Run something from its form, or from another terminal:\n"
        f"    PREFECT_API_URL={prefect_url}/api prefect deployment run study/run-study -p study=skr -p size=small\n"
        "Ctrl-C stops all of it."
    )
