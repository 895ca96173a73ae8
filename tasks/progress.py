"""Progress that is seen: a bar in the terminal and an artifact in Prefect."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ARTIFACT_INTERVAL = 2.0


class _Bars:
    """The bars of all threads in one display, which is there while any of them is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = 0
        self._display = Progress(disable=True)

    @contextlib.contextmanager
    def show(self, description: str, done: int, total: int) -> Iterator[Callable[[], None]]:
        """Yield a function that advances a bar by one."""
        with self._lock:
            if self._shown == 0:
                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
                self._display = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
                self._display.start()
            self._shown += 1
            display = self._display
        bar = display.add_task(description, total=total, completed=done)
        try:
            yield lambda: display.advance(bar)
        finally:
            with self._lock:
                self._shown -= 1
                if self._shown == 0:
                    display.stop()


_bars = _Bars()


@contextlib.contextmanager
def show_progress(description: str, key: str, done: int, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call once per finished shard; call inside a Prefect flow or task run.

    The bar appears where standard error is a terminal. The artifact is renewed every two seconds at most.
    """
    artifact = cast("UUID", create_progress_artifact(100.0 * done / total, key=key, description=description))
    renewed = time.monotonic()
    with _bars.show(description, done, total) as advance_bar:

        def advance() -> None:
            nonlocal done, renewed
            done += 1
            advance_bar()
            if done == total or time.monotonic() - renewed > ARTIFACT_INTERVAL:
                renewed = time.monotonic()
                update_progress_artifact(artifact, progress=100.0 * done / total)

        yield advance
