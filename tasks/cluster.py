"""The Dask cluster: a local one by default, an existing scheduler by its address."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import dask
from distributed import Client, LocalCluster
from distributed.comm.addressing import parse_address, parse_host_port

from data.validation import InputError

LOCAL = "local"
CONNECT_TIMEOUT = 10
CONFIGURATION = {
    "distributed.worker.memory.terminate": False,
    "distributed.admin.tick.limit": "1h",
    # a worker ends with every contender that hangs on a shard
    "distributed.scheduler.allowed-failures": 50,
    # the profiler calls sys._current_frames, in which CPython 3.11 before 3.11.9 can hang for ever (gh-106883)
    "distributed.worker.profile.enabled": False,
}


class ClusterError(InputError):
    """A scheduler that cannot be used; the message is one line."""


@contextlib.contextmanager
def open_cluster(scheduler: str = LOCAL, workers: int | None = None) -> Iterator[str]:
    """Yield the address of a scheduler: of a new local cluster, or of the one that is named.

    Local workers are single-threaded processes on the loopback interface, one a core unless ``workers`` says otherwise.

    Raises
    ------
    ClusterError
        If the named scheduler does not answer within ten seconds.
    """
    if scheduler != LOCAL:
        check_scheduler(scheduler)
        yield scheduler
        return
    with (
        dask.config.set(CONFIGURATION),
        LocalCluster(
            n_workers=workers or os.cpu_count() or 1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would mean port 8787, and a warning where that is taken
            # What matters reaches the flow as an exception; workers only complain of a scheduler that closed first.
            silence_logs=logging.CRITICAL,
            memory_limit=0,
            preload=["tasks.interrupts"],
        ) as cluster,
    ):
        yield cluster.scheduler_address


@contextlib.contextmanager
def opening_cluster(scheduler: str = LOCAL, workers: int | None = None) -> Iterator[Callable[[], str]]:
    """Open a cluster in the background; yields a function that waits for its address.

    Workers take seconds to start, which the caller can use for imports and servers of its own.
    """
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as background:
        address = background.submit(stack.enter_context, open_cluster(scheduler, workers))
        yield address.result


def check_scheduler(address: str) -> None:
    """Make sure that a scheduler answers.

    Raises
    ------
    ClusterError
        One line with the address and what is expected there.
    """
    try:
        _probe(address)
        with connect(address) as client:
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"Dask scheduler {address!r} does not answer within {CONNECT_TIMEOUT} s ({type(error).__name__}): "
            f"give {LOCAL!r} or the address of a running scheduler such as tcp://127.0.0.1:8786"
        ) from error
    if not workers:
        raise ClusterError(f"Dask scheduler {address!r} has no workers: start one with `dask worker {address}`")


def connect(address: str) -> Client:
    """A client of the scheduler at an address."""
    return Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)


def _probe(address: str) -> None:
    """Raise unless something listens: a client of an address that cannot be used does not close cleanly."""
    if address.startswith("inproc://"):
        return
    if parse_address(address)[0] not in {"tcp", "tls", "ws", "wss"}:
        raise ValueError(address)
    socket.create_connection(parse_host_port(parse_address(address)[1]), CONNECT_TIMEOUT).close()
