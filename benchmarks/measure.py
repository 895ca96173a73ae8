"""What the benchmarks share: the machine they name, processor time, intervals and tables that are not cut."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_info

from tasks.claims import confidence_interval
from tasks.provenance import environment

Value = TypeVar("Value")

MOST_COLUMNS = 1000


def describe_machine() -> str:
    """The machine, its load, the versions and the thread count that the numbers belong to.

    Call it where the BLAS is limited as in the measurement.
    """
    threads = {
        f"{pool['internal_api']} {pool['version']} on {pool['num_threads']} thread(s)" for pool in threadpool_info()
    }
    provenance = environment()
    return (
        f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} before; Python {provenance['python']}, {provenance['packages']}; "
        f"{', '.join(sorted(threads)) or 'no BLAS loaded'}; commit {provenance['git_commit']}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def processor_time(call: Callable[[], Value]) -> tuple[Value, float]:
    """What a call returns, and the processor time of this thread that it took, in seconds."""
    started = time.thread_time()
    value = call()
    return value, time.thread_time() - started


def ratio_with_interval(values: NDArray[np.float64]) -> str:
    """The geometric mean of the ratios of independent repetitions, with its 95 % interval."""
    centre, lower, upper = (f"{bound:#.3g}".rstrip(".") for bound in confidence_interval(values, "log"))
    return f"{centre} ({lower} .. {upper})"


def print_table(table: Table) -> None:
    """Print a table at its full width, also where the output is narrower."""
    console = Console()
    console.width = max(console.width, Console(width=MOST_COLUMNS).measure(table).maximum)
    console.print(table)
