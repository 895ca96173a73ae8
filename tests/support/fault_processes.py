"""The processes of a fault: commands, servers, and what is left of them."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

SUPPORT = Path(__file__).parent
MARK = "ASSAY_TEST_MARK"
PATIENCE = 100.0


def wait_for(condition, seconds=PATIENCE, pause=0.005):
    """The first true value of a condition, or its last value when the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(pause)
    return value


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=5).is_success
    return False


def marked(mark):
    """The processes that inherited a mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def start_module(folder, name, environment, *command):
    """A server as a process of its own, with its output in a log."""
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def end(process):
    """Kill a process with all its descendants and wait for it."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        for one in [psutil.Process(process.pid), *family]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, 10)
    process.wait()


class StemCommand:
    """A command that the stem process became."""

    def __init__(self, place, request):
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(place))
        self._connection.sendall((json.dumps(request) + "\n").encode())
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())
        self.returncode = None

    def poll(self):
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout=PATIENCE):
        if self.returncode is None:
            self._connection.settimeout(max(timeout, 1e-3))
            try:
                received = self._connection.recv(64)
            except TimeoutError:
                raise subprocess.TimeoutExpired("assay", timeout) from None
            self.returncode = int(received)
            self._answers.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)
