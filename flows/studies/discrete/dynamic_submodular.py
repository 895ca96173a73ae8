"""Choosing k elements while they come and go: levels of random samples against greedy, kept up or started afresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.discrete.coverage_stream import CoverageStream
from data.discrete.digit_exemplars import DigitExemplars
from data.discrete.update_stream import Pattern
from data.problem import Problem
from kernels.discrete.dynamic_submodular import dynamic_submodular
from kernels.discrete.greedy_streams import lazy_greedy
from kernels.discrete.sieve_streaming import sieve_streaming
from kernels.discrete.subset_controls import enumerated_optimum, random_subset
from kernels.result import Result
from tasks.claims import Claim, Statistic, ratio
from tasks.rates import growth
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, work_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from matplotlib.figure import Figure

CALLS = "oracle_calls_per_update"
METHOD, REFERENCE = "dynamic-levels", "best-known"
ENUMERABLE, DIGITS = "enumerable", "digits"
CARDINALITY = 10
CARDINALITIES = (16, 32, 64)
CARDINALITY_OF = {ENUMERABLE: 4, DIGITS: 20, **{f"k-{cardinality}": cardinality for cardinality in CARDINALITIES}}
CHECKED_EVERY = 25
GROWING = (Pattern.CHURN, Pattern.PEEL)


class DynamicSubmodularSettings(Settings):
    """The parameters of the study."""

    largest: int = Field(4000, ge=400, le=10**6, multiple_of=8, description="most elements; 5/2 updates an element")
    enumerable_updates: int = Field(2000, ge=100, le=10**6, description="updates with the optimum after each of them")
    epsilon: float = Field(0.2, gt=0.0, lt=0.5, description="of the guarantee 1/2 - epsilon")


def _sizes(settings: DynamicSubmodularSettings, pattern: Pattern) -> dict[str, float]:
    """The problems along which the number of elements grows."""
    return {f"{pattern}-{size}": float(size) for size in (settings.largest // part for part in (8, 4, 2, 1))}


def _largest(settings: DynamicSubmodularSettings) -> tuple[str, ...]:
    """The problems that quality and cost are compared on."""
    return (*(f"{pattern}-{settings.largest}" for pattern in GROWING), DIGITS)


def _problems(settings: DynamicSubmodularSettings) -> dict[str, Problem]:
    growing: dict[str, Problem] = {
        name: CoverageStream(elements=int(size), pattern=pattern, updates=5 * int(size) // 2)
        for pattern in GROWING
        for name, size in _sizes(settings, pattern).items()
    }
    quarter = settings.largest // 4
    images = min(quarter, 1000)
    return {
        **growing,
        **{
            f"k-{cardinality}": CoverageStream(elements=quarter, items=100 * cardinality, updates=3 * quarter // 2)
            for cardinality in CARDINALITIES
        },
        DIGITS: DigitExemplars(elements=images, pattern=Pattern.WINDOW, updates=5 * images // 2),
        ENUMERABLE: CoverageStream(elements=24, items=60, largest=24, updates=settings.enumerable_updates),
    }


def _contenders(settings: DynamicSubmodularSettings, problem: str) -> tuple[Contender, ...]:
    enumerable = problem == ENUMERABLE
    shared = {
        "cardinality": CARDINALITY_OF.get(problem, CARDINALITY),
        "every": 1 if enumerable else CHECKED_EVERY,
    }
    guessed = {**shared, "epsilon": settings.epsilon}
    incremental = {**shared, "incremental": True}
    best = (
        Contender(REFERENCE, enumerated_optimum, shared, "control", summary="the optimum, by enumeration")
        if enumerable
        else Contender(REFERENCE, lazy_greedy, incremental, "control", summary="the solution of greedy")
    )
    return (
        Contender(METHOD, dynamic_submodular, guessed, "method", stochastic=True, summary="random batches, by levels"),
        Contender(
            "single-pivot",
            dynamic_submodular,
            {**guessed, "single_pivot": True},
            stochastic=True,
            summary="its simpler form, which samples one element a level",
        ),
        Contender("greedy", lazy_greedy, shared, summary="lazy greedy from scratch after every update"),
        Contender(
            "incremental-greedy", lazy_greedy, incremental, summary="lazy greedy from the first pick that changes"
        ),
        Contender("sieve-streaming", sieve_streaming, guessed, summary="started again where a deletion hits a sieve"),
        Contender("random-subset", random_subset, shared, "control", stochastic=True, summary="k elements at random"),
        best,
    )


def mean_value(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """What the solution is worth on average along the stream."""
    return float(result.value.mean())


def shortfall(value: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The largest share of the reference's value that is missing at any time; nothing is missing from 0."""
    missing = np.divide(reference - value, reference, out=np.zeros_like(reference), where=reference > 0.0)
    return float(max(0.0, missing.max()))


def worst_share(results: xr.Dataset) -> float:
    """The least share of the reference's value that the method has at any time of any stream."""
    return float(1.0 - results[DISTANCE].sel(contender=METHOD).max(skipna=False).clip(max=1.0))


def cost_of_stress(results: xr.Dataset) -> float:
    """The method's calls on the last problem over those on the first."""
    calls = results[CALLS].sel(contender=METHOD).mean("instance", skipna=False)
    return float(calls.isel(problem=-1) / calls.isel(problem=0))


def _claims(settings: DynamicSubmodularSettings) -> tuple[Claim, ...]:
    claims = [*_quality_claims(settings), *_growth_claims(settings)]
    for problem in _largest(settings):
        claims += _practice_claims(problem)
    return tuple(claims)


def _quality_claims(settings: DynamicSubmodularSettings) -> list[Claim]:
    share = 0.5 - settings.epsilon
    theorem = "abstract: a (1/2 - epsilon)-approximate solution is maintained"
    optimum = Claim(
        "share-of-optimum",
        f"After every update the solution is worth at least {share:g} of the optimum",
        theorem,
        ENUMERABLE,
        worst_share,
        share,
        scale="linear",
    )
    return [
        optimum,
        *(
            Claim(
                "share-of-greedy",
                f"At every checked time the solution is worth at least {share:g} of greedy's",
                f"{theorem}; greedy's value is at most the optimum",
                problem,
                worst_share,
                share,
                scale="linear",
            )
            for problem in _largest(settings)
        ),
        Claim(
            "choice-matters",
            "A random subset is worth at most half of greedy's on average",
            "control: a share of greedy's value is worth something",
            _largest(settings)[0],
            ratio("mean_value", "random-subset", REFERENCE),
            0.5,
            "<=",
            role="control",
        ),
    ]


def _growth_claims(settings: DynamicSubmodularSettings) -> list[Claim]:
    def slope(name: str, statement: str, source: str, contender: str, sizes: dict[str, float], *limit: Any) -> Claim:
        return Claim(name, statement, source, tuple(sizes), growth(CALLS, contender, sizes), *limit)

    claims = []
    for pattern in GROWING:
        sizes = _sizes(settings, pattern)
        claims += [
            slope(
                "calls-grow-polylogarithmically",
                "The method's calls per update grow at most as n^0.3, as log(n)^2 does from 500 to 4000",
                "title and abstract: polylogarithmic amortised update time",
                METHOD,
                sizes,
                0.3,
                "<=",
                "linear",
            ),
            slope(
                "greedy-grows-linearly",
                "The calls of greedy from scratch grow at least as n^0.9",
                "control: the streams are long enough to tell",
                "greedy",
                sizes,
                0.9,
                ">=",
                "linear",
                "control",
            ),
        ]
    largest = f"k-{CARDINALITIES[-1]}"
    return [
        *claims,
        slope(
            "calls-hardly-grow-with-k",
            "The method's calls per update grow at most as k^0.5",
            "abstract of the claim that it mends: poly(log n, log k, 1/epsilon) queries",
            METHOD,
            {f"k-{cardinality}": float(cardinality) for cardinality in CARDINALITIES},
            0.5,
            "<=",
            "linear",
        ),
        Claim(
            "batches-pay",
            "Random batches need no more calls than single pivots",
            "what sampling in batches is for",
            largest,
            ratio(CALLS, "single-pivot", METHOD),
            1.0,
        ),
        Claim(
            "deletions-of-the-best-cost-little",
            "Where the best elements are deleted first, calls per update are at most five times those of churn",
            "abstract: the bound is for any stream; random pivots are hard to hit",
            _largest(settings)[:2],
            cost_of_stress,
            5.0,
            "<=",
        ),
    ]


def _practice_claims(problem: str) -> list[Claim]:
    def fewer(baseline: str) -> Claim:
        return Claim(
            f"fewer-calls-than-{baseline}",
            f"It needs no more calls of the oracle than {baseline}",
            "what a practitioner would use today",
            problem,
            ratio(CALLS, baseline, METHOD),
            1.0,
            role="practice",
        )

    def faster(baseline: str) -> Claim:
        return Claim(
            f"faster-than-{baseline}",
            f"It needs no more processor time than {baseline}",
            "what a practitioner would use today",
            problem,
            ratio("cpu_seconds", baseline, METHOD),
            1.0,
            role="practice",
        )

    quality: Statistic = ratio("mean_value", METHOD, REFERENCE)
    return [
        Claim(
            "close-to-greedy",
            "On average its solution is worth at least 0.7 of greedy's",
            "what its user would expect beyond the guarantee",
            problem,
            quality,
            0.7,
            role="practice",
        ),
        *(fewer(baseline) for baseline in ("greedy", "incremental-greedy", "sieve-streaming")),
        *(faster(baseline) for baseline in ("greedy", "incremental-greedy")),
    ]


def calls_figure(tables: Mapping[str, xr.Dataset]) -> Figure:
    """Calls per update against the number of elements, for both ways in which these come and go."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, pattern in zip(figure.subplots(1, len(GROWING), sharey=True), GROWING, strict=True):
        names = [name for name in tables if name.startswith(f"{pattern}-")]
        sizes = [int(name.rpartition("-")[2]) for name in names]
        for contender in (METHOD, "single-pivot", "greedy", "incremental-greedy", "sieve-streaming"):
            calls = [float(tables[name][CALLS].sel(contender=contender).mean()) for name in names]
            axes.loglog(sizes, calls, "o-", label=contender, linewidth=2.2 if contender == METHOD else 1.0)
        axes.set(xlabel="elements", title=str(pattern))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("oracle calls per update")
    figure.axes[0].legend(fontsize="small")
    return figure


STUDY = Study(
    name="dynamic-submodular",
    family="discrete",
    summary="Can half of the best choice be kept, while elements come and go, for hardly more than nothing an update?",
    paper=Paper(
        title="Dynamic Constrained Submodular Optimization with Polylogarithmic Update Time",
        authors="K. Banihashem, L. Biabani, S. Goudarzi, M. Hajiaghayi, P. Jabbarzade, M. Monemizadeh",
        venue="ICML 2023",
        claim="A (1/2 - epsilon)-approximate solution is maintained with polylogarithmic amortised update time",
    ),
    settings=DynamicSubmodularSettings,
    sizes={
        Size.SMALL: {"instances": 1, "repetitions": 3, "largest": 400, "enumerable_updates": 200},
        Size.DEFAULT: {"instances": 1, "repetitions": 5},
        Size.LARGE: {"instances": 1, "repetitions": 5, "largest": 40_000, "enumerable_updates": 20_000},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric(CALLS, "evaluations of f per update"),
        Metric("mean_value", mean_value, "value of the solution, mean over the stream"),
    ),
    claims=_claims,
    # the guarantee is about the optimum, and greedy is worth no more than that
    agreement=lambda settings: Agreement(REFERENCE, 0.5 + settings.epsilon, shortfall),
    history_length=lambda settings: 1 + max(settings.enumerable_updates, 5 * settings.largest // (2 * CHECKED_EVERY)),
    history_label="value of the solution",
    headline=(METHOD, "single-pivot", "greedy"),
    method=(
        "Powers of 1 + epsilon guess the optimum, and each guess keeps levels of candidates whose gain over the "
        "solution so far reaches a threshold. At every level a random batch of those of about equal gain joins the "
        "solution, as large as it can be while most of them still gain what they did. A level is rebuilt only once a "
        "share of it has come or gone, which its randomness makes rare."
    ),
    surprises=(
        "The calls per update fall with the number of elements n and rise with k, roughly as the chance k / n that a "
        "deletion hits the solution does: the guarantee is a ceiling that these streams do not reach. Greedy that "
        "keeps its picks, exact and without any guarantee of its cost, needs fewer calls than the method unless the "
        "stream deletes those picks, and a sieve that is started again needs fewer even then. Lazy greedy that "
        "remembers what elements are worth alone grows less than linearly, so that its control fails."
    ),
    figure=calls_figure,
)
