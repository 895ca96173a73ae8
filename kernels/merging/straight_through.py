"""Permutations that minimise the training loss half way between two networks, by a straight-through estimator.

S. Ainsworth, J. Hayase, S. Srinivasa (2023), Git Re-Basin: merging models modulo permutation symmetries, ICLR,
section 3.3 and equation 4.
"""

from typing import Literal

import numpy as np

from kernels.merging.networks import (
    Array,
    Layers,
    Permutation,
    TrainedModels,
    aligned,
    are_finite,
    checked_models,
    distance_to_first,
    identity_permutations,
    not_finite,
    permute_units,
)
from kernels.merging.weight_matching import match_weights
from kernels.result import Result, Status

Start = Literal["reference", "model"]

FIRST_DECAY, SECOND_DECAY, GUARD = 0.9, 0.999, 1e-8
"""Adam's own constants."""

SWEEPS = 100
"""Of weight matching for the first projection, at most."""


def straight_through_matching(
    group: TrainedModels,
    *,
    random: np.random.Generator,
    steps: int,
    learning_rate: float,
    start: Start = "reference",
) -> Result:
    """Bring all networks to the first such that the training loss of the mean of the two is small, each by itself.

    Latent parameters z are projected to the nearest permuted network by weight matching. The gradient of the loss half
    way between the first network and that projection is applied to z as if the projection were the identity.

    Parameters
    ----------
    group : TrainedModels
        Two or more networks of one shape with their training data.
    random : Generator
        For the order of the layers in weight matching.
    steps : int
        Of Adam with the gradient over all training data, at least 1; the best permutations on the way count.
    learning_rate : float
        Of Adam, positive.
    start : {"reference", "model"}
        z is first the first network, so that its projection is what weight matching finds (the authors' choice), or
        the network to permute, so that it is that network as it is.

    Returns
    -------
    Result
        The parameters of the networks, shape (models, p), the first as it is and the others permuted;
        ITERATION_LIMIT, since no minimum is promised. ``history`` holds the root mean square distance to the
        first network, ``work`` counts ``gradients``, ``sweeps`` and ``assignments``.

    Raises
    ------
    ValueError
        For networks or options that do not fit.
    """
    models = checked_models(group.models)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not 0.0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be positive and finite, not {learning_rate}")
    if start not in ("reference", "model"):
        raise ValueError(f"start must be 'reference' or 'model', not {start!r}")
    if not are_finite(models):
        return not_finite(models)
    permutations, sweeps = [], 0
    for layers in models[1:]:
        latent = models[0] if start == "reference" else layers
        found, spent = _search(group, layers, latent, random, steps, learning_rate)
        permutations.append(found)
        sweeps += spent
    value = aligned(models, permutations)
    assignments = sweeps * (len(models[0]) - 1)
    work = {"gradients": steps * len(permutations), "sweeps": sweeps, "assignments": assignments}
    return Result(value, Status.ITERATION_LIMIT, np.array([distance_to_first(value)]), work)


def _search(
    group: TrainedModels,
    layers: Layers,
    start: Layers,
    random: np.random.Generator,
    steps: int,
    learning_rate: float,
) -> tuple[list[Permutation], int]:
    """The permutations of the least loss half way, and the sweeps of weight matching."""
    reference = group.models[0]
    latent = tuple(layer.copy() for layer in start)
    moments = [(np.zeros_like(layer), np.zeros_like(layer)) for layer in latent]
    permutations: list[Permutation] | None = None
    best, least, sweeps = identity_permutations(layers), np.inf, 0
    for step in range(1, steps + 1):
        # from the last projection, one sweep is as good as many, and z moves on at once
        matching = match_weights(latent, layers, random, start=permutations, max_sweeps=SWEEPS if step == 1 else 1)
        permutations = matching.permutations
        sweeps += len(matching.similarities) - 1
        projected = permute_units(layers, permutations)
        halfway = tuple((first + second) / 2.0 for first, second in zip(reference, projected, strict=True))
        loss, gradient = group.training_loss(halfway)
        if loss < least:
            least, best = loss, permutations
        for layer, slope, (first, second) in zip(latent, gradient, moments, strict=True):
            _adam_step(layer, slope / 2.0, first, second, learning_rate, step)
    return best, sweeps


def _adam_step(layer: Array, slope: Array, first: Array, second: Array, learning_rate: float, step: int) -> None:
    first += (1.0 - FIRST_DECAY) * (slope - first)
    second += (1.0 - SECOND_DECAY) * (slope**2 - second)
    deviation = np.sqrt(second / (1.0 - SECOND_DECAY**step)) + GUARD
    layer -= learning_rate * first / (1.0 - FIRST_DECAY**step) / deviation
