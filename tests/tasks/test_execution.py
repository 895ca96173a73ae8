import pytest
from distributed import Client
from shard_work import fail_at_first, fail_on_three, square

from data.validation import InputError
from tasks import execution
from tasks.execution import RETRIES, run_shards


def test_every_shard_is_reported_once(dask_cluster):
    reports = list(run_shards(dask_cluster, square, (100,), range(10)))
    assert sorted((report["shard"], report["value"]) for report in reports) == [(i, 100 + i**2) for i in range(10)]


def test_the_shards_are_spread_over_the_workers(dask_cluster):
    assert len({report["worker"] for report in run_shards(dask_cluster, square, (0,), range(20))}) == 2


def test_nothing_to_do_reports_nothing(dask_cluster):
    assert list(run_shards(dask_cluster, square, (0,), [])) == []


def test_the_number_of_shards_in_flight_is_bounded(single_worker, monkeypatch):
    monkeypatch.setattr(execution, "IN_FLIGHT", 3)
    waiting = []
    with Client(single_worker, set_as_default=False) as client:
        for report in run_shards(single_worker, square, (0,), range(12)):
            waiting.append(report["shard"])
            assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) <= 3
    assert sorted(waiting) == list(range(12))


def test_a_shard_that_fails_once_is_tried_again(dask_cluster, tmp_path):
    reports = run_shards(dask_cluster, fail_at_first, (str(tmp_path),), range(3))
    assert sorted(report["shard"] for report in reports) == [0, 1, 2]


def test_a_shard_that_keeps_failing_is_raised_as_it_failed(dask_cluster, tmp_path):
    with pytest.raises(InputError, match="shard 3 is damaged"):
        list(run_shards(dask_cluster, fail_on_three, (str(tmp_path),), range(4)))
    assert len(list(tmp_path.glob("3-*"))) == 1 + RETRIES
