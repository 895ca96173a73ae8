"""Rates of growth and decay: the slope of a line through logarithms, as the statistic of a claim."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tasks.claims import Statistic

if TYPE_CHECKING:
    import xarray as xr


def log_log_slope(abscissae: ArrayLike, values: ArrayLike) -> float:
    """The exponent p of ``values ~ abscissae**p`` by least squares on logarithms.

    NaN for fewer than two different abscissae, and where a number is not finite or not positive.
    """
    x, y = np.asarray(abscissae, float), np.asarray(values, float)
    if not (np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)).all() or np.unique(x).size < 2:
        return float("nan")
    spread = np.log(x) - np.log(x).mean()
    return float(spread @ np.log(y) / (spread @ spread))


def growth_of_means(results: xr.Dataset, *, metric: str, contender: str, sizes: Mapping[str, float]) -> float:
    """The exponent with which a metric's mean over instances grows from problem to problem, each of the size given."""
    column: Any = results[metric].sel(contender=contender, problem=list(sizes))
    return log_log_slope(list(sizes.values()), column.mean("instance", skipna=False).values)


def growth(metric: str, contender: str, sizes: Mapping[str, float]) -> Statistic:
    """The statistic :func:`growth_of_means` of a claim whose problems are the keys of ``sizes``."""
    return partial(growth_of_means, metric=metric, contender=contender, sizes=sizes)
