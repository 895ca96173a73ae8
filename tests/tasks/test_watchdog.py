import subprocess
import sys
from functools import partial
from signal import Signals

import pytest
import xarray as xr
from data_sets import generate
from shard_work import hang

from data.examples.cancelling_sums import CancellingSums
from kernels.examples.compensated_summation import exact_sum
from kernels.result import Status
from tasks.cluster import open_cluster
from tasks.contenders import status_code
from tasks.datasets import DataSet
from tasks.execution import Batch, is_replaceable, run_shards
from tasks.failures import Origin
from tasks.limits import Limits
from tasks.results import ResultSet, results_url, run_shard, timings_url
from tasks.store import complete_store, prepare_store
from tasks.study import Agreement, Contender, relative_distance, work_metric
from tasks.watchdog import Watchdog

DATA_SET = DataSet(CancellingSums(length=10), 0, 4, 2)
RESULTS = ResultSet(
    study="sums",
    problem="cancelling-sums",
    data_set=DATA_SET,
    instances_per_repetition=2,
    contenders=(Contender("hangs", hang), Contender("exact", exact_sum), Contender("hangs-too", hang)),
    metrics=(work_metric("additions", "additions"),),
    agreement=Agreement("exact", 1e-6, relative_distance),
    history_length=2,
    history_label="error",
)
STACKS = """Timeout (0:00:05)!
Thread 0x1 (most recent call first):
  File "/opt/selectors.py", line 468 in select
  File "/opt/threading.py", line 982 in run

Thread 0x2 (most recent call first):
  File "/opt/kernels/iteration.py", line 12 in iterate
  File "/opt/tasks/contenders.py", line 60 in run_contender
"""
CRASH = """
import os
import sys
from tasks.watchdog import Watchdog

def crash():
    os.kill(os.getpid(), int(sys.argv[2]))

def compute():
    crash()

with Watchdog(sys.argv[1], 3, 5.0).watch("a"):
    compute()
"""


@pytest.mark.slow
@pytest.mark.timeout(200)  # four workers end and four are started
def test_contenders_that_hang_fail_and_the_others_do_not(tmp_path):
    data_url, folder = str(tmp_path / "data.zarr"), str(tmp_path / "results")
    generate(DATA_SET, data_url)
    prepare_store(timings_url(folder), RESULTS.timing_layout(), RESULTS.describe_timings)
    prepare_store(results_url(folder), RESULTS.layout(), RESULTS.describe)
    with open_cluster(workers=2) as address:
        work = (RESULTS, data_url, folder, Limits(5.0))
        shards = Batch(Origin("sums"), partial(run_shard, *work), RESULTS.layout().shards)
        reports = [report for _, report in run_shards(address, [shards])]
    complete_store(timings_url(folder))
    complete_store(results_url(folder))
    assert sorted(report["shard"] for report in reports) == [0, 1]
    for report in reports:
        assert {failure["contender"] for failure in report["failures"]} == {"hangs", "hangs-too"}
        for failure in report["failures"]:
            assert "longer than the limit of 5 s (hang, shard_work.py line" in failure["reason"]
    status = xr.open_zarr(results_url(folder))["status"].load()
    assert (status.sel(contender=["hangs", "hangs-too"]) == status_code(Status.FAILED)).all()
    assert (status.sel(contender="exact") == status_code(Status.CONVERGED)).all()
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["results.zarr", "timings.zarr"]


def test_this_process_is_never_ended():
    assert not is_replaceable()


def test_what_ends_in_time_leaves_nothing(tmp_path):
    watchdog = Watchdog(str(tmp_path / "hung"), 3, 100.0)
    with pytest.raises(ArithmeticError), watchdog.watch("a"):
        raise ArithmeticError
    assert watchdog.why_it_ended("a", "run_contender") is None
    watchdog.forget()
    assert list(tmp_path.iterdir()) == []


def test_the_word_names_the_innermost_frame_of_the_contender(tmp_path):
    watchdog = Watchdog(str(tmp_path / "hung"), 3, 5.0)
    (tmp_path / "hung-3-a-5s").write_text(STACKS)
    late = "it took longer than the limit of 5 s"
    assert watchdog.why_it_ended("a", "run_contender") == f"{late} (iterate, iteration.py line 12)"
    assert watchdog.why_it_ended("a", "another") == f"{late} (place unknown)"
    assert watchdog.why_it_ended("b", "run_contender") is None
    longer = Watchdog(str(tmp_path / "hung"), 3, 10.0)
    assert longer.why_it_ended("a", "run_contender") is None, "a longer limit is a new try"


@pytest.mark.parametrize("signal", [Signals.SIGSEGV, Signals.SIGABRT])
def test_the_word_of_a_crash_names_its_signal_and_where_it_was(tmp_path, signal):
    place = str(tmp_path / "hung")
    ended = subprocess.run([sys.executable, "-c", CRASH, place, str(int(signal))], check=False)
    assert ended.returncode == -signal
    reason = Watchdog(place, 3, 5.0).why_it_ended("a", "compute")
    name = {Signals.SIGSEGV: "Segmentation fault", Signals.SIGABRT: "Aborted"}[signal]
    assert reason == f"it crashed, {name} (crash, <string> line 7)"


def test_the_words_of_other_shards_are_kept(tmp_path):
    for shard in (3, 30):
        (tmp_path / f"[1].hung-{shard}-a-5s").write_text(STACKS)
    Watchdog(str(tmp_path / "[1].hung"), 3, 7.0).forget()
    assert [path.name for path in tmp_path.iterdir()] == ["[1].hung-30-a-5s"]


def test_beside_a_remote_store_the_word_lies_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Watchdog("s3://bucket/results/sums-1/hung", 0, 5.0).watch("a"):
        assert [path.name for path in tmp_path.iterdir()] == ["s3-bucket-results-sums-1-hung-0-a-5s"]
