"""The stages of the flows as Prefect tasks; each hands on addresses and digests, never arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import xarray as xr
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from tasks.claims import Claim, Judgement
from tasks.datasets import DataSet, complete_data_set, generate_shard
from tasks.dead_records import end_dead_records
from tasks.execution import Batch
from tasks.failures import Origin
from tasks.filling import Unfilled, fill, missing_shards
from tasks.limits import Limits
from tasks.logs import fields, log_files, logged_stage
from tasks.results import ResultSet, results_url, run_shard, timings_url
from tasks.scoring import judge_claims, load_scalars, load_table, summarise, tally
from tasks.store import canonical_digest, complete_store, open_store
from tasks.tracking import LoggedRun, Record, log_record, open_tracking
from tasks.turns import in_turn, turns


@dataclass(frozen=True)
class DataSetRequest:
    """A data set, where it shall lie, and what computes a shard of it alone."""

    data_set: DataSet
    url: str
    origin: Origin


@dataclass(frozen=True)
class ResultsRequest:
    """Results, the data set that they are of, their folder, and what computes a shard of them alone."""

    results: ResultSet
    data_url: str
    folder: str
    origin: Origin


@task(cache_policy=NO_CACHE, task_run_name="data-sets")
@logged_stage(lambda requests, *_, **__: {"problems": [request.data_set.problem.name for request in requests]})
def ensure_data_sets(
    requests: Sequence[DataSetRequest], address: str, *, description: str, limits: Limits, repair: bool = False
) -> list[dict[str, Any]]:
    """Make what is missing of data sets; returns of each its URL, what was reused, what is unsolved and the failures.

    One that is asked for twice is made once.
    """
    by_url = {request.url: request for request in requests}
    digests = [request.data_set.digest for request in by_url.values()]

    def unfilled(request: DataSetRequest) -> Unfilled:
        data_set, url = request.data_set, request.url
        pending = missing_shards(url, data_set.layout(), data_set.describe, repair=repair)
        work = partial(generate_shard, data_set, url, limits=limits)
        return Unfilled(data_set.layout(), Batch(request.origin, work, pending), partial(complete_data_set, url))

    with turns(by_url):
        stores = [unfilled(request) for request in by_url.values()]
        filled = fill(address, stores, description, f"data-sets-{canonical_digest(digests)}")
    reports = {
        request.url: {
            "problem": request.data_set.problem.name,
            "url": request.url,
            "digest": request.data_set.digest,
            "instances": request.data_set.count,
            "shards": store.layout.shard_count,
            "shards_reused": store.layout.shard_count - len(store.missing.shards),
            "unsolved": open_store(request.url, "r").attrs.get("unsolved", 0),
            "cpu_seconds": sum(report["cpu_seconds"] for report in done.reports),
            "failures": done.failures,
        }
        for request, store, done in zip(by_url.values(), stores, filled, strict=True)
    }
    return [reports[request.url] for request in requests]


@task(cache_policy=NO_CACHE, task_run_name="results")
@logged_stage(lambda requests, *_, **__: {"problems": [request.results.problem for request in requests]})
def ensure_results(
    requests: Sequence[ResultsRequest], address: str, *, description: str, limits: Limits, repair: bool = False
) -> list[dict[str, Any]]:
    """Run the contenders on the shards without results; returns of each the folder, what was reused, the failures."""
    digests = [request.results.digest for request in requests]

    def unfilled(request: ResultsRequest) -> Unfilled:
        results, folder = request.results, request.folder
        # Timings are never the same again: damaged ones are measured once more, without being asked.
        untimed = missing_shards(timings_url(folder), results.timing_layout(), results.describe_timings, repair=True)
        unknown = missing_shards(results_url(folder), results.layout(), results.describe, repair=repair, verify=True)
        work = partial(run_shard, results, request.data_url, folder, limits)
        missing = Batch(request.origin, work, sorted({*untimed, *unknown}))
        return Unfilled(results.layout(), missing, partial(_complete_results, folder))

    with turns(request.folder for request in requests):
        stores = [unfilled(request) for request in requests]
        filled = fill(address, stores, description, f"results-{canonical_digest(digests)}")
    return [
        {
            "problem": request.results.problem,
            "url": results_url(request.folder),
            "digest": request.results.digest,
            "shards": store.layout.shard_count,
            "shards_reused": store.layout.shard_count - len(store.missing.shards),
            "failures": done.failures,
        }
        for request, store, done in zip(requests, stores, filled, strict=True)
    ]


def _complete_results(folder: str) -> None:
    complete_store(timings_url(folder))
    complete_store(results_url(folder))


@task(cache_policy=NO_CACHE)
def score(
    result_sets: Mapping[str, ResultSet], folders: Mapping[str, str], claims: tuple[Claim, ...]
) -> tuple[list[dict[str, Any]], list[Judgement]]:
    """The table of contenders and the judgement of every claim."""
    tables = {problem: load_scalars(folder) for problem, folder in folders.items()}
    rows = [row for problem, results in result_sets.items() for row in summarise(results, tables[problem])]
    judgements = judge_claims(claims, tables)
    verdicts = {f"{judgement.problem}/{judgement.name}": judgement.verdict.value for judgement in judgements}
    get_run_logger().info("claims judged: %s", tally(verdicts.values()), extra=fields(verdicts=verdicts))
    return rows, judgements


@task(cache_policy=NO_CACHE)
@in_turn(lambda root, *_: root)
def track(root: str, experiment: str, identity: str, build_record: Callable[[], Record]) -> LoggedRun:
    """Write a record to MLflow, with the log of the flow run so far, or find it there."""

    def with_log() -> Record:
        record = build_record()
        get_run_logger().info("logged to MLflow", extra=fields(experiment=experiment))
        return replace(record, files={**record.files, **log_files()})

    client = open_tracking(root, probe=False)  # it answered when the run began: now it is worth waiting for
    end_dead_records(client)
    return log_record(client, root, experiment, identity, with_log)


def load_tables(folders: Mapping[str, str]) -> dict[str, xr.Dataset]:
    """The results of all problems."""
    return {problem: load_table(folder) for problem, folder in folders.items()}
