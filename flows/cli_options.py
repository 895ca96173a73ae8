"""What the commands share: options, errors of one line, exit statuses and quiet servers."""

import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from data.validation import InputError
from flows.defaults import TIME_LIMIT
from tasks.failures import ShardError

INTERRUPTED = 130

store_option = click.option(
    "--store",
    envvar="ASSAY_STORE",
    default="",
    metavar="URL",
    help="Folder or URL that holds everything [./assay-store].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Replace a setting; may be given many times."
)
size_option = click.option(
    "--size",
    default="default",
    metavar="SIZE",
    show_default=True,
    help="small (seconds), default (minutes) or large (a night).",
)


time_limit_option = click.option(
    "--time-limit", type=click.FloatRange(min=0, min_open=True), default=TIME_LIMIT, show_default=True,
    metavar="SECONDS", help="That a contender may take on a shard.",
)  # fmt: skip
memory_limit_option = click.option(
    "--memory-limit", type=click.FloatRange(min=0, min_open=True), metavar="GIB",
    help="That a contender may take [its share of what is free].",
)  # fmt: skip


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What contenders and solvers are held to."""
    return time_limit_option(memory_limit_option(command))


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of all commands that compute."""
    for option in (
        click.option(
            "--scheduler",
            default="local",
            metavar="ADDRESS",
            help="A running Dask scheduler, or in-process: one thread, for debuggers [a local cluster].",
        ),
        click.option(
            "--workers", type=click.IntRange(1, 1024), metavar="N", help="Local worker processes [one a core]."
        ),
        click.option("-v", "--verbose", is_flag=True, help="Show the log of flows and tasks."),
        store_option,
        json_option,
    ):
        command = option(command)
    return command


class Group(click.Group):
    """Errors of one line and the exit statuses that the help promises."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and end the process with its exit status."""
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return super().main(*args, **{**extra, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(0)
        except click.ClickException as error:
            _fail(error.format_message())
        except InputError as error:
            _fail(str(error))
        except ShardError as error:
            _fail(str(error), status=1)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted: the same command resumes what is unfinished", err=True)
            # The servers behind this process were told to stop; do not wait for their threads.
            sys.stdout.flush()
            os._exit(INTERRUPTED)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _fail(message: str, status: int = 2) -> None:
    click.echo("assay: " + " ".join(message.split()), err=True)
    sys.exit(status)


def quiet(verbose: bool) -> None:
    """Keep servers, clusters and migrations out of the terminal unless asked for; never phone home."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "INFO" if verbose else "ERROR")
    # Runs keep their log in a file (tasks/logs.py): their loggers are open, and only the terminal is quiet.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO" if verbose else "CRITICAL")
    for name in ("FLOW_RUNS", "TASK_RUNS"):
        os.environ.setdefault(f"PREFECT_LOGGING_LOGGERS_PREFECT_{name}_LEVEL", "INFO")
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
        # Dask sets the levels of its loggers when it is imported; connections lost at the end are "critical" to it.
        silent = dict.fromkeys(("distributed", "distributed.client", "distributed.gc"), logging.CRITICAL + 1)
        os.environ.setdefault("DASK_LOGGING", str(silent))
        logging.getLogger("alembic").setLevel(logging.CRITICAL)
        logging.raiseExceptions = False  # a log that cannot be sent to a server that is gone is no news
        warnings.filterwarnings("ignore")


def settings_of(assignments: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs; values are JSON where they can be, else text."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key:
            raise InputError(f"--set {assignment!r} is not of the form KEY=VALUE")
        settings[key] = value
        with suppress(json.JSONDecodeError):
            settings[key] = json.loads(value)
    return settings


def size_of(name: str) -> Any:
    """The size of a name."""
    from data.validation import unknown
    from tasks.study import Size

    if name not in list(Size):
        raise unknown("size", name, [size.value for size in Size])
    return Size(name)


def print_document(document: Any, as_json: bool, render: Callable[[Any], None]) -> None:
    """A document for people or, where asked for, as JSON."""
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        render(document)
