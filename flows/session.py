"""What every computing command does first: check all that can be refused, then start what takes long, side by side."""

import contextlib
import os
from collections.abc import Callable, Iterator

from flows.dead_runs import end_dead_flow_runs, process_tags
from flows.embedded_server import prefect_server
from flows.mishaps import mishaps_in_one_line
from flows.prefect_api import check_prefect_server
from tasks.cluster import check_scheduler, opening_cluster
from tasks.places import require_writable


@contextlib.contextmanager
def computing(root: str, scheduler: str, workers: int | None) -> Iterator[Callable[[], str]]:
    """Yield a function that waits for all servers and returns the address of the Dask scheduler.

    The Prefect server and the cluster start in the background while MLflow is imported and its database made ready.
    Flow runs of this machine whose process is gone are taken out of the state "Running" before the first flow begins.
    Those that start in the body carry the name of this process.

    Raises
    ------
    InputError
        If the store cannot be written to, or a server that is named does not answer, now or later on.
    """
    require_writable(root)
    check_scheduler(scheduler, workers)
    check_prefect_server()
    # MLflow's default of seven would wait for four minutes for a server that is gone.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    with (
        mishaps_in_one_line(root),
        prefect_server() as wait_for_prefect,
        opening_cluster(scheduler, workers) as address,
    ):
        from prefect import tags

        from tasks.tracking import open_tracking

        open_tracking(root)

        def ready() -> str:
            wait_for_prefect()
            end_dead_flow_runs()
            return address()

        with tags(*process_tags()):
            yield ready
