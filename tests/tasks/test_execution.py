import re
from functools import partial

import pytest
from distributed import Client, KilledWorker
from shard_work import fail_always, fail_at_first, fail_on_three, kill_its_worker_at_first, square

from data.validation import InputError
from tasks import execution
from tasks.execution import RETRIES, Batch, run_shards
from tasks.failures import Origin, ShardError

ORIGIN = Origin("a-problem", "some-study", ("assay", "run", "some-study"), "a-problem:")


def in_one_batch(address, work, arguments, shards, tell_lost=lambda *_: None):
    """The reports of shards of one batch."""
    batch = Batch(ORIGIN, partial(work, *arguments), shards)
    return (report for _, report in run_shards(address, [batch], tell_lost))


def test_every_shard_is_reported_once(dask_cluster):
    reports = list(in_one_batch(dask_cluster, square, (100,), range(10)))
    assert sorted((report["shard"], report["value"]) for report in reports) == [(i, 100 + i**2) for i in range(10)]


def test_the_shards_are_spread_over_the_workers(dask_cluster):
    assert len({report["worker"] for report in in_one_batch(dask_cluster, square, (0,), range(20))}) == 2


def test_nothing_to_do_reports_nothing(dask_cluster):
    assert list(in_one_batch(dask_cluster, square, (0,), [])) == []


def test_the_number_of_shards_in_flight_is_bounded(single_worker, monkeypatch):
    monkeypatch.setattr(execution, "IN_FLIGHT", 3)
    waiting = []
    with Client(single_worker, set_as_default=False) as client:
        for report in in_one_batch(single_worker, square, (0,), range(12)):
            waiting.append(report["shard"])
            assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) <= 3
    assert sorted(waiting) == list(range(12))


def test_a_shard_that_fails_once_is_tried_again(dask_cluster, tmp_path):
    reports = in_one_batch(dask_cluster, fail_at_first, (str(tmp_path),), range(3))
    assert sorted(report["shard"] for report in reports) == [0, 1, 2]


def test_a_shard_that_keeps_failing_is_raised_as_it_failed(dask_cluster, tmp_path):
    with pytest.raises(InputError, match="shard 3 is damaged"):
        list(in_one_batch(dask_cluster, fail_on_three, (str(tmp_path),), range(4)))
    assert len(list(tmp_path.glob("3-*"))) == 1 + RETRIES


def test_a_shard_that_cannot_be_computed_is_named_in_one_line_with_worker_reason_and_command(dask_cluster):
    with pytest.raises(ShardError) as caught:
        list(in_one_batch(dask_cluster, fail_always, (), [7]))
    assert re.fullmatch(
        r"shard 7 of some-study: a-problem: ArithmeticError: no \[7\] at all, 3 times; last residual none; "
        r"worker tcp://127\.0\.0\.1:\d+ \(process \d+ of \S+\); alone: assay run some-study --shard a-problem:7",
        str(caught.value),
    )


def test_a_shard_that_ends_every_worker_is_named_too(single_worker, monkeypatch):
    def lose(future):
        future._state.status = "error"
        raise KilledWorker("key", None, 50)

    monkeypatch.setattr("distributed.Future.result", lose)
    with pytest.raises(ShardError, match="51 workers were lost while they worked on it"):
        list(in_one_batch(single_worker, square, (0,), [7]))


def test_a_lost_worker_is_told_with_what_it_was_doing_and_its_shard_is_computed_by_another(dask_cluster, tmp_path):
    lost = []
    reports = in_one_batch(
        dask_cluster, kill_its_worker_at_first, (str(tmp_path),), range(4), lambda *told: lost.append(told)
    )
    again = {report["shard"]: report["worker"] for report in reports}
    assert again.keys() == {0, 1, 2, 3}
    ((number, failure),) = lost
    assert number == 0
    assert (failure.contender, failure.shard, failure.tried_again) == ("greedy", 0, True)
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+ \(process \d+ of \S+\)", failure.worker)
    assert failure.worker != again[0]
    assert str(failure).startswith("greedy was running on shard 0 of some-study: a-problem: the worker was lost")


def test_a_future_is_named_by_what_it_computes_and_two_runs_share_none(single_worker, tmp_path):
    with Client(single_worker, set_as_default=False) as client:
        runs = [in_one_batch(single_worker, square, (0,), range(2)) for _ in range(2)]
        for run in runs:
            next(run)
        keys = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        for run in runs:
            list(run)
    assert len(set(keys)) == len(keys) >= 2
    assert {key.rpartition("-")[0] for key in keys} <= {f"some_study/a_problem/shard-{shard}" for shard in range(2)}


def test_the_shards_of_several_batches_are_computed_side_by_side(dask_cluster):
    other = Origin("another-problem")
    batches = [Batch(ORIGIN, partial(square, 0), range(3)), Batch(other, partial(square, 100), [5, 6])]
    reports = sorted((number, report["shard"], report["value"]) for number, report in run_shards(dask_cluster, batches))
    assert reports == [(0, 0, 0), (0, 1, 1), (0, 2, 4), (1, 5, 125), (1, 6, 136)]
