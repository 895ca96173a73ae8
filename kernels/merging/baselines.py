"""What weight matching is held against: activations matched instead of weights, no permutation, and a random one."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from kernels.merging.networks import (
    Array,
    Layers,
    Models,
    Permutation,
    TrainedModels,
    aligned,
    are_finite,
    checked_models,
    distance_to_first,
    identity_permutations,
    not_finite,
)
from kernels.result import Result, Status


def activation_matching(group: TrainedModels) -> Result:
    """Permute hidden units such that their activations on the training data are most correlated with the first's.

    Parameters
    ----------
    group : TrainedModels
        Two or more networks of one shape with their training data.

    Returns
    -------
    Result
        The parameters of the networks, shape (models, p), the first as it is and the others permuted.
        CONVERGED: the correlations are the largest. ``history`` holds the root mean square distance to the first
        network, ``work`` counts ``assignments``.

    Raises
    ------
    ValueError
        For networks that do not fit.

    References
    ----------
    S. Ainsworth, J. Hayase, S. Srinivasa (2023), Git Re-Basin, section 3.1. They match inner products of activations;
    correlations do not let a few large activations decide.
    """
    models = checked_models(group.models)
    if not are_finite(models):
        return not_finite(models)
    standards = [_standardised(group, layers) for layers in models]
    permutations = [
        [
            np.asarray(linear_sum_assignment(reference.T @ other, maximize=True)[1])
            for reference, other in zip(standards[0], standard, strict=True)
        ]
        for standard in standards[1:]
    ]
    return _found(group, permutations, assignments=sum(map(len, permutations)))


def _standardised(group: TrainedModels, layers: Layers) -> list[Array]:
    """The activations of every hidden layer, of mean 0 and variance 1; those of a unit that is always off stay 0."""
    standard = []
    for values in group.hidden_activations(layers):
        centred = values - values.mean(axis=0)
        deviation = centred.std(axis=0)
        standard.append(centred / np.where(deviation > 0.0, deviation, 1.0))
    return standard


def no_permutation(group: Models) -> Result:
    """The networks as they are; the result is as that of :func:`activation_matching`."""
    models = checked_models(group.models)
    if not are_finite(models):
        return not_finite(models)
    return _found(group, [identity_permutations(layers) for layers in models[1:]])


def random_permutation(group: Models, *, random: np.random.Generator) -> Result:
    """The units of all networks but the first permuted at random; as that of :func:`activation_matching`."""
    models = checked_models(group.models)
    if not are_finite(models):
        return not_finite(models)
    return _found(
        group,
        [[random.permutation(order) for order in identity_permutations(layers)] for layers in models[1:]],
    )


def _found(group: Models, permutations: list[list[Permutation]], assignments: int = 0) -> Result:
    value = aligned(group.models, permutations)
    work = {"assignments": assignments}
    return Result(value, Status.CONVERGED, np.array([distance_to_first(value)]), work)
