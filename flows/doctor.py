"""What may be wrong with an installation, and how to mend it: versions, servers, databases, ports, disk, threads."""

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mlflow.store.db.utils import _get_latest_schema_revision, _get_schema_version
from sqlalchemy import create_engine
from threadpoolctl import threadpool_info

from data.validation import InputError
from flows.plan import store_root
from flows.prefect_api import check_prefect_server
from flows.services import require_free_port
from tasks.cluster import IN_PROCESS, LOCAL, check_scheduler, connect
from tasks.places import is_local, require_writable, without_credentials
from tasks.provenance import LOCK
from tasks.tracking import DATABASES, check_database, check_server, tracking_uri

PROFILER_MENDED = (3, 11, 9)
LEAST_FREE, LITTLE_FREE = 2**29, 5 * 2**30


class State(StrEnum):
    """Of one check."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What a check found and, unless it is good, how to mend it."""

    check: str
    state: State
    found: str
    cure: str = ""


def examine(store: str, scheduler: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """Run all checks; ``ports`` are those that ``assay up`` would take, by option.

    Nothing is written but what shows whether the store can be written to.
    """
    root = store_root(store)
    findings = [
        *_python(),
        *_packages(),
        *_store(root),
        *_mlflow(root),
        *_prefect(),
        *_dask(scheduler),
        *_ports(ports),
        *_threads(),
    ]
    return {
        "findings": [asdict(finding) for finding in findings],
        "healthy": all(finding.state != State.BAD for finding in findings),
    }


def _python() -> Iterator[Finding]:
    version = platform.python_version_tuple()
    if tuple(map(int, version)) >= PROFILER_MENDED:
        yield Finding("Python", State.GOOD, platform.python_version())
        return
    cure = "start Dask workers of your own with DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False, or take 3.11.9"
    yield Finding("Python", State.WARNING, f"{platform.python_version()}, which Dask's profiler can hang", cure)


def _packages() -> Iterator[Finding]:
    locked = dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", LOCK.read_text(), re.MULTILINE))
    different = []
    for name, version in locked.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # what only other platforms need
            installed = importlib.metadata.version(name)
            if installed != version:
                different.append(f"{name} {installed} instead of {version}")
    if different:
        cure = f"pip install --no-deps --require-hashes -r {LOCK.name}"
        yield Finding("packages", State.BAD, "; ".join(different), cure)
    else:
        yield Finding("packages", State.GOOD, f"{len(locked)} versions as locked")


def _store(root: str) -> Iterator[Finding]:
    try:
        require_writable(root)
    except InputError as error:
        yield Finding("store", State.BAD, str(error), "choose another by --store or ASSAY_STORE")
        return
    if not is_local(root):
        yield Finding("store", State.GOOD, f"{root}: not a local folder, space unknown")
        return
    folder = next(parent for parent in [Path(root), *Path(root).parents] if parent.exists())
    free = shutil.disk_usage(folder).free
    state = State.BAD if free < LEAST_FREE else State.WARNING if free < LITTLE_FREE else State.GOOD
    cure = "" if state == State.GOOD else "make room: `assay gc --dry-run` lists stores that no run refers to"
    yield Finding("store", state, f"{root}: {free / 2**30:.1f} GiB free", cure)


def _mlflow(root: str) -> Iterator[Finding]:
    uri = tracking_uri(root)
    shown = without_credentials(uri)
    try:
        if uri.startswith(("http://", "https://")):
            check_server(uri)
            yield Finding("MLflow", State.GOOD, f"{shown} answers")
            return
        if uri.startswith(DATABASES):
            check_database(uri)
    except InputError as error:
        yield Finding("MLflow", State.BAD, str(error), "start the server or unset MLFLOW_TRACKING_URI")
        return
    if not (is_local(root) or os.environ.get("MLFLOW_TRACKING_URI")):
        cure = "set MLFLOW_TRACKING_URI to a database that all machines reach"
        yield Finding("MLflow", State.WARNING, f"{shown}: not with the store, but in this folder", cure)
        return
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        yield Finding("MLflow", State.GOOD, f"{shown}: made by the first run")
        return
    engine = create_engine(uri)
    try:
        there, wanted = _get_schema_version(engine), _get_latest_schema_revision()
    finally:
        engine.dispose()
    if there is None:
        yield Finding("MLflow", State.GOOD, f"{shown}: empty, filled by the first run")
    elif there == wanted:
        yield Finding("MLflow", State.GOOD, f"{shown}: schema {there}")
    else:
        cure = f"back it up, then `mlflow db upgrade {shown}`"
        yield Finding("MLflow", State.BAD, f"{shown}: schema {there}, this version wants {wanted}", cure)


def _prefect() -> Iterator[Finding]:
    address = os.environ.get("PREFECT_API_URL", "")
    if not address:
        yield Finding("Prefect", State.GOOD, "a temporary server for each command")
        return
    shown = without_credentials(address)
    try:
        version = check_prefect_server()
    except InputError as error:
        yield Finding("Prefect", State.BAD, str(error), "`prefect server start`, or unset PREFECT_API_URL")
        return
    here = importlib.metadata.version("prefect")
    if version in {here, ""}:  # Prefect Cloud is always of our version
        yield Finding("Prefect", State.GOOD, f"{shown} answers, version {version or here}")
    else:
        yield Finding(
            "Prefect", State.BAD, f"{shown} has version {version}, here is {here}", "install the same version"
        )


def _dask(scheduler: str) -> Iterator[Finding]:
    if scheduler in {LOCAL, IN_PROCESS}:
        yield Finding("Dask", State.GOOD, "a local cluster for each command")
        return
    try:
        check_scheduler(scheduler)
    except InputError as error:
        yield Finding("Dask", State.BAD, str(error), "start it, or leave out --scheduler")
        return
    with connect(scheduler) as client:
        versions = client.get_versions()
    here, workers = versions["client"]["packages"], versions["workers"].values()
    names = ("python", "numpy", "distributed")
    different = {name for name in names if any(worker["packages"][name] != here[name] for worker in workers)}
    if different:
        found = f"workers of {scheduler} have other versions of {', '.join(sorted(different))}"
        yield Finding("Dask", State.BAD, found, "install the same lock there")
    else:
        yield Finding("Dask", State.GOOD, f"{scheduler} answers, {len(workers)} workers with the same versions")


def _ports(ports: Mapping[str, int]) -> Iterator[Finding]:
    for option, port in ports.items():
        try:
            require_free_port(option, port)
            yield Finding("port", State.GOOD, f"{port} is free")
        except InputError as error:
            yield Finding("port", State.WARNING, str(error), f"`assay up {option} N`, unless it is running already")


def _threads() -> Iterator[Finding]:
    usable, cores = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    if usable < cores:
        found = f"{usable} of {cores} cores may be used here"
        yield Finding("cores", State.WARNING, found, f"start with --workers {usable}")
    else:
        yield Finding("cores", State.GOOD, f"{cores}, a worker process each")
    libraries = {
        f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"
    }
    yield Finding("BLAS", State.GOOD, f"{', '.join(sorted(libraries))}; held to one thread while contenders run")
