"""The fan-out: one Dask future a shard, retried where a worker is lost, reported as it finishes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from distributed import as_completed, get_worker

from tasks.cluster import connect

RETRIES = 2
IN_FLIGHT = 1000

ShardReport = dict[str, Any]


def is_replaceable() -> bool:
    """Whether this process may end without harm: that of a Dask worker with one thread, whose nanny starts another."""
    try:
        worker = get_worker()
    except ValueError:
        return False
    return worker.nanny is not None and worker.state.nthreads == 1


def run_shards(
    address: str, work: Callable[..., ShardReport], arguments: Sequence[Any], shards: Sequence[int]
) -> Iterator[ShardReport]:
    """Run ``work(*arguments, shard)`` for every shard on the cluster and yield the reports as they come.

    At most IN_FLIGHT shards wait on the scheduler, so that its and this process's memory stay bounded. The exception
    of a shard that fails all its retries is raised here.
    """
    function = partial(work, *arguments)
    with connect(address) as client:

        def submit(shard: int) -> Any:
            return client.submit(function, shard, retries=RETRIES, pure=False)

        waiting = iter(shards)
        completed = as_completed([submit(shard) for shard in islice(waiting, IN_FLIGHT)], loop=client.loop)
        for future in completed:
            report = future.result()
            future.release()
            for shard in islice(waiting, 1):
                completed.add(submit(shard))
            yield report
