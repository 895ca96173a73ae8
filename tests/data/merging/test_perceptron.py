import itertools

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from sklearn.neural_network import MLPClassifier

from data.merging.perceptron import (
    activations,
    cross_entropy,
    join_parameters,
    loss_and_gradient,
    split_parameters,
    train,
)

SIZES = (4, 6, 5, 3)


@pytest.fixture
def random():
    return np.random.default_rng(2)


def network(random, sizes=SIZES):
    count = sum(units * (inputs + 1) for inputs, units in itertools.pairwise(sizes))
    return split_parameters(random.standard_normal(count), sizes)


def test_layers_are_views_of_the_parameters(random):
    parameters = random.standard_normal(6 * 5 + 5 * 7 + 3 * 6)
    layers = split_parameters(parameters, SIZES)
    assert [layer.shape for layer in layers] == [(6, 5), (5, 7), (3, 6)]
    np.testing.assert_array_equal(join_parameters(layers), parameters)
    layers[1][:] = 0.0
    assert not parameters[30:65].any()


def test_outputs_are_those_of_scikit_learn(random):
    inputs, labels = random.standard_normal((30, 4)), np.arange(30) % 3
    reference = MLPClassifier((6, 5), max_iter=1).partial_fit(inputs, labels, classes=range(3))
    pairs = zip(reference.coefs_, reference.intercepts_, strict=True)
    layers = tuple(np.column_stack([weights.T, biases]) for weights, biases in pairs)
    logits = activations(layers, inputs)[-1]
    np.testing.assert_allclose(log_softmax(logits, axis=1), reference.predict_log_proba(inputs), atol=1e-12)
    expected = -reference.predict_log_proba(inputs)[np.arange(30), labels].mean()
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-12)


def test_hidden_activations_are_rectified_and_the_inputs_come_first(random):
    inputs = random.standard_normal((10, 4))
    values = activations(network(random), inputs)
    assert [value.shape for value in values] == [(10, 4), (10, 6), (10, 5), (10, 3)]
    assert values[0] is inputs
    assert min(value.min() for value in values[1:-1]) == 0.0
    assert values[-1].min() < 0.0


def test_the_gradient_is_that_of_finite_differences(random):
    inputs, labels = random.standard_normal((12, 4)), random.integers(3, size=12)
    layers = network(random)
    parameters = join_parameters(layers)

    def loss(flat):
        return cross_entropy(activations(split_parameters(flat, SIZES), inputs)[-1], labels)

    gradient = tuple(np.empty_like(layer) for layer in layers)
    assert loss_and_gradient(layers, inputs, labels, gradient) == pytest.approx(loss(parameters))
    np.testing.assert_allclose(join_parameters(gradient), approx_fprime(parameters, loss, 1e-7), atol=1e-5)


def test_the_loss_does_not_overflow(random):
    layers = tuple(1e5 * layer for layer in network(random))
    inputs, labels = random.standard_normal((12, 4)), random.integers(3, size=12)
    assert np.isfinite(cross_entropy(activations(layers, inputs)[-1], labels))


def test_one_step_of_training_is_adam_s(random):
    inputs, labels = random.standard_normal((8, 4)), random.integers(3, size=8)
    options = {"initial_gain": 1.0, "batch": 8, "learning_rate": 0.01}
    start = train(inputs, labels, SIZES, np.random.default_rng(0), epochs=0, **options)
    gradient = tuple(np.empty_like(layer) for layer in start)
    loss_and_gradient(start, inputs, labels, gradient)
    once = train(inputs, labels, SIZES, np.random.default_rng(0), epochs=1, **options)
    for before, slope, after in zip(start, gradient, once, strict=True):
        np.testing.assert_allclose(after, before - 0.01 * slope / (np.abs(slope) + 1e-8), atol=1e-12)


def test_training_separates_what_can_be_separated_and_is_a_function_of_the_seed(random):
    means = 4.0 * np.eye(4)[:3]
    labels = random.integers(3, size=300)
    inputs = means[labels] + 0.5 * random.standard_normal((300, 4))
    options = {"initial_gain": np.sqrt(2.0), "epochs": 20, "batch": 32, "learning_rate": 1e-2}
    layers, again, other = (train(inputs, labels, SIZES, np.random.default_rng(seed), **options) for seed in (0, 0, 1))
    assert (activations(layers, inputs)[-1].argmax(axis=1) == labels).mean() > 0.99
    np.testing.assert_array_equal(join_parameters(layers), join_parameters(again))
    assert not np.allclose(join_parameters(layers), join_parameters(other))


def test_starting_weights_have_the_deviation_asked_for_and_no_bias():
    inputs, labels = np.zeros((2, 100)), np.zeros(2, np.int64)
    options = {"epochs": 0, "batch": 1, "learning_rate": 0.1, "initial_gain": 0.5}
    layers = train(inputs, labels, (100, 200, 10), np.random.default_rng(0), **options)
    assert not any(layer[:, -1].any() for layer in layers)
    for layer in layers:
        assert layer[:, :-1].std() == pytest.approx(0.5 / np.sqrt(layer.shape[1] - 1), rel=0.05)
