"""Mean, standard deviation and range of stored variables, from moments of each shard that are combined exactly once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOMENTS = ("count", "mean", "squared_deviations", "minimum", "maximum", "instances_not_finite")
STATISTICS = ("mean", "standard_deviation", "actual_range", "instances_not_finite")
"""The attributes of a variable that come from moments."""


def moments(values: NDArray[Any]) -> NDArray[np.float64]:
    """The moments of a block of instances; an instance with a NaN or an infinity is counted and left out.

    Parameters
    ----------
    values : ndarray, shape (instances, ...)
        Floating-point numbers.

    Returns
    -------
    ndarray, shape (6,), float64
        In the order of MOMENTS; of no number at all: count 0, range from infinity to minus infinity.
    """
    rows = values.reshape(len(values), -1)
    finite = np.isfinite(rows).all(axis=1)
    kept = rows[finite].astype(np.float64)
    left_out = float(np.count_nonzero(~finite))
    if kept.size == 0:
        return np.array([0.0, 0.0, 0.0, np.inf, -np.inf, left_out])
    mean = kept.mean()
    return np.array([kept.size, mean, np.square(kept - mean).sum(), kept.min(), kept.max(), left_out])


def combined(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The moments of all blocks together, summed in the order of the blocks.

    Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983), for any number of blocks at once:
    deviations within the blocks plus those of the blocks' means.

    Parameters
    ----------
    parts : ndarray, shape (blocks, 6), float64

    Returns
    -------
    ndarray, shape (6,), float64
    """
    counts, means, deviations, minima, maxima, left_out = np.ascontiguousarray(parts.T)
    count = counts.sum()
    mean = (counts * means).sum() / max(count, 1.0)
    between = (counts * np.square(means - mean)).sum()
    return np.array([count, mean, deviations.sum() + between, minima.min(), maxima.max(), left_out.sum()])


def statistics(total: NDArray[np.float64]) -> Mapping[str, Any]:
    """The statistics of a variable as attributes, the standard deviation being that of all its numbers (divisor n)."""
    count, mean, deviations, minimum, maximum, left_out = map(float, total)
    attributes: dict[str, Any] = {}
    if count:
        attributes = {
            "mean": mean,
            "standard_deviation": float(np.sqrt(deviations / count)),
            "actual_range": [minimum, maximum],
        }
    return attributes | ({"instances_not_finite": int(left_out)} if left_out else {})


def store_statistics(names: Sequence[str], parts: NDArray[np.float64]) -> dict[str, Mapping[str, Any]]:
    """The statistics of each variable, from the moments of all shards, shape (shards, variables, 6)."""
    return {name: statistics(combined(parts[:, i])) for i, name in enumerate(names)}
