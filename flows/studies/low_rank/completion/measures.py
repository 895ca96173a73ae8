"""How well a completion recovers a matrix: the metrics and statistics of the completion studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.low_rank.partial_matrix import PartialMatrix
from kernels.result import Result
from tasks.study import relative_distance

if TYPE_CHECKING:  # Dask workers import studies, and with them this
    import xarray as xr

RECOVERED = 1e-2
"""The relative error up to which a matrix counts as recovered."""


def relative_error(instance: PartialMatrix, result: Result) -> float:
    """The Frobenius distance of the completion to the matrix, over the norm of the matrix."""
    return relative_distance(result.value, instance.truth)


def hidden_error(instance: PartialMatrix, result: Result) -> float:
    """The relative error on the entries that were not observed."""
    hidden = np.ones(instance.shape, dtype=bool)
    hidden[instance.rows, instance.columns] = False
    return relative_distance(result.value[hidden], instance.truth[hidden])


def share_recovered(results: xr.Dataset, *, contender: str) -> float:
    """The share of matrices of all problems that a contender completes to a relative error of 1e-2."""
    errors: NDArray[np.float64] = results["relative_error"].sel(contender=contender).values
    return float((errors <= RECOVERED).mean())


def recovery_lost(results: xr.Dataset, *, contender: str, reference: str) -> float:
    """By how much a contender's share of recovered matrices falls short of another's."""
    return share_recovered(results, contender=reference) - share_recovered(results, contender=contender)
