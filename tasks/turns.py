"""One process at a time: the others wait for their turn.

The lock is on a folder itself (``flock``), so there is no lock file, and it ends with its process however that ends. It
holds between the processes of one machine; remote stores and file systems without such locks have none.
"""

import contextlib
import fcntl
import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from tasks.places import is_local

_POLL_SECONDS = 0.1

P = ParamSpec("P")
R = TypeVar("R")


@contextlib.contextmanager
def turn(folder: str) -> Iterator[None]:
    """Wait until no other process has its turn in a folder, which is made if it is not there, and take it."""
    if not is_local(folder):
        yield
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def turns(folders: Iterable[str]) -> Iterator[None]:
    """Take the turn in several folders, in the order that all processes share: none waits for another for ever."""
    with contextlib.ExitStack() as stack:
        for folder in sorted(set(folders)):
            stack.enter_context(turn(folder))
        yield


def in_turn(folder: Callable[..., str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function have its turn in the folder that ``folder`` tells from its arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
            with turn(folder(*args, **kwargs)):
                return function(*args, **kwargs)

        return waiting

    return decorate


def _wait(descriptor: int, folder: str) -> None:
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                sys.stderr.write(f"assay: another process works in {folder}: waiting for it\n")
                told = True
            time.sleep(_POLL_SECONDS)
        except OSError:  # a file system that knows no locks
            return
        else:
            return
