"""What a data set will cost, from a few of its instances: made, solved and stored like all the others."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.datasets import DataSet, generate_shard
from tasks.layout import Description
from tasks.store import prepare_store

SAMPLE = 16  # as many as some solvers take together
SLOW = 2.0
"""Seconds an instance; slower ones are not made again to be timed without compilation."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one processor and bytes on disk that an instance takes, on average over a sample."""

    seconds: float
    nbytes: float


def estimate(data_set: DataSet) -> Estimate:
    """Make the first instances of a data set in a temporary folder, timed and weighed."""
    first = _sample(data_set, 1)  # compiles, where that was not done before
    if first.seconds > SLOW:
        first = _sample(data_set, 1)
    return first if first.seconds > SLOW else _sample(data_set, min(SAMPLE, data_set.count))


def _sample(data_set: DataSet, count: int) -> Estimate:
    sample = replace(data_set, count=count, shard_size=count)
    with tempfile.TemporaryDirectory(prefix="assay-estimate-") as folder:
        url = f"{folder}/sample.zarr"
        prepare_store(url, sample.layout(), lambda: Description({}, {}))
        started = time.perf_counter()
        generate_shard(sample, url, 0)
        seconds = time.perf_counter() - started
        chunks = (chunk for name in sample.layout().variables for chunk in Path(url, name, "c").rglob("*"))
        nbytes = sum(chunk.stat().st_size for chunk in chunks if chunk.is_file())
    return Estimate(seconds / count, nbytes / count)
