"""The log of a flow run: JSON lines in a file of the store, bounded, and without credentials."""

import contextlib
import functools
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import fsspec
from prefect import get_run_logger, runtime
from prefect.exceptions import MissingContextError

from tasks.places import is_local, join_url

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
FOLDER = "logs"
MOST_LINES = 10_000
SHARD_LINES = 20
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|(API|ACCESS|ACCOUNT)_KEY|AUTH_STRING")
_SHORTEST_SECRET = 6
_IN_URL = re.compile(r'(?<=://)[^/\s"]*@')

_open_logs: dict[str, Path] = {}

P = ParamSpec("P")
R = TypeVar("R")


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, flow run, task, message, and the record's ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, with every credential cut out of it."""
        task = getattr(record, "task_run_name", None)
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "flow_run": getattr(record, "flow_run_id", None),
            **({"task": task} if task else {}),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
            **({"traceback": self.formatException(record.exc_info)} if record.exc_info else {}),
        }
        return without_secrets(json.dumps(document, ensure_ascii=False, default=str))


class _OfRun(logging.Filter):
    """Lets pass what one flow run and its tasks say, and no more than MOST_LINES of it."""

    def __init__(self, flow_run: str) -> None:
        super().__init__()
        self.flow_run = flow_run
        self.lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "flow_run_id", None) != self.flow_run:
            return False
        self.lines += 1
        return self.lines <= MOST_LINES


def without_secrets(text: str) -> str:
    """A text without users and passwords of URLs, and without the values of variables that hold secrets."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(json.dumps(value, ensure_ascii=False)[1:-1], "***")
    return _IN_URL.sub("", text)


@contextlib.contextmanager
def run_log(root: str, flow_run: str, name: str) -> Iterator[None]:
    """Write what a flow run and its tasks say to ``<root>/logs/<name>-<flow run>.jsonl``.

    The file is made with the first message: a run that is refused leaves none. It is written line by line, so that a
    run that is killed leaves what it said. For a store that is not local it is a temporary file, copied to the store at
    the end. Other runs at the same time, also of the same process, have files of their own. What Prefect's settings
    keep from its loggers of flow and task runs, such as PREFECT_LOGGING_LEVEL=ERROR, reaches no file either.
    """
    file = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)[:100]}-{flow_run}.jsonl"
    with contextlib.ExitStack() as stack:
        if is_local(root):
            folder = Path(root) / FOLDER
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-log-")))
        path = folder / file
        handler = _handler(path, flow_run)
        _open_logs[flow_run] = path
        for logger in map(logging.getLogger, LOGGERS):
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger in map(logging.getLogger, LOGGERS):
                logger.removeHandler(handler)
            handler.close()
            del _open_logs[flow_run]
            if not is_local(root) and path.exists():
                with path.open("rb") as source, fsspec.open(join_url(root, FOLDER, file), "wb") as target:
                    shutil.copyfileobj(source, target)


def _handler(path: Path, flow_run: str) -> logging.Handler:
    handler = _LateFile(path)
    handler.setLevel(logging.INFO)
    handler.setFormatter(JsonLines())
    handler.addFilter(_OfRun(flow_run))
    return handler


class _LateFile(logging.FileHandler):
    """A file that is made, with its folder, when the first line is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)

    def _open(self) -> Any:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Nothing: a full disk ends the run by what it computes, not by what it says."""


def has_begun() -> bool:
    """Whether the log of the current flow run has a line yet."""
    path = _open_logs.get(str(runtime.flow_run.id))
    return path is not None and path.exists()


def log_files() -> Mapping[str, Path]:
    """The log of the current flow run under the name that it has among the artifacts of its record in MLflow."""
    path = _open_logs.get(str(runtime.flow_run.id))
    return {f"{FOLDER}/{path.name}": path} if path is not None and path.exists() else {}


def logger() -> Any:
    """The logger of the current Prefect run, or one that nobody reads where there is none."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("assay")


def fields(**values: Any) -> dict[str, Any]:
    """The ``extra`` of a message: what stands in fields of its own beside the text."""
    return {"fields": values}


def logged_stage(subject: Callable[..., Mapping[str, Any]]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a task say when it begins and when it has ended, with its seconds; ``subject`` makes its fields."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def logged(*args: P.args, **kwargs: P.kwargs) -> R:
            about = {"stage": function.__name__, **subject(*args, **kwargs)}
            logger().info("%s begins", function.__name__, extra=fields(**about))
            begun = time.monotonic()
            result = function(*args, **kwargs)
            seconds = round(time.monotonic() - begun, 3)
            logger().info("%s ended", function.__name__, extra=fields(**about, seconds=seconds))
            return result

        return logged

    return decorate


def log_shards(reports: Iterable[R], description: str, done: int, total: int) -> Iterator[R]:
    """Pass on the reports of shards, saying after every twentieth part how many are done."""
    said = done * SHARD_LINES // total
    for report in reports:
        done += 1
        if done * SHARD_LINES // total > said:
            said = done * SHARD_LINES // total
            logger().info("%d of %d shards done: %s", done, total, description, extra=fields(done=done, shards=total))
        yield report
