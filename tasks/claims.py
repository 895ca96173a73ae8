"""Claims: a measured statistic against a threshold, with a confidence interval and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

if TYPE_CHECKING:  # Dask workers import studies, and with them claims, but never judge one
    import xarray as xr

Statistic = Callable[["xr.Dataset"], float]
CONFIDENCE = 0.95


class Verdict(StrEnum):
    """What a measurement says of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Claim:
    """A statement that a measurement can refute.

    Attributes
    ----------
    name : str
        Short, unique within a study, in kebab case.
    statement : str
        The claim in words.
    source : str
        Where the paper states it (table, section) or why the check stands.
    problem : str or tuple of str
        The problem of the study that it is measured on, or several, such as sizes along which something grows.
    statistic : callable
        The results of one repetition (dimensions instance and contender, before them problem if there are several)
        -> the measured number; NaN if undefined.
    threshold : float
        What the statistic is compared with.
    comparison : {">=", "<="}
        The side of the threshold on which the claim holds.
    scale : {"log", "linear"}
        The scale on which repetitions scatter symmetrically: log for ratios.
    role : {"paper", "practice", "control"}
        The paper's own claim, a comparison with today's practice, or a control that must come out as stated for the
        others to mean anything.
    """

    name: str
    statement: str
    source: str
    problem: str | tuple[str, ...]
    statistic: Statistic
    threshold: float
    comparison: Literal[">=", "<="] = ">="
    scale: Literal["log", "linear"] = "log"
    role: Literal["paper", "practice", "control"] = "paper"

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems that it is measured on."""
        return (self.problem,) if isinstance(self.problem, str) else self.problem

    @property
    def where(self) -> str:
        """The problem, or the first and the last of several."""
        return self.problem if isinstance(self.problem, str) else f"{self.problem[0]}..{self.problem[-1]}"


@dataclass(frozen=True)
class Judgement:
    """A claim with its measurement: estimate, confidence interval over repetitions and verdict.

    ``timed`` says that the measurement depends on the machine's speed.
    """

    name: str
    statement: str
    source: str
    problem: str
    role: str
    comparison: str
    threshold: float
    estimate: float
    lower: float
    upper: float
    repetitions: int
    timed: bool
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """The judgement as JSON-able values; numbers that are not finite become None."""
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in asdict(self).items()
        }


def ratio_of_means(results: xr.Dataset, *, metric: str, numerator: str, denominator: str, floor: float = 0.0) -> float:
    """Mean of a metric for one contender over its mean for another, on the instances where both are finite.

    Means below ``floor``, the smallest value that means anything, count as that.
    """
    values = results[metric]
    top, bottom = values.sel(contender=numerator).values, values.sel(contender=denominator).values
    both = np.isfinite(top) & np.isfinite(bottom)
    if not both.any():
        return float("nan")
    means = np.maximum([top[both].mean(), bottom[both].mean()], floor)
    return float(means[0] / means[1]) if means[1] > 0 else float("nan")


def mean_of(results: xr.Dataset, *, metric: str, contender: str) -> float:
    """The mean of a metric over instances; NaN where one is not finite."""
    values: Any = results[metric].sel(contender=contender)
    return float(values.mean(skipna=False))


def quotient_of_problems(
    results: xr.Dataset, *, metric: str, contender: str, numerator: str, denominator: str
) -> float:
    """The mean of a metric on one problem over that on another; NaN where that is zero."""
    top, bottom = (
        mean_of(results.sel(problem=name), metric=metric, contender=contender) for name in (numerator, denominator)
    )
    return top / bottom if bottom else float("nan")


def share_above(results: xr.Dataset, *, metric: str, contender: str, limit: float) -> float:
    """The share of instances on which a metric exceeds a limit; a value that is not finite exceeds it."""
    values = results[metric].sel(contender=contender).values
    return float(1.0 - (values <= limit).mean())


def ratio(metric: str, numerator: str, denominator: str, floor: float = 0.0) -> Statistic:
    """The statistic :func:`ratio_of_means` for one metric and two contenders."""
    return partial(ratio_of_means, metric=metric, numerator=numerator, denominator=denominator, floor=floor)


def confidence_interval(
    values: NDArray[np.float64], scale: Literal["log", "linear"] = "linear", confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Estimate and Student-t interval of the mean of independent repetitions, shape (repetitions,).

    The repetitions are the independent units: instances within one may depend on each other, as they do along a
    recycling sequence. On the log scale the estimate is the geometric mean. A value that is not finite (or not positive
    on the log scale), or fewer than two values, leaves the interval unbounded.
    """
    values = np.asarray(values, float)
    usable = np.isfinite(values).all() and (scale == "linear" or (values > 0).all())
    if values.size < 2 or not usable:
        estimate = float(values.mean()) if values.size and np.isfinite(values).all() else float("nan")
        return estimate, -np.inf, np.inf
    scattered = np.log(values) if scale == "log" else values
    centre = scattered.mean()
    half = stdtrit(values.size - 1, 0.5 + confidence / 2) * scattered.std(ddof=1) / np.sqrt(values.size)
    bounds = np.array([centre, centre - half, centre + half])
    estimate, lower, upper = np.exp(bounds) if scale == "log" else bounds
    return float(estimate), float(lower), float(upper)


def select_results(claim: Claim, tables: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """The results that a claim is measured on; those of several problems are joined along a dimension ``problem``.

    Contenders that a problem lacks are NaN there.
    """
    if isinstance(claim.problem, str):
        return tables[claim.problem]
    import xarray as xr

    parts = [tables[name].set_coords("repetition").drop_vars("history", errors="ignore") for name in claim.problem]
    names = xr.DataArray(list(claim.problem), dims="problem", name="problem")
    return xr.concat(parts, names, join="outer", coords="minimal", compat="override", combine_attrs="drop")


def judge(claim: Claim, results: xr.Dataset, timings: Sequence[str] = ()) -> Judgement:
    """Measure a claim on results with dimensions instance and contender and a coordinate ``repetition(instance)``.

    ``timings`` names the variables that hold times.
    """
    values = np.array([claim.statistic(group) for _, group in results.groupby("repetition")])
    estimate, lower, upper = confidence_interval(values, claim.scale)
    return Judgement(
        name=claim.name,
        statement=claim.statement,
        source=claim.source,
        problem=claim.where,
        role=claim.role,
        comparison=claim.comparison,
        threshold=claim.threshold,
        estimate=estimate,
        lower=lower,
        upper=upper,
        repetitions=values.size,
        timed=_uses(claim, results, timings),
        verdict=_verdict(claim, lower, upper),
    )


def _uses(claim: Claim, results: xr.Dataset, variables: Sequence[str]) -> bool:
    """Whether the statistic cannot be computed without some variables."""
    try:
        claim.statistic(results.drop_vars(variables, errors="ignore"))
    except KeyError:
        return True
    return False


def _verdict(claim: Claim, lower: float, upper: float) -> Verdict:
    if claim.comparison == "<=":
        lower, upper = -upper, -lower
    threshold = claim.threshold if claim.comparison == ">=" else -claim.threshold
    if lower >= threshold:
        return Verdict.HOLDS
    return Verdict.FAILS if upper < threshold else Verdict.INCONCLUSIVE
