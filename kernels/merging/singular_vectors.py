"""The singular vectors of weight matrices: how well two matrices share them, and matrices reduced to some of them."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kernels.merging.networks import Array, Layers

Triplets = Literal["all", "leading", "trailing"]


def vector_alignments(first: Array, second: Array, thresholds: Sequence[float] = (0.0,)) -> Array:
    """How well the singular vectors of two matrices agree, those of small singular values left out.

    With the k triplets (u_i, s_i, v_i) of either matrix for which s_i >= gamma * s_1,

        R = sum_ij (u_i^a . u_j^b) (v_i^a . v_j^b) / sqrt(k_a k_b),

    the cosine of the angle between the partial isometries sum_i u_i v_i^T. It is 1 if these are equal, near 0 if the
    vectors of the matrices have nothing to do with each other, and does not depend on the signs of singular vectors.

    Parameters
    ----------
    first, second : ndarray, shape (m, n), float64
    thresholds : sequence of float
        The gamma for each of which R is computed, 0 to 1.

    Returns
    -------
    ndarray, shape (len(thresholds),), float64

    Raises
    ------
    ValueError
        For shapes that differ, or a threshold out of range.

    References
    ----------
    A. Ito, M. Yamada, A. Kumagai (2025), Analysis of linear mode connectivity via permutation-based weight matching,
    ICLR, for the sum. The normaliser is ours: the geometric mean of the numbers of triplets, which need not be equal.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"first and second must be matrices of one shape, not {first.shape} and {second.shape}")
    if not all(0.0 <= gamma <= 1.0 for gamma in thresholds):
        raise ValueError(f"thresholds must be 0 to 1, not {thresholds}")
    left, values, right = np.linalg.svd(first, full_matrices=False)
    other_left, other_values, other_right = np.linalg.svd(second, full_matrices=False)
    overlaps = (left.T @ other_left) * (right @ other_right.T)
    alignments = np.empty(len(thresholds))
    for position, gamma in enumerate(thresholds):
        k, other = (int((s >= gamma * s[0]).sum()) for s in (values, other_values))
        alignments[position] = overlaps[:k, :other].sum() / math.sqrt(k * other)
    return alignments


def reduced_layers(layers: Layers, triplets: Triplets, share: float = 0.25) -> Layers:
    """The network with every weight matrix reduced to some of its singular triplets, and without biases.

    Parameters
    ----------
    layers : tuple of ndarray
    triplets : {"all", "leading", "trailing"}
        Those with the largest singular values, all others, or all; the last leaves the network as it is.
    share : float
        Of the triplets of a matrix that lead, rounded up.

    Raises
    ------
    ValueError
        For a share that is not between 0 and 1, or unknown triplets.
    """
    if triplets not in ("all", "leading", "trailing"):
        raise ValueError(f"triplets must be 'all', 'leading' or 'trailing', not {triplets!r}")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    if triplets == "all":
        return layers
    reduced = []
    for layer in layers:
        left, values, right = np.linalg.svd(layer[:, :-1], full_matrices=False)
        first = math.ceil(share * values.size)
        values[slice(first, None) if triplets == "leading" else slice(0, first)] = 0.0
        reduced.append(np.column_stack([(left * values) @ right, np.zeros(len(layer))]))
    return tuple(reduced)
