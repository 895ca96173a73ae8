"""What a contender may take on a shard, time and memory, and running it within that."""

import faulthandler
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tasks.cluster import connect
from tasks.contenders import Outcome, failed, failed_by, run_contender
from tasks.execution import announce, is_replaceable
from tasks.memory import GIBIBYTE, available_memory, memory_limit
from tasks.study import Contender
from tasks.watchdog import Watchdog


@dataclass(frozen=True)
class Limits:
    """What a contender may take on a shard.

    Attributes
    ----------
    seconds : float
    gibibytes : float or None
        More than what its process holds when it begins; None: a share of the machine's available memory.
    sharers : int
        The processes that share the machine's memory.
    """

    seconds: float
    gibibytes: float | None = None
    sharers: int = 1

    @property
    def nbytes(self) -> int:
        """The memory in bytes."""
        return _share(self.sharers) if self.gibibytes is None else int(self.gibibytes * GIBIBYTE)


def limits_on(address: str, seconds: float, gibibytes: float | None) -> Limits:
    """The limits on a cluster, whose processes share the memory of their machines."""
    with connect(address) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return Limits(seconds, gibibytes, max(Counter(worker["host"] for worker in workers).values(), default=1))


GENEROUS = Limits(30 * 86400.0)


@cache  # a process keeps its share, whatever the others take meanwhile
def _share(sharers: int) -> int:
    return available_memory() // sharers


def run_watched(
    limits: Limits, watchdog: Watchdog, contender: Contender, instances: Sequence[Any], *context: Any
) -> list[Outcome]:
    """Run a contender on a shard (see :func:`run_contender`) within limits, which are those of the watchdog too.

    They hold where this process may end without harm: that of a worker with one thread and a nanny. One that takes too
    long ends it, as one that crashes does; when the shard is tried again it is passed over as failed.
    """
    if reason := watchdog.why_it_ended(contender.name, run_contender.__name__):
        return [failed(reason)] * len(instances)
    announce(contender.name)
    if not is_replaceable():
        return run_contender(contender, instances, *context)
    with watchdog.watch(contender.name):
        return _run_in_memory(limits, contender, instances, *context)


def run_alone(limits: Limits, contender: Contender, instances: Sequence[Any], *context: Any) -> list[Outcome]:
    """Run a contender within limits in a process that does nothing else.

    If it takes too long, the stacks of all threads go to standard error and the process ends with status 1. If it
    crashes, they go there too.
    """
    faulthandler.enable(2)
    faulthandler.dump_traceback_later(limits.seconds, exit=True, file=2)
    try:
        return _run_in_memory(limits, contender, instances, *context)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _run_in_memory(limits: Limits, contender: Contender, instances: Sequence[Any], *context: Any) -> list[Outcome]:
    try:
        with memory_limit(limits.nbytes):
            outcomes = run_contender(contender, instances, *context)
    except MemoryError as error:  # where not even the failure could be noted
        outcomes = [failed_by(error)] * len(instances)
    allowed = f"; {limits.nbytes / GIBIBYTE:.3g} GiB are allowed"
    return [
        replace(outcome, failure=outcome.failure + allowed) if outcome.failure.startswith("MemoryError") else outcome
        for outcome in outcomes
    ]
