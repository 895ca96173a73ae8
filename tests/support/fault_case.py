"""One store that a fault befalls: its commands, how far they are, and what must be true in the end."""

import json
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import xarray as xr
from fault_processes import MARK, SUPPORT, StemCommand, marked, wait_for
from fault_records import (
    count_points,
    count_runs,
    logged_curves,
    logged_parents,
    unfinished_flow_runs,
    unfinished_records,
)
from fault_study import NAME, SUSPECT
from files import bytes_below

from flows.plan import plan_study
from flows.registry import find_study
from tasks.results import results_url
from tasks.study import Size

SHARDS = 20
# Dask's folder for what workers spill, and the two files, not locks that are held, by which it cleans it up.
DASK_KEEPS = {"dask-scratch-space", "dask-scratch-space/global.lock", "dask-scratch-space/purge.lock"}
RUN = ("run", NAME, "--size", "small", "--json")


class Case:
    """A store in a folder of its own, with its own temporary files."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        self.store = folder / "store"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.mark = uuid.uuid4().hex
        self.database = self.store / "mlflow" / "mlflow.db"
        self.prefect_database = world.prefect_database
        self.settings = {}
        self.environment = {}
        self.options = ["--scheduler", world.cluster()]
        self.misbehaved = False  # whether a contender is to
        self.starts = 0
        self.commands = []

    # how the command is started

    def own_servers(self, workers="2"):
        """Let the command start its own Prefect server and cluster, as by default."""
        home = self.folder / "prefect"
        home.mkdir()
        self.prefect_database = home / "prefect.db"
        self.environment |= {"PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
        self.options = ["--workers", workers]

    def misbehave(self, mischief, victim, *options):
        """Let one contender do wrong on one instance."""
        self.misbehaved = True
        self.settings = {"mischief": mischief, "victim": victim}
        self.options = ["--workers", "1", *options]

    def arguments(self, *more):
        settings = [word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")]
        return [*RUN, *settings, *self.options, *more]

    def start(self, *more, **request):
        """Start the command; it is not waited for."""
        return self.start_alone(self.arguments(*more), **request)

    def start_alone(self, arguments, **request):
        """Start a command that may be another."""
        self.starts += 1
        environment = {
            **self.world.environment,
            "ASSAY_STORE": str(self.store),
            "TMPDIR": str(self.temporary),
            MARK: self.mark,
            **self.environment,
        }
        out, err = self.folder / f"out-{self.starts}", self.folder / f"err-{self.starts}"
        if environment["PREFECT_API_URL"]:
            usual = {"folder": str(self.folder), "out": str(out), "err": str(err), "environment": environment}
            command = StemCommand(self.world.stem(), {**usual, "arguments": arguments, **request})
            self.commands.append(command)
            return command
        with out.open("wb") as output, err.open("wb") as errors:
            command = subprocess.Popen(
                [sys.executable, str(SUPPORT / "own_study.py"), "fault_study", *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self.commands.append(command)
        return command

    def close(self):
        """End what a failed test has left running, so that only that test fails."""
        for command in self.commands:
            if command.poll() is None:
                command.send_signal(signal.SIGKILL)
                command.wait()
        for process in marked(self.mark):
            with suppress(psutil.Error):
                process.kill()

    def said(self):
        """What the latest command wrote to standard error."""
        return (self.folder / f"err-{self.starts}").read_text()

    def report(self):
        """What the latest command printed."""
        return json.loads((self.folder / f"out-{self.starts}").read_text())

    # how far it is

    def stores(self):
        """The data set and the results."""
        plan = plan_study(find_study(NAME), Size.SMALL, self.settings, str(self.store))
        (problem,) = plan.folders
        return Path(plan.data_url(problem)), Path(results_url(plan.folders[problem]))

    def bytes(self):
        return [bytes_below(store) for store in self.stores()]

    def is_at(self, stage, amount):
        """Whether so many shards of data set or results are written, runs in MLflow begun, or points there logged."""
        data, results = self._places
        if stage == "logging":
            return count_runs(self.database, self.store) >= amount
        if stage == "points":
            return count_points(self.database, self.store) >= amount
        return _written(results if stage == "results" else data) >= amount

    def wait_until_at(self, command, stage, amount):
        """Wait until the command is so far; False if it ended before."""
        self._places = self.stores()
        return wait_for(lambda: self.is_at(stage, amount) or command.poll() is not None) and command.poll() is None

    # what must be true in the end

    def settle(self):
        """Give the same command again and check that nothing of what happened can be seen any more."""
        before = self.bytes() if self.misbehaved else None
        command = self.start()
        assert command.wait() == 0, self.said()
        assert self.said() == ""
        stores, record = self.world.undisturbed()
        for mine, theirs in zip(self.bytes(), before or stores, strict=True):
            assert mine.keys() == theirs.keys()
            assert [name for name in mine if mine[name] != theirs[name]] == []
        if self.misbehaved:
            self.others_are_untouched()
        self.is_recorded_once(record)
        self.is_clean()

    def others_are_untouched(self):
        """What the well-behaved contenders did is what they do when nobody disturbs them."""
        mine, theirs = (
            xr.open_zarr(place).drop_vars("shard_digest").drop_sel(contender=SUSPECT).load()
            for place in (self.stores()[1], self.world.undisturbed_results)
        )
        assert mine.drop_attrs().identical(theirs.drop_attrs())

    def is_recorded_once(self, record):
        """MLflow has one run, finished, with its children, and no point of a curve twice."""
        ((parent, status),) = logged_parents(self.database, self.store)
        assert status == "FINISHED"
        statuses, points = logged_curves(self.database, parent)
        assert statuses == record[0]
        assert all(total == steps for total, steps in points.values())
        if not self.misbehaved:
            assert points == record[1]

    def is_clean(self):
        """No process, lock, temporary file or run that never ends is left."""
        assert wait_for(lambda: not marked(self.mark), 20, 0.2), [process.cmdline() for process in marked(self.mark)]
        assert unfinished_records(self.database) == []
        assert wait_for(lambda: not unfinished_flow_runs(self.prefect_database), 10, 0.2), unfinished_flow_runs(
            self.prefect_database
        )
        kept = {str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*")}
        assert kept <= DASK_KEEPS
        suspicious = [path.name for path in self.store.rglob("*") if path.suffix in {".partial", ".lock", ".tmp"}]
        assert suspicious == []
        assert {path.name for path in self.store.iterdir()} <= {"datasets", "results", "mlflow", "logs"}
        assert not list(self.store.rglob("*hung-*"))


def _written(store):
    digests = store / "shard_digest" / "c"
    return len(list(digests.glob("*/0"))) if digests.exists() else 0
