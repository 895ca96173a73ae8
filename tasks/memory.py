"""A limit on the memory that a call may take, so that it fails instead of the machine."""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil

GIBIBYTE = 2**30
_STATUS = Path("/proc/self/status")


def available_memory() -> int:
    """The bytes that processes of this machine can still take."""
    return int(psutil.virtual_memory().available)


@contextlib.contextmanager
def memory_limit(nbytes: int) -> Iterator[None]:
    """Let this process take ``nbytes`` more than it holds now; what asks for more is refused.

    NumPy, SciPy, numba and Python raise MemoryError then, and JAX its RESOURCE_EXHAUSTED. The limit is a soft one on
    the data segment (RLIMIT_DATA), which counts memory when it is asked for, not when it is first written to. It holds
    for all threads of the process. Where there is no such limit, or none on what is asked for with mmap, as outside of
    Linux, this does nothing.
    """
    if not (_STATUS.exists() and find_spec("resource")):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_segment() + nbytes
    tightest = min(limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (tightest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_segment() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
