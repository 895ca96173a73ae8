"""What the study measures, and the statistics of its claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.linear_system import LinearSystem
from flows.studies.optimization.block_descent.problems import OBJECTIVE, REFERENCE
from kernels.optimization.block_coordinate_descent.sparse_descent import relative_quadratic_value
from kernels.result import Result

if TYPE_CHECKING:
    import xarray as xr

# the digits in which a gap between objectives, relative to that at zero, means anything
SMALLEST_GAP = 1e-15


def relative_objective(instance: Any, result: Result) -> float:
    """The objective, over that at zero (for a linear system: over a Jacobi step's decrease from zero)."""
    if isinstance(instance, LinearSystem):
        return relative_quadratic_value(instance, result.value)
    return float(result.work.get(OBJECTIVE, np.nan))


def identification(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The step after which the support changed no more; zero where nothing is bounded."""
    return float(result.work.get("identification", 0.0))


def gaps(results: xr.Dataset, contender: str) -> NDArray[np.float64]:
    """How far each objective lies above the reference's, at least the smallest gap that means anything."""
    objectives = results[OBJECTIVE]
    gap = objectives.sel(contender=contender).values - objectives.sel(contender=REFERENCE).values
    return np.asarray(np.maximum(gap, SMALLEST_GAP))


def gap_ratio(results: xr.Dataset, *, numerator: str, denominator: str) -> float:
    """The ratio of two contenders' mean gaps."""
    return float(gaps(results, numerator).mean() / gaps(results, denominator).mean())


def share_of_gaps_above(results: xr.Dataset, *, contender: str, limit: float) -> float:
    """The share of instances on which a contender's gap exceeds a limit; one that is not finite exceeds it."""
    return float(1.0 - (gaps(results, contender) <= limit).mean())


def steps_after_identification(results: xr.Dataset, *, contender: str) -> float:
    """The mean number of steps from the last change of the support to the end."""
    steps = results["iterations"].sel(contender=contender) - results["identification"].sel(contender=contender)
    return float(steps.mean())


def identification_ratio(results: xr.Dataset, *, contender: str, small: str, great: str) -> float:
    """The mean step of identification on one problem over that on another."""
    steps = results["identification"].sel(contender=contender)
    return float(steps.sel(problem=small).mean() / steps.sel(problem=great).mean())
