"""What the pipeline itself costs, apart from the methods that it runs: ``python -m benchmarks.pipeline``.

Two costs: the fixed one of a command, from the shell to the prompt, and the one of each instance. The study is
``compensated-summation``, whose methods take microseconds. Everything lies in a temporary folder.
"""

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.measure import describe_machine, print_table
from data.problem import make_fields
from flows.defaults import TIME_LIMIT
from flows.embedded_server import prefect_server
from flows.plan import StudyPlan, plan_study
from flows.registry import find_study
from tasks.contenders import run_contender
from tasks.datasets import generate_shard, load_instances
from tasks.limits import Limits
from tasks.results import results_url, run_shard, timings_url
from tasks.scoring import judge_claims, load_table, median_curve, summarise
from tasks.store import prepare_store, read_shard, write_shard
from tasks.study import Size

STUDY = "compensated-summation"
FIXED_TARGET = 12.0
INSTANCE_TARGET = 0.5e-3
CONFIGURED = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "ASSAY_STORE")
LENGTH = 10
SHARDS_AGAIN = 6

# Each runs alone in an interpreter of its own; inside the command they overlap.
PARTS = {
    "interpreter and command line": "import flows.cli",
    "the same, all imports of a study": "import flows.cli, flows.study",
    "Prefect server, from start to health": (
        "from flows.embedded_server import prefect_server\nwith prefect_server() as wait: wait()"
    ),
    "Dask cluster, opened and closed": "from tasks.cluster import open_cluster\nwith open_cluster(): pass",
    "MLflow, imported and its database made": (
        "import sys\nfrom tasks.tracking import open_tracking\nopen_tracking(sys.argv[1])"
    ),
}


@dataclass(frozen=True)
class Spent:
    """What a command took: elapsed and processor seconds with its children, and its own peak memory in bytes."""

    wall: float
    cpu: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(arguments)
    table = Table("what", "measured", "target", title="Costs of the pipeline itself")
    with threadpool_limits(1):
        print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as name, _isolated(Path(name)) as folder:
        if "fixed" in options.parts:
            _add_fixed_cost(table, folder, options)
        if "instances" in options.parts:
            _add_cost_per_instance(table, folder, options)
    print_table(table)


@contextlib.contextmanager
def _isolated(folder: Path) -> Iterator[Path]:
    """No setting of the user's is seen, and all that Prefect keeps lies in the folder."""
    before = dict(os.environ)
    for key in CONFIGURED:
        os.environ.pop(key, None)
    os.environ.update(PREFECT_HOME=str(folder / "prefect"), PREFECT_SERVER_ANALYTICS_ENABLED="false")
    try:
        yield folder
    finally:
        os.environ.clear()
        os.environ.update(before)


def _add_fixed_cost(table: Table, folder: Path, options: argparse.Namespace) -> None:
    run_study(folder / "migrates-prefect", {})
    stores = [folder / f"fixed-{repetition}" for repetition in range(options.repetitions)]
    for label, target in (("fresh store", f"at most {FIXED_TARGET:g} s"), ("reused store", "")):
        spent = [run_study(store, {}) for store in stores]
        table.add_row(f"assay run, {label}: elapsed s", _median_and_range([s.wall for s in spent]), target)
        table.add_row("    processor s, all its processes", _median_and_range([s.cpu for s in spent]), "")
    for number, (label, code) in enumerate(PARTS.items()):
        alone = run([sys.executable, "-W", "ignore", "-c", code, str(folder / f"part-{number}")])
        table.add_row(f"    alone: {label}", f"{alone.wall:.1f} s, {alone.cpu:.1f} s of processor", "")
    table.add_section()


def _add_cost_per_instance(table: Table, folder: Path, options: argparse.Namespace) -> None:
    stores = {count: folder / f"instances-{count}" for count in options.counts}
    spent: dict[int, Spent] = {}
    if options.prefect_api:
        os.environ["PREFECT_API_URL"] = options.prefect_api
    with prefect_server() as wait:
        wait()
        if not options.quick:
            run_study(folder / "warm-up", _size(options.counts[0], options.shard_size))
        for count, store in stores.items():
            before = count_task_runs()
            spent[count] = run_study(store, _size(count, options.shard_size))
            table.add_row(f"{count:,} instances, Prefect running: elapsed s", f"{spent[count].wall:.1f}", "")
            table.add_row("    peak memory of the flow process, MiB", f"{spent[count].memory / 2**20:.0f}", "bounded")
            table.add_row("    Prefect task runs", str(count_task_runs() - before), "constant")
    few, many = options.counts[0], options.counts[-1]
    if many > few:
        # What the smaller run takes is the fixed cost.
        elapsed, processor = (
            1e3 * (getattr(spent[many], of) - getattr(spent[few], of)) / (many - few) for of in ("wall", "cpu")
        )
        label = f"per instance: elapsed ms, {os.cpu_count()} workers"
        table.add_row(label, f"{elapsed:.3f}", f"below {1e3 * INSTANCE_TARGET:g} ms")
        table.add_row("    processor ms, all processes", f"{processor:.3f}", "")
    plan = plan_study(find_study(STUDY), Size.SMALL, _size(many, options.shard_size), str(stores[many]))
    with threadpool_limits(1):
        costs = {"in a worker": cost_in_workers(plan, folder / "again"), "in the flow process": cost_in_flow(plan)}
    for place, steps in costs.items():
        for label, microseconds in steps.items():
            table.add_row(f"    {place}: {label}, µs", f"{microseconds:.1f}", "")


def cost_in_workers(plan: StudyPlan, scratch: Path) -> dict[str, float]:
    """Microseconds per instance of what a worker does, for shards of a finished run done again in this process.

    They are written to new stores: a file that replaces one just written waits for the disk.
    """
    [(problem, results)] = plan.result_sets.items()
    data_set = results.data_set
    stored = [plan.data_url(problem), results_url(plan.folders[problem]), timings_url(plan.folders[problem])]
    layouts = [data_set.layout(), results.layout(), results.timing_layout()]
    descriptions = [data_set.describe, results.describe, results.describe_timings]
    whole, written = (
        [str(scratch / name / "data.zarr"), results_url(str(scratch / name)), timings_url(str(scratch / name))]
        for name in ("whole", "written")
    )
    for urls in (whole, written):
        for url, layout, description in zip(urls, layouts, descriptions, strict=True):
            prepare_store(url, layout, description)
    seconds: dict[str, float] = defaultdict(float)
    shards = range(min(SHARDS_AGAIN, layouts[0].shard_count))
    for shard in shards:
        rows = layouts[0].rows(shard)
        arrays = [read_shard(url, layout, shard) for url, layout in zip(stored, layouts, strict=True)]
        instances = load_instances(data_set, stored[0], shard)
        steps: dict[str, list[Callable[[], object]]] = {
            "all": [
                partial(generate_shard, data_set, whole[0], shard),
                partial(run_shard, results, whole[0], str(scratch / "whole"), Limits(TIME_LIMIT), shard),
            ],
            "draw the data": [
                partial(make_fields, data_set.problem, data_set.seed, index) for index in range(rows.start, rows.stop)
            ],
            "run the contenders": [
                partial(run_contender, contender, instances, data_set.seed, rows.start)
                for contender in results.contenders
            ],
            "write the stores": [
                partial(write_shard, url, layout, shard, values)
                for url, layout, values in zip(written, layouts, arrays, strict=True)
            ],
            "read the data set": [partial(load_instances, data_set, stored[0], shard)],
        }
        for label, calls in steps.items():
            elapsed = _elapsed(calls)
            # The first shard warms up.
            seconds[label] += elapsed if shard else 0.0
    seconds["score, copy and the rest"] = 2 * seconds["all"] - sum(seconds.values())
    measured = (len(shards) - 1) * data_set.shard_size
    return {label: 1e6 * value / measured for label, value in seconds.items()}


def cost_in_flow(plan: StudyPlan) -> dict[str, float]:
    """Microseconds per instance of what the flow process does with the results of a finished run."""
    [results] = plan.result_sets.values()
    tables = {name: load_table(folder) for name, folder in plan.folders.items()}
    [table] = tables.values()
    claims = plan.study.claims(plan.settings)
    steps: dict[str, list[Callable[[], object]]] = {
        "table of contenders": [partial(summarise, results, table)],
        "judge the claims": [partial(judge_claims, claims, tables)],
        "curves": [partial(median_curve, table, contender.name) for contender in results.contenders],
    }
    return {label: 1e6 * _elapsed(calls) / plan.settings.count for label, calls in steps.items()}


def _elapsed(calls: Sequence[Callable[[], object]]) -> float:
    started = time.perf_counter()
    for call in calls:
        call()
    return time.perf_counter() - started


def run_study(store: Path, settings: dict[str, int]) -> Spent:
    """Run the study as a user would."""
    assignments = [f"--set={key}={value}" for key, value in settings.items()]
    command = str(Path(sys.executable).parent / "assay")
    return run([command, "run", STUDY, "--size", "small", "--store", str(store), *assignments])


def run(command: list[str]) -> Spent:
    """Run a command to its end and measure it.

    Raises
    ------
    RuntimeError
        If it fails; the message holds what it said.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    memory = 0
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
            try:
                while process.poll() is None:
                    memory = max(memory, _peak_memory(process.pid))
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.1)
            finally:
                process.terminate()
        wall = time.perf_counter() - started
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} ends with {process.returncode}: {output.read().decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory)


def _peak_memory(process: int) -> int:
    """The largest resident set of a running process so far, in bytes; 0 where /proc does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    return 0


def count_task_runs() -> int:
    """The task runs that the Prefect server in PREFECT_API_URL knows."""
    response = httpx.post(f"{os.environ['PREFECT_API_URL']}/task_runs/count", json={}, timeout=30)
    return int(response.raise_for_status().json())


def _size(count: int, shard_size: int) -> dict[str, int]:
    return {"instances": count // 2, "repetitions": 2, "length": LENGTH, "shard_size": min(shard_size, count // 2)}


def _median_and_range(values: Sequence[float]) -> str:
    return f"{np.median(values):.1f} ({min(values):.1f} .. {max(values):.1f})"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parts = ("fixed", "instances")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="what to measure (default: both)")
    parser.add_argument("--repetitions", type=int, default=3, help="of the fixed cost (default: %(default)s)")
    parser.add_argument(
        "--counts",
        type=int,
        nargs="+",
        default=[1000, 100_000],
        help="even numbers of instances (default: 1000 100000)",
    )
    parser.add_argument("--shard-size", type=int, default=1000, help="instances per shard (default: %(default)s)")
    parser.add_argument(
        "--prefect-api", metavar="URL", help="a running Prefect server for the part on instances (default: its own)"
    )
    parser.add_argument("--quick", action="store_true", help="one small run, not warmed up: the numbers mean little")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(parts=["instances"], counts=[100], shard_size=25)
    return options


if __name__ == "__main__":
    main()
