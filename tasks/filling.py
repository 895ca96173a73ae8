"""Filling stores: what is missing of several is computed side by side, and each is completed with its last shard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger

from tasks.damage import damaged_coordinates, damaged_shards, discard_shards, restore_coordinates
from tasks.execution import Batch, ShardReport, run_shards
from tasks.failures import Failure, Failures
from tasks.layout import Description, Layout
from tasks.logs import fields, log_shards
from tasks.progress import show_progress
from tasks.store import DamagedShardError, prepare_store, store_state


@dataclass(frozen=True)
class Unfilled:
    """A store with the shards that it lacks.

    Attributes
    ----------
    layout : Layout
    missing : Batch
    complete : callable
        What makes it a complete store when no shard is missing.
    """

    layout: Layout
    missing: Batch
    complete: Callable[[], None]


@dataclass
class Filled:
    """What was reported of the shards that a store lacked, and the failures among them for the report of the run."""

    reports: list[ShardReport] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)


def missing_shards(
    url: str, layout: Layout, describe: Callable[[], Description], *, repair: bool, verify: bool = False
) -> list[int]:
    """The shards to compute, with the damaged ones if they are to be repaired; if only verified, damage is refused."""
    state = store_state(url)
    pending = prepare_store(url, layout, describe)
    if state == "absent" or not (repair or verify):
        return pending
    description = describe()
    coordinates, shards = damaged_coordinates(url, description), damaged_shards(url, layout)
    damages = [f"{url}: coordinate {name} is damaged; run again with --repair" for name in coordinates]
    damages += shards.values()
    if damages and not repair:
        others = f" ({len(damages) - 1} more are damaged)" if len(damages) > 1 else ""
        raise DamagedShardError(damages[0] + others)
    for damage in damages:
        get_run_logger().warning("%s: computed again", damage)
    if coordinates:
        restore_coordinates(url, description, coordinates)
    if shards:
        discard_shards(url, list(shards))
    return sorted({*pending, *shards})


def fill(address: str, stores: Sequence[Unfilled], description: str, key: str) -> list[Filled]:
    """Compute the missing shards of all stores on a cluster, so that no worker waits for the last one of a store.

    ``description`` and ``key`` are those of the progress that is shown.
    """
    filled = [Filled() for _ in stores]
    failures = [Failures(_warn_with(get_run_logger())) for _ in stores]
    total = sum(store.layout.shard_count for store in stores)
    done = total - sum(len(store.missing.shards) for store in stores)
    for store in stores:
        if not store.missing.shards:
            store.complete()
    batches = [store.missing for store in stores]
    with show_progress(description, key, done, total) as advance:
        if done == total:
            return filled
        shards = run_shards(address, batches, lambda number, failure: failures[number].lose(failure))
        for number, report in log_shards(shards, description, done, total):
            store, reports = stores[number], filled[number].reports
            reports.append(report)
            for failure in report["failures"]:
                failures[number].add(Failure(store.missing.origin, report["shard"], report["worker"], **failure))
            if len(reports) == len(store.missing.shards):
                failures[number].tell_the_rest()
                filled[number].failures = failures[number].report()
                store.complete()
            advance()
    return filled


def _warn_with(logger: Any) -> Callable[..., None]:
    def warn(message: str, failure: Failure | None = None) -> None:
        logger.warning("%s", message, extra=fields(**(failure.as_dict() if failure else {})))

    return warn
