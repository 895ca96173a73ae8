"""Training the network on one matrix, without any solution: what it proposes shall leave a small residual."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.pde.pressure.domains import pressure_matrix
from data.pde.pressure.network import forward, initial_weights
from data.pde.pressure.ritz import ritz_mixtures, ritz_vectors


@dataclass(frozen=True, slots=True)
class Training:
    """What a network is trained with.

    Attributes
    ----------
    grid : int
        Cells per side of the square, all liquid, whose matrix it sees.
    channels, levels : int
        Of the network.
    ritz_vectors, vectors : int
        Lanczos steps, and right-hand sides made of their Ritz vectors.
    epochs, batch : int
        Passes over the right-hand sides, and how many of them a step of Adam sees.
    learning_rate : float
        The largest, after a tenth of the steps; it falls to zero along a half cosine.
    """

    grid: int
    channels: int
    levels: int
    ritz_vectors: int
    vectors: int
    epochs: int
    batch: int
    learning_rate: float


@lru_cache(maxsize=16)
def trained_weights(training: Training, seed: int, network: int) -> NDArray[np.float32]:
    """The weights of network number ``network`` of a seed, flat: trained at the first call in a process.

    Parameters
    ----------
    training : Training
    seed, network : int
        Not negative. They draw the start of the Lanczos process, the right-hand sides, their order and the weights.

    Returns
    -------
    ndarray, shape (w,), float32
        Read-only, in the order of :func:`~data.pde.pressure.network.weight_shapes`.
    """
    import jax

    random = np.random.default_rng(np.random.SeedSequence([seed, network]))
    matrix = pressure_matrix(np.ones((training.grid, training.grid), dtype=np.bool_))
    mixtures = ritz_mixtures(ritz_vectors(matrix, training.ritz_vectors, random), training.vectors, random)
    rhs = mixtures.astype(np.float32).reshape(-1, training.grid, training.grid)
    weights: Any = initial_weights(training.channels, training.levels, random)
    with jax.enable_x64(False), jax.default_device(jax.devices("cpu")[0]):
        start, step = _compiled(training)
        state = start(weights)
        for _ in range(training.epochs):
            order = random.permutation(len(rhs))
            for first in range(0, len(rhs) - training.batch + 1, training.batch):
                weights, state = step(weights, state, rhs[order[first : first + training.batch]])
        flat = np.concatenate([np.asarray(layer).ravel() for layer in weights])
    flat.flags.writeable = False
    return flat


@lru_cache(maxsize=4)
def _compiled(training: Training) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The start and the step of Adam."""
    import jax
    import optax  # type: ignore[import-untyped]

    steps = training.epochs * (training.vectors // training.batch)
    rate = optax.warmup_cosine_decay_schedule(0.0, training.learning_rate, steps // 10, steps)
    adam = optax.adam(rate)
    # One by one: inside a convolution's gradient the sum over a batch would be shared out, and rounded, by threads.
    gradients = jax.vmap(jax.grad(partial(residual_left, levels=training.levels)), (None, 0))

    def step(weights: Any, state: Any, rhs: Any) -> Any:
        mean = jax.tree.map(lambda gradient: gradient.mean(0), gradients(weights, rhs))
        updates, state = adam.update(mean, state, weights)
        return optax.apply_updates(weights, updates), state

    return adam.init, jax.jit(step)


def residual_left(weights: Any, rhs: Any, levels: int) -> Any:
    """The loss ``|| b - s A f(b) ||``; s = b.f / f.A f makes the scale of f(b) irrelevant.

    Parameters
    ----------
    weights : sequence of arrays
    rhs : array, shape (rows, columns), float32
        A unit vector b.
    levels : int

    Returns
    -------
    array, shape ()
    """
    import jax.numpy as jnp

    direction = forward(weights, rhs[None], levels)[0]
    around = jnp.pad(direction, 1)
    product = 4.0 * direction - (around[:-2, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] + around[2:, 1:-1])
    length = (rhs * direction).sum() / (direction * product).sum()
    return jnp.sqrt(((rhs - length * product) ** 2).sum())
