"""Tables for people; machines read --json."""

import math
import sys
import textwrap
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.failures import residual_text

_MOST_ROWS = 40
STYLES = {"holds": "green", "fails": "red", "inconclusive": "yellow"}


def print_studies(rows: list[dict[str, Any]]) -> None:
    """The table of `assay list`."""
    console = Console()
    lines = [(row["study"], row["family"], _state(row), row["paper"]) for row in rows]
    widths = [max(map(len, cells)) for cells in list(zip(*lines, strict=True))[:3]]
    for line in sorted(lines, key=lambda line: not line[2].startswith("works")):
        name, family, state = (cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        console.print(
            f"[bold]{name}[/]  {family}  {state}  {line[3]}", highlight=False, no_wrap=True, overflow="ellipsis"
        )
    console.print("works H / F / I: of the claims, H held, F failed and I were inconclusive in the last run")


def _state(row: dict[str, Any]) -> str:
    return " ".join([row["state"], " / ".join(map(str, (row["last_verdicts"] or {}).values()))]).rstrip()


def print_problems(rows: list[dict[str, Any]]) -> None:
    """The problems with their parameters."""
    console = Console()
    for row in rows:
        console.print(f"[bold]{row['problem']}[/]  {row['summary']}")
        for field in row["settings"]:
            console.print(f"    {_field(field, field['default'])}", highlight=False)


def print_study(study: dict[str, Any]) -> None:
    """The page of `assay show`."""
    console = Console()
    paper = study["paper"]
    console.print(f"[bold]{study['study']}[/] ({study['family']}): {study['summary']}")
    console.print(f"{paper['authors']}: {paper['title']}, {paper['venue']}\nIts claim: {paper['claim']}\n")
    console.print(f"[bold]Settings[/] at size {study['size']}")
    for field in study["settings"]:
        console.print(f"    {_field(field, field['value'])}", highlight=False)
    for problem in study["problems"]:
        console.print(f"\n[bold]Problem {problem['problem']}[/] ({problem['generator']}): {problem['summary']}")
        for contender in problem["contenders"]:
            console.print(f"    {contender['contender']:18s} {contender['role']:9s} {contender['summary']}")
    claims = Table("problem", "claim", "role", "statement", "threshold", title="Claims")
    for claim in study["claims"]:
        claims.add_row(*(claim[key] for key in ("problem", "name", "role", "statement", "threshold")))
    console.print(claims)
    if "plan" in study:
        print_plan(study["plan"])


def _field(field: dict[str, Any], value: Any) -> str:
    allowed = f" ({field['allowed']})" if field["allowed"] else ""
    return f"{field['name']} = {value}{allowed}: {field['description']}"


def print_plan(stores: list[dict[str, Any]]) -> None:
    """What would be computed and what is there and, where a sample was timed, how long and how large the rest is."""
    console = Console()
    for store in stores:
        missing = store["shards"] - store["shards_present"]
        cost = f"{missing} of {store['shards']} shards to compute, {_size(store['bytes'])} uncompressed"
        if "seconds" in store:
            duration = timedelta(seconds=math.ceil(store["seconds"]))
            cost += f"; about {duration} (h:mm:ss) and {_size(store['disk_bytes'])} on disk"
        console.print(f"plan: {store['url']}\n  {store['state']}: {cost}", soft_wrap=True, highlight=False)
        if chunks := store.get("chunks"):
            lengths = ", ".join(f"{name} {length}" for name, length in chunks.items())
            console.print(f"  {store['instances_per_shard']} instances a shard; a chunk: {lengths}", highlight=False)


def _size(nbytes: float) -> str:
    return f"{nbytes / 2**20:,.1f} MiB"


def print_report(report: dict[str, Any]) -> None:
    """The verdicts, the contenders and where everything lies."""
    console = Console()
    if claims := report.get("claims"):
        console.print(_claims_table(report["study"], claims))
        console.print(_contenders_table(report["contenders"]))
        for sentence in report["in_plain_words"]:
            console.print(sentence)
    for kind in ("data_sets", "results"):
        for store in report.get(kind, []):
            reuse = f"{store['shards_reused']} of {store['shards']} shards reused"
            console.print(f"{kind.replace('_', ' ').removesuffix('s')}: {store['url']} ({reuse})", soft_wrap=True)
            if store.get("unsolved"):
                console.print(f"  [red]{store['unsolved']} instances are not solved to the tolerance[/]")
            for system, reason in store.get("first_unsolved", {}).items():
                console.print(f"  [red]{system} failed[/], {escape(reason)}")
            for failure in store["failures"]:
                _print_failure(console, failure)
    logged = report["mlflow"]
    note = " (logged before: nothing is new)" if logged["reused"] else ""
    console.print(f"MLflow run: {logged['run_id']}{note}", soft_wrap=True)
    if claims:
        console.print(f"figures: {logged['artifacts'].removeprefix('file://')}/figures", soft_wrap=True)
    console.print(f"look at it: mlflow ui --backend-store-uri {logged['tracking_uri']}", soft_wrap=True)


def _print_failure(console: Console, failure: dict[str, Any]) -> None:
    verb = "was running" if failure["tried_again"] else "failed"
    who = f"{failure['contender']} {verb} on " if failure["contender"] else ""
    more = f" and {failure['shards'] - 1} more" if failure["shards"] > 1 else ""
    where = f"shard {failure['shard']}{more} of {failure['problem']}"
    text = f"{failure['reason']}; last residual {residual_text(failure['last_residual'])}; worker {failure['worker']}"
    console.print(f"  [red]{who}{where}[/]: {escape(text)}", soft_wrap=True, highlight=False)
    console.print(f"    alone: {escape(failure['command'])}", soft_wrap=True, highlight=False)


def print_contender_begins(name: str) -> None:
    """Who runs now; without an end of the line, since it may hang or end the process."""
    sys.stdout.write(f"{name}: ")
    sys.stdout.flush()


def print_contender_alone(row: dict[str, Any]) -> None:
    """What a contender did on a shard that was computed alone; continues :func:`print_contender_begins`."""
    statuses = ", ".join(f"{count} {status}" for status, count in row["status"].items())
    sys.stdout.write(
        f"{statuses} of {row['instances']}; {row['steps']} steps; last residual {residual_text(row['last_residual'])}; "
        f"{row['seconds']:.3g} s\n"
    )
    if row["failure"]:
        sys.stdout.write(f"  {row['failure']}\n{textwrap.indent(row['traceback'], '  ')}")


def print_shard(document: dict[str, Any]) -> None:
    """What no contender was told of: where the data of a shard could not be drawn."""
    sys.stdout.write(document["traceback"])


def print_campaign(summary: dict[str, Any]) -> None:
    """All claims of all studies, and what changed."""
    console = Console()
    for study, claims in summary["claims"].items():
        console.print(_claims_table(study, claims))
    for claim, change in summary["changes"].items():
        console.print(f"{claim}: {_coloured(change['now'])}, was: {change['before']}")
    for regression in summary["regressions"]:
        console.print(f"[red]regression:[/] {regression}", highlight=False)
    if not summary["compared_with_last"]:
        console.print("the first campaign of this size: nothing to compare with")
    else:
        console.print(f"{len(summary['changes'])} verdicts changed since the last campaign of this size")
    console.print(f"MLflow run: {summary['mlflow']['run_id']}")


def print_comparison(comparison: dict[str, Any]) -> None:
    """Whether a run was reproduced."""
    console = Console()
    for name, values in comparison["differing"].items():
        console.print(f"{name}: logged {values['logged']}, now {values['now']}")
    agreeing = comparison["compared"] - len(comparison["differing"])
    console.print(f"run {comparison['run_id']}: {agreeing} of {comparison['compared']} numbers agree")


def print_changes(changes: dict[str, Any]) -> None:
    """What changed between two runs: only that, and how much stayed."""
    console = Console()
    for when in ("before", "after"):
        run = changes[when]
        console.print(f"{when}: {run['name']}, {run['started']}, run {run['run_id']}", soft_wrap=True, highlight=False)
    for kind in ("settings", "provenance", "data_sets", "results", "sources", "options"):
        for name, change in changes[kind].items():
            before, after = (_missing(change[when]) for when in ("before", "after"))
            text = f"{kind.replace('_', ' ')}: {name}: {before} -> {after}"
            console.print(text, soft_wrap=True, highlight=False, markup=False)
    claims = [c for c in changes["claims"] if c["apart"] or _verdict(c["before"]) != _verdict(c["after"])]
    if claims:
        table = Table("problem", "claim", "before", "after", "intervals", title="Claims that changed")
        for claim in claims:
            measured = (_measurement(claim["before"]), _measurement(claim["after"]))
            apart = "exclude each other" if claim["apart"] else "overlap"
            table.add_row(claim["problem"], claim["name"], *measured, apart)
        console.print(table)
    means = [mean for mean in changes["metrics"] if not mean["timed"]]
    moved = [mean for mean in means if mean["before"] != mean["after"]]
    if moved:
        table = Table("problem", "contender", "mean of", "before", "after", "change", title="Means that changed")
        for mean in moved[:_MOST_ROWS]:
            part = "-" if mean["change"] is None else f"{100 * mean['change']:+.3g} %"
            values = (_number(mean["before"]), _number(mean["after"]))
            table.add_row(mean["problem"], mean["contender"], mean["metric"], *values, part)
        console.print(table)
    if len(moved) > _MOST_ROWS:
        console.print(f"and {len(moved) - _MOST_ROWS} more means: --json has them all")
    for kind, colour in (("slower", "red"), ("faster", "green")):
        for found in changes[kind]:
            times = f"{found['ratio']:.2f} ({found['lower']:.2f} to {found['upper']:.2f}) times as long as before"
            text = f"{found['contender']} on {found['problem']} takes {times}, relative to its peers"
            console.print(f"[{colour}]{kind}:[/] {text}", soft_wrap=True, highlight=False)
    console.print(
        f"as before: {len(changes['claims']) - len(claims)} of {len(changes['claims'])} claims, "
        f"{len(means) - len(moved)} of {len(means)} means that do not depend on the machine's speed"
    )


def _verdict(measured: dict[str, Any] | None) -> str:
    return "" if measured is None else str(measured["verdict"])


def _measurement(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return "-"
    interval = f"{_number(measured['lower'])} .. {_number(measured['upper'])}"
    return f"{_coloured(measured['verdict'])}: {_number(measured['estimate'])} ({interval})"


def _missing(value: Any) -> str:
    return "none" if value is None else str(value)


def print_findings(examined: dict[str, Any]) -> None:
    """What `assay doctor` found, one line a check, and how to mend it."""
    console = Console()
    colours = {"good": "green", "warning": "yellow", "bad": "red"}
    for finding in examined["findings"]:
        state = f"[{colours[finding['state']]}]{finding['state']:8s}[/]"
        console.print(f"{state}{finding['check']:10s}{finding['found']}", soft_wrap=True, highlight=False)
        if finding["cure"]:
            console.print(f"{'':18s}-> {finding['cure']}", soft_wrap=True, highlight=False)


def print_garbage(found: dict[str, Any]) -> None:
    """Stores without runs and runs without stores."""
    console = Console()
    if found["orphans"]:
        table = Table("store", "state", "size", "last written", "", title="Stores that no run refers to")
        for orphan in found["orphans"]:
            deleted = "deleted" if orphan["url"] in found["deleted"] else ""
            age = f"{orphan['age_days']:.1f} days ago"
            table.add_row(orphan["url"], orphan["state"], _size(orphan["nbytes"]), age, deleted)
        console.print(table)
    if found["broken_runs"]:
        table = Table("run", "name", "missing", title="Runs whose stores are gone")
        for run in found["broken_runs"]:
            table.add_row(run["run_id"], run["name"], "\n".join(run["missing"]))
        console.print(table)
    total = sum(orphan["nbytes"] for orphan in found["orphans"])
    console.print(
        f"{found['root']}: {len(found['orphans'])} stores without a run, {_size(total)}; "
        f"{len(found['broken_runs'])} runs without a store",
        soft_wrap=True,
    )


def _claims_table(study: str, claims: list[dict[str, Any]]) -> Table:
    table = Table(
        "problem", "claim", "role", "estimate", "95 % interval", "threshold", "verdict", title=f"Claims: {study}"
    )
    for claim in claims:
        interval = f"{_number(claim['lower'])} .. {_number(claim['upper'])}"
        threshold = f"{claim['comparison']} {claim['threshold']:.4g}"
        estimate = _number(claim["estimate"])
        table.add_row(
            claim["problem"], claim["name"], claim["role"], estimate, interval, threshold, _coloured(claim["verdict"])
        )
    return table


def _contenders_table(rows: list[dict[str, Any]]) -> Table:
    hidden = {"problem", "contender", "role", "instances", "wall_seconds"}
    columns = [key for key in rows[0] if key not in hidden and not key.endswith(("_max", "_not_finite"))]
    table = Table("problem", "contender", *columns, title="Contenders: means over instances")
    for row in rows:
        table.add_row(row["problem"], row["contender"], *(_number(row.get(column)) for column in columns))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _coloured(verdict: str) -> str:
    return f"[{STYLES[verdict]}]{verdict}[/]"
