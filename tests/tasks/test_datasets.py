from functools import partial

import numpy as np
import pytest
import xarray as xr
from data_sets import DIRECT, METRICS, darcy, generate
from files import bytes_below

from data.examples.cancelling_sums import CancellingSums
from data.examples.own_darcy import OwnDarcy
from data.pde.darcy import DarcyLognormal
from data.pde.thermal import Thermal
from data.sampling import Sampling, Split
from flows.solvers import PreconditionerName, Solver, make_solver
from kernels.linear_systems.direct import sparse_lu
from kernels.result import Status
from tasks.contenders import status_code
from tasks.datasets import SOLUTION, DataSet, complete_data_set, generate_shard, load_instances
from tasks.execution import Batch, run_shards
from tasks.failures import Origin
from tasks.storage import Storage, rounding_error
from tasks.store import prepare_store, read_shard
from tasks.study import Contender


def test_the_order_of_the_shards_does_not_change_the_store(tmp_path):
    generate(darcy(), str(tmp_path / "forward"))
    generate(darcy(), str(tmp_path / "backward"), [2, 1, 0])
    assert bytes_below(tmp_path / "forward") == bytes_below(tmp_path / "backward")


def test_the_workers_do_not_change_the_store(tmp_path, dask_cluster):
    data_set, url = darcy(), str(tmp_path / "cluster")
    generate(data_set, str(tmp_path / "here"))
    prepare_store(url, data_set.layout(), data_set.describe)
    shards = Batch(Origin("darcy"), partial(generate_shard, data_set, url), [2, 0, 1])
    assert {report["shard"] for _, report in run_shards(dask_cluster, [shards])} == {0, 1, 2}
    complete_data_set(url)
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
        darcy(parameters={"smoothness": 2.0}),
        darcy(storage=Storage(solution_bits=12)),
        darcy(split=Split.TEST),
        darcy(sampling=Sampling.SOBOL),
        darcy(solver=None),
        darcy(solver=make_solver(Solver.DIRECT, 1e-9, PreconditionerName.NONE)),
        darcy(solver=make_solver(Solver.CG, 1e-8, PreconditionerName.JACOBI)),
        DataSet(Thermal(refinement=1), 0, 5, 2, DIRECT, METRICS),
    ],
    ids=[
        "count",
        "shard size",
        "seed",
        "grid",
        "smoothness",
        "storage",
        "split",
        "sampling",
        "no solver",
        "tolerance",
        "solver",
        "problem",
    ],
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
    data_set = DataSet(Thermal(refinement=1), 0, 1, 1, DIRECT, METRICS)
    generate(data_set, str(tmp_path / "mesh"))
    opened = xr.open_zarr(tmp_path / "mesh")
    for name, values in data_set.problem.coordinates().items():
        assert opened[name].dims == ("node",)
        np.testing.assert_array_equal(opened[name], values)


def test_a_problem_without_a_solution_cannot_be_solved():
    with pytest.raises(ValueError, match="no solution"):
        DataSet(CancellingSums(), 0, 4, 2, DIRECT).layout()


def test_a_data_set_states_the_statistics_of_its_variables(tmp_path):
    generate(darcy(), str(tmp_path / "darcy"))
    stored = xr.open_zarr(tmp_path / "darcy").load()
    for name in ("coefficient", SOLUTION, "relative_residual"):
        values, stated = stored[name].values, stored[name].attrs
        assert stated["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert stated["standard_deviation"] == pytest.approx(values.std(), rel=1e-12)
        assert stated["actual_range"] == [values.min(), values.max()]
    assert "mean" not in stored["status"].attrs
    assert stored.attrs["max_relative_residual"] == stored["relative_residual"].values.max()
    assert stored.attrs["unsolved"] == 0
    assert (stored.attrs["license"], stored.attrs["Conventions"]) == ("CC0-1.0", "CF-1.11")


def fail_on_wide_media(system):
    if system.rhs.size and system.parameters.max() > 2.0:
        raise ArithmeticError("too wide")
    return sparse_lu(system.matrix, system.rhs)


def test_failed_instances_are_counted_and_not_averaged(tmp_path):
    data_set, url = darcy(count=9, solver=Contender("half", fail_on_wide_media)), str(tmp_path / "half")
    generate(data_set, url)
    stored = xr.open_zarr(url).load()
    failed = stored["status"].values == status_code(Status.FAILED)
    assert 0 < failed.sum() < 9
    assert stored.attrs["unsolved"] == stored[SOLUTION].attrs["instances_not_finite"] == failed.sum()
    assert stored[SOLUTION].attrs["mean"] == pytest.approx(stored[SOLUTION].values[~failed].mean(), rel=1e-12)
    assert "instances_not_finite" not in stored["coefficient"].attrs


def test_statistics_do_not_depend_on_an_interruption(tmp_path):
    data_set, url = darcy(), str(tmp_path / "interrupted")
    generate(data_set, str(tmp_path / "whole"))
    prepare_store(url, data_set.layout(), data_set.describe)
    generate_shard(data_set, url, 2)
    generate(data_set, url, [0, 1])
    assert bytes_below(tmp_path / "whole") == bytes_below(url)


@pytest.mark.parametrize(
    "storage",
    [
        Storage(solution_bits=12),
        Storage(parameter_bits=20, solution_bits=10),
        Storage(dtype="float32"),
        Storage(dtype="float32", solution_bits=12, chunk=1, level=9),
    ],
    ids=lambda storage: str(storage.description()),
)
def test_an_encoded_data_set_differs_by_no_more_than_it_states(tmp_path, storage):
    generate(darcy(), str(tmp_path / "exact"))
    generate(darcy(storage=storage), str(tmp_path / "encoded"))
    exact, encoded = (xr.open_zarr(tmp_path / name).load() for name in ("exact", "encoded"))
    for name, bits in (("coefficient", storage.parameter_bits), (SOLUTION, storage.solution_bits)):
        stated = storage.attributes(bits).get("largest_relative_rounding_error", 0.0)
        assert encoded[name].attrs.get("largest_relative_rounding_error", 0.0) == stated
        assert (np.abs(encoded[name] - exact[name]) <= stated * np.abs(exact[name])).all()
        assert encoded[name].dtype == storage.dtype
    xr.testing.assert_equal(encoded["relative_residual"], exact["relative_residual"])
    assert "before it was rounded" in encoded["relative_residual"].attrs["comment"]
    assert encoded["status"].dtype == np.int8
    assert rounding_error(52) < 2e-16


def test_instances_of_a_narrow_data_set_are_assembled_in_double_precision(tmp_path):
    data_set, url = darcy(storage=Storage(dtype="float32")), str(tmp_path / "narrow")
    generate(data_set, url)
    (first, *_) = load_instances(data_set, url, 0)
    assert first.matrix.dtype == np.float64


def test_chunks_that_share_a_file_are_read_one_by_one(tmp_path):
    url = tmp_path / "shared"
    generate(darcy(storage=Storage(chunk=1)), str(url))
    generate(darcy(), str(tmp_path / "separate"))
    assert sorted(path.name for path in (url / SOLUTION / "c").iterdir()) == ["0", "1", "2"]
    assert xr.open_zarr(url)[SOLUTION].encoding["chunks"] == (1, 6, 6)
    shared, separate = (xr.open_zarr(tmp_path / name).load() for name in ("shared", "separate"))
    xr.testing.assert_equal(shared[SOLUTION], separate[SOLUTION])


def test_data_of_your_own_state_no_licence(tmp_path):
    np.save(tmp_path / "media.npy", np.ones((3, 6, 6)))
    own = DataSet(OwnDarcy(grid=6, path=str(tmp_path / "media.npy")), 0, 3, 3, DIRECT, METRICS)
    assert "license" not in own.describe().attributes
