import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kstest
from scipy.stats.qmc import Sobol, discrepancy

from data.examples.cancelling_sums import CancellingSums
from data.pde.darcy import DarcyLognormal
from data.pde.thermal import Thermal
from data.problem import instance_generator, instance_index, make_fields
from data.sampling import (
    _GENERATING_VECTOR,
    DIMENSIONS,
    MOST_POINTS,
    PointGenerator,
    Sampling,
    Split,
    _randomisation,
    sample_generator,
)

LOW_DISCREPANCY = [Sampling.SOBOL, Sampling.LATTICE]
ALL = [(sampling, split) for sampling in Sampling for split in Split]


def points(sampling, count, seed=0, split=Split.TRAIN, dimensions=DIMENSIONS):
    return np.array([sample_generator(sampling, seed, split, index).random(dimensions) for index in range(count)])


def point_generator(point, seed=0):
    return PointGenerator(np.random.PCG64(seed), np.asarray(point))


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (7, 3), (2**40, 2**33)])
def test_monte_carlo_training_instances_are_the_streams_they_always_were(seed, index):
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,))))
    expected = stream.standard_normal(5)
    np.testing.assert_array_equal(
        sample_generator(Sampling.MONTE_CARLO, seed, Split.TRAIN, index).standard_normal(5), expected
    )
    np.testing.assert_array_equal(instance_generator(seed, index).standard_normal(5), expected)


def test_making_fields_without_a_sampling_is_monte_carlo_on_the_training_split():
    problem = DarcyLognormal(grid=8)
    plain = make_fields(problem, 3, 4)["coefficient"]
    np.testing.assert_array_equal(
        make_fields(problem, 3, 4, sampling=Sampling.MONTE_CARLO, split=Split.TRAIN)["coefficient"], plain
    )
    for sampling, split in ALL[1:]:
        assert not np.array_equal(make_fields(problem, 3, 4, sampling=sampling, split=split)["coefficient"], plain)


def test_no_two_splits_samplings_instances_or_spawned_generators_share_a_stream():
    states = []
    for sampling, split in ALL:
        for index in range(10):
            generator = sample_generator(sampling, 0, split, index)
            states += [g.bit_generator.state["state"]["state"] for g in (generator, *generator.spawn(12))]
    states += [_randomisation(0, kind).bit_generator.state["state"]["state"] for kind in range(9)]
    assert len(set(states)) == len(states)


@pytest.mark.parametrize("sampling", LOW_DISCREPANCY)
def test_no_two_splits_or_seeds_share_a_point(sampling):
    sets = [points(sampling, 8, seed, split) for seed in range(2) for split in Split]
    assert len(np.unique(np.concatenate(sets)[:, 0])) == 48


@pytest.mark.parametrize(("sampling", "split"), ALL)
def test_instances_can_be_made_in_any_order(sampling, split):
    forward = [sample_generator(sampling, 5, split, index).random(70) for index in range(6)]
    backward = [sample_generator(sampling, 5, split, index).random(70) for index in reversed(range(6))]
    np.testing.assert_array_equal(forward, backward[::-1])


@pytest.mark.parametrize(("sampling", "split"), ALL)
def test_the_index_of_an_instance_is_known(sampling, split):
    assert [instance_index(sample_generator(sampling, 0, split, index)) for index in (0, 17)] == [0, 17]


def test_sobol_points_are_those_of_the_sequence_in_the_middle_of_their_intervals():
    sequence = Sobol(DIMENSIONS, scramble=True, bits=30, rng=_randomisation(0, 3)).random(64)
    np.testing.assert_array_equal(points(Sampling.SOBOL, 64), sequence + 2.0**-31)


def test_a_power_of_two_of_lattice_points_is_a_whole_lattice():
    unshifted = (points(Sampling.LATTICE, 64) - points(Sampling.LATTICE, 1)) % 1.0 * 64
    np.testing.assert_allclose(np.sort(np.round(unshifted) % 64, axis=0), np.arange(64)[:, None] + np.zeros(DIMENSIONS))
    np.testing.assert_allclose(unshifted, np.round(unshifted), atol=1e-9)
    assert len({tuple(row) for row in (np.round(unshifted) % 64).astype(int)}) == 64


@pytest.mark.parametrize("count", [2**8, 2**10, 2**13])
def test_the_lattices_are_better_than_random_points_and_than_most_random_lattices(count):
    weights = 2.0 * np.pi**2 / np.arange(1, DIMENSIONS + 1) ** 2

    def squared_error(vector):
        places = np.outer(np.arange(count), vector) % count / count
        return np.prod(1.0 + weights * (places**2 - places + 1.0 / 6.0), axis=1).mean() - 1.0

    random = np.random.default_rng(0)
    others = [squared_error(2 * random.integers(count // 2, size=DIMENSIONS) + 1) for _ in range(20)]
    of_random_points = (np.prod(1.0 + weights / 6.0) - 1.0) / count
    assert squared_error(_GENERATING_VECTOR) < 0.5 * of_random_points
    assert squared_error(_GENERATING_VECTOR) < np.median(others)


@pytest.mark.parametrize("sampling", LOW_DISCREPANCY)
def test_the_points_are_more_even_than_random_ones(sampling):
    random = points(Sampling.MONTE_CARLO, 256, dimensions=6)
    assert discrepancy(points(sampling, 256, dimensions=6)) < 0.3 * discrepancy(random)


@pytest.mark.parametrize(("sampling", "margin"), [(Sampling.SOBOL, 4.0), (Sampling.LATTICE, 2.0)])
def test_a_smooth_mean_is_more_precise_than_by_monte_carlo(sampling, margin):
    weights = 0.5 / np.arange(1, 33) ** 1.5

    def error(kind):
        """Root mean square, over four seeds, of the error in the mean of a log-normal variable."""
        normals = np.array(
            [[sample_generator(kind, s, Split.TRAIN, i).standard_normal(32) for i in range(256)] for s in range(4)]
        )
        means = np.exp(normals @ weights).mean(axis=1) / np.exp(0.5 * weights @ weights)
        return np.sqrt(np.mean((means - 1.0) ** 2))

    assert error(sampling) < error(Sampling.MONTE_CARLO) / margin


@pytest.mark.parametrize("sampling", LOW_DISCREPANCY)
def test_the_marginals_are_normal(sampling):
    normals = np.array([sample_generator(sampling, 1, Split.TEST, i).standard_normal(70) for i in range(256)])
    assert all(kstest(normals[:, dimension], "norm").pvalue > 1e-3 for dimension in range(70))


def test_the_first_numbers_are_the_coordinates_and_the_stream_gives_the_others():
    generator, stream = point_generator([0.1, 0.6, 0.3]), np.random.default_rng(0)
    np.testing.assert_array_equal(generator.standard_normal((2, 1)), ndtri([[0.1], [0.6]]))
    np.testing.assert_array_equal(generator.random(3), [0.3, *stream.random(2)])
    np.testing.assert_array_equal(generator.standard_normal(4), stream.standard_normal(4))
    assert generator.integers(10**9) == stream.integers(10**9)


def test_single_numbers_are_numbers():
    generator = point_generator([0.1, 0.6, 0.3, 0.9])
    numbers = generator.random(), generator.standard_normal(), generator.uniform(2.0, 4.0), generator.normal(1.0, 2.0)
    np.testing.assert_allclose(numbers, [0.1, ndtri(0.6), 2.6, 1.0 + 2.0 * ndtri(0.9)])
    assert all(isinstance(number, float) for number in numbers)


def test_bounds_broadcast():
    generator = point_generator([0.5, 0.25, 0.5, 0.75, 0.1])
    np.testing.assert_allclose(generator.uniform((-100.0, 0.0), (0.0, 100.0)), [-50.0, 25.0])
    np.testing.assert_allclose(generator.uniform(0.0, 2.0, size=(1, 2)), [[1.0, 1.5]])
    np.testing.assert_allclose(generator.normal([3.0], 2.0), 3.0 + 2.0 * ndtri([0.1]))


def test_spawned_generators_share_the_coordinates_in_turn():
    parent = point_generator([0.1, 0.2, 0.3, 0.4, 0.5])
    assert parent.random() == 0.1
    first, second = parent.spawn(2)
    np.testing.assert_array_equal(first.random(2), [0.2, 0.4])
    np.testing.assert_array_equal(second.random(2), [0.3, 0.5])
    untouched = np.random.default_rng(0).bit_generator
    np.testing.assert_array_equal(parent.random(2), np.random.Generator(untouched).random(2))
    assert len({generator.random() for generator in (parent, first, second)}) == 3


@pytest.mark.parametrize("sampling", LOW_DISCREPANCY)
def test_the_coordinates_feed_the_longest_waves_of_a_field(sampling):
    field = np.log(make_fields(DarcyLognormal(grid=16), 0, 5, sampling)["coefficient"])
    normals = ndtri(sample_generator(sampling, 0, Split.TRAIN, 5).random(2))
    wave = np.sqrt(2.0) * np.cos(np.pi * (np.arange(16) + 0.5) / 16)
    deviation = 7.0**1.5 * (np.pi**2 + 49.0) ** -1.25
    assert (field * wave[:, None]).mean() == pytest.approx(deviation * normals[1], rel=1e-10)


@pytest.mark.parametrize("sampling", list(Sampling))
def test_problems_that_draw_otherwise_are_drawn_too(sampling):
    fields = make_fields(Thermal(), 0, 1, sampling, Split.VALID)
    assert -100.0 < fields["left_temperature"] < 0.0 < fields["right_temperature"] < 100.0
    assert make_fields(CancellingSums(length=10), 0, 1, sampling)["terms"].shape == (10,)


@pytest.mark.parametrize(("sampling", "index"), [("monte-carlo", -1), ("sobol", -1), ("lattice", MOST_POINTS)])
def test_an_index_out_of_range_is_refused(sampling, index):
    with pytest.raises(ValueError, match=f"index={index} is not allowed"):
        sample_generator(Sampling(sampling), 0, Split.TRAIN, index)


def test_a_late_sobol_point_is_made_without_the_earlier_ones():
    assert sample_generator(Sampling.SOBOL, 0, Split.TRAIN, MOST_POINTS - 1).random() < 1.0
