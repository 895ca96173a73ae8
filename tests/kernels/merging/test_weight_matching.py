from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks_to_merge import group_of, random_network, shuffled

from kernels.merging.networks import identity_permutations, parameters_of, permute_units
from kernels.merging.weight_matching import match_weights, similarity, unit_similarities, weight_matching
from kernels.result import Status


@pytest.fixture
def random():
    return np.random.default_rng(5)


def distance(first, second):
    return float(np.linalg.norm(parameters_of(first) - parameters_of(second)))


def all_permutations(layers):
    hidden = [[np.array(order) for order in permutations(range(len(layer)))] for layer in layers[:-1]]
    return [list(orders) for orders in product(*hidden)]


def least_distance(reference, layers):
    """Over all permutations of all hidden layers."""
    return min(distance(reference, permute_units(layers, orders)) for orders in all_permutations(layers))


@settings(derandomize=True, max_examples=10)
@given(st.integers(0, 10**6))
def test_one_hidden_layer_is_matched_optimally(seed):
    random = np.random.default_rng(seed)
    reference, layers = (random_network(random, (3, 5, 2)) for _ in range(2))
    matching = match_weights(reference, layers, random)
    assert matching.converged
    found = distance(reference, permute_units(layers, matching.permutations))
    assert found == pytest.approx(least_distance(reference, layers), rel=1e-12)


@settings(derandomize=True, max_examples=10)
@given(st.integers(0, 10**6))
def test_with_two_hidden_layers_no_change_of_one_layer_helps_and_many_starts_find_the_optimum(seed):
    random = np.random.default_rng(seed)
    models = [random_network(random, (3, 4, 3, 2)) for _ in range(2)]
    one = match_weights(*models, random).permutations
    found = distance(models[0], permute_units(models[1], one))
    for orders in all_permutations(models[1]):
        if (orders[0] == one[0]).all() or (orders[1] == one[1]).all():
            assert distance(models[0], permute_units(models[1], orders)) >= found - 1e-12
    many = weight_matching(group_of(*models), random=random, starts=50)
    assert many.history[-1] == pytest.approx(least_distance(*models), rel=1e-9)


@settings(derandomize=True, max_examples=10)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_the_similarity_never_falls(seed, hidden):
    random = np.random.default_rng(seed)
    reference, layers = (random_network(random, (2, *hidden, 3)) for _ in range(2))
    matching = match_weights(reference, layers, random)
    assert (np.diff(matching.similarities) >= -1e-12 * np.abs(matching.similarities[-1])).all()
    final = permute_units(layers, matching.permutations)
    assert matching.similarities[-1] == pytest.approx(similarity(reference, final))
    assert matching.similarities[0] == pytest.approx(similarity(reference, layers))


def test_the_gain_of_a_layer_is_the_change_of_the_similarity(random):
    reference, layers = (random_network(random, (3, 4, 5, 4, 2)) for _ in range(2))
    others = [random.permutation(len(order)) for order in identity_permutations(layers)]
    for hidden in range(3):
        gains = unit_similarities(reference, layers, others, hidden)
        order = random.permutation(len(gains))
        changed = [*others[:hidden], order, *others[hidden + 1 :]]
        before, after = (similarity(reference, permute_units(layers, orders)) for orders in (others, changed))
        rows = np.arange(len(gains))
        assert gains[rows, order].sum() - gains[rows, others[hidden]].sum() == pytest.approx(after - before)


def test_a_permuted_copy_is_recovered_exactly(random):
    layers = random_network(random, (8, 20, 20, 20, 3))
    result = weight_matching(group_of(layers, *(shuffled(random, layers)[0] for _ in range(2))), random=random)
    assert result.status is Status.CONVERGED
    np.testing.assert_array_equal(result.value, [parameters_of(layers)] * 3)
    assert result.history[0] > 1.0
    assert result.history[-1] < 1e-6


def test_each_network_is_matched_to_the_first_by_itself(random):
    models = [random_network(random, (4, 6, 6, 2)) for _ in range(3)]
    result = weight_matching(group_of(*models), random=random)
    np.testing.assert_array_equal(result.value[0], parameters_of(models[0]))
    squares = [((row - result.value[0]) ** 2).sum() for row in result.value[1:]]
    assert result.history[-1] == pytest.approx(np.sqrt(np.mean(squares)))
    plain = [distance(models[0], layers) for layers in models[1:]]
    assert result.history[0] == pytest.approx(np.sqrt(np.mean(np.square(plain))))
    for row, layers in zip(result.value, models, strict=True):
        np.testing.assert_array_equal(np.sort(row), np.sort(parameters_of(layers)))
    assert result.work["assignments"] == 2 * result.work["sweeps"]


def test_more_starts_never_end_farther_away(random):
    group = group_of(*(random_network(random, (4, 12, 12, 2)) for _ in range(2)))
    one, ten = (weight_matching(group, random=np.random.default_rng(0), starts=count) for count in (1, 10))
    assert ten.history[-1] <= one.history[-1]
    assert ten.work["sweeps"] > one.work["sweeps"]


def test_a_sweep_too_few_is_no_convergence(random):
    group = group_of(*(random_network(random, (4, 12, 12, 2)) for _ in range(2)))
    assert weight_matching(group, random=random, max_sweeps=1).status is Status.ITERATION_LIMIT


def test_matching_by_leading_triplets_sees_neither_the_others_nor_the_biases(random):
    bases = [np.linalg.qr(random.standard_normal((8, 8)))[0] for _ in range(4)]
    values = np.array([9.0, 8.0, *np.full(6, 0.1)])

    def network(tail):
        weights = [(bases[i] * np.where(np.arange(8) < 2, values, tail)) @ bases[i + 1] for i in range(3)]
        return tuple(np.column_stack([matrix, random.standard_normal(8)]) for matrix in weights)

    first, second = network(0.1), network(0.2)
    other, orders = shuffled(random, second)
    found = weight_matching(group_of(first, other), random=random, triplets="leading", share=0.25, starts=5)
    assert found.converged
    np.testing.assert_array_equal(found.value[1], parameters_of(permute_units(other, [np.argsort(o) for o in orders])))
    assert found.history[-1] < 1e-6


def test_nan_ends_as_not_finite(random):
    models = [random_network(random, (2, 3, 2)) for _ in range(2)]
    models[1][0][0, 0] = np.nan
    result = weight_matching(group_of(*models), random=random)
    assert result.status is Status.NOT_FINITE
    assert np.isnan(result.value).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": 0}, "starts must be at least 1, not 0"),
        ({"max_sweeps": 0}, "max_sweeps must be at least 1, not 0"),
        ({"triplets": "some"}, "triplets must be 'all', 'leading' or 'trailing', not 'some'"),
        ({"share": 1.0}, "share must be between 0 and 1, not 1.0"),
    ],
)
def test_options_out_of_range_are_refused(random, options, message):
    group = group_of(*(random_network(random, (2, 3, 2)) for _ in range(2)))
    with pytest.raises(ValueError, match=message):
        weight_matching(group, random=random, **options)


def test_starting_permutations_of_other_lengths_are_refused(random):
    models = [random_network(random, (2, 3, 2)) for _ in range(2)]
    with pytest.raises(ValueError, match="permutations must have lengths"):
        match_weights(*models, random, start=[np.arange(4)])
