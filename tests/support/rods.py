"""A small store for the tests of stores: the temperature of a rod, seven times, in three shards."""

from pathlib import Path

import numpy as np

from data.problem import Variable
from tasks.layout import Description, Layout
from tasks.store import complete_store, prepare_store, write_shard

TEMPERATURE = Variable(("x",), (4,), "temperature", "K")
STATUS = Variable((), (), "status", dtype="int8")
LAYOUT = Layout("0123", 7, 3, {"temperature": TEMPERATURE, "status": STATUS})
MEASURED = Layout("cdef", 7, 3, LAYOUT.variables, measured=("temperature",))


def describe():
    return Description({"x": (("x",), np.linspace(0.0, 1.0, 4))}, {"title": "a rod", "git_commit": "abc"})


def arrays(shard, layout=LAYOUT):
    rows = layout.rows(shard)
    index = np.arange(rows.start, rows.stop)
    return {"temperature": index[:, None] + np.arange(4.0), "status": index.astype(np.int8)}


def zeros(shard, layout=LAYOUT):
    return {name: np.zeros_like(values) for name, values in arrays(shard, layout).items()}


def finished_store(url, make=arrays):
    for shard in prepare_store(url, LAYOUT, describe):
        write_shard(url, LAYOUT, shard, make(shard))
    complete_store(url)
    return Path(url)


def truncate(chunk):
    chunk.write_bytes(chunk.read_bytes()[:-3])


def flip_a_bit(chunk):
    damaged = bytearray(chunk.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    chunk.write_bytes(damaged)
