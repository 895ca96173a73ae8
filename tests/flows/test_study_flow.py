import json

import pytest
import xarray as xr
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId

from data.validation import InputError
from flows.study import StudyName, run_study
from tasks.provenance import source_digest
from tasks.study import Size
from tasks.tracking import open_tracking

STUDY = StudyName("compensated-summation")


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("study")


@pytest.fixture(scope="module")
def run(root, prefect_api, dask_cluster):
    def run(**changes):
        return run_study(STUDY, size=Size.SMALL, store=root, scheduler=dask_cluster, **changes)

    return run


@pytest.fixture(scope="module")
def report(run):
    return run()


@pytest.fixture(scope="module")
def client(root, report):
    return open_tracking(root)


@pytest.fixture(scope="module")
def parent(client, report):
    return client.get_run(report["mlflow"]["run_id"])


@pytest.fixture(scope="module")
def children(client, report):
    condition = f"tags.`mlflow.parentRunId` = '{report['mlflow']['run_id']}'"
    return client.search_runs([report["mlflow"]["experiment_id"]], condition)


def task_runs(report):
    only = FlowRunFilter(id=FlowRunFilterId(any_=[report["prefect_flow_run"]]))
    with get_client(sync_client=True) as prefect:
        return prefect.read_task_runs(flow_run_filter=only)


def test_the_report_says_what_was_asked_found_and_stored(report):
    assert (report["study"], report["size"], report["settings"]) == ("compensated-summation", "small", {})
    assert {claim["name"] for claim in report["claims"]} == {"beats-recursive", "beats-pairwise"}
    assert {claim["verdict"] for claim in report["claims"]} <= {"holds", "fails", "inconclusive"}
    assert [row["contender"] for row in report["contenders"]] == ["compensated", "recursive", "pairwise", "exact"]
    (data_set,), (results,) = report["data_sets"], report["results"]
    assert (data_set["instances"], data_set["shards"], data_set["shards_reused"]) == (24, 3, 0)
    assert (results["shards"], results["shards_reused"], results["failures"]) == (3, 0, [])
    json.dumps(report, allow_nan=False)


def test_the_stores_open_in_xarray(report):
    data = xr.open_zarr(report["data_sets"][0]["url"])
    results = xr.open_zarr(report["results"][0]["url"])
    assert data["terms"].dims == ("instance", "term")
    assert results["additions"].dims == ("instance", "contender")
    assert results.attrs["data_set"] == data.attrs["digest"] == report["data_sets"][0]["digest"]


def test_every_claim_is_a_metric_of_the_parent_run(report, parent):
    for claim in report["claims"]:
        name = f"{claim['problem']}/{claim['name']}"
        assert parent.data.metrics[f"{name}/estimate"] == pytest.approx(claim["estimate"])
        assert parent.data.metrics[f"{name}/threshold"] == claim["threshold"]
        assert parent.data.metrics[f"{name}/holds"] == (claim["verdict"] == "holds")
        assert parent.data.tags[f"verdict.{claim['problem']}.{claim['name']}"] == claim["verdict"]


def test_the_run_says_first_how_many_claims_hold(report, parent):
    verdicts = [claim["verdict"] for claim in report["claims"]]
    assert parent.data.metrics["claims/holds"] == verdicts.count("holds")
    assert sum(parent.data.metrics[f"claims/{v}"] for v in ("holds", "fails", "inconclusive")) == len(verdicts)
    assert parent.info.run_name == f"{STUDY.value} (small): 2 hold"
    note, source = (parent.data.tags[f"mlflow.{name}"] for name in ("note.content", "source.name"))
    assert note.startswith("Of 2 claims 2 hold.")
    assert "holds: cancelling-sums, beats-recursive" in note
    assert source == "assay run compensated-summation --size small"


def test_the_experiment_has_views_of_its_claims_and_of_the_contenders_of_its_last_run(report, client):
    experiment = client.get_experiment(report["mlflow"]["experiment_id"])
    states = {
        name.removeprefix("mlflow.sharedViewState."): json.loads(json.loads(value)["state"])
        for name, value in experiment.tags.items()
        if name.startswith("mlflow.sharedViewState.")
    }
    claims, contenders = states["assay-claims"], states["assay-contenders-cancelling-sums"]
    assert {f"tags.`verdict.{c['problem']}.{c['name']}`" for c in report["claims"]} < set(claims["selectedColumns"])
    for state, rows in ((claims, 1), (contenders, 4)):
        runs = client.search_runs([experiment.experiment_id], state["searchFilter"])
        assert len(runs) == rows
        for column in state["selectedColumns"]:
            kind, _, name = column.partition(".")
            assert name.strip("`") in getattr(runs[0].data, kind)
    link = f"experiments/{experiment.experiment_id}/runs?viewStateShareKey=assay-claims"
    assert link in experiment.tags["mlflow.note.content"]


def test_every_contender_is_a_child_run(report, children):
    assert {run.data.params["contender"] for run in children} == {row["contender"] for row in report["contenders"]}
    for run in children:
        row = next(row for row in report["contenders"] if row["contender"] == run.data.params["contender"])
        assert run.data.metrics["additions"] == row["additions"]
        assert run.data.metrics["cpu_seconds"] == pytest.approx(row["cpu_seconds"])
        assert run.data.tags["role"] == row["role"]


def test_every_number_leads_to_what_made_it(report, parent, children):
    from kernels.examples.compensated_summation import compensated_sum

    for run in (parent, *children):
        tags = run.data.tags
        assert tags["prefect.flow_run"] == report["prefect_flow_run"]
        assert "Neumaier" in tags["paper"]
        assert tags.keys() >= {"git_commit", "lock_digest", "python", "packages", "machine", "threads"}
        (used,) = run.inputs.dataset_inputs
        assert used.dataset.digest == report["data_sets"][0]["digest"]
    for run in children:
        assert run.data.tags["kernel_source"] == source_digest(compensated_sum)
        assert run.data.tags["data_set"] == report["data_sets"][0]["digest"]
        assert report["results"][0]["url"].startswith(run.data.tags["results"])


def test_figures_and_report_are_kept(client, report):
    run_id = report["mlflow"]["run_id"]
    figures = [item.path for item in client.list_artifacts(run_id, "figures")]
    assert figures == ["figures/claims.png", "figures/speed-up.png"], "nothing iterates: no convergence, no precision"
    assert "report.json" in [item.path for item in client.list_artifacts(run_id)]


def test_prefect_shows_the_claims_the_progress_and_where_all_of_it_lies(report):
    only = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[report["prefect_flow_run"]]))
    with get_client(sync_client=True) as prefect:
        artifacts = prefect.read_artifacts(artifact_filter=only)
    assert {artifact.type for artifact in artifacts} == {"table", "progress", "markdown"}
    assert all(artifact.data == 100.0 for artifact in artifacts if artifact.type == "progress")
    (table,) = [artifact for artifact in artifacts if artifact.type == "table"]
    assert {row["name"] for row in json.loads(table.data)} == {"beats-recursive", "beats-pairwise"}
    (text,) = [artifact.data for artifact in artifacts if artifact.type == "markdown"]
    assert report["mlflow"]["run_id"] in text
    assert report["data_sets"][0]["url"] in text


def test_the_number_of_task_runs_does_not_grow_with_instances_or_shards(run, report):
    larger = run(settings={"instances": 20, "repetitions": 5, "shard_size": 5, "length": 10})
    assert larger["data_sets"][0]["shards"] == 20
    assert len(task_runs(larger)) == len(task_runs(report)) == 4
    assert all(task.state.is_completed() for task in task_runs(larger))


def test_a_second_run_reuses_everything(run, report):
    again = run()
    assert again["data_sets"][0]["shards_reused"] == again["results"][0]["shards_reused"] == 3
    assert again["mlflow"]["run_id"] == report["mlflow"]["run_id"]
    assert again["mlflow"]["reused"]
    assert again["claims"] == report["claims"]


def test_a_fresh_run_keeps_the_data_and_makes_results_beside_those_that_exist(run, report):
    fresh = run(fresh=True)
    assert fresh["data_sets"][0]["shards_reused"] == 3
    assert fresh["results"][0]["shards_reused"] == 0
    assert report["results"][0]["url"].endswith("-1/results.zarr")
    assert fresh["results"][0]["url"].endswith("-2/results.zarr")
    assert not fresh["mlflow"]["reused"]
    for before, now in zip(report["contenders"], fresh["contenders"], strict=True):
        assert before["additions"] == now["additions"]
        assert before["distance_to_reference"] == now["distance_to_reference"]
    assert run()["results"][0]["url"] == fresh["results"][0]["url"], "the latest attempt is the one that counts"


def test_a_setting_that_does_not_exist_is_refused_before_anything_is_written(prefect_api, tmp_path):
    with pytest.raises(InputError, match="did you mean 'length'"):
        run_study(STUDY, size=Size.SMALL, settings={"lenght": 5}, store=str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []
