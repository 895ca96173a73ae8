"""The Dask cluster: a local one by default, one thread of this process, or an existing scheduler by its address."""

import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import dask
from distributed import Client, LocalCluster
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.security import Security

from data.validation import InputError

LOCAL = "local"
IN_PROCESS = "in-process"
CONNECT_TIMEOUT = 10
TLS_SETTINGS = (
    "DASK_DISTRIBUTED__COMM__TLS__CA_FILE",
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT",
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY",
)
CONFIGURATION = {
    "distributed.worker.memory.terminate": False,
    "distributed.admin.tick.limit": "1h",
    # a worker ends with every contender that hangs or crashes on a shard
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
    In-process, the only worker is a thread of this process, where debuggers and profilers see what it runs; there a
    contender that exceeds its time limit is not ended.

    Raises
    ------
    ClusterError
        If the named scheduler does not answer within ten seconds, or workers are asked for in-process.
    """
    check_scheduler(scheduler, workers)
    if scheduler not in {LOCAL, IN_PROCESS}:
        yield scheduler
        return
    in_process = scheduler == IN_PROCESS
    with (
        dask.config.set(CONFIGURATION),
        LocalCluster(
            n_workers=1 if in_process else workers or os.cpu_count() or 1,
            threads_per_worker=1,
            processes=not in_process,
            host=None if in_process else "127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would mean port 8787, and a warning where that is taken
            worker_dashboard_address="127.0.0.1:0",  # in-process, None would mean every interface
            # What matters reaches the flow as an exception; workers only complain of a scheduler that closed first.
            silence_logs=logging.CRITICAL,
            memory_limit=0,
            preload=[] if in_process else ["tasks.interrupts"],
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


def check_scheduler(scheduler: str, workers: int | None = None) -> None:
    """Make sure that a named scheduler answers and has workers; of the clusters made here, there is nothing to check.

    TLS is configured as Dask reads it: its configuration files, or ``DASK_DISTRIBUTED__COMM__TLS__...``.

    Raises
    ------
    ClusterError
        One line with the address and what is expected there.
    """
    if scheduler == IN_PROCESS and workers not in {None, 1}:
        raise ClusterError(f"--scheduler {IN_PROCESS} is one thread: leave out --workers {workers}")
    if scheduler in {LOCAL, IN_PROCESS}:
        return
    try:
        _probe(scheduler)
        with connect(scheduler) as client:
            found = len(client.scheduler_info(n_workers=-1)["workers"])
    except ClusterError:
        raise
    except ssl.SSLError as error:
        raise ClusterError(
            f"Dask scheduler {scheduler!r} and this client do not agree on TLS ({error.reason or error}): both need "
            "certificates of one authority, and the scheme tells whether TLS is spoken (tls:// or tcp://)"
        ) from error
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"Dask scheduler {scheduler!r} does not answer within {CONNECT_TIMEOUT} s ({type(error).__name__}): "
            f"give {LOCAL!r}, {IN_PROCESS!r} or the address of a running scheduler such as tcp://127.0.0.1:8786, "
            "tls:// where it speaks TLS"
        ) from error
    if not found:
        raise ClusterError(f"Dask scheduler {scheduler!r} has no workers: start one with `dask worker {scheduler}`")


def connect(address: str) -> Client:
    """A client of the scheduler at an address."""
    return Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)


def _probe(address: str) -> None:
    """Raise unless a scheduler answers: a client of an address that cannot be used does not close cleanly."""
    scheme, location = parse_address(address)
    if scheme == "inproc":
        return
    if scheme not in {"tcp", "tls", "ws", "wss"}:
        raise ValueError(address)
    context = _tls_context() if scheme == "tls" else None
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(parse_host_port(location), CONNECT_TIMEOUT))
        if context is not None:
            connection = stack.enter_context(context.wrap_socket(connection))
        # A Dask scheduler speaks first. With TLS 1.3 a refused certificate shows only here.
        if scheme in {"tcp", "tls"} and not connection.recv(1):
            raise ConnectionResetError(address)


def _tls_context() -> ssl.SSLContext:
    """The client's certificates, as Dask is configured to use them."""
    context: ssl.SSLContext | None = None
    reason = "not set"
    try:
        context = Security().get_connection_args("client")["ssl_context"]
    except OSError as error:  # of files that are missing, unreadable or no certificates
        reason = error.strerror or str(error)
    if context is None:
        raise ClusterError(f"a tls:// address needs certificates ({reason}): check {', '.join(TLS_SETTINGS)}")
    return context
