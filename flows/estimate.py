"""The plan of a data set with its cost: how long it will take and how large it will be."""

import os
from collections.abc import Sequence
from typing import Any

from flows.data_set_plan import DataSetPlan
from tasks.estimate import estimate

FEWEST_TO_SAMPLE = 500
"""Where fewer instances are to be made, a sample would cost a good part of what they do."""


def estimates(plans: Sequence[DataSetPlan], workers: int | None, fewest: int = 0) -> list[dict[str, Any]]:
    """Each plan with seconds and bytes still to come, timed on a sample if more than ``fewest`` are to be made.

    Parameters
    ----------
    plans : sequence of DataSetPlan
        Of one problem.
    workers : int or None
        Local worker processes; None for one a core.
    fewest : int
    """
    rows = []
    stores = [plan.store() for plan in plans]
    missing = [_missing_instances(plan, store.shards_present) for plan, store in zip(plans, stores, strict=True)]
    measured = estimate(plans[0].data_set) if sum(missing) > fewest else None
    for plan, store, instances in zip(plans, stores, missing, strict=True):
        layout = plan.data_set.layout()
        row = store.as_dict() | {
            "instances": plan.data_set.count,
            "instances_missing": instances,
            "instances_per_shard": layout.shard_size,
            "chunks": {
                name: layout.chunk_length(variable) for name, variable in layout.variables.items() if variable.dims
            },
        }
        if measured is not None:
            row["seconds"] = instances * measured.seconds / (workers or os.cpu_count() or 1)
            row["disk_bytes"] = plan.data_set.count * measured.nbytes
        rows.append(row)
    return rows


def _missing_instances(plan: DataSetPlan, shards_present: int) -> int:
    return max(0, plan.data_set.count - shards_present * plan.data_set.shard_size)
