"""What SECURITY.md promises and no other test holds."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data.validation import InputError
from flows.cli_options import quiet
from flows.doctor import examine
from flows.plan import absolute_url
from tasks.places import without_credentials
from tasks.tracking import TrackingError, open_tracking

REPOSITORY = Path(__file__).parent.parent
SOURCES = sorted(
    path for package in ("flows", "tasks", "kernels", "data") for path in (REPOSITORY / package).rglob("*.py")
)
UNPICKLING = {"pickle", "cloudpickle", "marshal", "shelve", "dill", "joblib"}
SECRET = "hunter2"


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def may_be_true(call, keyword):
    return any(
        k.arg == keyword and not (isinstance(k.value, ast.Constant) and k.value.value is False) for k in call.keywords
    )


def weaknesses(source):
    """The constructs in a source that could run what is data."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.split(".")[0] in UNPICKLING)
    for call in calls(tree):
        name = ast.unparse(call.func)
        if name in {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}:
            yield name
        if may_be_true(call, "shell") or may_be_true(call, "allow_pickle"):
            yield f"{name} with a shell or pickles"
        if name in {"np.load", "numpy.load"} and not any(keyword.arg == "allow_pickle" for keyword in call.keywords):
            yield f"{name} without allow_pickle=False"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_source_can_run_data(path):
    assert list(weaknesses(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from cloudpickle import loads", "eval('1')", "os.system('ls')", "yaml.load(text)",
        "subprocess.run('ls', shell=True)", "np.load(path)", "np.load(path, allow_pickle=True)",
        "np.lib.format.read_array(file, allow_pickle=trusted)",
    ],
)  # fmt: skip
def test_what_could_run_data_is_found(source):
    assert list(weaknesses(source))


def test_the_tests_that_the_page_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)`", (REPOSITORY / "SECURITY.md").read_text())
    assert named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://me:{SECRET}@mlflow.example/base", "https://mlflow.example/base"),
        (f"postgresql+psycopg2://me:{SECRET}@db.example:5432/mlflow", "postgresql+psycopg2://db.example:5432/mlflow"),
        (f"https://me:p@{SECRET}@mlflow.example", "https://mlflow.example"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("/home/me@work/store", "/home/me@work/store"),
    ],
)
def test_addresses_are_shown_without_credentials(url, shown):
    assert without_credentials(url) == shown


def test_a_password_reaches_no_message(tmp_path, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.setenv("PREFECT_API_URL", f"http://me:{SECRET}@127.0.0.1:{held.getsockname()[1]}/api")
        with pytest.raises(TrackingError) as caught:
            open_tracking(str(tmp_path))
        assert SECRET not in str(caught.value)
        assert SECRET not in json.dumps(examine(str(tmp_path), "local", {}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"nonsense://me:{SECRET}@somewhere")
    with pytest.raises(TrackingError) as caught:
        open_tracking(str(tmp_path))
    assert SECRET not in str(caught.value)


def test_a_store_url_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(InputError, match="must not hold credentials") as caught:
        absolute_url(f"s3://key:{SECRET}@bucket/store")
    assert SECRET not in str(caught.value)


def test_telemetry_is_off_before_anything_that_has_some_is_imported(monkeypatch):
    switches = ("PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")
    for name in switches:
        monkeypatch.delenv(name, raising=False)
    quiet(False)
    assert [os.environ[name] for name in switches] == ["false", "1", "true"]
    program = "import sys, flows.cli; print({'prefect', 'mlflow'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
