"""The fan-out: one Dask future a shard, retried where a worker is lost, reported as it finishes."""

import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from distributed import Client, KilledWorker, as_completed, get_worker
from distributed.client import ClosedClientError

from data.validation import InputError
from tasks.cluster import connect
from tasks.failures import Failure, Origin, ShardError
from tasks.places import one_line

RETRIES = 2
IN_FLIGHT = 4000
"""Shards on the scheduler at once: Dask gives a worker a second one before it is done, so enough for 2,000 workers."""
BEGUN = "assay-begun"
"""The topic of the events in which workers say what they begin to compute."""

ShardReport = dict[str, Any]


def is_replaceable() -> bool:
    """Whether this process may end without harm: that of a Dask worker with one thread, whose nanny starts another."""
    try:
        worker = get_worker()
    except ValueError:
        return False
    return worker.nanny is not None and worker.state.nthreads == 1


def announce(contender: str | None = None) -> None:
    """Tell the flow what this worker begins to compute, should it be lost; nothing where this is no worker's task."""
    try:
        worker = get_worker()
    except ValueError:
        return
    # It is the worker's event loop that sends this: compiled code that keeps the interpreter at once is faster.
    worker.log_event(BEGUN, {"key": worker.get_current_task(), "contender": contender, "place": _place(worker)})


def _place(worker: Any) -> str:
    return f"{worker.address} (process {os.getpid()} of {socket.gethostname()})"


@dataclass(frozen=True)
class Batch:
    """Shards that are to be computed for one store.

    Attributes
    ----------
    origin : Origin
    work : callable
        Computes a shard, by its number, on a worker and returns its report.
    shards : sequence of int
    """

    origin: Origin
    work: Callable[[int], ShardReport]
    shards: Sequence[int]


def run_shards(
    address: str, batches: Sequence[Batch], tell_lost: Callable[[int, Failure], object] = lambda *_: None
) -> Iterator[tuple[int, ShardReport]]:
    """Compute all shards of all batches on the cluster; yields each report, with the number of its batch, as it comes.

    At most IN_FLIGHT shards wait on the scheduler, so that its and this process's memory stay bounded. A report gets
    the key ``worker``. ``tell_lost`` is called, from another thread, with the number of a batch and a failure, for a
    worker that is lost with a shard, which Dask has another one try again.

    Raises
    ------
    ShardError
        For a shard that failed all its retries. One that was refused, and why, is raised as it is.
    """
    submission = uuid.uuid4().hex
    watch = _WorkerWatch(batches, tell_lost)
    with connect(address) as client, _heard(client, {BEGUN: watch.begun, "all": watch.happened}):

        def submit(number: int, shard: int) -> Any:
            batch = batches[number]
            key = f"{_shown(batch.origin)}/shard-{shard}-{submission}.{number}"
            watch.shards[key] = number, shard
            return client.submit(partial(_reported, batch.work), shard, key=key, retries=RETRIES, pure=False)

        waiting = ((number, shard) for number, batch in enumerate(batches) for shard in batch.shards)
        completed = as_completed([submit(*one) for one in islice(waiting, IN_FLIGHT)], loop=client.loop)
        for future in completed:
            try:
                report = future.result()
            except InputError:
                raise
            except Exception as error:
                if future.status != "error":
                    raise  # the scheduler is gone
                raise ShardError(watch.failure(future.key, _reason(error))) from error
            future.release()
            number = watch.forget(future.key)
            for one in islice(waiting, 1):
                completed.add(submit(*one))
            yield number, report


def _shown(origin: Origin) -> str:
    return "/".join(name.replace("-", "_") for name in (origin.study, origin.problem) if name)  # Dask cuts at dashes


@contextlib.contextmanager
def _heard(client: Client, handlers: Mapping[str, Callable[[tuple[float, Any]], None]]) -> Iterator[None]:
    """Have events handled, until the scheduler has been told to send no more: it would to a client that is gone."""
    for topic, handle in handlers.items():
        client.subscribe_topic(topic, handle)
    try:
        yield
    finally:
        with contextlib.suppress(ClosedClientError):  # the scheduler is gone, of which the body has heard
            for topic in handlers:
                client.unsubscribe_topic(topic)


def _reported(work: Callable[[int], ShardReport], shard: int) -> ShardReport:
    announce()
    return {**work(shard), "worker": _place(get_worker())}


def _reason(error: Exception) -> str:
    if isinstance(error, KilledWorker):
        return f"{error.allowed_failures + 1} workers were lost while they worked on it"
    return f"{one_line(error)}, {1 + RETRIES} times"


@dataclass
class _WorkerWatch:
    """Learns which worker computes what, and which one is lost meanwhile."""

    batches: Sequence[Batch]
    tell_lost: Callable[[int, Failure], object]
    shards: dict[str, tuple[int, int]] = field(default_factory=dict)
    announced: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begun(self, event: tuple[float, dict[str, Any]]) -> None:
        """A worker, of this run or of another, said what it begins."""
        _, announcement = event
        if announcement["key"] in self.shards:
            self.announced[announcement["key"]] = announcement

    def happened(self, event: tuple[float, Any]) -> None:
        """The scheduler said what happened to workers, among other things."""
        _, what = event
        if isinstance(what, dict) and what.get("action") == "remove-worker" and not what["expected"]:
            held = [key for key in what["processing-tasks"] if key in self.shards]
            # Beside what it was computing, a worker holds what it would have computed next.
            running = [key for key in held if self.announced.get(key, {}).get("worker") == what["worker"]]
            for key in running or held:
                begun = self.announced.get(key, {}) if running else {"place": what["worker"]}
                reason = "the worker was lost while it worked on it: the shard is tried again"
                number, shard = self.shards[key]
                origin, contender = self.batches[number].origin, begun.get("contender")
                self.tell_lost(number, Failure(origin, shard, begun["place"], reason, contender, tried_again=True))

    def failure(self, key: str, reason: str) -> Failure:
        """The failure of a shard, with the worker that was the last to begin it."""
        number, shard = self.shards[key]
        place = self.announced.get(key, {}).get("place", "unknown")
        return Failure(self.batches[number].origin, shard, place, reason)

    def forget(self, key: str) -> int:
        """The shard is done; returns the number of its batch."""
        self.announced.pop(key, None)
        return self.shards.pop(key)[0]
