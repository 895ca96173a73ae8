"""Whether anything grows while small studies run back to back: ``python -m benchmarks.soak --studies 200``.

One flow process runs them on one cluster and one Prefect server, as a campaign does, each with a seed of its own, so
that nothing is reused. After each, the memory, open files and threads of the flow, the server and the workers are read,
and the temporary files counted. Flat means that the last quarter of the runs is where the second quarter was.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil
from rich.table import Table

from benchmarks.measure import describe_machine, print_table
from flows.cli_options import quiet

STUDIES = (
    "compensated-summation",
    "mle-pretrain-erm",
    "linf-srht-regression",
    "bsvrb",
    "sinkhorn-newton-sparse",
    "dynamic-submodular",
)
SHOWN = 5
LEAST = 4  # a quarter of the runs is one at least


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the studies and print what each kind of process holds after a fifth of them, two fifths and so on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200, help=f"how many, at least {LEAST}")
    parser.add_argument("--names", nargs="+", default=STUDIES, help="the studies that take turns")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="only 4, of the first name")
    options = parser.parse_args(arguments)
    if options.quick:
        options.studies, options.names = LEAST, options.names[:1]
    with tempfile.TemporaryDirectory(prefix="assay-soak-") as name:
        temporary = Path(name, "tmp")
        temporary.mkdir()
        os.environ.update(TMPDIR=str(temporary), PREFECT_HOME=str(Path(name, "prefect")))
        quiet(verbose=False)
        tempfile.tempdir = None  # what was looked up before TMPDIR was set
        samples: list[dict[tuple[str, str], float]] = []
        try:
            samples.extend(soak(Path(name, "store"), temporary, options.names, options.studies, options.workers))
        finally:
            if len(samples) >= LEAST:  # also where a later study failed
                print(describe_machine())
                print_table(summary(samples))


def soak(
    store: Path, temporary: Path, names: Sequence[str], count: int, workers: int
) -> Iterator[dict[tuple[str, str], float]]:
    """Run the studies; yields after each what every kind of process holds, and how many temporary files there are."""
    from flows.embedded_server import prefect_server
    from flows.study import StudyName, run_study
    from tasks.cluster import open_cluster
    from tasks.study import Size

    with prefect_server() as wait_for_prefect, open_cluster(workers=workers) as address:
        wait_for_prefect()
        for seed, name in enumerate(islice(cycle(names), count)):
            run_study(StudyName(name), size=Size.SMALL, settings={"seed": seed}, store=str(store), scheduler=address)
            sample = {("all", "temporary files"): float(sum(path.is_file() for path in temporary.rglob("*")))}
            for kind, processes in _processes().items():
                sample[kind, "memory, MiB"] = sum(p.memory_info().rss for p in processes) / 2**20
                sample[kind, "open files"] = sum(p.num_fds() for p in processes)
                sample[kind, "threads"] = sum(p.num_threads() for p in processes)
            yield sample


def _processes() -> dict[str, list[psutil.Process]]:
    """The processes below this one by what they do; the cluster's scheduler is in the flow process."""
    flow = psutil.Process()
    children = flow.children(recursive=True)
    server = [child for child in children if any("embedded_server" in word for word in child.cmdline())]
    workers = [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    return {"flow": [flow], "server": server, "workers": workers}


def summary(samples: Sequence[dict[tuple[str, str], float]]) -> Table:
    """What was held at the marks, and the mean of the last quarter of the runs relative to that of the second."""
    marks = [round(len(samples) * (part + 1) / SHOWN) for part in range(SHOWN)]
    quarter = len(samples) // 4
    columns = ["process", "holds", *(f"after {mark}" for mark in marks), "last quarter / second"]
    table = Table(*columns, title=f"{len(samples)} small studies back to back")
    for kind, measure in samples[0]:
        values = np.array([sample[kind, measure] for sample in samples])
        before, after = values[quarter : 2 * quarter].mean(), values[-quarter:].mean()
        growth = f"{after / before:.3f}" if before else f"{after:g} / 0"
        table.add_row(kind, measure, *(f"{values[mark - 1]:.0f}" for mark in marks), growth)
    return table


if __name__ == "__main__":
    main()
