"""How fast a stored data set feeds training, and what its encoding costs: ``python -m benchmarks.reading``.

Samples (coefficient and solution, as float32) per second of processor time, from files that the operating system has in
memory; and the size of the store, the time to write it and the error of what is read, for every encoding.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table
from data.pde.darcy import DarcyLognormal
from kernels.linear_systems.lane_factorization import lane_factorization_sequence
from kernels.linear_systems.solvers import true_relative_residual
from tasks.check_sample import residuals_of
from tasks.datasets import SOLUTION, DataSet, complete_data_set, generate_shard
from tasks.reading import Samples, shuffled_batches
from tasks.storage import EVERY_BIT, Storage
from tasks.store import prepare_store, read_shard, stored_array, write_shard
from tasks.study import Contender, Metric

SHARD_SIZE = 50
BATCH = 32
SINGLE = 100
SOLVER = Contender("lanes", lane_factorization_sequence, {"tolerance": 1e-8}, sequential=True)
METRICS = (Metric("relative_residual", true_relative_residual, "true relative residual"),)

LAYOUTS = {"a file a chunk": EVERY_BIT, "10 a chunk": Storage(chunk=10), "1 a chunk": Storage(chunk=1)}
ENCODINGS = {
    "every bit (default)": EVERY_BIT,
    "zstd level 9": Storage(level=9),
    "chunks of 1 in one file": Storage(chunk=1),
    "float32": Storage(dtype="float32"),
    "16 bits of solutions": Storage(solution_bits=16),
    "12 bits of solutions": Storage(solution_bits=12),
    "float32, 12 bits of both": Storage(dtype="float32", solution_bits=12, parameter_bits=12),
    "the same, zstd level 9": Storage(dtype="float32", solution_bits=12, parameter_bits=12, level=9),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sets, one repetition")
    options = parser.parse_args(arguments)
    counts: Mapping[int, int] = {8: 50} if options.quick else {64: 500, 128: 200}
    repetitions = 1 if options.quick else 3
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="assay-benchmark-") as folder:
        print(describe_machine())
        speeds = Table("grid", "layout", *_readers(1), title="Samples per second of processor time")
        for grid, count in counts.items():
            for name, storage in LAYOUTS.items():
                url = str(Path(folder) / f"{grid}-{name}.zarr")
                _write(_data_set(grid, count, storage), url)
                rates = [_rate(read, url, repetitions) for read in _readers(count).values()]
                speeds.add_row(str(grid), name, *(f"{rate:,.0f}" for rate in rates))
        print_table(speeds)
        grid, count = next(iter(counts.items()))
        sizes = Table("encoding", "KiB / instance", "of float64", "write, ms", "rounding error", "residual, worst")
        for name, storage in ENCODINGS.items():
            sizes.add_row(name, *_encoding(_data_set(grid, count // 2, storage), str(Path(folder) / f"{name}.zarr")))
        print_table(sizes)


def _data_set(grid: int, count: int, storage: Storage) -> DataSet:
    problem = DarcyLognormal(grid=grid, normalise=True)
    return DataSet(problem, 0, count, SHARD_SIZE, SOLVER, METRICS, storage)


def _write(data_set: DataSet, url: str) -> None:
    for shard in prepare_store(url, data_set.layout(), data_set.describe):
        generate_shard(data_set, url, shard)
    complete_data_set(url)


def _readers(count: int) -> dict[str, Callable[[str], int]]:
    """The ways to read a data set of ``count`` instances; each returns how many samples it read."""

    def in_order(url: str) -> int:
        group = zarr.open_group(url, mode="r")
        arrays = [stored_array(group, name) for name in ("coefficient", SOLUTION)]
        for first in range(0, count, SHARD_SIZE):
            _ = [np.asarray(array[first : first + SHARD_SIZE]).astype(np.float32) for array in arrays]
        return count

    def shuffled(url: str) -> int:
        return sum(len(coefficient) for coefficient, _ in shuffled_batches(url, batch_size=BATCH))

    def random_batches(url: str) -> int:
        samples, order = Samples(url), np.random.default_rng(0).permutation(count).tolist()
        return sum(len(samples.__getitems__(order[first : first + BATCH])) for first in range(0, count, BATCH))

    def single_samples(url: str) -> int:
        samples = Samples(url)
        return len([samples[int(index)] for index in np.random.default_rng(0).permutation(count)[:SINGLE]])

    return {
        "in order": in_order,
        "shuffled_batches": shuffled,
        f"random batches of {BATCH}": random_batches,
        "random single samples": single_samples,
    }


def _rate(read: Callable[[str], int], url: str, repetitions: int) -> float:
    rates = []
    for _ in range(repetitions + 1):
        started = time.process_time()
        samples = read(url)
        rates.append(samples / (time.process_time() - started))
    return float(np.median(rates[1:]))  # the first reading brings the files into memory


def _encoding(data_set: DataSet, url: str) -> list[str]:
    _write(data_set, url)
    layout = data_set.layout()
    chunks = [path for name in ("coefficient", SOLUTION) for path in Path(url, name, "c").rglob("*")]
    size = sum(path.stat().st_size for path in chunks if path.is_file())
    plain = 8 * sum(int(np.prod(layout.variables[name].shape)) for name in ("coefficient", SOLUTION))
    arrays = read_shard(url, layout, 0)
    again = replace(layout, digest="again")
    prepare_store(f"{url}-again", again, data_set.describe)
    started = time.process_time()
    write_shard(f"{url}-again", again, 0, arrays)
    seconds = time.process_time() - started
    return [
        f"{size / data_set.count / 1024:.1f}",
        f"{size / data_set.count / plain:.2f}",
        f"{1e3 * seconds / SHARD_SIZE:.2f}",
        _stated(data_set),
        f"{_worst_residual(data_set, arrays):.1e}",
    ]


def _stated(data_set: DataSet) -> str:
    stated = data_set.storage.attributes(data_set.storage.solution_bits).get("largest_relative_rounding_error", 0.0)
    return f"{stated:.1e}"


def _worst_residual(data_set: DataSet, arrays: Mapping[str, np.ndarray]) -> float:
    """Of the stored solutions of one shard, in the systems that they were computed for."""
    rows = range(len(arrays[SOLUTION]))
    systems = [data_set.problem.assemble(data_set.draw(row)) for row in rows]
    return max(float(residuals_of(systems[row], arrays[SOLUTION][row], None)[0].max()) for row in rows)


if __name__ == "__main__":
    main()
