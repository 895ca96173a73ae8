"""Services end when they are told to, with all that they started, and say why they ended otherwise."""

import os
import sys

import psutil
import pytest

from data.validation import InputError
from flows import processes
from flows.processes import MARKER, Service, kill_leftovers, running, wait_until


@pytest.fixture
def service(tmp_path, monkeypatch):
    """Make a service from the text of a Python module; its ``started`` file says that it runs."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(text):
        (tmp_path / "serving.py").write_text(f"import pathlib\n{text}")
        return Service("server", ("serving",), (tmp_path / "started").exists)

    return make


STARTED = "pathlib.Path(__file__).with_name('started').touch()\n"
FOREVER = f"import signal\n{STARTED}while True: signal.pause()\n"
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{STARTED}while True: signal.pause()\n"


def test_a_service_is_stopped_at_the_end_of_its_block(service, tmp_path):
    with running(service(FOREVER), os.environ, tmp_path / "log") as server:
        wait_until(server.service.ready, [server], 60)
        assert server.process.poll() is None
    assert not psutil.pid_exists(server.process.pid)


def test_a_service_is_stopped_when_its_block_is_interrupted(service, tmp_path):
    with (  # noqa: PT012 - what is interrupted is the block itself
        pytest.raises(KeyboardInterrupt),
        running(service(FOREVER), os.environ, tmp_path / "log") as server,
    ):
        wait_until(server.service.ready, [server], 60)
        raise KeyboardInterrupt
    assert not psutil.pid_exists(server.process.pid)


def test_a_service_that_ignores_the_request_to_stop_is_killed(service, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.5)
    with running(service(STUBBORN), os.environ, tmp_path / "log") as server:
        wait_until(server.service.ready, [server], 60)
    assert not psutil.pid_exists(server.process.pid)
    assert "server does not stop: killed" in capsys.readouterr().err


def test_a_service_that_ends_by_itself_is_named_and_its_last_words_are_shown(service, tmp_path, capsys):
    dying = service("raise SystemExit('the disk is full')\n")
    with (
        pytest.raises(InputError, match="the server has ended by itself"),
        running(dying, os.environ, tmp_path / "log") as server,
    ):
        wait_until(server.service.ready, [server], 60)
    assert "the disk is full" in capsys.readouterr().err


def test_a_service_that_is_never_ready_is_given_up(service, tmp_path):
    with (
        pytest.raises(InputError, match="not ready after 0 s"),
        running(service(FOREVER), os.environ, tmp_path / "log") as server,
    ):
        wait_until(lambda: False, [server], 0)
    assert not psutil.pid_exists(server.process.pid)


def test_what_a_service_left_in_a_session_of_its_own_is_killed(service, tmp_path):
    orphan = tmp_path / "orphan"
    leaving = service(
        "import os, signal, sys\n"
        "if os.fork():\n"
        "    sys.exit()\n"
        "os.setsid()\n"
        f"pathlib.Path({str(orphan)!r}).write_text(str(os.getpid()))\n" + FOREVER
    )
    with running(leaving, {**os.environ, MARKER: str(tmp_path)}, tmp_path / "log") as server:
        server.process.wait(60)
        wait_until(server.service.ready, [], 60)
    left = psutil.Process(int(orphan.read_text()))
    kill_leftovers(str(tmp_path))
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_processes_of_others_are_left_alone(service, tmp_path):
    environment = {**os.environ, MARKER: "another"}
    with running(service(FOREVER), environment, tmp_path / "log") as server:
        wait_until(server.service.ready, [server], 60)
        kill_leftovers(str(tmp_path))
        assert server.process.poll() is None


def test_services_run_on_this_interpreter(service, tmp_path):
    telling = service(f"import sys\nprint(sys.executable, flush=True)\n{FOREVER}")
    with running(telling, os.environ, tmp_path / "log") as server:
        wait_until(server.service.ready, [server], 60)
    assert (tmp_path / "log").read_text().strip() == sys.executable
