import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main


def doctor(store, *options):
    ended = CliRunner().invoke(main, ["doctor", "--store", str(store), "--json", *options])
    assert ended.exit_code in {0, 1}, ended.output
    examined = json.loads(ended.output)
    assert ended.exit_code == (0 if examined["healthy"] else 1)
    assert all(finding["cure"] for finding in examined["findings"] if finding["state"] != "good")
    return {finding["check"]: finding for finding in examined["findings"]}


@pytest.fixture
def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_an_installation_that_is_well_is_said_to_be_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    found = doctor(tmp_path / "store")
    bad = {check for check, finding in found.items() if finding["state"] == "bad"}
    assert bad <= {"packages", "store"}, "those depend on where the tests run"
    assert list(tmp_path.iterdir()) == []


def test_a_package_of_another_version_than_locked_is_named(tmp_path, monkeypatch):
    installed = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1" if name == "zarr" else installed(name))
    found = doctor(tmp_path)["packages"]
    assert found["state"] == "bad"
    assert "zarr 0.0.1 instead of " in found["found"]


@pytest.mark.parametrize(("version", "state"), [("3.11.8", "warning"), ("3.11.9", "good")])
def test_a_python_that_dasks_profiler_can_hang_is_warned_of(tmp_path, monkeypatch, version, state):
    monkeypatch.setattr(platform, "python_version_tuple", lambda: tuple(version.split(".")))
    assert doctor(tmp_path)["Python"]["state"] == state


@pytest.mark.parametrize(("gibibytes", "state"), [(0.1, "bad"), (1, "warning"), (100, "good")])
def test_little_space_is_warned_of(tmp_path, monkeypatch, gibibytes, state):
    usage = shutil.disk_usage(tmp_path)._replace(free=int(gibibytes * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert doctor(tmp_path)["store"]["state"] == state


def test_a_store_that_cannot_be_written_to_is_bad(tmp_path):
    (tmp_path / "file").touch()
    assert doctor(tmp_path / "file" / "store")["store"]["state"] == "bad"


def test_a_database_of_another_schema_is_bad_and_left_as_it_is(make_root):
    root = Path(make_root("old"))
    database = root / "mlflow" / "mlflow.db"
    assert doctor(root)["MLflow"]["state"] == "good"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    connection.close()
    before = database.read_bytes()
    found = doctor(root)["MLflow"]
    assert found["state"] == "bad"
    assert "schema 0123456789ab" in found["found"]
    assert "mlflow db upgrade" in found["cure"]
    assert database.read_bytes() == before


def test_servers_that_do_not_answer_are_bad(tmp_path, monkeypatch, closed_port):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{closed_port}/api")
    found = doctor(tmp_path, "--scheduler", f"tcp://127.0.0.1:{closed_port}")
    assert {found[check]["state"] for check in ("MLflow", "Prefect", "Dask")} == {"bad"}


def test_servers_that_answer_are_good(tmp_path, monkeypatch, prefect_api, dask_cluster):
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    found = doctor(tmp_path, "--scheduler", dask_cluster)
    assert (found["Prefect"]["state"], found["Dask"]["state"]) == ("good", "good")
    assert "2 workers" in found["Dask"]["found"]


def test_a_port_that_is_taken_is_warned_of(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        found = doctor(tmp_path, "--mlflow-port", str(port))["port"]
    assert (found["state"], str(port) in found["found"]) == ("warning", True)


def test_fewer_cores_than_the_machine_has_are_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    found = doctor(tmp_path)["cores"]
    assert found["state"] == "warning"
    assert "--workers" in found["cure"]


def test_people_get_a_line_a_check(tmp_path):
    printed = CliRunner().invoke(main, ["doctor", "--store", str(tmp_path)]).output
    assert "BLAS" in printed
    assert "held to one thread" in printed
