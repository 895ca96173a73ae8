"""What the pipeline itself costs at a million instances on a thousand workers: ``python -m benchmarks.scale``.

Measured: a Dask scheduler in a process of its own, under workers that do nothing but announce their contenders as a
study's do; a data set of as many shards as a million instances have, whose objects are links to those of one shard;
runs of a study that differ in their number of instances. A model multiplies, and says which number breaks first.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from distributed import Worker
from distributed.scheduler import heartbeat_interval
from rich.table import Table
from sqlalchemy import create_engine, inspect, text
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table
from benchmarks.pipeline import _isolated, count_task_runs, run_study
from flows.data_set_plan import plan_data_sets
from flows.embedded_server import free_port, prefect_server
from tasks.cluster import connect
from tasks.datasets import DataSet, complete_data_set, generate_shard
from tasks.execution import IN_FLIGHT, Batch, announce, run_shards
from tasks.failures import Origin
from tasks.store import DIGESTS, SHARD_MOMENTS, prepare_store
from tasks.tracking import tracking_uri

CONTENDERS = 8
IDLE_SECONDS = 5.0
# Of the model: what a place on S3 takes to answer, and how many requests Zarr has under way at once.
ROUND_TRIP = 0.02
CONCURRENCY = 10
READS = 5  # of every shard, from beginning to end of a run: digests twice, moments, status and residuals
MEMORY = 8 * 2**30
PATIENCE = 300.0


@dataclass(frozen=True)
class FanOut:
    """Processor seconds of the scheduler and of the flow, at a number of workers."""

    workers: int
    scheduler_per_shard: float
    flow_per_shard: float
    scheduler_per_worker_second: float
    scheduler_memory: float


@dataclass(frozen=True)
class Stored:
    """A data set of many shards: objects, and seconds to find what is missing and to complete it."""

    shards: int
    objects: int
    metadata: int
    resume: float
    complete: float


@dataclass(frozen=True)
class Ran:
    """A study: rows in MLflow's database, task runs in Prefect, peak memory of the flow in bytes."""

    instances: int
    rows: int
    task_runs: int
    memory: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what was measured and what it comes to."""
    options = options_of(arguments)
    if options.host:
        asyncio.run(_host(options.host, options.measured_workers[0]))
        return
    with threadpool_limits(1):
        print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as name, _isolated(Path(name)) as folder:
        stored = [measure_store(folder / f"{shards}.zarr", shards) for shards in options.stored_shards]
        fan_outs = [measure_fan_out(workers, options.shards) for workers in options.measured_workers]
        ran = measure_runs(folder, options.counts, options.prefect_api)
    print_table(measured_table(fan_outs, stored, ran))
    print_table(table := model(fan_outs, stored, ran, options))
    print(table.caption)


def measure_fan_out(workers: int, shards: int) -> FanOut:
    """Send shards that do nothing through a scheduler, as a study would."""
    address = f"tcp://127.0.0.1:{free_port()}"
    program = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    program += ["--port", address.rpartition(":")[2], "--dashboard-address", "127.0.0.1:0"]
    hosts = [sys.executable, "-m", "benchmarks.scale", "--host", address, "--measured-workers", str(workers)]
    with _silent(program) as scheduler, _silent(hosts):
        with _connected(address, workers):
            before, started = _processor(scheduler), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            idle = (_processor(scheduler) - before) / (time.perf_counter() - started)
        url = "s3://bucket/assay/datasets/a-name-of-usual-length.zarr"
        batch = Batch(Origin("darcy", "scale"), partial(announce_contenders, _data_set(shards), url), range(shards))
        before, flow_before, started = _processor(scheduler), time.process_time(), time.perf_counter()
        for _ in run_shards(address, [batch]):
            pass
        resting = idle * (time.perf_counter() - started)
        return FanOut(
            workers,
            max(0.0, _processor(scheduler) - before - resting) / shards,
            (time.process_time() - flow_before) / shards,
            idle / workers,
            float(psutil.Process(scheduler.pid).memory_info().rss),
        )


def announce_contenders(data_set: DataSet, url: str, shard: int) -> dict[str, Any]:
    """What a shard of a study tells the flow, without the work."""
    for contender in range(CONTENDERS):
        announce(f"contender-{contender}")
    return {"shard": shard, "failures": {}, "url": url, "digest": data_set.digest}


async def _host(address: str, count: int) -> None:
    """Many workers in this process, until it is told to end."""
    workers = [Worker(address, nthreads=1, memory_limit=0, dashboard=False, silence_logs=50) for _ in range(count)]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


def measure_store(place: Path, shards: int) -> Stored:
    """Time what the flow does with a store of so many shards, all but one of them links to the first."""
    data_set = _data_set(shards)
    url = str(place)
    prepare_store(url, data_set.layout(), data_set.describe)
    generate_shard(data_set, url, 0)
    _link_shards(place, [*data_set.layout().variables, DIGESTS, SHARD_MOMENTS], shards)
    started = time.perf_counter()
    assert prepare_store(url, data_set.layout(), data_set.describe) == []
    resumed = time.perf_counter()
    complete_data_set(url)
    completed = time.perf_counter()
    objects = sum(len(files) for _, _, files in os.walk(place))
    metadata = sum(path.stat().st_size for path in [place / "zarr.json", *place.glob("*/zarr.json")])
    return Stored(shards, objects, metadata, resumed - started, completed - resumed)


def _link_shards(place: Path, names: Sequence[str], shards: int) -> None:
    """Give the objects of the first shard the names that those of the others would have."""
    for name in names:
        first = place / name / "c" / "0"
        for file in [first] if first.is_file() else [path for path in first.rglob("*") if path.is_file()]:
            for shard in range(1, shards):
                other = first.with_name(str(shard)) / file.relative_to(first)
                other.parent.mkdir(exist_ok=True, parents=True)
                os.link(file, other)


def measure_runs(folder: Path, counts: Sequence[int], prefect_api: str | None) -> list[Ran]:
    """Run a study of so many instances each, and count what it leaves."""
    if prefect_api:
        os.environ["PREFECT_API_URL"] = prefect_api
    ran = []
    with prefect_server() as wait:
        wait()
        for count in counts:
            before, store = count_task_runs(), folder / f"run-{count}"
            settings = {"instances": count // 2, "repetitions": 2, "length": 10, "shard_size": min(50, count // 2)}
            memory = run_study(store, settings).memory
            ran.append(Ran(count, _rows(tracking_uri(str(store))), count_task_runs() - before, memory))
    return ran


def _rows(database: str) -> int:
    engine = create_engine(database)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = sum(int(connection.execute(text(f'select count(*) from "{name}"')).scalar_one()) for name in tables)
    engine.dispose()
    return rows


def measured_table(fan_outs: Sequence[FanOut], stored: Sequence[Stored], ran: Sequence[Ran]) -> Table:
    """What was measured, at growing sizes: a number that should not grow with them shows it here."""
    table = Table("size", "what", "measured", title="Measured on this machine")
    for one in fan_outs:
        table.add_row(
            f"{one.workers:,} workers", "scheduler, processor ms a shard", f"{1e3 * one.scheduler_per_shard:.2f}"
        )
        table.add_row("", "flow, processor ms a shard", f"{1e3 * one.flow_per_shard:.2f}")
        table.add_row("", "scheduler, processor µs a worker and second", f"{1e6 * one.scheduler_per_worker_second:.0f}")
        table.add_row("", "scheduler, memory MiB", f"{one.scheduler_memory / 2**20:.0f}")
    for store in stored:
        table.add_row(f"{store.shards:,} shards", "objects a shard", f"{store.objects / store.shards:.1f}")
        table.add_row("", "metadata KiB", f"{store.metadata / 1024:.1f}")
        table.add_row("", "find what is missing, µs a shard", f"{1e6 * store.resume / store.shards:.0f}")
        table.add_row("", "complete, µs a shard", f"{1e6 * store.complete / store.shards:.0f}")
    for run in ran:
        table.add_row(f"{run.instances:,} instances", "MLflow rows a run", f"{run.rows:,}")
        table.add_row("", "Prefect task runs", str(run.task_runs))
        table.add_row("", "flow, peak memory MiB", f"{run.memory / 2**20:.0f}")
    return table


def model(
    fan_outs: Sequence[FanOut], stored: Sequence[Stored], ran: Sequence[Ran], options: argparse.Namespace
) -> Table:
    """What the measured numbers come to, as shares of their limits; the largest is what breaks first."""
    fan_out, store, (few, *_, many) = fan_outs[-1], stored[-1], (ran[0], *ran)
    shards = -(-options.instances // options.shard_size)
    # Dask asks the more workers there are, the more rarely.
    beat = fan_out.scheduler_per_worker_second * heartbeat_interval(fan_out.workers)
    rate = options.workers / (options.shard_size * options.seconds)
    grown = max(0.0, many.memory - few.memory) / max(1, many.instances - few.instances)
    reads = READS * shards * ROUND_TRIP / CONCURRENCY
    hours = options.instances * options.seconds / options.workers / 3600
    rows: Mapping[str, tuple[str, str, float, str, float]] = {
        "scheduler, shards": (
            f"{1e3 * fan_out.scheduler_per_shard:.2f} ms a shard", f"{shards * fan_out.scheduler_per_shard:.0f} s",
            rate * fan_out.scheduler_per_shard, "one core, all the time", 1.0,
        ),
        "scheduler, heartbeats": (
            f"{1e6 * beat:.0f} µs each", "", beat * options.workers / heartbeat_interval(options.workers),
            "one core, all the time", 1.0,
        ),
        "flow, shards": (
            f"{1e3 * fan_out.flow_per_shard:.2f} ms a shard", f"{shards * fan_out.flow_per_shard:.0f} s",
            rate * fan_out.flow_per_shard, "one core, all the time", 1.0,
        ),
        "shards in flight": (
            "2 a worker", f"{2 * options.workers:,}", 2 * options.workers, f"{IN_FLIGHT:,}", IN_FLIGHT,
        ),
        "flow, memory": (
            f"{grown:.0f} bytes an instance", f"{(few.memory + grown * options.instances) / 2**30:.2f} GiB",
            few.memory + grown * options.instances, f"{MEMORY / 2**30:.0f} GiB", MEMORY,
        ),
        "data set, completing it": (
            f"{1e6 * store.complete / store.shards:.0f} µs a shard", f"{shards * store.complete / store.shards:.0f} s",
            shards * store.complete / store.shards, "a tenth of the run", 360 * hours,
        ),
        "data set, completing it on S3": (
            f"{1e3 * READS * ROUND_TRIP / CONCURRENCY:.0f} ms a shard (assumed)", f"{reads:.0f} s",
            reads, "a tenth of the run", 360 * hours,
        ),
        "data set, objects": (
            f"{store.objects / store.shards:.1f} a shard", f"{shards * store.objects / store.shards:,.0f}",
            shards * store.objects / store.shards, "ten million", 1e7,
        ),
        "MLflow": (f"{many.rows:,} rows a run", f"{many.rows:,} rows", many.rows, "a million", 1e6),
        "Prefect": (f"{many.task_runs} task runs a run", str(many.task_runs), many.task_runs, "a thousand", 1e3),
    }  # fmt: skip
    title = (
        f"{options.instances:,} instances of {options.seconds:g} s, {shards:,} shards, {options.workers:,} workers: "
        f"{hours:.2g} hours"
    )
    table = Table("component", "unit cost", "in all", "limit", "share of it", title=title)
    for component, (unit, total, value, limit, bound) in rows.items():
        table.add_row(component, unit, total, limit, f"{100 * value / bound:.2g} %")
    first = max(rows, key=lambda component: rows[component][2] / rows[component][4])
    fastest = options.workers * max(fan_out.scheduler_per_shard, fan_out.flow_per_shard)
    table.caption = (
        f"First to break: {first}. With shards of less than {fastest:.2g} s, {options.workers:,} workers wait for the "
        "scheduler or the flow."
    )
    return table


@contextmanager
def _silent(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is told to end."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


@contextmanager
def _connected(address: str, workers: int) -> Iterator[None]:
    """A client that waits for the scheduler and its workers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client = connect(address)
            break
        except OSError:
            time.sleep(0.2)
    with client:
        client.wait_for_workers(workers, timeout=PATIENCE)
        yield


def _processor(process: subprocess.Popen[bytes]) -> float:
    spent = psutil.Process(process.pid).cpu_times()
    return float(spent.user + spent.system)


def _data_set(shards: int) -> DataSet:
    [plan] = plan_data_sets(
        problem="darcy-lognormal", count=50 * shards, settings={"grid": 8}, solver="auto", preconditioner="jacobi",
        tolerance=1e-8, seed=0, shard_size=50, root="unused", out="",
    )  # fmt: skip
    data_set: DataSet = plan.data_set
    return data_set


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line, or of this process's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--instances", type=int, default=10**6, help="of the model (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1000, help="of the model (default: %(default)s)")
    parser.add_argument("--shard-size", type=int, default=50, help="of the model (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of an instance, in the model (default: %(default)s)"
    )
    parser.add_argument("--measured-workers", type=int, nargs="+", default=[10, 100, 300], help="that do nothing")
    parser.add_argument("--shards", type=int, default=2000, help="sent through the scheduler (default: %(default)s)")
    parser.add_argument("--stored-shards", type=int, nargs="+", default=[200, 2000, 20_000], help="of data sets")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20_000], help="instances of runs")
    parser.add_argument("--prefect-api", metavar="URL", help="a running Prefect server (default: its own)")
    parser.add_argument("--quick", action="store_true", help="small: the numbers mean little")
    parser.add_argument("--host", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(measured_workers=[4], shards=100, stored_shards=[5, 20], counts=[20])
    return options


if __name__ == "__main__":
    main()
