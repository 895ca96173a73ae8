import numpy as np
import pytest
import xarray as xr
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from data.sampling import Sampling
from data.validation import InputError
from flows.generate import ProblemName, generate_data_set
from flows.solvers import Solver
from tasks.tracking import open_tracking

DARCY = ProblemName("darcy-lognormal")
SMALL = {"problem": DARCY, "count": 6, "settings": {"grid": 8}, "shard_size": 2}


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("generate")


@pytest.fixture(scope="module")
def generate(root, prefect_api, dask_cluster):
    def generate(**changes):
        return generate_data_set(**{**SMALL, "store": root, "scheduler": dask_cluster, **changes})

    return generate


@pytest.fixture(scope="module")
def report(generate):
    return generate()


def task_runs(report):
    only = FlowRunFilter(id=FlowRunFilterId(any_=[report["prefect_flow_run"]]))
    with get_client(sync_client=True) as prefect:
        return prefect.read_task_runs(flow_run_filter=only)


def test_a_data_set_is_made_solved_and_reported(report):
    (made,) = report["data_sets"]
    assert (made["instances"], made["shards"], made["shards_reused"], made["unsolved"]) == (6, 3, 0, 0)
    stored = xr.open_zarr(made["url"])
    assert stored["solution"].sizes == {"instance": 6, "y": 8, "x": 8}
    assert (stored["relative_residual"] <= 1e-8).all()


def test_its_run_in_mlflow_leads_to_what_made_it(report, root):
    run = open_tracking(root).get_run(report["mlflow"]["run_id"])
    (made,) = report["data_sets"]
    assert run.data.tags["data_set"] == made["digest"]
    assert run.data.tags["data_set_url"] == made["url"]
    assert run.data.tags["prefect.flow_run"] == report["prefect_flow_run"]
    assert run.data.tags.keys() >= {"git_commit", "lock_digest", "kernel_source", "paper", "threads"}
    assert run.data.params["problem.grid"] == "8"
    assert (run.data.params["solver"], run.data.params["tolerance"]) == ("auto", "1e-08")
    assert run.data.metrics["solved_by.lanes"] == 6
    assert run.data.metrics["cost"] > 0
    assert run.data.metrics["fallbacks"] == 0
    assert run.data.metrics["unsolved"] == 0
    assert [used.dataset.digest for used in run.inputs.dataset_inputs] == [made["digest"]]


def test_the_number_of_task_runs_does_not_grow_with_instances_or_shards(generate, report):
    larger = generate(count=20, shard_size=1)
    assert larger["data_sets"][0]["shards"] == 20
    assert len(task_runs(larger)) == len(task_runs(report)) == 2


def test_a_second_run_reuses_the_data_set_and_its_record(generate, report):
    again = generate()
    assert again["data_sets"][0]["shards_reused"] == 3
    assert again["data_sets"][0]["url"] == report["data_sets"][0]["url"]
    assert (again["mlflow"]["run_id"], again["mlflow"]["reused"]) == (report["mlflow"]["run_id"], True)


def test_a_data_set_may_lie_anywhere(generate, report, tmp_path):
    placed = generate(out=str(tmp_path / "mine.zarr"))
    assert placed["data_sets"][0]["digest"] == report["data_sets"][0]["digest"]
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "mine.zarr"), xr.open_zarr(report["data_sets"][0]["url"]))


def test_recycling_within_shards_solves_to_the_same_tolerance(generate):
    (made,) = generate(solver=Solver.SKR, count=4)["data_sets"]
    assert made["unsolved"] == 0
    assert (xr.open_zarr(made["url"])["relative_residual"] <= 1e-8).all()


def test_splits_share_no_instances(generate, tmp_path):
    made = generate(valid=2, test=4, out=str(tmp_path))["data_sets"]
    sets = [xr.open_zarr(report["url"]) for report in made]
    assert [(one.attrs["split"], one.sizes["instance"]) for one in sets] == [("train", 6), ("valid", 2), ("test", 4)]
    drawn = np.concatenate([one["coefficient"].values for one in sets]).reshape(12, -1)
    assert len(np.unique(drawn, axis=0)) == 12


def test_low_discrepancy_points_make_other_instances(generate, report):
    made = [generate(sampling=sampling)["data_sets"][0] for sampling in (Sampling.SOBOL, Sampling.LATTICE)]
    stored = [xr.open_zarr(one["url"])["coefficient"].values for one in (*made, *report["data_sets"])]
    assert all(one["unsolved"] == 0 for one in made)
    assert not np.array_equal(stored[0], stored[1])
    assert not np.array_equal(stored[0], stored[2])


def test_trajectories_are_solved_step_by_step(generate):
    (made,) = generate(problem=ProblemName("heat"), settings={"grid": 8, "steps": 5}, count=3)["data_sets"]
    stored = xr.open_zarr(made["url"])
    assert stored["solution"].sizes == {"instance": 3, "time": 6, "y": 8, "x": 8}
    assert (stored["relative_residual"] <= 1e-8).all()
    assert "solver" not in stored


def test_unsolved_instances_are_reported(generate):
    (made,) = generate(solver=Solver.CG, count=2, tolerance=1e-30)["data_sets"]
    assert made["unsolved"] == 2


def test_a_place_that_holds_something_else_is_refused_and_left_alone(generate, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a store of Assay"):
        generate(out=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
