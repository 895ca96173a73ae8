"""What faults share: servers of their own processes, a process that becomes commands, and the undisturbed store."""

import os
import shutil
import struct
import subprocess
import sys

from fault_case import Case
from fault_processes import SUPPORT, answers, end, free_port, start_module, wait_for
from fault_records import logged_curves, logged_parents

from tasks.cluster import ClusterError, check_scheduler, connect

COMPILER = shutil.which("cc")


def workers_of(address):
    """How many workers a scheduler has; none where it does not answer."""
    try:
        check_scheduler(address)
        with connect(address) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])
    except (ClusterError, OSError):
        return 0


class World:
    """A Prefect server, a Dask scheduler with two workers, an MLflow server: each started when it is first needed."""

    def __init__(self, folder, template):
        self.folder, self.template = folder, template
        self.cases = 0
        self.prefect_port, self.dask_port, self.mlflow_port = free_port(), free_port(), free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))},
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.prefect_port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(SUPPORT),
            "HOME": str(folder),
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "50",
        }
        self.prefect = self.scheduler = self.mlflow = self._stem = None
        self.workers = []
        self.clock = {}  # what lets a process see the shifted clock
        self._undisturbed = None

    @property
    def prefect_database(self):
        return self.folder / "prefect" / "prefect.db"

    @property
    def mlflow_database(self):
        return self.folder / "mlflow.db"

    def start_prefect(self):
        """Start the Prefect server on the database that it had before."""
        command = ("prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(self.prefect_port))
        self.prefect = start_module(self.folder, "prefect", self.environment, *command)

    def prefect_answers(self):
        return answers(f"http://127.0.0.1:{self.prefect_port}/api/health")

    def start_scheduler(self):
        """Start a scheduler and two workers by hand, as they would be on a cluster; returns its address."""
        address = f"tcp://127.0.0.1:{self.dask_port}"
        quiet = ("--no-dashboard", "--host", "127.0.0.1")
        self.scheduler = start_module(
            self.folder, "scheduler", self.environment, "dask", "scheduler", *quiet, "--port", str(self.dask_port)
        )
        self.workers = [self.start_worker(address) for _ in range(2)]
        return address

    def start_worker(self, address):
        scratch = str(self.folder / "scratch")
        command = ("dask", "worker", address, "--no-dashboard", "--nthreads", "1", "--memory-limit", "0")
        return start_module(self.folder, "worker", self.environment, *command, "--local-directory", scratch)

    def cluster(self):
        """The address of the scheduler; it is started where it is not there."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            for worker in self.workers:
                end(worker)
            address = self.start_scheduler()
            assert wait_for(lambda: workers_of(address) == len(self.workers), pause=0.2)
            return address
        return f"tcp://127.0.0.1:{self.dask_port}"

    def start_mlflow(self):
        """Start the MLflow server on the database that it had before; returns its address."""
        address = f"http://127.0.0.1:{self.mlflow_port}"
        places = ("--backend-store-uri", f"sqlite:///{self.mlflow_database}")
        artifacts = ("--artifacts-destination", str(self.folder / "artifacts"))
        server = ("--host", "127.0.0.1", "--port", str(self.mlflow_port), "--workers", "1")
        self.mlflow = start_module(
            self.folder, "mlflow", self.environment, "mlflow", "server", *places, *artifacts, *server
        )
        return address

    def mlflow_answers(self):
        return answers(f"http://127.0.0.1:{self.mlflow_port}/health")

    def stem(self):
        """The socket of the process that becomes commands, once it and the servers are ready."""
        place = self.folder / "stem"
        if self._stem is None:
            self.start_prefect()
            self.cluster()
            self.set_clock(0)
            with (self.folder / "stem.log").open("wb") as log:
                self._stem = subprocess.Popen(
                    [sys.executable, str(SUPPORT / "stem_process.py"), str(place)],
                    env=self.environment | self._shifted_clock(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            assert wait_for(lambda: place.exists() or self._stem.poll() is not None, pause=0.1)
            assert self._stem.poll() is None, (self.folder / "stem.log").read_text()
            assert wait_for(self.prefect_answers, pause=0.1)
        return place

    def set_clock(self, seconds):
        """Let the clock of the commands, and of what they start, go ahead by so much."""
        clock = self.folder / "clock"
        clock.touch()
        with clock.open("r+b") as file:  # mapped by the processes: never truncated
            file.write(struct.pack("=q", int(seconds)))

    def _shifted_clock(self):
        library = self.folder / "shifted_clock.so"
        source = str(SUPPORT / "shifted_clock.c")
        if COMPILER is None:
            return {}
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), source, "-ldl"], check=True)
        self.clock = {"LD_PRELOAD": str(library), "ASSAY_TEST_CLOCK": str(self.folder / "clock")}
        return self.clock

    def case(self):
        """A store, and all that belongs to it, for one fault."""
        self.cases += 1
        folder = self.folder / f"case-{self.cases}"
        folder.mkdir()
        shutil.copytree(self.template, folder / "store")
        return Case(self, folder)

    def undisturbed(self):
        """The bytes of the stores, and what MLflow has, of a run that nothing disturbs."""
        if self._undisturbed is None:
            case = self.case()
            command = case.start()
            assert command.wait() == 0, case.said()
            ((parent, _),) = logged_parents(case.database, case.store)
            self._undisturbed = case.bytes(), logged_curves(case.database, parent)
            self.undisturbed_results = case.stores()[1]
        return self._undisturbed

    def close(self):
        for process in (self._stem, self.prefect, self.mlflow, self.scheduler, *self.workers):
            if process is not None:
                end(process)
