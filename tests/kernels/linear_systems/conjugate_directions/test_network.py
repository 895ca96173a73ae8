import numpy as np
import pytest
from direction_networks import identity_network, layers_of, random_network
from scipy.signal import correlate2d

from data.pde.pressure.network import Network, forward
from kernels.linear_systems.conjugate_directions.network import ForwardPass


def convolve(features, weights):
    """By SciPy, in double precision; features (in, rows, columns)."""
    return np.array(
        [
            sum(correlate2d(plane, weights[:, :, i, out], mode="same") for i, plane in enumerate(features))
            for out in range(weights.shape[-1])
        ]
    )


def blocks(features, layers, count):
    for _ in range(count):
        inside = np.maximum(convolve(features, next(layers)), 0.0)
        features = features + convolve(inside, next(layers))
    return features


def level(features, layers, levels):
    if levels == 1:
        return blocks(features, layers, 3)
    features = blocks(convolve(features, next(layers)), layers, 1)
    features = convolve(features, next(layers))
    channels, rows, columns = features.shape
    pooled = features.reshape(channels, rows // 2, 2, columns // 2, 2).mean((2, 4))
    coarse = level(pooled, layers, levels - 1)
    return blocks(features + np.kron(coarse, np.ones((1, 2, 2))), layers, 2)


def by_scipy(network, field):
    *inner, output = (layer.astype(float) for layer in layers_of(network))
    layers = iter(inner)
    return np.tensordot(output, level(convolve(field[None], next(layers)), layers, network.levels), 1)


@pytest.mark.parametrize(
    ("channels", "levels", "shape"), [(1, 1, (1, 1)), (3, 1, (5, 7)), (4, 2, (6, 10)), (5, 3, (8, 12))]
)
def test_the_forward_pass_is_scipys_correlations_layer_by_layer(channels, levels, shape):
    network, field = random_network(channels, levels), np.random.default_rng(1).standard_normal(shape)
    expected = by_scipy(network, field)
    np.testing.assert_allclose(ForwardPass(network, shape)(field), expected, atol=1e-5 * np.abs(expected).max())


def test_the_forward_pass_is_the_one_that_is_trained():
    network, field = random_network(8, 3), np.random.default_rng(1).standard_normal((16, 16))
    trained = np.asarray(forward(layers_of(network), field[None].astype(np.float32), 3))[0]
    np.testing.assert_allclose(ForwardPass(network, (16, 16))(field), trained, atol=1e-5 * np.abs(trained).max())


def test_a_field_leaves_nothing_behind_for_the_next_one():
    network, fields = random_network(4, 2), np.random.default_rng(1).standard_normal((2, 8, 8))
    forward_pass = ForwardPass(network, (8, 8))
    forward_pass(fields[0])
    np.testing.assert_array_equal(forward_pass(fields[1]), ForwardPass(network, (8, 8))(fields[1]))


def test_without_biases_a_power_of_two_goes_through_it_exactly():
    forward_pass = ForwardPass(random_network(4, 2), (8, 8))
    field = np.random.default_rng(1).standard_normal((8, 8))
    np.testing.assert_array_equal(forward_pass(8.0 * field), 8.0 * forward_pass(field))
    assert not forward_pass(np.zeros((8, 8))).any()


def test_a_network_that_keeps_its_input_does():
    field = np.random.default_rng(1).standard_normal((6, 4))
    np.testing.assert_array_equal(ForwardPass(identity_network(), (6, 4))(field), field.astype(np.float32))


@pytest.mark.parametrize("shape", [(7, 8), (8, 6), (0, 8), (8,)])
def test_a_shape_that_cannot_be_halved_is_refused(shape):
    with pytest.raises(ValueError, match="shape must be two multiples"):
        ForwardPass(random_network(2, 3), shape)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(2, 1, np.zeros(5, np.float32)), "weights must be 236 float32 numbers for channels=2"),
        (Network(2, 1, np.zeros(236)), "not float64"),
        (Network(0, 1, np.zeros(0, np.float32)), "channels must be an integer at least 1"),
        (Network(2, 0, np.zeros(0, np.float32)), "levels must be an integer at least 1"),
    ],
)
def test_weights_that_do_not_fit_the_layers_are_refused(network, words):
    with pytest.raises(ValueError, match=words):
        ForwardPass(network, (8, 8))
