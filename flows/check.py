"""Verifying a data set: what `assay check` tells."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.plan import absolute_url
from tasks.check import check_data_set

SAMPLE = 16


def check(url: str, sample: int = SAMPLE) -> dict[str, Any]:
    """Every check of a data set, and whether it passed all of them.

    Raises
    ------
    InputError
        If there is no finished data set, or the sample is empty.
    """
    found = check_data_set(absolute_url(url), sample)
    return {
        "url": absolute_url(url),
        "passed": all(item.passed for item in found),
        "checks": [{"check": item.name, "passed": item.passed, "detail": item.detail} for item in found],
    }


def print_checks(report: dict[str, Any]) -> None:
    """The table for people."""
    table = Table("check", "result", "detail", title=f"Data set {report['url']}")
    for row in report["checks"]:
        table.add_row(row["check"], "[green]ok[/]" if row["passed"] else "[red]FAILED[/]", escape(row["detail"]))
    Console().print(table)
