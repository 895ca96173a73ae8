"""The world that the faults of one process share, and the count of those that struck."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

pytest.register_assert_rewrite("fault_case", "fault_kinds", "fault_world")

import fault_study  # noqa: E402
from fault_world import World  # noqa: E402
from own_study import registered  # noqa: E402


@pytest.fixture(scope="module")
def world(make_root):
    """Servers, a store that nobody disturbs, and room for stores that somebody does."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))  # a socket's name must be short
    with registered(fault_study):
        shared = World(folder, make_root("faults"))
        yield shared
        shared.close()
    shutil.rmtree(folder)


def pytest_terminal_summary(terminalreporter):
    """Say how many faults of each kind were injected and survived."""
    struck = Counter(
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", ())
        if name == "fault" and report.when == "call"
    )
    if struck:
        kinds = ", ".join(f"{kind} {count}" for kind, count in struck.items())
        terminalreporter.write_line(f"faults injected and survived: {struck.total()} ({kinds})")
