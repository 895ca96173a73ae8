"""Programs that run beside this one: started with a log, awaited, stopped together with all that they started."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from data.validation import InputError

MARKER = "ASSAY_SERVICES"
STOP_SECONDS = 20.0
POLL_SECONDS = 0.2
TAIL_LINES = 15


@dataclass(frozen=True)
class Service:
    """A Python module that runs until it is stopped: its arguments, how to know that it is ready, its settings."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A service with its process and the file that its output goes to."""

    service: Service
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running(service: Service, environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    """Run a service in a session of its own, where the terminal's Ctrl-C does not reach it, and stop it."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *service.command],
            env={**environment, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(service, process, log)
    finally:
        _stop(service.name, process)


def wait_until(condition: Callable[[], bool], services: Sequence[Running], seconds: float = math.inf) -> None:
    """Wait for a condition while services run.

    Raises
    ------
    InputError
        One line, if a service ends meanwhile or the time is over; the end of its log goes to standard error.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        for one in services:
            if one.process.poll() is not None:
                show_tail(one.log)
                raise InputError(f"the {one.service.name} has ended by itself, see {one.log}")
        if time.monotonic() > deadline:
            show_tail(services[-1].log)
            raise InputError(f"not ready after {seconds:.0f} s, see the logs in {services[-1].log.parent}")
        time.sleep(POLL_SECONDS)


def kill_leftovers(marker: str) -> None:
    """Kill what services left behind, in whatever session or process group: the value of MARKER is inherited."""
    killed = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == marker:
                process.kill()
                killed.append(process)
        except psutil.Error:  # it ended meanwhile, or is another user's
            continue
    psutil.wait_procs(killed, STOP_SECONDS)


def _stop(name: str, process: subprocess.Popen[bytes]) -> None:
    """Stop a service: its children first, so that a run that is told to stop can still report so through its worker."""
    try:
        children = _children(process)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        psutil.wait_procs(children, STOP_SECONDS)
        process.terminate()
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        click.echo(f"the {name} does not stop: killed", err=True)
    finally:
        process.kill()
        process.wait()


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def show_tail(log: Path) -> None:
    """Write the end of a log to standard error."""
    for line in log.read_text(errors="replace").splitlines()[-TAIL_LINES:]:
        click.echo(f"    {line}", err=True)
