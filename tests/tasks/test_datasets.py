import numpy as np
import pytest
import xarray as xr
from files import bytes_below

from data.examples.cancelling_sums import CancellingSums
from data.pde.darcy import DarcyLognormal
from data.pde.thermal import Thermal
from flows.solvers import SOLVER_METRICS, PreconditionerName, Solver, make_solver
from kernels.result import Status
from tasks.contenders import status_code
from tasks.datasets import SOLUTION, DataSet, generate_shard, load_instances
from tasks.execution import run_shards
from tasks.store import complete_store, prepare_store, read_shard
from tasks.study import Contender

DIRECT = make_solver(Solver.DIRECT, 1e-8, PreconditionerName.NONE)


def darcy(count=5, shard_size=2, seed=0, grid=6, solver=DIRECT, **parameters):
    return DataSet(
        DarcyLognormal(grid=grid, **parameters), seed, count, shard_size, solver, SOLVER_METRICS if solver else ()
    )


def generate(data_set, url, shards=None):
    prepare_store(url, data_set.layout(), data_set.describe)
    reports = [generate_shard(data_set, url, shard) for shard in shards or data_set.layout().shards]
    complete_store(url)
    return reports


def test_the_order_of_the_shards_does_not_change_the_store(tmp_path):
    generate(darcy(), str(tmp_path / "forward"))
    generate(darcy(), str(tmp_path / "backward"), [2, 1, 0])
    assert bytes_below(tmp_path / "forward") == bytes_below(tmp_path / "backward")


def test_the_workers_do_not_change_the_store(tmp_path, dask_cluster):
    data_set, url = darcy(), str(tmp_path / "cluster")
    generate(data_set, str(tmp_path / "here"))
    prepare_store(url, data_set.layout(), data_set.describe)
    assert {r["shard"] for r in run_shards(dask_cluster, generate_shard, (data_set, url), [2, 0, 1])} == {0, 1, 2}
    complete_store(url)
    assert bytes_below(tmp_path / "here") == bytes_below(tmp_path / "cluster")


def test_an_instance_does_not_depend_on_the_size_of_its_shard(tmp_path):
    fields = []
    for shard_size in (1, 2, 5):
        url = str(tmp_path / str(shard_size))
        generate(darcy(shard_size=shard_size), url)
        fields.append(xr.open_zarr(url)["coefficient"].values)
    assert fields[0].tobytes() == fields[1].tobytes() == fields[2].tobytes()


def test_an_instance_does_not_depend_on_the_number_of_instances(tmp_path):
    generate(darcy(count=5), str(tmp_path / "few"))
    generate(darcy(count=7), str(tmp_path / "many"))
    few, many = (xr.open_zarr(tmp_path / name)["coefficient"].values for name in ("few", "many"))
    np.testing.assert_array_equal(few, many[:5])


@pytest.mark.parametrize(
    "changed",
    [
        darcy(count=6),
        darcy(shard_size=3),
        darcy(seed=1),
        darcy(grid=7),
        darcy(smoothness=2.0),
        darcy(solver=None),
        darcy(solver=make_solver(Solver.DIRECT, 1e-9, PreconditionerName.NONE)),
        darcy(solver=make_solver(Solver.CG, 1e-8, PreconditionerName.JACOBI)),
        DataSet(Thermal(refinement=1), 0, 5, 2, DIRECT, SOLVER_METRICS),
    ],
    ids=["count", "shard size", "seed", "grid", "smoothness", "no solver", "tolerance", "solver", "problem"],
)
def test_the_digest_changes_with_every_parameter(changed):
    assert changed.digest != darcy().digest
    assert changed.url("root") != darcy().url("root")


def test_the_digest_does_not_depend_on_how_the_parameters_are_given():
    one, other = DarcyLognormal(grid=6, smoothness=2.0), DarcyLognormal(smoothness=2.0, grid=6)
    assert DataSet(one, 0, 5, 2).digest == DataSet(other, 0, 5, 2).digest
    assert DataSet(DarcyLognormal(), 0, 5, 2).digest == DataSet(DarcyLognormal(grid=64), 0, 5, 2).digest


def test_a_solution_is_stored_with_its_true_residual(tmp_path):
    data_set, url = darcy(), str(tmp_path / "darcy")
    reports = generate(data_set, url)
    assert all(report["unsolved"] == 0 for report in reports)
    stored = xr.open_zarr(url).load()
    assert stored[SOLUTION].dims == ("instance", "y", "x")
    assert (stored["status"] == status_code(Status.CONVERGED)).all()
    systems = [system for shard in data_set.layout().shards for system in load_instances(data_set, url, shard)]
    for i, system in enumerate(systems):
        residual = np.linalg.norm(system.rhs - system.matrix @ stored[SOLUTION].values[i].ravel())
        assert stored["relative_residual"].values[i] == pytest.approx(residual / np.linalg.norm(system.rhs), rel=1e-12)
        assert stored["relative_residual"].values[i] <= 1e-8


def fail_on_the_second(system):
    raise ArithmeticError("never solved")


def test_an_unsolved_instance_is_counted_and_holds_no_numbers(tmp_path):
    data_set, url = darcy(solver=Contender("broken", fail_on_the_second)), str(tmp_path / "broken")
    assert [report["unsolved"] for report in generate(data_set, url)] == [2, 2, 1]
    stored = xr.open_zarr(url)
    assert (stored["status"] == status_code(Status.FAILED)).all()
    assert np.isnan(stored[SOLUTION]).all()
    assert np.isnan(stored["relative_residual"]).all()
    assert np.isfinite(stored["coefficient"]).all()


def test_loaded_instances_are_those_that_were_generated(tmp_path):
    data_set, url = DataSet(CancellingSums(length=10), 3, 4, 2), str(tmp_path / "sums")
    generate(data_set, url)
    stored = np.concatenate([load_instances(data_set, url, shard) for shard in (0, 1)])
    np.testing.assert_array_equal(stored, read_whole(data_set, url, "terms"))


def read_whole(data_set, url, name):
    return np.concatenate([read_shard(url, data_set.layout(), shard)[name] for shard in data_set.layout().shards])


def test_a_data_set_tells_what_made_it(tmp_path):
    data_set, url = darcy(), str(tmp_path / "darcy")
    generate(data_set, url)
    opened = xr.open_zarr(url)
    assert opened["coefficient"].dims == ("instance", "y", "x")
    np.testing.assert_allclose(opened["x"], (np.arange(6) + 0.5) / 6)
    assert opened.attrs["problem"] == "darcy-lognormal"
    assert opened.attrs["parameters"]["grid"] == 6
    assert (opened.attrs["seed"], opened.attrs["count"]) == (0, 5)
    assert opened.attrs["solver"] == "direct"
    assert opened.attrs["observed_order"] == pytest.approx(2.0, abs=0.2)
    assert {"references", "git_commit", "lock_digest", "packages", "problem_source"} <= opened.attrs.keys()


def test_a_coordinate_of_a_mesh_lies_along_the_dimension_of_its_length(tmp_path):
    data_set = DataSet(Thermal(refinement=1), 0, 1, 1, DIRECT, SOLVER_METRICS)
    generate(data_set, str(tmp_path / "mesh"))
    opened = xr.open_zarr(tmp_path / "mesh")
    for name, values in data_set.problem.coordinates().items():
        assert opened[name].dims == ("node",)
        np.testing.assert_array_equal(opened[name], values)


def test_a_problem_without_a_solution_cannot_be_solved():
    with pytest.raises(ValueError, match="no solution"):
        DataSet(CancellingSums(), 0, 4, 2, DIRECT).layout()
