"""Progress that is seen: a bar in the terminal and an artifact in Prefect."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ARTIFACT_INTERVAL = 2.0


@contextlib.contextmanager
def show_progress(description: str, key: str, done: int, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call once per finished shard; call inside a Prefect flow or task run.

    The bar appears where standard error is a terminal. The artifact is renewed every two seconds at most.
    """
    artifact = cast("UUID", create_progress_artifact(100.0 * done / total, key=key, description=description))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    renewed = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=total, completed=done)

        def advance() -> None:
            nonlocal done, renewed
            done += 1
            bar.advance(task)
            if done == total or time.monotonic() - renewed > ARTIFACT_INTERVAL:
                renewed = time.monotonic()
                update_progress_artifact(artifact, progress=100.0 * done / total)

        yield advance
