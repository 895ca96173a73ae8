import numpy as np
import pytest
from networks_to_merge import outputs, random_network, shuffled

from kernels.merging.networks import (
    aligned,
    checked_models,
    distance_to_first,
    identity_permutations,
    parameters_of,
    permute_units,
)

SIZES = (3, 5, 4, 2)


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_permuting_units_is_multiplying_by_permutation_matrices(random):
    layers = random_network(random, SIZES)
    expected, orders = shuffled(random, layers)
    for layer, other in zip(permute_units(layers, orders), expected, strict=True):
        np.testing.assert_array_equal(layer, other)


def test_a_permuted_network_computes_the_same(random):
    layers = random_network(random, SIZES)
    permuted = permute_units(layers, [random.permutation(5), random.permutation(4)])
    inputs = random.standard_normal((6, 3))
    assert not np.allclose(parameters_of(permuted), parameters_of(layers))
    np.testing.assert_allclose(outputs(permuted, inputs), outputs(layers, inputs), rtol=1e-12, atol=1e-12)


def test_permuting_leaves_the_network_it_is_given_alone(random):
    layers = random_network(random, SIZES)
    before = [layer.copy() for layer in layers]
    permuted = permute_units(layers, [random.permutation(5), random.permutation(4)])
    for layer in permuted:
        layer[:] = 0.0
    for layer, copy in zip(layers, before, strict=True):
        np.testing.assert_array_equal(layer, copy)


def test_aligned_networks_are_rows_of_which_the_first_is_as_it_was(random):
    models = [random_network(random, SIZES) for _ in range(3)]
    identities = [identity_permutations(layers) for layers in models[1:]]
    rows = aligned(models, identities)
    np.testing.assert_array_equal(rows, [parameters_of(layers) for layers in models])
    distances = [np.linalg.norm(rows[0] - row) for row in rows[1:]]
    assert distance_to_first(rows) == pytest.approx(np.sqrt(np.mean(np.square(distances))))


@pytest.mark.parametrize("orders", [[np.arange(5)], [np.arange(5), np.arange(3)], [np.arange(4), np.arange(5)]])
def test_permutations_of_other_lengths_are_refused(random, orders):
    with pytest.raises(ValueError, match=r"permutations must have lengths \[5, 4\]"):
        permute_units(random_network(random, SIZES), orders)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([SIZES], "at least two networks"),
        ([SIZES, (3, 5, 5, 2)], "must all have layers of shapes"),
        ([SIZES, (3, 5, 2)], "must all have layers of shapes"),
        ([(3, 2), (3, 2)], "at least two layers"),
    ],
)
def test_networks_that_do_not_fit_are_refused(random, shapes, message):
    with pytest.raises(ValueError, match=message):
        checked_models([random_network(random, sizes) for sizes in shapes])


def test_layers_that_do_not_fit_onto_each_other_are_refused():
    layers = (np.zeros((4, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="a layer on 4 units has 5 columns, not 4"):
        checked_models([layers, layers])
