import numpy as np
import pytest

from data.examples.cancelling_sums import CancellingSums
from data.validation import InputError
from flows.data_set_plan import plan_data_sets
from flows.estimate import estimates
from flows.plan import absolute_url, plan_study, require_memory, resolve_settings
from flows.registry import find_study
from tasks.datasets import generate_shard
from tasks.store import complete_store, prepare_store
from tasks.study import Size

SUMS = find_study("compensated-summation")


def plan(root, settings=None, **options):
    return plan_study(SUMS, Size.SMALL, settings or {}, str(root), **options)


def request(root, **changes):
    defaults = {
        "problem": "darcy-lognormal", "count": 4, "settings": {"grid": 8}, "solver": "direct",
        "preconditioner": "jacobi", "tolerance": 1e-8, "seed": 0, "shard_size": 2, "root": str(root), "out": "",
    }  # fmt: skip
    return plan_data_sets(**{**defaults, **changes})[0]


def test_a_plan_writes_nothing_and_says_what_is_missing(tmp_path):
    stores = plan(tmp_path / "store").stores()
    assert [(store.state, store.shards, store.shards_present) for store in stores] == [("absent", 3, 0)] * 2
    assert stores[0].nbytes == 24 * 1000 * 8
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_is_there(tmp_path):
    planned = plan(tmp_path, {"length": 10})
    data_set, url = planned.result_sets["cancelling-sums"].data_set, planned.data_url("cancelling-sums")
    prepare_store(url, data_set.layout(), data_set.describe)
    generate_shard(data_set, url, 1)
    assert (planned.stores()[0].state, planned.stores()[0].shards_present) == ("unfinished", 1)
    for shard in (0, 2):
        generate_shard(data_set, url, shard)
    complete_store(url)
    assert (planned.stores()[0].state, planned.stores()[0].shards_present) == ("complete", 3)


def test_a_problem_whose_package_is_missing_is_refused_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(CancellingSums, "extra", "no_such")
    with pytest.raises(InputError, match=r"needs no_such.*requirements-no_such\.lock"):
        plan(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_settings_replace_those_of_the_size():
    settings = resolve_settings(SUMS, Size.SMALL, {"length": "10", "seed": 4})
    assert (settings.instances, settings.repetitions, settings.length, settings.seed) == (8, 3, 10, 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lenght": 10}, ["lenght", "did you mean 'length'"]),
        ({"length": 0}, ["length=0", "greater than or equal to 2"]),
        ({"length": 3}, ["length=3", "multiple of 2"]),
        ({"length": float("nan")}, ["length=nan"]),
        ({"instances": 0}, ["instances=0"]),
        ({"repetitions": 1}, ["repetitions=1", "greater than or equal to 2"]),
        ({"seed": -1}, ["seed=-1"]),
        ({"shard_size": 5}, ["shard_size=5 does not divide instances=8"]),
        ({"length": 10**7, "instances": 1000}, ["GiB"]),
    ],
)
def test_settings_that_are_not_allowed_are_refused_in_one_line(tmp_path, settings, words):
    with pytest.raises(InputError) as caught:
        plan(tmp_path, settings)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_memory_of_a_shard_is_bounded_not_that_of_a_data_set(tmp_path):
    large = request(tmp_path, count=10**6, settings={"grid": 256}, shard_size=50)
    assert large.store().nbytes > 10**12
    require_memory(large.data_set.layout())
    with pytest.raises(InputError, match=r"a shard of 100000 instances takes [\d,.]+ GiB of memory"):
        request(tmp_path, count=10**6, settings={"grid": 256}, shard_size=10**5)


def test_shards_never_depend_on_the_number_of_workers(tmp_path):
    assert plan(tmp_path).result_sets["cancelling-sums"].data_set.shard_size == 8
    assert plan(tmp_path, {"shard_size": 2}).result_sets["cancelling-sums"].data_set.shard_size == 2


def test_a_request_for_a_data_set_describes_itself(tmp_path):
    planned = request(tmp_path)
    assert planned.url == planned.data_set.url(str(tmp_path))
    assert request(tmp_path, **planned.request).data_set.digest == planned.data_set.digest
    assert request(tmp_path, out=str(tmp_path / "mine")).url == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, ["count=0", "at least 1"]),
        ({"count": -1}, ["count=-1", "at least 1"]),
        ({"shard_size": 0}, ["shard_size=0"]),
        ({"seed": -1}, ["seed=-1"]),
        ({"tolerance": float("nan")}, ["tolerance=nan", "between 0 and 1"]),
        ({"tolerance": 1.0}, ["tolerance=1.0"]),
        ({"problem": "darcy-lognrmal"}, ["did you mean 'darcy-lognormal'"]),
        ({"problem": "cancelling-sums", "settings": {}}, ["has no solution"]),
        ({"solver": "gmress"}, ["did you mean 'gmres'"]),
        ({"preconditioner": "jakobi"}, ["did you mean 'jacobi'"]),
        ({"sampling": "sobel"}, ["did you mean 'sobol'"]),
        ({"valid": -1}, ["valid=-1", "at least 0"]),
        ({"dtype": "float16"}, ["dtype='float16'", "float32"]),
        ({"solution_bits": 0}, ["solution_bits=0"]),
        ({"level": 99}, ["level=99"]),
    ],
)
def test_a_request_that_is_not_allowed_is_refused_in_one_line(tmp_path, changes, words):
    with pytest.raises(InputError) as caught:
        request(tmp_path, **changes)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_splits_are_data_sets_of_their_own(tmp_path):
    one = {"problem": "poisson", "settings": {"grid": 8}, "solver": "auto", "preconditioner": "none"}
    common = {**one, "count": 4, "tolerance": 1e-8, "seed": 0, "shard_size": 2, "root": str(tmp_path)}
    plans = plan_data_sets(**common, valid=2, test=3, out=str(tmp_path / "sets"))
    assert [plan.data_set.split.value for plan in plans] == ["train", "valid", "test"]
    assert [plan.data_set.count for plan in plans] == [4, 2, 3]
    assert [plan.url for plan in plans] == [str(tmp_path / "sets" / f"{n}.zarr") for n in ("train", "valid", "test")]
    assert len({plan.data_set.digest for plan in plans}) == 3
    (alone,) = plan_data_sets(**common, out=str(tmp_path / "set"))
    assert alone.url == str(tmp_path / "set")
    assert alone.data_set.digest == plans[0].data_set.digest


def test_instances_from_a_file_are_not_split(tmp_path):
    own = tmp_path / "coefficients.npy"
    np.save(own, np.ones((4, 8, 8)))
    with pytest.raises(InputError, match="give each split a file of its own"):
        request(tmp_path, problem="own-darcy", settings={"path": str(own), "grid": 8}, test=1)


def test_a_plan_is_costed_by_a_sample(tmp_path):
    plans = [request(tmp_path, count=100, settings={"grid": 8}, solver="auto", shard_size=10)]
    (costed,) = estimates(plans, workers=2)
    assert costed["instances_missing"] == 100
    assert 0 < costed["seconds"] < 100
    assert 0.3 * costed["bytes"] < costed["disk_bytes"] < 3 * costed["bytes"]
    assert (costed["chunks"], costed["instances_per_shard"]) == ({"coefficient": 10, "solution": 10}, 10)
    (not_costed,) = estimates(plans, workers=2, fewest=100)
    assert "seconds" not in not_costed
    assert list(tmp_path.iterdir()) == []


def test_a_root_is_an_absolute_path_or_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_url("store") == str(tmp_path / "store")
    assert absolute_url("s3://bucket/assay") == "s3://bucket/assay"
    assert not absolute_url("~/store").startswith("~")
