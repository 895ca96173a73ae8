"""How runs of stochastic bilevel methods are scored: by F where they end, and by their progress on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.optimization.bilevel.implicit import hypergradient
from kernels.optimization.bilevel.run import TAIL
from kernels.result import Result
from tasks.rates import log_log_slope
from tasks.study import Metric


def objective(instance: Any, result: Result) -> float:
    """F at the value, its lower level solved to the end of precision; infinite where it overflows."""
    if not np.isfinite(result.value).all():
        return float("inf")
    with np.errstate(over="ignore"):
        return hypergradient(instance, result.value)[0]


def final_progress(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The mean over the last tenth of the checkpoints."""
    return float(result.history[-TAIL:].mean()) if result.history.size else float("nan")


def early_progress(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The mean over the first tenth of the checkpoints, without the start."""
    return float(result.history[1 : TAIL + 1].mean()) if result.history.size > 1 else float("nan")


def decay(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The exponent with which the progress changes with what was spent, from a tenth of the budget on."""
    return _slope(result.history)


def average_decay(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The same of the mean of the progress so far, which theorems bound."""
    return _slope(result.history.cumsum() / np.arange(1, result.history.size + 1))


def _slope(values: NDArray[np.float64]) -> float:
    """Over the checkpoints from a tenth of them on; zero for a history that is too short to tell."""
    tail = np.arange(TAIL, values.size)
    return log_log_slope(tail, values[TAIL:]) if tail.size > 1 else 0.0


METRICS = (
    Metric("objective", objective, "F, its lower level solved"),
    Metric("final_progress", final_progress, "||grad F|| or the validation loss, mean over the last tenth"),
    Metric("early_progress", early_progress, "||grad F|| or the validation loss, mean over the first tenth"),
    Metric("decay", decay, "exponent of ||grad F|| or of the validation loss against the spent budget"),
    Metric("average_decay", average_decay, "exponent of its running mean"),
)


def root_mean_square_distance(value: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Between two points x."""
    return float(np.sqrt(np.mean((value - reference) ** 2)))
