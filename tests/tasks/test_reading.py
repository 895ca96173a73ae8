import numpy as np
import pytest

from data.problem import Variable
from tasks.layout import Description, Layout
from tasks.reading import Samples, shuffled_batches
from tasks.store import complete_store, prepare_store, write_shard

COUNT = 53
NAMES = ("coefficient", "solution")
VARIABLES = {name: Variable(("x",), (3,), name) for name in NAMES}


@pytest.fixture(scope="module", params=[None, 1], ids=["a file a chunk", "a file a shard"])
def url(request, tmp_path_factory):
    """Instance i has coefficient i and solution -i."""
    layout = Layout("0123", COUNT, 10, VARIABLES, chunk=request.param)
    url = str(tmp_path_factory.mktemp("reading") / "numbers.zarr")
    for shard in prepare_store(url, layout, lambda: Description({}, {})):
        rows = layout.rows(shard)
        values = np.repeat(np.arange(rows.start, rows.stop, dtype=float)[:, None], 3, axis=1)
        write_shard(url, layout, shard, {"coefficient": values, "solution": -values})
    complete_store(url)
    return url


def test_a_sample_holds_the_variables_of_one_instance(url):
    samples = Samples(url)
    assert len(samples) == COUNT
    coefficient, solution = samples[52]
    assert coefficient.dtype == np.float32
    assert coefficient.tolist() == [52.0] * 3
    assert solution.tolist() == [-52.0] * 3


def test_samples_can_be_iterated_and_end(url):
    assert [int(coefficient[0]) for coefficient, _ in Samples(url)] == list(range(COUNT))


def test_many_samples_come_in_the_order_asked_for_also_twice(url):
    wanted = [41, 3, 3, 52, 0]
    assert [int(coefficient[0]) for coefficient, _ in Samples(url).__getitems__(wanted)] == wanted


def test_an_unknown_variable_is_refused(url):
    with pytest.raises(KeyError):
        Samples(url, ("pressure",))


@pytest.mark.parametrize("window", [1, 2, 6, 100])
@pytest.mark.parametrize("batch_size", [1, 7, 10, 53, 100])
def test_every_instance_is_in_one_batch_and_variables_stay_together(url, window, batch_size):
    batches = list(shuffled_batches(url, batch_size=batch_size, window=window))
    coefficients = np.concatenate([coefficient for coefficient, _ in batches])
    assert sorted(coefficients[:, 0]) == list(range(COUNT))
    assert all((coefficient == -solution).all() for coefficient, solution in batches)
    assert [len(coefficient) for coefficient, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches) == -(-COUNT // batch_size)


def order(url, **options):
    return np.concatenate([batch[0][:, 0] for batch in shuffled_batches(url, batch_size=5, **options)]).tolist()


def test_the_order_is_that_of_the_seed(url):
    assert order(url, seed=1) == order(url, seed=1)
    assert order(url, seed=1) != order(url, seed=2)
    assert order(url, seed=1) != list(range(COUNT))


def test_a_window_of_all_shards_mixes_all_instances(url):
    halves = [np.mean(order(url, seed=seed, window=100)[: COUNT // 2]) for seed in range(40)]
    assert np.mean(halves) == pytest.approx((COUNT - 1) / 2, abs=2.0)
    assert np.std(halves) > 1.0


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"batch_size": 1, "window": 0}])
def test_sizes_below_one_are_refused(url, option):
    with pytest.raises(ValueError, match="must be at least 1"):
        next(shuffled_batches(url, **option))
