"""What the tests of the fan-out have the workers do: importable there, as the test modules are not."""

from pathlib import Path

import numba
from distributed import get_worker

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


def hang(terms):
    """A contender whose compiled loop never ends, nor lets the interpreter go."""
    return _spin(1.0)


@numba.njit
def _spin(value):
    while value > 0.0:
        value = 1.0 / value
    return value
