"""Weight matching: permute the hidden units of networks such that their parameters come close to those of another.

S. Ainsworth, J. Hayase, S. Srinivasa (2023), Git Re-Basin: merging models modulo permutation symmetries, ICLR,
algorithm 1; analysed by A. Ito, M. Yamada, A. Kumagai (2025), Analysis of linear mode connectivity via
permutation-based weight matching, ICLR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from kernels.merging.networks import (
    Array,
    Layers,
    Models,
    Permutation,
    aligned,
    are_finite,
    checked_models,
    identity_permutations,
    not_finite,
    permute_units,
)
from kernels.merging.singular_vectors import Triplets, reduced_layers
from kernels.result import Result, Status

ROUNDING = 1e-12
"""A gain below this share of the product of the norms is taken for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Permutations of the hidden layers of one network.

    Attributes
    ----------
    permutations : list of ndarray, shape (n_l,), intp
        Unit i of hidden layer l becomes the unit ``permutations[l][i]`` of before.
    similarities : list of float
        The inner product with the reference, at the start and after every sweep.
    converged : bool
        Whether no permutation of a single layer improves on these.
    """

    permutations: list[Permutation]
    similarities: list[float]
    converged: bool


def match_weights(
    reference: Layers,
    layers: Layers,
    random: np.random.Generator,
    *,
    start: Sequence[Permutation] | None = None,
    max_sweeps: int = 100,
) -> Matching:
    """Maximise the inner product of two networks over permutations of hidden units, one layer after another.

    That minimises the Euclidean distance, as permutations leave norms alone. Given the others, the best permutation of
    a layer solves a linear assignment problem; over two hidden layers or more the problem as a whole is NP-hard.

    Parameters
    ----------
    reference, layers : tuple of ndarray
        Affine layers of shapes (n_l, n_{l-1} + 1), of which those of ``layers`` are permuted.
    random : Generator
        For the order of the layers in a sweep.
    start : sequence of ndarray, optional
        The permutations to begin with, by default the identity.
    max_sweeps : int
        At least 1.

    Raises
    ------
    ValueError
        For shapes that do not fit, or no sweeps.
    """
    checked_models((reference, layers))
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps must be at least 1, not {max_sweeps}")
    permutations = [order.copy() for order in (start or identity_permutations(layers))]
    similarities = [similarity(reference, permute_units(layers, permutations))]
    negligible = ROUNDING * np.sqrt(similarity(reference, reference) * similarity(layers, layers))
    for _ in range(max_sweeps):
        changed = False
        for hidden in random.permutation(len(permutations)):
            gains = unit_similarities(reference, layers, permutations, hidden)
            rows, columns = linear_sum_assignment(gains, maximize=True)
            if gains[rows, columns].sum() > gains[rows, permutations[hidden]].sum() + negligible:
                permutations[hidden] = columns
                changed = True
        similarities.append(similarity(reference, permute_units(layers, permutations)))
        if not changed:
            return Matching(permutations, similarities, True)
    return Matching(permutations, similarities, False)


def similarity(first: Layers, second: Layers) -> float:
    """The inner product of the parameters of two networks."""
    return float(sum(np.vdot(layer, other) for layer, other in zip(first, second, strict=True)))


def unit_similarities(reference: Layers, layers: Layers, permutations: Sequence[Permutation], hidden: int) -> Array:
    """What each unit of a hidden layer adds to the inner product in the place of each, shape (n_l, n_l).

    Entry (i, j) is for unit j of ``layers`` in the place of unit i of ``reference``, all other layers permuted.
    """
    incoming, outgoing = layers[hidden], layers[hidden + 1]
    if hidden > 0:
        incoming = np.column_stack([incoming[:, permutations[hidden - 1]], incoming[:, -1]])
    if hidden + 1 < len(permutations):
        outgoing = outgoing[permutations[hidden + 1]]
    gains: Array = reference[hidden] @ incoming.T
    gains += reference[hidden + 1][:, :-1].T @ outgoing[:, :-1]
    return gains


def weight_matching(
    group: Models,
    *,
    random: np.random.Generator,
    starts: int = 1,
    triplets: Triplets = "all",
    share: float = 0.25,
    max_sweeps: int = 100,
) -> Result:
    """Bring all networks close to the first, each by itself.

    Parameters
    ----------
    group : Models
        ``group.models``: two or more networks of one shape.
    random : Generator
        For the order of the layers, and for further starts.
    starts : int
        The first start is the identity, the others are drawn; the most similar result counts. At least 1.
    triplets : {"all", "leading", "trailing"}
        Reduce the weight matrices to some singular triplets to find the permutations by, as :func:`reduced_layers`.
    share : float
        Of the triplets that lead.
    max_sweeps : int
        From each start, at least 1.

    Returns
    -------
    Result
        The parameters of the networks, shape (models, p), the first as it is and the others permuted. CONVERGED if no
        permutation of a single layer brings a network, as it was seen, closer to the first. ``history`` holds the root
        mean square distance to the first network, as they were seen; ``work`` counts ``sweeps`` and ``assignments``.

    Raises
    ------
    ValueError
        For networks or options that do not fit.
    """
    models = checked_models(group.models)
    if starts < 1:
        raise ValueError(f"starts must be at least 1, not {starts}")
    if not are_finite(models):
        return not_finite(models)
    seen = [reduced_layers(layers, triplets, share) for layers in models]
    found, sweeps = [], 0
    for layers in seen[1:]:
        candidates = [
            match_weights(seen[0], layers, random, start=start, max_sweeps=max_sweeps)
            for start in _starting_permutations(layers, starts, random)
        ]
        found.append(max(candidates, key=lambda matching: matching.similarities[-1]))
        sweeps += sum(len(matching.similarities) - 1 for matching in candidates)
    return Result(
        aligned(models, [matching.permutations for matching in found]),
        Status.CONVERGED if all(matching.converged for matching in found) else Status.ITERATION_LIMIT,
        _distances(seen, found),
        {"sweeps": sweeps, "assignments": sweeps * (len(models[0]) - 1)},
    )


def _starting_permutations(layers: Layers, starts: int, random: np.random.Generator) -> list[list[Permutation]]:
    identity = identity_permutations(layers)
    return [identity, *([random.permutation(order) for order in identity] for _ in range(starts - 1))]


def _distances(models: Sequence[Layers], found: Sequence[Matching]) -> Array:
    """The root mean square distance to the first network after every sweep; one that has ended stays as it is."""
    longest = max(len(matching.similarities) for matching in found)
    products = [np.pad(m.similarities, (0, longest - len(m.similarities)), mode="edge") for m in found]
    norms = [similarity(layers, layers) for layers in models]
    squares = [norms[0] + norm - 2.0 * product for norm, product in zip(norms[1:], products, strict=True)]
    distances: Array = np.sqrt(np.maximum(np.mean(squares, axis=0), 0.0))
    return distances
