"""What the study measures, and the statistics of its claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.optimization.constrained.types import Oracle, Vector
from kernels.result import Result
from tasks.claims import mean_of
from tasks.rates import growth_of_means

if TYPE_CHECKING:
    import xarray as xr

# below it rounding, not the method, decides by what factor a residual falls
LEAST_RESIDUAL = 1e-14


def kkt_residual(instance: Any, result: Result) -> float:
    """The norm of constraints and Lagrangian gradient at the variables and multipliers that a method returns."""
    n = instance.start.size
    return Oracle(instance).point(result.value[:n], result.value[n:]).kkt_residual


def late_shortfall(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """By how much the shortest of the last three steps fell short of a full one."""
    return 1.0 - float(result.work.get("late_step_length", np.nan))


def rate(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The median factor by which the residual fell in the last five steps; 1 where there was no step."""
    ratios = _ratios(result)
    return float(np.median(ratios[-5:])) if ratios.size else 1.0


def acceleration(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The last factor by which the residual fell over that of two steps before; 1 where there were fewer."""
    ratios = _ratios(result)
    return float(ratios[-1] / ratios[-3]) if ratios.size >= 3 else 1.0


def _ratios(result: Result) -> Vector:
    history = np.maximum(result.history, LEAST_RESIDUAL)
    return np.asarray(history[1:] / history[:-1])


def distance(value: Vector, reference: Vector) -> float:
    """How far variables and multipliers are apart, relative to the reference where its norm exceeds 1."""
    return float(np.linalg.norm(value - reference)) / max(float(np.linalg.norm(reference)), 1.0)


def relative_rate(results: xr.Dataset, *, contender: str, accuracy: float) -> float:
    """The mean rate, over the accuracy of the inner solves."""
    return mean_of(results, metric="rate", contender=contender) / accuracy


def median(results: xr.Dataset, *, metric: str, contender: str) -> float:
    """The median of a metric."""
    return float(results[metric].sel(contender=contender).median(skipna=False))


def flops_per_step_ratio(results: xr.Dataset, *, contender: str, peer: str) -> float:
    """Operations per inner step of one contender over those of another."""

    def per_step(name: str) -> float:
        flops, steps = (mean_of(results, metric=metric, contender=name) for metric in ("inner_flops", "inner_steps"))
        return flops / steps

    return per_step(contender) / per_step(peer)


def more_unsolved(results: xr.Dataset, *, contender: str, peer: str, limit: float) -> float:
    """The share of instances that a contender leaves unsolved less that of another."""
    residuals = results["kkt_residual"]
    solved = [(residuals.sel(contender=name).values <= limit).mean() for name in (contender, peer)]
    return float(solved[1] - solved[0])


def faster_growth(results: xr.Dataset, *, metric: str, contender: str, peer: str, sizes: Mapping[str, float]) -> float:
    """By how much the exponent of a metric's growth along problems exceeds that of another contender."""
    exponents = [growth_of_means(results, metric=metric, contender=name, sizes=sizes) for name in (contender, peer)]
    return exponents[0] - exponents[1]
