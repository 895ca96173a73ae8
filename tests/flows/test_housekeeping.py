import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from files import bytes_below

from flows.cli import main
from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.study import Size
from tasks.tracking import open_tracking

NAME = "compensated-summation"


@pytest.fixture
def root(prefect_api, dask_cluster, make_root):
    """A store with two runs of one study on data sets of their own."""
    root = make_root("housekeeping")
    for settings in ({}, {"seed": 1}):
        run_study(StudyName(NAME), Size.SMALL, settings, root, dask_cluster)
    return root


def plan(root, settings):
    return plan_study(find_study(NAME), Size.SMALL, settings, root)


def stores(root, settings):
    planned = plan(root, settings)
    return sorted([*planned.folders.values(), *(planned.data_url(problem) for problem in planned.folders)])


def forget(root, seed):
    """Delete the runs of a seed in MLflow, as a user does there."""
    client = open_tracking(root)
    experiment = client.get_experiment_by_name(NAME)
    for run in client.search_runs([experiment.experiment_id], f"params.seed = '{seed}'"):
        client.delete_run(run.info.run_id)


def collect(root, *options):
    ended = CliRunner().invoke(main, ["gc", "--store", root, "--json", *options])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.output)


def age(folder, days):
    for path in Path(folder).rglob("*"):
        os.utime(path, (time.time() - days * 86400,) * 2)


def test_where_runs_and_stores_belong_together_there_is_nothing_to_do(root):
    before = bytes_below(root)
    found = collect(root, "--older-than", "0")
    assert (found["orphans"], found["deleted"], found["broken_runs"]) == ([], [], [])
    assert {name for name in before if not name.startswith("mlflow")} <= bytes_below(root).keys()


def test_a_dry_run_lists_what_no_run_refers_to_with_its_size_and_deletes_nothing(root):
    forget(root, 1)
    found = collect(root, "--dry-run", "--older-than", "0")
    assert sorted(orphan["url"] for orphan in found["orphans"]) == stores(root, {"seed": 1})
    assert {orphan["state"] for orphan in found["orphans"]} == {"complete"}
    for orphan in found["orphans"]:
        assert orphan["nbytes"] == sum(path.stat().st_size for path in Path(orphan["url"]).rglob("*") if path.is_file())
    assert found["deleted"] == []


def test_orphans_are_deleted_only_when_they_are_old_and_all_else_stays(root):
    forget(root, 1)
    old, young = stores(root, {"seed": 1})
    age(old, days=8)
    kept = {url: bytes_below(url) for url in (young, *stores(root, {}))}
    found = collect(root)
    assert found["deleted"] == [old]
    assert not Path(old).exists()
    assert {url: bytes_below(url) for url in kept} == kept


def test_what_is_no_store_is_listed_and_never_deleted(root):
    thesis = Path(root) / "results" / "thesis"
    thesis.mkdir()
    (thesis / "thesis.txt").write_text("years of work")
    found = collect(root, "--older-than", "0")
    assert [(orphan["url"], orphan["state"]) for orphan in found["orphans"]] == [(str(thesis), "foreign")]
    assert (found["deleted"], (thesis / "thesis.txt").read_text()) == ([], "years of work")


def test_runs_whose_stores_are_gone_are_named(root):
    (folder,) = plan(root, {}).folders.values()
    shutil.rmtree(folder)
    found = collect(root, "--dry-run")
    assert [run["missing"] for run in found["broken_runs"]] == [[folder]]
    printed = CliRunner().invoke(main, ["gc", "--store", root, "--dry-run"])
    assert "1 runs without a store" in printed.output


def test_a_store_in_which_nothing_was_logged_is_left_as_it_is(tmp_path):
    assert collect(str(tmp_path / "nothing"), "--older-than", "0")["orphans"] == []
    assert list(tmp_path.iterdir()) == []


def test_days_below_zero_are_refused(tmp_path):
    ended = CliRunner().invoke(main, ["gc", "--older-than", "-1", "--store", str(tmp_path)])
    assert ended.exit_code == 2
    assert "x>=0" in ended.output
