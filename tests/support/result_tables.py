"""A result set of two contenders, and tables of what they did, that the tests of scores and figures share."""

import numpy as np
import xarray as xr

from data.examples.cancelling_sums import CancellingSums
from kernels.examples.compensated_summation import exact_sum
from kernels.result import Status
from tasks.contenders import status_code
from tasks.datasets import DataSet
from tasks.results import DISTANCE, ResultSet
from tasks.study import Agreement, Contender, relative_distance, work_metric

RESULTS = ResultSet(
    study="sums",
    problem="darcy",
    data_set=DataSet(CancellingSums(length=10), 0, 4, 2),
    instances_per_repetition=2,
    contenders=(Contender("new", exact_sum, role="method"), Contender("old", exact_sum)),
    metrics=(work_metric("additions", "additions"),),
    agreement=Agreement("old", 1e-6, relative_distance),
    history_length=3,
    history_label="error",
)
CONVERGED, FAILED, STUCK = (status_code(s) for s in (Status.CONVERGED, Status.FAILED, Status.STAGNATED))


def table(new_seconds=1.0, old_seconds=2.0, **columns):
    """Four instances in two repetitions; columns replace what is stored, as pairs (new, old) of four values."""
    defaults = {
        "additions": ([1, 2, 3, 4], [5, 5, 5, 5]),
        DISTANCE: (np.zeros(4), np.zeros(4)),
        "cpu_seconds": (np.full(4, new_seconds), np.full(4, old_seconds)),
        "wall_seconds": (np.ones(4), np.ones(4)),
        "status": ([CONVERGED] * 4, [CONVERGED] * 4),
    }
    variables = {
        name: (("instance", "contender"), np.array(pair, float).T) for name, pair in {**defaults, **columns}.items()
    }
    return xr.Dataset(variables, coords={"contender": ["new", "old"], "repetition": ("instance", [0, 0, 1, 1])})


def histories(*rows, length=5, contenders=("new",)):
    """One instance a row, on which every contender has that history."""
    history = np.full((len(rows), len(contenders), length), np.nan)
    for i, row in enumerate(rows):
        history[i, :, : len(row)] = row
    steps = np.array([[len(row)] * len(contenders) for row in rows])
    return xr.Dataset(
        {"history": (("instance", "contender", "step"), history), "steps": (("instance", "contender"), steps)},
        coords={"contender": list(contenders)},
    )
