import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.pde.pressure.domains import pressure_matrix
from data.pde.pressure.network import forward, initial_weights, weight_count, weight_shapes
from data.pde.pressure.ritz import ritz_mixtures, ritz_vectors
from data.pde.pressure.training import Training, residual_left, trained_weights

# Large enough that threads would share out the sum over a batch.
TRIAL = Training(grid=16, channels=4, levels=2, ritz_vectors=40, vectors=256, epochs=4, batch=16, learning_rate=1e-2)
HASH = """
import hashlib
from data.pde.pressure.training import Training, trained_weights
print(hashlib.sha256(trained_weights({training!r}, 3, 1).tobytes()).hexdigest())
"""
ROOT = Path(__file__).parents[4]


def layers_of(flat, training):
    shapes = weight_shapes(training.channels, training.levels)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


def mixtures(training, seed):
    """Right-hand sides like those trained on, but others."""
    random = np.random.default_rng(seed)
    matrix = pressure_matrix(np.ones((training.grid, training.grid), np.bool_))
    drawn = ritz_mixtures(ritz_vectors(matrix, training.ritz_vectors, random), 16, random)
    return drawn.astype(np.float32).reshape(-1, training.grid, training.grid)


def test_the_loss_is_the_residual_after_the_best_step_along_the_networks_direction():
    weights, rhs = initial_weights(3, 2, np.random.default_rng(0)), mixtures(TRIAL, 5)[0]
    direction = np.asarray(forward(weights, rhs[None], 2)).ravel().astype(float)
    product = pressure_matrix(np.ones((16, 16), np.bool_)) @ direction
    left = rhs.ravel() - rhs.ravel() @ direction / (direction @ product) * product
    assert float(residual_left(weights, rhs, 2)) == pytest.approx(np.linalg.norm(left), rel=1e-5)
    rescaled = [*weights[:-1], -7.0 * weights[-1]]
    assert float(residual_left(rescaled, rhs, 2)) == pytest.approx(np.linalg.norm(left), rel=1e-5)


def test_training_leaves_less_of_right_hand_sides_that_it_did_not_see():
    before = initial_weights(4, 2, np.random.default_rng(0))
    after = layers_of(trained_weights(TRIAL, 3, 1), TRIAL)
    losses = [
        np.mean([float(residual_left(weights, rhs, 2)) for rhs in mixtures(TRIAL, 9)[:6]])
        for weights in (before, after)
    ]
    assert losses[1] < 0.8 * losses[0]


def test_the_weights_are_the_same_in_every_process_whatever_its_threads():
    settings = ({"NPROC": "1"}, {"NPROC": "5", "JAX_ENABLE_X64": "1"})
    others = [
        subprocess.Popen(
            [sys.executable, "-c", HASH.format(training=TRIAL)],
            env={**os.environ, **setting},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for setting in settings
    ]
    here = hashlib.sha256(trained_weights(TRIAL, 3, 1).tobytes()).hexdigest()
    assert [other.communicate()[0].strip() for other in others] == [here, here]


def test_every_seed_and_every_network_of_a_seed_has_weights_of_its_own():
    networks = [trained_weights(TRIAL, 3, 1), trained_weights(TRIAL, 3, 0), trained_weights(TRIAL, 2, 1)]
    assert {network.shape for network in networks} == {(weight_count(4, 2),)}
    assert all(network.dtype == np.float32 and np.isfinite(network).all() for network in networks)
    assert not any(np.array_equal(networks[i], networks[j]) for i in range(3) for j in range(i))


def test_initial_weights_are_uniform_within_glorots_bound():
    *inner, output = initial_weights(8, 3, np.random.default_rng(0))
    bounds = [np.sqrt(6.0 / (9 * (1 + 8))), *[np.sqrt(6.0 / (9 * 16))] * 22, np.sqrt(6.0 / 9)]
    assert len(inner) + 1 == len(bounds)
    for layer, bound in zip([*inner, output], bounds, strict=True):
        assert layer.dtype == np.float32
        assert 0.5 * bound < np.abs(layer).max() <= bound
