"""Real damage to real data sets, and what the check makes of it."""

import json
import shutil

import numpy as np
import pytest
import zarr
from data_sets import darcy, generate

from data.examples.cancelling_sums import CancellingSums
from data.pde.darcy import DarcyLognormal
from data.validation import InputError
from kernels.linear_systems.direct import sparse_lu
from kernels.result import Result, Status
from tasks.check import NotADataSetError, check_data_set
from tasks.datasets import DataSet
from tasks.storage import Storage
from tasks.store import read_shard, write_shard
from tasks.study import Contender

CHECKS = {
    "problem",
    "identity",
    "metadata",
    "shapes",
    "digests",
    "finite",
    "statistics",
    "duplicates",
    "certificate",
    "coordinates",
    "verification",
    "parameters",
    "residuals",
}


def failed(url, sample=5):
    """What fails, by name."""
    checks = check_data_set(str(url), sample)
    assert {check.name for check in checks} <= CHECKS
    assert all("\n" not in check.detail for check in checks)
    return {check.name: check.detail for check in checks if not check.passed}


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    url = tmp_path_factory.mktemp("intact") / "darcy.zarr"
    generate(darcy(), str(url))
    return url


@pytest.fixture
def url(intact, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(intact, tmp_path / "darcy.zarr")


def test_an_intact_data_set_passes_every_check(intact):
    checks = check_data_set(str(intact), 5)
    assert {check.name for check in checks if check.passed} == CHECKS
    details = {check.name: check.detail for check in checks}
    assert details["parameters"] == "5 of 5 sampled instances made again bit by bit"
    assert "unsolved = 0" in details["certificate"]


@pytest.mark.parametrize(
    "storage",
    [
        Storage(solution_bits=8),
        Storage(parameter_bits=6, solution_bits=30),
        Storage(dtype="float32"),
        Storage(dtype="float32", solution_bits=6, parameter_bits=6, chunk=1, level=9),
    ],
    ids=lambda storage: str(storage.description()),
)
def test_an_encoded_data_set_passes_within_the_error_that_it_states(tmp_path, storage):
    generate(darcy(storage=storage), str(tmp_path / "encoded"))
    assert failed(tmp_path / "encoded") == {}


def test_a_data_set_without_solutions_passes(tmp_path):
    generate(darcy(solver=None), str(tmp_path / "media"))
    generate(DataSet(CancellingSums(length=10), 3, 4, 2), str(tmp_path / "sums"))
    assert failed(tmp_path / "media") == failed(tmp_path / "sums") == {}


def give_up(system):
    if system.parameters.max() > 2.0:
        raise ArithmeticError("too wide")
    return sparse_lu(system.matrix, system.rhs)


def test_unsolved_instances_that_are_stated_pass(tmp_path):
    generate(darcy(count=9, solver=Contender("half", give_up)), str(tmp_path / "half"))
    (certificate,) = (c for c in check_data_set(str(tmp_path / "half"), 9) if c.name == "certificate")
    assert certificate.passed
    assert "unsolved = 0" not in certificate.detail
    assert failed(tmp_path / "half", sample=9) == {}


def halfway(system):
    """Claims to have converged when it has not."""
    result = sparse_lu(system.matrix, system.rhs)
    return Result(result.value * (1.0 + 1e-3), Status.CONVERGED, result.history)


def test_a_solver_that_does_not_keep_its_tolerance_is_found_out(tmp_path):
    generate(darcy(solver=Contender("halfway", halfway, {})), str(tmp_path / "darcy"))
    assert failed(tmp_path / "darcy") == {}  # no tolerance is promised
    promising = DataSet(
        DarcyLognormal(grid=6), 0, 5, 2, Contender("halfway", promise, {"tolerance": 1e-8}), darcy().metrics
    )
    generate(promising, str(tmp_path / "promising"))
    assert "tolerance 1e-08" in failed(tmp_path / "promising")["residuals"]


def promise(system, *, tolerance):
    return halfway(system)


def flip_a_byte(chunk):
    damaged = bytearray(chunk.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    chunk.write_bytes(damaged)


def truncate(chunk):
    chunk.write_bytes(chunk.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, lambda chunk: chunk.unlink()], ids=["flip", "cut", "remove"])
@pytest.mark.parametrize("array", ["coefficient", "solution", "shard_digest", "shard_moments"])
def test_a_damaged_chunk_is_found_with_its_shard(url, damage, array):
    damage(next(path for path in sorted((url / array / "c" / "1").rglob("*")) if path.is_file()))
    assert "shards 1 are damaged" in failed(url)["digests"]


def test_a_nan_that_somebody_wrote_is_found(url):
    zarr.open_group(url)["solution"][3, 2, 2] = np.nan
    found = failed(url)
    assert "solution of instances 3 is not finite" in found["finite"]
    assert "shards 1" in found["digests"]
    assert "instance 3" in found["residuals"]


def rewrite(url, change, shard=1):
    """Change a shard as one who knows how to leave a valid digest."""
    layout = darcy().layout()
    arrays = read_shard(str(url), layout, shard)
    change(arrays)
    write_shard(str(url), layout, shard, arrays)


def test_a_nan_under_a_valid_digest_is_found(url):
    rewrite(url, lambda arrays: arrays["coefficient"].__setitem__((0, 0, 0), np.inf))
    found = failed(url)
    assert "digests" not in found
    assert "coefficient of instances 2 is not finite" in found["finite"]
    assert {"statistics", "parameters"} <= found.keys()


def test_a_solution_of_another_system_under_a_valid_digest_is_found(url):
    rewrite(url, lambda arrays: arrays["solution"].__imul__(1.001))
    found = failed(url)
    assert "instance 2" in found["residuals"]
    assert {"digests", "finite", "parameters"}.isdisjoint(found)


def duplicate(arrays):
    for values in arrays.values():
        values[1] = values[0]


def test_a_duplicated_instance_is_found(url):
    rewrite(url, duplicate)
    found = failed(url)
    assert found["duplicates"] == "instances 2, 3 have the same parameters"
    assert "instances [3] differ" in found["parameters"]


def edit(url, change, *below):
    """Change the metadata of a group or an array."""
    document = url.joinpath(*below, "zarr.json")
    content = json.loads(document.read_text())
    change(content)
    document.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("seed", 1, "identity"),
        ("seed", 1, "parameters"),
        ("count", 4, "identity"),
        ("count", 4, "shapes"),
        ("solver_options", {"tolerance": 1e-20}, "identity"),
        ("solver_options", {"tolerance": 1e-20}, "certificate"),
        ("solver_options", "none", "identity"),
        ("seed", -1, "problem"),
        ("unsolved", 3, "certificate"),
        ("max_relative_residual", 0.0, "certificate"),
        ("observed_order", 3.0, "verification"),
        ("problem", "darcy-lognrmal", "problem"),
        ("problem_version", 0, "problem"),
        ("parameters", {"grid": 6}, "problem"),
        ("sampling", "dice", "problem"),
        ("shard_size", 1, "digests"),
        ("digest", "0123", "identity"),
    ],
)
def test_a_changed_attribute_is_found(url, name, value, check):
    edit(url, lambda content: content["attributes"].update({name: value}))
    assert check in failed(url)


def test_changed_statistics_are_found(url):
    edit(url, lambda content: content["attributes"].update(mean=1.0), "solution")
    found = failed(url)
    assert "mean of solution" in found["statistics"]
    assert "solution" in found["metadata"]


@pytest.mark.parametrize("array", ["coefficient", "solution", "status"])
def test_a_missing_array_is_named(url, array):
    shutil.rmtree(url / array)
    found = failed(url)
    assert found["shapes"] == f"{array} is missing"
    assert {"metadata", "digests"} <= found.keys()


@pytest.mark.parametrize("array", ["relative_residual", "shard_digest", "shard_moments"])
def test_an_array_that_is_no_field_but_missing_is_found(url, array):
    shutil.rmtree(url / array)
    assert "metadata" in failed(url)


@pytest.mark.parametrize("coordinate", ["x", "y"])
def test_a_coordinate_that_is_missing_or_wrong_is_found(url, coordinate):
    zarr.open_group(url)[coordinate][0] = 0.3
    assert f"{coordinate} is not that of the problem" in failed(url)["coordinates"]
    shutil.rmtree(url / coordinate)
    assert f"{coordinate} cannot be read" in failed(url)["coordinates"]


def test_the_sample_is_as_large_as_asked_for(intact):
    (parameters,) = (check for check in check_data_set(str(intact), 2) if check.name == "parameters")
    assert parameters.detail.startswith("2 of 2")
    with pytest.raises(InputError, match="sample=0"):
        check_data_set(str(intact), 0)


def test_what_is_no_data_set_is_refused(tmp_path, url):
    (tmp_path / "thesis.txt").write_text("years of work")
    zarr.open_group(tmp_path / "foreign.zarr", mode="w").create_array("years_of_work", data=np.arange(3))
    for place in (tmp_path / "nothing", tmp_path, tmp_path / "thesis.txt", tmp_path / "foreign.zarr"):
        with pytest.raises(NotADataSetError, match="is not a data set of Assay"):
            check_data_set(str(place), 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state", "unfinished", "unfinished"),
        ("format_version", 1, "format version 1"),
        ("problem", None, "lack problem"),
        ("shard_size", 0, "no instances"),
    ],
)
def test_a_store_that_is_no_finished_data_set_is_refused_and_says_why(url, name, value, words):
    edit(url, lambda content: content["attributes"].update({name: value}))
    with pytest.raises(NotADataSetError, match=words):
        check_data_set(str(url), 1)
