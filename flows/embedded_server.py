"""A Prefect server of the command itself, for when none is configured: on loopback, gone with the command."""

import contextlib
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx

HOST = "127.0.0.1"
STARTUP_SECONDS = 120


@contextlib.contextmanager
def prefect_server() -> Iterator[Callable[[], None]]:
    """Start a Prefect server in the background unless PREFECT_API_URL names one; yields a function that waits for it.

    Prefect would start a temporary server itself, but only once the flow begins. This one boots while the caller
    imports, and dies with the caller however that ends, even by SIGKILL. If it dies before, another takes its place
    within seconds, which Prefect's client waits for.

    Raises
    ------
    RuntimeError
        From the yielded function, if the server does not come up.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield lambda: None
        return
    port = free_port()
    server = _Server(port)
    os.environ["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"
    os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"  # gone with the server: the log is in the store
    try:
        yield lambda: _wait(server.process, f"http://{HOST}:{port}/api/health")
    finally:
        del os.environ["PREFECT_API_URL"], os.environ["PREFECT_LOGGING_TO_API_ENABLED"]
        server.stop()


class _Server:
    """The process of a server, started again when it is killed, but not where it ends by itself."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._turn = threading.Lock()
        self._stopped = False
        self.process = self._start()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def stop(self) -> None:
        with self._turn:
            self._stopped = True
        self.process.terminate()
        self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # This end of the pipe closes when this process is gone; the server watches the other.
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "flows.embedded_server", str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _keep_alive(self) -> None:
        while self.process.wait() < 0:
            with self._turn:
                if self._stopped:
                    return
                self.process = self._start()


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        time.sleep(0.05)
    raise RuntimeError("the embedded Prefect server does not start: run `prefect server start` to see why")


def _serve(port: str) -> None:
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    sys.argv = ["prefect", "server", "start", "--no-ui", "--host", HOST, "--port", port]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
