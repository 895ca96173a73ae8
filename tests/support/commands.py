"""The command line as a user runs it: processes of their own, which share the servers of the test session."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "assay"
PATIENCE = 100


class Assay:
    """Runs commands in a folder; whatever is still running at the end is killed."""

    def __init__(self, folder: Path, prefect_api: str) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.environment = {**os.environ, "PREFECT_API_URL": prefect_api}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command, on the folder's own store, as the leader of a process group of its own."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment | {"ASSAY_STORE": str(self.store)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def stop_all(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a process does; fails if the process ends first."""
    for _ in range(100 * PATIENCE):
        if condition():
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            out, err = process.communicate()
            raise AssertionError(f"ended with {process.returncode} too early\n{out}\n{err}")
    raise AssertionError("waited in vain")
