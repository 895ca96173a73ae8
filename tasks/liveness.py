"""Names for the processes that hold runs, such that a later process can tell which of them are gone.

A process number alone is used again; with the boot and the start of the process it is not. The start is counted from
the boot, so that a clock that is set makes nobody look dead. Only processes of the same machine and process namespace
(that of a container) can be judged.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

import psutil

HOST, PROCESS = "assay.host", "assay.process"
_START_TOLERANCE = 2.0  # seconds; the kernel rounds the time of the boot


def this_host() -> str:
    """The machine and process namespace within which process numbers mean anything."""
    namespace = ""
    with suppress(OSError):  # not on every system
        namespace = "-" + "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    return f"{socket.gethostname()}{namespace}"


def this_process() -> str:
    """The name of this process: ``boot-number-start``."""
    return f"{_boot()}-{os.getpid()}-{_start(psutil.Process()):.2f}"


def is_gone(process: str) -> bool:
    """Whether a process of this host, by its name, has ended; what is no name is not judged."""
    try:
        boot, number, start = process.split("-")
        expected = float(start)
        found = psutil.Process(int(number))
        return boot != _boot() or abs(_start(found) - expected) > _START_TOLERANCE or _is_zombie(found)
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.AccessDenied):
        return False


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return "0"


def _start(process: psutil.Process) -> float:
    return float(process.create_time() - psutil.boot_time())


def _is_zombie(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)
