from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from files import bytes_below
from result_sets import compute_results

from data.examples.cancelling_sums import CancellingSums
from kernels.examples.compensated_summation import compensated_sum, exact_sum, recursive_sum
from kernels.result import Result, Status
from tasks import contenders
from tasks.contenders import status_code
from tasks.datasets import DataSet, generate_shard
from tasks.limits import Limits
from tasks.results import DISTANCE, ResultSet, results_url, run_shard, timings_url
from tasks.store import DamagedShardError, complete_store, prepare_store
from tasks.study import Agreement, Contender, relative_distance, work_metric

DATA_SET = DataSet(CancellingSums(length=10), 0, 6, 2)
called = []


def named(name):
    """A contender that leaves its name when it runs and takes a step for every term."""

    def method(terms):
        called.append(name)
        return Result(exact_sum(terms).value, Status.CONVERGED, np.arange(terms.size, dtype=float), {"additions": 1})

    return Contender(name, method)


def always_raise(terms):
    raise ArithmeticError("no sum")


def overflow(terms):
    return Result(np.array([np.inf]), Status.NOT_FINITE, np.array([1.0, np.inf]), {"additions": 1})


EXACT = Contender("exact", exact_sum)


def result_set(*contenders, history_length=4, data_set=DATA_SET, **changes):
    given = {
        "study": "sums",
        "problem": "cancelling-sums",
        "data_set": data_set,
        "instances_per_repetition": 2,
        "contenders": contenders or (Contender("compensated", compensated_sum), EXACT),
        "metrics": (work_metric("additions", "additions"),),
        "agreement": Agreement("exact", 1e-6, relative_distance),
        "history_length": history_length,
        "history_label": "error",
    }
    return ResultSet(**{**given, **changes})


@pytest.fixture
def data_url(tmp_path):
    url = str(tmp_path / "sums.zarr")
    prepare_store(url, DATA_SET.layout(), DATA_SET.describe)
    for shard in DATA_SET.layout().shards:
        generate_shard(DATA_SET, url, shard)
    complete_store(url)
    return url


def run(results, data_url, folder):
    reports = compute_results(results, data_url, str(folder))
    return reports, xr.open_zarr(results_url(str(folder))).load()


def test_the_contender_that_begins_rotates_from_shard_to_shard(tmp_path, data_url):
    results = result_set(named("a"), named("b"), EXACT)
    for contender in results.contenders[:2]:
        contenders.run_contender(contender, [np.ones(2)], 0, 0)
    orders = {}
    prepare_store(timings_url(str(tmp_path)), results.timing_layout(), results.describe_timings)
    prepare_store(results_url(str(tmp_path)), results.layout(), results.describe)
    for shard in (0, 1, 2):
        called.clear()
        run_shard(results, data_url, str(tmp_path), Limits(60.0), shard)
        orders[shard] = "".join(called)
    assert orders == {0: "aabb", 1: "bbaa", 2: "aabb"}


def test_the_columns_do_not_depend_on_who_began(tmp_path, data_url):
    _, table = run(result_set(), data_url, tmp_path)
    assert table["contender"].values.tolist() == ["compensated", "exact"]
    np.testing.assert_array_equal(table["additions"], np.tile([40, 10], (6, 1)))
    np.testing.assert_array_equal(table["repetition"], [0, 0, 1, 1, 2, 2])


def test_results_repeat_byte_for_byte_and_in_any_order(tmp_path, data_url):
    run(result_set(), data_url, tmp_path / "one")
    compute_results(result_set(), data_url, str(tmp_path / "other"), shards=(2, 0, 1))
    one, other = (bytes_below(results_url(str(tmp_path / name))) for name in ("one", "other"))
    assert one == other


def test_a_contender_that_raises_is_recorded_and_does_not_disturb_the_others(tmp_path, data_url):
    reports, table = run(result_set(Contender("broken", always_raise), EXACT), data_url, tmp_path)
    assert all([failure["contender"] for failure in report["failures"]] == ["broken"] for report in reports)
    (failure,) = reports[1]["failures"]
    assert failure["reason"].startswith("ArithmeticError: no sum (always_raise, line ")
    assert failure["reason"].endswith("(instance 2 and 1 more)")
    assert failure["last_residual"] is None
    broken, exact = table.sel(contender="broken"), table.sel(contender="exact")
    assert (broken["status"] == status_code(Status.FAILED)).all()
    assert np.isnan(broken["additions"]).all()
    assert np.isnan(broken[DISTANCE]).all()
    assert (broken["steps"] == 0).all()
    assert (exact["status"] == status_code(Status.CONVERGED)).all()
    assert (exact[DISTANCE] == 0).all()


def test_a_reference_that_raises_leaves_no_distances(tmp_path, data_url):
    _, table = run(
        result_set(Contender("compensated", compensated_sum), Contender("exact", always_raise)), data_url, tmp_path
    )
    assert np.isnan(table[DISTANCE]).all()
    assert (table.sel(contender="compensated")["status"] == status_code(Status.CONVERGED)).all()


def test_a_value_that_is_not_finite_has_no_finite_distance(tmp_path, data_url):
    reports, table = run(result_set(Contender("overflow", overflow), EXACT), data_url, tmp_path)
    assert reports[0]["failures"] == [
        {"contender": "overflow", "reason": f"{Status.NOT_FINITE} (instance 0 and 1 more)", "last_residual": 1.0}
    ]
    assert not np.isfinite(table.sel(contender="overflow")[DISTANCE]).any()


def test_a_history_is_kept_up_to_the_length_that_the_study_allows(tmp_path, data_url):
    _, table = run(result_set(named("long"), EXACT), data_url, tmp_path)
    long, exact = table.sel(contender="long"), table.sel(contender="exact")
    np.testing.assert_array_equal(long["history"], np.tile(np.arange(4.0), (6, 1)))
    assert (long["steps"] == 4).all()
    assert (exact["steps"] == 0).all()
    assert np.isnan(exact["history"]).all()


def test_times_lie_in_a_store_of_their_own(tmp_path, data_url):
    _, table = run(result_set(), data_url, tmp_path)
    timings = xr.open_zarr(timings_url(str(tmp_path)))
    assert set(timings) >= {"cpu_seconds", "wall_seconds"}
    assert (timings["wall_seconds"] > 0).all()
    assert not set(table) & {"cpu_seconds", "wall_seconds"}
    assert "machine" in timings.attrs
    assert "machine" not in table.attrs


def test_a_damaged_data_set_is_refused_before_any_contender_runs(tmp_path, data_url):
    (Path(data_url) / "terms" / "c" / "0" / "0").unlink()
    with pytest.raises(DamagedShardError, match="shard 0"):
        run(result_set(named("never"), EXACT), data_url, tmp_path)
    assert "never" not in called


@pytest.mark.parametrize(
    "changed",
    [
        result_set(data_set=DataSet(CancellingSums(length=10), 1, 6, 2)),
        result_set(EXACT, Contender("compensated", compensated_sum)),
        result_set(Contender("compensated", recursive_sum, {"order": 1}), EXACT),
        result_set(metrics=()),
        result_set(agreement=Agreement("compensated", 1e-6, relative_distance)),
        result_set(history_length=5),
    ],
    ids=["data", "order", "options", "metrics", "reference", "history"],
)
def test_the_digest_changes_with_what_the_results_depend_on(changed):
    assert changed.digest != result_set().digest
    assert changed.url("root", 1) != result_set().url("root", 1)


def test_every_attempt_has_a_folder_of_its_own():
    assert result_set().url("root", 1) != result_set().url("root", 2)
