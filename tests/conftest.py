"""The services that the tests share: one Prefect server, one Dask cluster of two processes, one of a single thread."""

import logging
import os
import shutil
import signal

import hypothesis
import pytest
from commands import Assay

# A runner that is itself a background job ignores SIGINT, and so would every command that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Prefect and MLflow read these when they are first imported.
os.environ.update(
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_SERVER_LOGGING_LEVEL="CRITICAL",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
)
for configured in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "ASSAY_STORE"):
    os.environ.pop(configured, None)

hypothesis.settings.register_profile("untimed", deadline=None)  # a first call may compile
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep on one process what shares a fixture of its module: a file or, where a file runs over studies, a study."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        item.add_marker(pytest.mark.xdist_group(f"{item.location[0]} {parameters.get('study', '')}"))


@pytest.fixture(scope="session")
def prefect_api():
    """The address of a running Prefect server, which flows in this process use."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value()


@pytest.fixture(scope="session")
def dask_cluster():
    """The address of a cluster of two worker processes."""
    from tasks.cluster import open_cluster

    with open_cluster(workers=2) as address:
        yield address


@pytest.fixture(scope="session")
def single_worker():
    """The address of a cluster of one worker, a thread of this process."""
    import dask
    from distributed import LocalCluster

    from tasks.cluster import CONFIGURATION

    with (
        dask.config.set(CONFIGURATION),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # None alone asks for port 8787
            memory_limit=0,
            silence_logs=logging.ERROR,
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def make_root(tmp_path_factory):
    """Makes folders for stores, each with an MLflow database that is migrated already: migrating takes seconds."""
    from tasks.tracking import open_tracking

    template = tmp_path_factory.mktemp("template")
    open_tracking(str(template))

    def make(name):
        root = tmp_path_factory.mktemp(name)
        shutil.copytree(template, root, dirs_exist_ok=True)
        return str(root)

    return make


@pytest.fixture
def assay(tmp_path, prefect_api):
    """The command line, run in a temporary folder with a store below it."""
    commands = Assay(tmp_path, prefect_api)
    yield commands
    commands.stop_all()
