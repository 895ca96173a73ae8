"""What every computing command does first: check all that can be refused, then start what takes long, side by side."""

import contextlib
from collections.abc import Callable, Iterator

from flows.embedded_server import prefect_server
from tasks.cluster import LOCAL, check_scheduler, opening_cluster
from tasks.store import require_writable


@contextlib.contextmanager
def computing(root: str, scheduler: str, workers: int | None) -> Iterator[Callable[[], str]]:
    """Yield a function that waits for all servers and returns the address of the Dask scheduler.

    The Prefect server and the cluster start in the background while MLflow is imported and its database made ready.

    Raises
    ------
    InputError
        If the store cannot be written to, or a server that is named does not answer.
    """
    require_writable(root)
    if scheduler != LOCAL:
        check_scheduler(scheduler)
    with prefect_server() as wait_for_prefect, opening_cluster(scheduler, workers) as address:
        from tasks.tracking import open_tracking

        open_tracking(root)

        def ready() -> str:
            wait_for_prefect()
            return address()

        yield ready
