import json
from pathlib import Path

import pytest

from data.validation import InputError
from flows.reproduce import reproduce_run
from flows.study import StudyName, run_study
from tasks.study import Size


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("reproduce")


@pytest.fixture(scope="module")
def run_id(root, prefect_api, dask_cluster):
    report = run_study(
        StudyName("compensated-summation"),
        size=Size.SMALL,
        settings={"length": 10},
        store=root,
        scheduler=dask_cluster,
    )
    return report["mlflow"]["run_id"]


@pytest.fixture
def reproduce(root, run_id, dask_cluster, tmp_path):
    return lambda: reproduce_run(root, run_id, str(tmp_path / "scratch"), scheduler=dask_cluster)


@pytest.fixture
def logged_report(root, run_id):
    (path,) = Path(root).rglob(f"{run_id}/artifacts/report.json")
    original = path.read_text()
    yield path
    path.write_text(original)


def test_a_run_that_is_repeated_agrees_and_leaves_the_store_alone(reproduce, root):
    before = set(Path(root).rglob("*.zarr"))
    comparison = reproduce()
    assert comparison["agrees"]
    assert comparison["differing"] == {}
    assert comparison["settings"] == {"length": 10}
    assert comparison["compared"] > 20
    assert set(Path(root).rglob("*.zarr")) == before


def test_a_number_that_differs_is_named(reproduce, logged_report):
    report = json.loads(logged_report.read_text())
    report["contenders"][1]["additions"] += 1e-3
    report["claims"][0]["estimate"] = None
    logged_report.write_text(json.dumps(report))
    comparison = reproduce()
    assert not comparison["agrees"]
    claim = report["claims"][0]["name"]
    assert comparison["differing"].keys() == {
        f"cancelling-sums/{claim}/estimate",
        "cancelling-sums/recursive/additions",
    }
    assert comparison["differing"]["cancelling-sums/recursive/additions"] == {"logged": 10.001, "now": 10.0}


def test_times_are_not_compared(reproduce, logged_report):
    report = json.loads(logged_report.read_text())
    for row in report["contenders"]:
        row["cpu_seconds"] *= 1e6
    logged_report.write_text(json.dumps(report))
    assert reproduce()["agrees"]


def test_a_run_that_does_not_exist_is_refused_in_one_line(root, run_id, tmp_path):
    with pytest.raises(InputError, match="has no run 'nonsense'") as caught:
        reproduce_run(root, "nonsense", str(tmp_path / "scratch"))
    assert "\n" not in str(caught.value)


def test_a_run_of_a_contender_is_refused(root, run_id, tmp_path):
    from tasks.tracking import open_tracking

    client = open_tracking(root)
    run = client.get_run(run_id)
    child = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")[0]
    with pytest.raises(InputError, match="not the parent run of a study"):
        reproduce_run(root, child.info.run_id, str(tmp_path / "scratch"))
    assert not (tmp_path / "scratch").exists()
