"""Dask preload: workers leave Ctrl-C to the process that started them."""

import signal


def dask_setup(_worker: object) -> None:
    """Ignore SIGINT, which a terminal sends to the whole process group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
