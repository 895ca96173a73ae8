"""Sampling rows by what they matter to ||A x||_p: how many are needed, and how that grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from data.problem import Problem
from data.sketching.lp_regression import LpRegression, LpRegressionProblem, RandMedianRegression
from kernels.result import Result
from kernels.sketching.lp_regression import (
    lp_regression,
    lp_regression_at_distortion,
    median_regression_highs,
    median_regression_statsmodels,
    sampled_lp_regression,
)
from tasks.claims import Claim, ratio
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, relative_distance, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

RAND_COLUMNS = 10
DISTORTION = 0.5
LEAST_EXCESS = 1e-4


class SamplingSettings(Settings):
    """The parameters of the study."""

    rows: int = Field(1000, ge=200, le=10_000, description="rows of the matrices; the real ones have twice as many")
    width: int = Field(5, ge=3, le=50, description="columns d of the smallest matrices; the others have 2 d or 4 d")

    @model_validator(mode="after")
    def _samples_are_smaller(self) -> SamplingSettings:
        if 64 * self.width > self.rows:
            raise ValueError(f"rows={self.rows} must be at least 64 times width={self.width}")
        return self


class _Case(NamedTuple):
    """One problem: its family, its columns in units of the width, p, and the rows of a sample in units of columns.

    Without these, samples are made as large as the distortion asks for.
    """

    family: Literal["gaussian", "spiky", "cauchy", "blocks", "rand"]
    widths: int
    p: float = 1.0
    multiple: int | None = None

    def columns(self, settings: SamplingSettings) -> int:
        return RAND_COLUMNS if self.family == "rand" else self.widths * settings.width

    def problem(self, settings: SamplingSettings) -> Problem:
        if self.family == "rand":
            return RandMedianRegression(rows=2 * settings.rows)
        return LpRegressionProblem(rows=settings.rows, columns=self.columns(settings), family=self.family, p=self.p)


CASES = {
    "gaussian-d": _Case("gaussian", 1),
    "gaussian-4d": _Case("gaussian", 4),
    "cauchy-d": _Case("cauchy", 1),
    "cauchy-4d": _Case("cauchy", 4),
    "blocks-d": _Case("blocks", 1),
    "blocks-4d": _Case("blocks", 4),
    "gaussian-p1.5-d": _Case("gaussian", 1, 1.5),
    "gaussian-p1.5-4d": _Case("gaussian", 4, 1.5),
    "gaussian-p3-d": _Case("gaussian", 1, 3.0),
    "gaussian-p3-2d": _Case("gaussian", 2, 3.0),
    "gaussian-p4-d": _Case("gaussian", 1, 4.0),
    "gaussian-p4-2d": _Case("gaussian", 2, 4.0),
    "spiky-m-16d": _Case("spiky", 4, multiple=16),
    "cauchy-m-16d": _Case("cauchy", 4, multiple=16),
    "spiky-m-8d": _Case("spiky", 4, multiple=8),
    "rand-health": _Case("rand", 1),
    "rand-health-m-16d": _Case("rand", 1, multiple=16),
}
# Problems that differ in their columns alone, the smaller first.
PAIRS = {
    "gaussian": ("gaussian-d", "gaussian-4d"),
    "cauchy": ("cauchy-d", "cauchy-4d"),
    "blocks": ("blocks-d", "blocks-4d"),
    "gaussian-p1.5": ("gaussian-p1.5-d", "gaussian-p1.5-4d"),
    "gaussian-p3": ("gaussian-p3-d", "gaussian-p3-2d"),
    "gaussian-p4": ("gaussian-p4-d", "gaussian-p4-2d"),
}


def _contenders(settings: SamplingSettings, problem: str) -> tuple[Contender, ...]:
    case = CASES[problem]
    method: Callable[..., Result] = sampled_lp_regression
    size: dict[str, float] = {"rows": (case.multiple or 0) * case.columns(settings)}
    if case.multiple is None:
        method, size = lp_regression_at_distortion, {"distortion": DISTORTION}

    def sampled(name: str, role: Literal["method", "baseline"], scheme: str, summary: str) -> Contender:
        return Contender(name, method, {"p": case.p, **size, "scheme": scheme}, role, stochastic=True, summary=summary)

    root = sampled("root-leverage", "baseline", "root_leverage", "the paper's other sampling for p < 2, recursive")
    combined = sampled("combined", "baseline", "sensitivity_and_leverage", "the paper's other sampling for p > 2")
    full = (
        Contender("full", median_regression_highs, summary="all rows, SciPy's HiGHS on the dual")
        if case.p == 1.0
        else Contender("full", lp_regression, {"p": case.p}, summary="all rows, reweighted least squares")
    )
    quantile = Contender("quantile-regression", median_regression_statsmodels, summary="all rows, statsmodels")
    return (
        sampled("sensitivity", "method", "sensitivity", "the paper's sampling"),
        root if case.p < 2.0 else combined,
        sampled("lewis", "baseline", "lewis", "Lewis weights, the strongest known"),
        sampled("leverage", "baseline", "leverage", "the scores that are right for p = 2"),
        sampled("uniform", "baseline", "uniform", "all rows alike"),
        full,
        *([quantile] if case.family == "rand" else []),
    )


def excess_cost(instance: LpRegression, result: Result) -> float:
    """The cost ``||A x - b||_p`` relative to the least, minus 1; less than the solvers leave counts as that."""

    def cost(solution: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float(np.linalg.norm(instance.matrix @ solution - instance.rhs, instance.p))

    return max(cost(result.value) / cost(lp_regression(instance, p=instance.p).value) - 1.0, LEAST_EXCESS)


def _growth(results: xr.Dataset, metric: str, contender: str, pair: tuple[str, str]) -> float:
    """The mean of a metric on the second problem of a pair over that on the first."""
    means = results[metric].sel(contender=contender).mean("instance", skipna=False)
    return float(means.sel(problem=pair[1])) / float(means.sel(problem=pair[0]))


def growth_beyond(
    results: xr.Dataset, *, contender: str, pair: tuple[str, str], score_power: float, width_power: float
) -> float:
    """How much more the rows grow along a pair than ``S^score_power d^width_power``, S the total sensitivity."""
    widths = CASES[pair[1]].widths / CASES[pair[0]].widths
    bound: float = widths**width_power
    if score_power:
        bound *= float(np.power(_growth(results, "total_score", "sensitivity", pair), score_power))
    return _growth(results, "rows", contender, pair) / bound


def exponent_in_sensitivity(results: xr.Dataset, *, pair: tuple[str, str]) -> float:
    """The exponent a for which the rows grow as S^a along a pair."""
    rows = _growth(results, "rows", "sensitivity", pair)
    total = _growth(results, "total_score", "sensitivity", pair)
    return math.log(rows) / math.log(total) if rows > 0 and total > 0 and total != 1.0 else float("nan")


def mean_excess(results: xr.Dataset, *, contender: str) -> float:
    """The mean excess cost of a contender."""
    return float(results["excess"].sel(contender=contender).mean(skipna=False))


def _claims() -> tuple[Claim, ...]:
    return (*_bound_claims(), *_tightness_claims(), *_other_sampling_claims(), *_excess_claims(), *_practice_claims())


def _bound_claims() -> list[Claim]:
    def beyond(name: str, statement: str, pair: str, power: float, width: float, threshold: float) -> Claim:
        return Claim(
            name,
            statement,
            "abstract: roughly S^(2/p) rows for p < 2, S^(2 - 2/p) for p > 2, instead of S d",
            PAIRS[pair],
            partial(growth_beyond, contender="sensitivity", pair=PAIRS[pair], score_power=power, width_power=width),
            threshold,
            "<=",
        )

    bounds = {
        pair: 2.0 / CASES[names[0]].p if CASES[names[0]].p < 2.0 else 2.0 - 2.0 / CASES[names[0]].p
        for pair, names in PAIRS.items()
    }
    return [
        *(
            beyond(
                "within-the-bound", f"The rows needed grow at most twice as much as S^{power:.3g}", pair, power, 0, 2.0
            )
            for pair, power in bounds.items()
        ),
        beyond("less-than-S-d", "The rows needed fall by a quarter relative to S d", "gaussian", 1.0, 1.0, 0.75),
    ]


def _tightness_claims() -> list[Claim]:
    return [
        Claim(
            "bound-is-tight",
            f"The rows needed grow at least as S^{0.75 * power:.3g}, three quarters of the bound's exponent",
            "abstract: there are matrices for which S^(2/p) samples are necessary; here those of least S",
            PAIRS[pair],
            partial(exponent_in_sensitivity, pair=PAIRS[pair]),
            0.75 * power,
            scale="linear",
        )
        for pair, power in (("gaussian", 2.0), ("gaussian-p1.5", 4.0 / 3.0))
    ]


def _other_sampling_claims() -> list[Claim]:
    return [
        *(
            Claim(
                "root-leverage-needs-d",
                "The rows that root leverage sampling needs grow at most twice as much as d",
                "abstract: root leverage score sampling achieves roughly d for p < 2",
                PAIRS[pair],
                partial(growth_beyond, contender="root-leverage", pair=PAIRS[pair], score_power=0.0, width_power=1.0),
                2.0,
                "<=",
            )
            for pair in ("gaussian", "cauchy", "blocks")
        ),
        Claim(
            "root-leverage-improves",
            "Where copies of unit vectors draw the samples, root leverage needs two thirds of the rows at most",
            "abstract: d instead of S^(2/p)",
            "blocks-4d",
            ratio("rows", "sensitivity", "root-leverage"),
            1.5,
        ),
        Claim(
            "combination-improves",
            "For p = 4 the combination with leverage scores needs no more rows",
            "abstract: d^(2/p) S^(2 - 4/p) instead of S^(2 - 2/p)",
            "gaussian-p4-2d",
            ratio("rows", "sensitivity", "combined"),
            1.0,
        ),
        Claim(
            "all-rows-alike",
            "Where all rows are alike, uniform sampling needs at most 1.3 times the rows",
            "control: there is nothing to be gained",
            "gaussian-4d",
            ratio("rows", "uniform", "sensitivity"),
            1.3,
            "<=",
            role="control",
        ),
    ]


def _excess_claims() -> list[Claim]:
    return [
        *(
            Claim(
                f"{contender}-regression",
                f"With 16 d rows drawn by {contender} the cost is at most 5 % above the least",
                "subspace embedding, in what it is used for",
                problem,
                partial(mean_excess, contender=contender),
                0.05,
                "<=",
            )
            for problem in ("spiky-m-16d", "cauchy-m-16d")
            for contender in ("sensitivity", "root-leverage")
        ),
        *(
            Claim(
                "uniform-regression-fails",
                "With 16 d rows drawn uniformly the cost is at least 10 % above the least",
                "control: the rows are not alike",
                problem,
                partial(mean_excess, contender="uniform"),
                0.1,
                role="control",
            )
            for problem in ("spiky-m-16d", "cauchy-m-16d")
        ),
    ]


def _practice_claims() -> list[Claim]:
    return [
        Claim(
            "root-leverage-near-lewis",
            "With 8 d rows root leverage's excess cost is at most twice that of Lewis weights",
            "the strongest known sampling",
            "spiky-m-8d",
            ratio("excess", "root-leverage", "lewis"),
            2.0,
            "<=",
            role="practice",
        ),
        Claim(
            "near-lewis-on-real-data",
            "On the RAND data sensitivity sampling needs at most 1.5 times the rows of Lewis weights",
            "the strongest known sampling",
            "rand-health",
            ratio("rows", "sensitivity", "lewis"),
            1.5,
            "<=",
            role="practice",
        ),
        Claim(
            "beats-uniform-on-real-data",
            "On the RAND data uniform sampling needs at least 1.2 times the rows of sensitivity sampling",
            "whether rows of real data differ",
            "rand-health",
            ratio("rows", "uniform", "sensitivity"),
            1.2,
            role="practice",
        ),
        *(
            Claim(
                f"{contender}-faster-than-{solver}",
                f"Sampling 16 d rows by {contender} and solving needs no more processor time than {solver} on all rows",
                "what a practitioner would use today",
                "rand-health-m-16d",
                ratio("cpu_seconds", solver, contender),
                1.0,
                role="practice",
            )
            for contender, solver in (
                ("root-leverage", "full"),
                ("root-leverage", "quantile-regression"),
                ("sensitivity", "full"),
            )
        ),
    ]


def _figure(tables: Mapping[str, xr.Dataset]) -> Figure:
    """The rows needed against the total sensitivity, an arrow from the small to the large matrices of each pair."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for pair, names in PAIRS.items():
        parts = [tables[name].sel(contender="sensitivity") for name in names]
        totals = [float(part["total_score"].mean()) for part in parts]
        rows = [float(part["rows"].mean()) for part in parts]
        left.loglog(totals, rows, marker="o", label=pair)
    span = np.array(left.get_xlim())
    left.loglog(span, span**2 * left.get_ylim()[0] / span[0] ** 2, color="grey", linestyle=":", label="S^2 (slope)")
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set(xlabel="total sensitivity S", ylabel="rows needed, sensitivity sampling")
    left.legend(fontsize="small")
    needed = {name: tables[name]["rows"].mean("instance") for pair in PAIRS.values() for name in pair[1:]}
    for contender in ("sensitivity", "root-leverage", "combined", "lewis", "leverage", "uniform"):
        known = {name: rows for name, rows in needed.items() if contender in rows["contender"].values}
        right.semilogy(list(known), [float(r.sel(contender=contender)) for r in known.values()], "o", label=contender)
    right.set(ylabel="rows needed")
    right.tick_params(axis="x", rotation=30)
    right.legend(fontsize="small")
    return figure


STUDY = Study(
    name="lp-sensitivity-sampling",
    family="sketching",
    summary="How many rows must be sampled by l_p sensitivity to keep ||A x||_p for all x?",
    paper=Paper(
        title="Sharper Bounds for l_p Sensitivity Sampling",
        authors="D. P. Woodruff, T. Yasuda",
        venue="ICML 2023",
        claim="S^(2/p) rows for p < 2, which is tight, and S^(2-2/p) for p > 2, S total sensitivity, instead of S d",
    ),
    settings=SamplingSettings,
    sizes={
        Size.SMALL: {"instances": 1, "repetitions": 3, "rows": 400, "width": 3},
        Size.DEFAULT: {"instances": 3, "repetitions": 5},
        Size.LARGE: {"instances": 10, "repetitions": 10, "rows": 2000, "width": 10},
    },
    problems=lambda settings: {name: case.problem(settings) for name, case in CASES.items()},
    contenders=_contenders,
    metrics=(
        work_metric("rows", "rows in the sample"),
        work_metric("total_score", "sum of the scores; of sensitivities S"),
        Metric("excess", excess_cost, "cost relative to the least, minus 1"),
    ),
    claims=lambda settings: _claims(),
    # a sample keeps the cost up to its distortion; the coefficients of a noisy regression only to their own error
    agreement=lambda settings: Agreement("full", 10.0, relative_distance),
    history_length=lambda settings: 1,
    history_label=f"distortion of the sample, at most {DISTORTION}",
    headline=("sensitivity", "lewis", "uniform"),
    method="The sensitivity of a row is the largest share that it can have in ||A x||_p^p; it is found by a convex "
    "problem for each row. Rows are kept independently with probabilities proportional to it, and weighted by one over "
    "these. The paper shows that about S^(2/p) rows suffice for p < 2 and S^(2 - 2/p) for p > 2, S the sum of all.",
    surprises="Sensitivities, Lewis weights and root leverage scores need about as many rows at these sizes. Blocks "
    "of unit vectors beside a Gaussian one, where theory has root leverage ahead by sqrt(d), put sensitivities ahead: "
    "catching every unit vector often enough costs more than the Gaussian directions. Computing the sensitivities "
    "takes twenty times as long as solving the regression on all rows. Leverage scores, wrong for p = 1 in theory, do "
    "well where the probability that rows beyond certainty leave over goes to the others.",
    figure=_figure,
)
