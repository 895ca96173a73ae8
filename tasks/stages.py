"""The stages of the flows as Prefect tasks; each hands on addresses and digests, never arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from tasks.claims import Claim, Judgement
from tasks.datasets import DataSet, complete_data_set, generate_shard
from tasks.execution import ShardReport, run_shards
from tasks.progress import show_progress
from tasks.results import ResultSet, results_url, run_shard, timings_url
from tasks.scoring import judge_claims, load_scalars, load_table, summarise
from tasks.store import (
    Description,
    Layout,
    complete_store,
    damaged_shards,
    discard_shards,
    open_store,
    prepare_store,
)
from tasks.tracking import LoggedRun, Record, log_record, open_tracking


@task(cache_policy=NO_CACHE, task_run_name="data-set-{data_set.problem.name}")
def ensure_data_set(data_set: DataSet, url: str, address: str, *, repair: bool = False) -> dict[str, Any]:
    """Make what is missing of a data set; returns its URL, what was reused and how many instances are unsolved."""
    pending = _pending(url, data_set.layout(), data_set.describe, repair=repair)
    key = f"data-set-{data_set.digest}"
    reports = _run(address, generate_shard, (data_set, url), data_set.layout(), pending, data_set.problem.name, key)
    complete_data_set(url)
    return {
        "problem": data_set.problem.name,
        "url": url,
        "digest": data_set.digest,
        "instances": data_set.count,
        "shards": data_set.layout().shard_count,
        "shards_reused": data_set.layout().shard_count - len(pending),
        "unsolved": open_store(url, "r").attrs.get("unsolved", 0),
        "cpu_seconds": sum(report["cpu_seconds"] for report in reports),
    }


@task(cache_policy=NO_CACHE, task_run_name="results-{results.problem}")
def ensure_results(
    results: ResultSet, data_url: str, folder: str, address: str, *, time_limit: float, repair: bool = False
) -> dict[str, Any]:
    """Run the contenders on the shards that have no results yet; returns the folder, what was reused, the failures."""
    _pending(timings_url(folder), results.timing_layout(), results.describe_timings, repair=False)
    pending = _pending(results_url(folder), results.layout(), results.describe, repair=repair)
    key = f"results-{results.digest}"
    description = f"{results.study}: {results.problem}"
    reports = _run(
        address, run_shard, (results, data_url, folder, time_limit), results.layout(), pending, description, key
    )
    failures: dict[str, str] = {}
    for report in reports:
        for contender, failure in report["failures"].items():
            failures.setdefault(contender, f"shard {report['shard']}: {failure}")
    for contender, failure in failures.items():
        get_run_logger().warning("%s failed on %s, %s", contender, results.problem, failure)
    complete_store(timings_url(folder))
    complete_store(results_url(folder))
    return {
        "problem": results.problem,
        "url": results_url(folder),
        "digest": results.digest,
        "shards": results.layout().shard_count,
        "shards_reused": results.layout().shard_count - len(pending),
        "failures": failures,
    }


@task(cache_policy=NO_CACHE)
def score(
    result_sets: Mapping[str, ResultSet], folders: Mapping[str, str], claims: tuple[Claim, ...]
) -> tuple[list[dict[str, Any]], list[Judgement]]:
    """The table of contenders and the judgement of every claim."""
    tables = {problem: load_scalars(folder) for problem, folder in folders.items()}
    rows = [row for problem, results in result_sets.items() for row in summarise(results, tables[problem])]
    return rows, judge_claims(claims, tables)


@task(cache_policy=NO_CACHE)
def track(root: str, experiment: str, identity: str, build_record: Callable[[], Record]) -> LoggedRun:
    """Write a record to MLflow, or find it there."""
    return log_record(open_tracking(root), root, experiment, identity, build_record)


def load_tables(folders: Mapping[str, str]) -> dict[str, xr.Dataset]:
    """The results of all problems."""
    return {problem: load_table(folder) for problem, folder in folders.items()}


def _pending(url: str, layout: Layout, describe: Callable[[], Description], *, repair: bool) -> list[int]:
    pending = prepare_store(url, layout, describe)
    if repair and (damaged := damaged_shards(url, layout)):
        for damage in damaged.values():
            get_run_logger().warning("%s: computed again", damage)
        discard_shards(url, list(damaged))
        pending = sorted({*pending, *damaged})
    return pending


def _run(
    address: str,
    work: Callable[..., ShardReport],
    arguments: Sequence[Any],
    layout: Layout,
    pending: list[int],
    description: str,
    key: str,
) -> list[ShardReport]:
    if not pending:
        return []
    reports = []
    done = layout.shard_count - len(pending)
    with show_progress(description, key, done, layout.shard_count) as advance:
        for report in run_shards(address, work, arguments, pending):
            reports.append(report)
            advance()
    return reports
