import resource
from functools import partial

import numpy as np
import pytest
from data_sets import darcy
from failing_study import crash, eat, sleep
from shard_work import fill_a_list, fill_compiled

from kernels.examples.compensated_summation import exact_sum
from kernels.result import Status
from tasks.contenders import status_code
from tasks.datasets import complete_data_set, generate_shard
from tasks.execution import Batch, run_shards
from tasks.failures import Origin
from tasks.limits import Limits, limits_on, run_alone, run_watched
from tasks.memory import GIBIBYTE
from tasks.store import open_store, prepare_store
from tasks.study import Contender
from tasks.watchdog import Watchdog


@pytest.mark.parametrize(("greedy", "allowed"), [(eat, 1), (fill_a_list, 1 / 64), (fill_compiled, 1 / 8)])
def test_a_contender_that_eats_memory_fails_and_says_what_it_was_allowed(greedy, allowed):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    (outcome,) = run_alone(Limits(60.0, allowed), Contender("greedy", greedy), [np.ones(2)], 0, 0)
    assert outcome.result.status is Status.FAILED
    assert outcome.failure.startswith("MemoryError: ")
    assert outcome.failure.endswith(f"; {allowed:.3g} GiB are allowed")
    assert "Traceback" in outcome.traceback
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_contender_that_leaves_no_memory_to_note_its_failure_fails_too(monkeypatch):
    def run_out(*_):
        raise MemoryError

    monkeypatch.setattr("tasks.limits.run_contender", run_out)
    outcomes = run_alone(Limits(60.0, 1), Contender("greedy", eat), [np.ones(2)] * 3, 0, 0)
    assert [outcome.failure.startswith("MemoryError:  (run_out") for outcome in outcomes] == [True] * 3


def test_this_process_is_not_held_to_the_limits_of_a_worker(tmp_path):
    watchdog = Watchdog(str(tmp_path / "hung"), 0, 1e-3)
    (outcome,) = run_watched(Limits(1e-3, 1e-9), watchdog, Contender("exact", exact_sum), [np.ones(2**20)], 0, 0)
    assert outcome.result.converged
    assert list(tmp_path.iterdir()) == []


def test_the_workers_of_a_machine_share_its_memory(dask_cluster, monkeypatch):
    monkeypatch.setattr("tasks.limits.available_memory", lambda: 12 * GIBIBYTE)
    assert limits_on(dask_cluster, 5.0, None) == Limits(5.0, None, sharers=2)
    assert limits_on(dask_cluster, 5.0, 2.5).nbytes == 2.5 * GIBIBYTE
    assert Limits(5.0, sharers=12).nbytes == GIBIBYTE


@pytest.mark.parametrize(
    ("solve", "reason"),
    [
        (sleep, "it took longer than the limit of 1 s (sleep, failing_study.py line "),
        (crash, "it crashed, Segmentation fault (string_at, __init__.py line "),
    ],
)
def test_a_solver_that_hangs_or_crashes_leaves_its_shard_unsolved(dask_cluster, tmp_path, solve, reason):
    data_set, url = darcy(count=2, solver=Contender("suspect", solve)), str(tmp_path / "a.zarr")
    prepare_store(url, data_set.layout(), data_set.describe)
    work = partial(generate_shard, data_set, url, limits=Limits(1.0))
    ((_, report),) = run_shards(dask_cluster, [Batch(Origin("darcy"), work, [0])])
    complete_data_set(url)
    (failure,) = report["failures"]
    assert failure["reason"].startswith(reason)
    assert (report["unsolved"], report["cpu_seconds"]) == (2, 0)
    stored = open_store(url, "r")
    assert (np.asarray(stored["status"]) == status_code(Status.FAILED)).all()
    assert np.isnan(np.asarray(stored["solution"])).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
