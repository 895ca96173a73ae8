"""What the tests of the fan-out have the workers do: importable there, as the test modules are not."""

import os
import signal
import time
from pathlib import Path

import numba
import numpy as np
from distributed import get_client, get_worker

from tasks.execution import BEGUN, announce
from tasks.store import DamagedShardError


def square(offset, shard):
    return {"shard": shard, "value": offset + shard**2, "worker": get_worker().address}


def fail_on_three(folder, shard):
    (Path(folder) / f"{shard}-{len(list(Path(folder).glob(f'{shard}-*')))}").touch()
    if shard == 3:
        raise DamagedShardError("shard 3 is damaged")
    return {"shard": shard}


def fail_at_first(folder, shard):
    mark = Path(folder) / str(shard)
    if mark.exists():
        return {"shard": shard}
    mark.touch()
    raise OSError("a lost connection")


def fail_always(shard):
    raise ArithmeticError(f"no [{shard}]\nat all")


def kill_its_worker_at_first(folder, shard):
    """What the kernel does to a worker that takes too much memory."""
    mark = Path(folder) / "killed"
    if shard == 0 and not mark.exists():
        mark.touch()
        announce("greedy")
        key = get_worker().get_current_task()
        while not any(
            (key, "greedy") == (heard["key"], heard["contender"]) for _, heard in get_client().get_events(BEGUN)
        ):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    while not mark.exists():  # so that a shard waits behind the one that is lost
        time.sleep(0.01)
    return {"shard": shard}


def hang(terms):
    """A contender whose compiled loop never ends, nor lets the interpreter go."""
    return _spin(1.0)


@numba.njit
def _spin(value):
    while value > 0.0:
        value = 1.0 / value
    return value


def fill_a_list(terms):
    """A contender that takes memory bit by bit, until there is none for its failure either."""
    hoard = []
    while True:
        hoard.append(bytearray(2**12))


def fill_compiled(terms):
    """A contender whose compiled loop takes memory."""
    return _fill(terms)


@numba.njit
def _fill(terms):
    hoard = [terms]
    while len(hoard) < 10**5:
        hoard.append(np.ones(10**4))
    return hoard[-1]
