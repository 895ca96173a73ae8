"""Completing a low-rank matrix by least squares that are solved only approximately, against solving them exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from data.low_rank.digits import DigitsCompletion
from data.low_rank.synthetic import CompletionPhases, LowRankCompletion
from data.problem import Problem
from flows.studies.low_rank.completion.measures import (
    RECOVERED,
    hidden_error,
    recovery_lost,
    relative_error,
    share_recovered,
)
from kernels.low_rank.alternating_minimization import exact_als, robust_altmin_completion, warm_cg_als
from kernels.low_rank.nuclear_norm import singular_value_thresholding, soft_impute
from kernels.low_rank.scaled_gradient import scaled_gradient_descent
from tasks.claims import Claim, Statistic, mean_of, ratio
from tasks.rates import growth
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, relative_distance, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

METHOD, EXACT = "robust-altmin", "exact-als"
# The side of the matrix over the rank: entries observed as completion has them, 2 k n log n.
SPARSE = {"low-rank": 60, "middle-rank": 30, "high-rank": 15}
# The rank over the greatest k with k^2 observed entries in each row: there the sketch costs no more than the products.
# Matrices of twice the side, so that ranks are large enough for exponents to show.
DENSE = {"dense-low-rank": 0.5, "dense-middle-rank": 0.75, "dense-high-rank": 1.0}
DENSE_SHARE, DENSE_SIDES = 0.8, 2
NOISY, SPIKY, DIGITS = "noisy", "spiky", "digits"
OVERSAMPLINGS = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
PHASE_SIDE, PHASE_RANKS = 80, (2, 8)
FRESH_SWEEPS = 5
NOISE, CONDITION_NUMBER = 1e-3, 10.0
_FLOORS: tuple[tuple[str, str, str, Literal["paper", "control"], str], ...] = (
    (
        "accuracy-sets-the-floor",
        "the sketched solution",
        "sketched",
        "paper",
        "theory: the inner accuracy sets a floor",
    ),
    ("accuracy-sets-the-floor-from-zero", "zero", "from-zero", "control", "control: a crude solution must show"),
)


class CompletionSettings(Settings):
    """The parameters of the study."""

    side: int = Field(300, ge=60, le=1500, description="rows and columns of the synthetic matrices")
    inner_tolerance: float = Field(1e-6, gt=0.0, lt=1.0, description="to which the method solves its row problems")
    tolerance: float = Field(1e-8, gt=0.0, lt=1.0, description="on the relative residual on the observed entries")
    max_sweeps: int = Field(100, ge=2, le=10_000, description="limit on sweeps over both factors")
    spikiness: float = Field(0.7, ge=0.0, le=4.0, description="decay exponent of the rows of the coherent factors")
    least_oversampling: float = Field(1.25, ge=1.25, le=4.0, description="where the phase diagram begins")


def _ranks(settings: CompletionSettings) -> dict[str, int]:
    greatest = math.isqrt(int(DENSE_SHARE * DENSE_SIDES * settings.side))
    dense = {name: round(share * greatest) for name, share in DENSE.items()}
    return {**{name: settings.side // divisor for name, divisor in SPARSE.items()}, **dense}


def _phases(settings: CompletionSettings) -> dict[str, float]:
    return {f"oversampling-{value:g}": value for value in OVERSAMPLINGS if value >= settings.least_oversampling}


def _synthetic(settings: CompletionSettings, problem: str, **options: float) -> LowRankCompletion:
    rank = _ranks(settings)[problem]
    side = DENSE_SIDES * settings.side if problem in DENSE else settings.side
    entries = DENSE_SHARE * side**2 if problem in DENSE else 2 * rank * side * math.log(side)
    return LowRankCompletion(rows=side, columns=side, rank=rank, entries=int(entries), **options)


def _problems(settings: CompletionSettings) -> dict[str, Problem]:
    least, greatest = PHASE_RANKS
    return {
        **{name: _synthetic(settings, name) for name in (*SPARSE, *DENSE)},
        NOISY: _synthetic(settings, "low-rank", noise=NOISE, condition_number=CONDITION_NUMBER),
        SPIKY: _synthetic(settings, "low-rank", spikiness=settings.spikiness),
        DIGITS: DigitsCompletion(),
        **{
            name: CompletionPhases(
                side=PHASE_SIDE,
                least_rank=least,
                greatest_rank=greatest,
                least_oversampling=value,
                greatest_oversampling=value,
            )
            for name, value in _phases(settings).items()
        },
    }


def _contenders(settings: CompletionSettings, problem: str) -> tuple[Contender, ...]:
    stop = {"tolerance": settings.tolerance, "stall_tolerance": 1e-3, "max_sweeps": settings.max_sweeps}
    accurate = {**stop, "inner_tolerance": settings.inner_tolerance}
    without_sketch = {"sketch_factor": 0, "start": "zero"}

    def variant(name: str, summary: str, **options: Any) -> Contender:
        changed = {**accurate, **options}
        return Contender(name, robust_altmin_completion, changed, "control", stochastic=True, summary=summary)

    exact = "Cholesky of the normal equations of every row"
    contenders = [
        Contender(METHOD, robust_altmin_completion, accurate, "method", stochastic=True, summary="sketch and CG"),
        Contender(EXACT, exact_als, stop, stochastic=True, summary=exact),
    ]
    if problem not in DENSE:
        patient = {**stop, "max_sweeps": 5 * settings.max_sweeps}
        summary = "scaled gradient descent on both factors"
        contenders.append(
            Contender("scaled-gradient", scaled_gradient_descent, patient, stochastic=True, summary=summary)
        )
    if problem not in _phases(settings):
        contenders += [
            Contender("warm-cg", warm_cg_als, {**stop, "steps": 3}, stochastic=True, summary="three warm CG steps"),
            variant("plain-cg", "CG from zero, without a sketch", **without_sketch),
        ]
    if problem == "low-rank":
        for tolerance in (1e-1, 1e-2, 1e-4):
            crude = f"row problems solved to {tolerance:g}"
            contenders += [
                variant(f"sketched-{tolerance:g}", crude, inner_tolerance=tolerance),
                variant(f"from-zero-{tolerance:g}", f"{crude}, from zero", inner_tolerance=tolerance, start="zero"),
            ]
    if problem == "dense-middle-rank":
        fresh = "every half-sweep reads entries of its own"
        contenders.append(variant("fresh-samples", fresh, fresh_samples=True, max_sweeps=FRESH_SWEEPS))
    if problem in ("low-rank", NOISY, DIGITS, *_phases(settings)):
        # on digits, iterating further leaves the error as it is
        patience = {"max_iterations": 60} if problem == DIGITS else {"max_iterations": 100, "stall_tolerance": 1e-5}
        path = {**patience, "tolerance": settings.tolerance}
        summary = "nuclear norm, penalty chosen on held-out entries"
        contenders.append(Contender("soft-impute", soft_impute, path, stochastic=True, summary=summary))
    if problem in ("low-rank", NOISY, *_phases(settings)):
        summary = "singular value thresholding to the authors' 1e-4"
        svt = {"max_iterations": 300}
        contenders.append(Contender("svt", singular_value_thresholding, svt, stochastic=True, summary=summary))
    return tuple(contenders)


def _error(numerator: str, denominator: str, settings: CompletionSettings) -> Statistic:
    # below ten times the tolerance, errors say when a method stopped and not how well it completes
    return ratio("relative_error", numerator, denominator, floor=10 * settings.tolerance)


def _claims(settings: CompletionSettings) -> tuple[Claim, ...]:
    return (*_accuracy_claims(settings), *_cost_claims(settings), *_practice_claims(settings))


def _accuracy_claims(settings: CompletionSettings) -> list[Claim]:
    return [
        *(
            Claim(
                "as-accurate-as-exact",
                "With row problems solved to 1e-6 the error is at most 1.1 times that of exact least squares",
                "abstract: alternating minimisation tolerates approximate updates; the catalogue's threshold",
                problem,
                _error(METHOD, EXACT, settings),
                1.1,
                "<=",
            )
            for problem in (*SPARSE, NOISY)
        ),
        Claim(
            "same-sample-complexity",
            "Of all matrices the method recovers at most a twentieth fewer than exact least squares",
            "abstract: the sample complexity is preserved",
            tuple(_phases(settings)),
            partial(recovery_lost, contender=METHOD, reference=EXACT),
            0.05,
            "<=",
            "linear",
        ),
        *(
            Claim(
                name,
                f"From {start}, row problems solved to 1e-4 lead to a tenth of the error of those solved to 1e-1",
                source,
                "low-rank",
                ratio("relative_error", f"{contender}-0.1", f"{contender}-0.0001"),
                10.0,
                role=role,
            )
            for name, start, contender, role, source in _FLOORS
        ),
        Claim(
            "spiky-is-not-recovered",
            "Spiky factors are not recovered: the relative error is at least 1e-2",
            "control: the theorem assumes incoherent factors",
            SPIKY,
            partial(mean_of, metric="relative_error", contender=METHOD),
            RECOVERED,
            role="control",
        ),
    ]


def _cost_claims(settings: CompletionSettings) -> list[Claim]:
    ranks = _ranks(settings)
    dense, sparse = ({name: float(ranks[name]) for name in group} for group in (DENSE, SPARSE))
    cost = "multiply_adds_per_entry"
    return [
        Claim(
            "cost-linear-in-rank",
            "Per sweep and observed entry the work grows at most as k^1.3 where rows hold k^2 entries or more",
            "abstract: O~(|Omega| k) in place of O~(|Omega| k^2); the theorem asks for that many entries",
            tuple(dense),
            growth(cost, METHOD, dense),
            1.3,
            "<=",
            "linear",
        ),
        Claim(
            "exact-cost-quadratic-in-rank",
            "Per sweep and observed entry the work of exact least squares grows at least as k^1.7",
            "abstract: O~(|Omega| k^2) of all prior alternating minimisation",
            tuple(dense),
            growth(cost, EXACT, dense),
            1.7,
            ">=",
            "linear",
            "control",
        ),
        Claim(
            "cost-linear-at-completion-density",
            "Per sweep and observed entry the work grows at most as k^1.3 where 2 k n log n entries are observed",
            "the number of entries with which completion is used; a sketch of 4 k rows costs 2 k^3",
            tuple(sparse),
            growth(cost, METHOD, sparse),
            1.3,
            "<=",
            "linear",
            "practice",
        ),
    ]


def _practice_claims(settings: CompletionSettings) -> list[Claim]:
    return [
        *(
            Claim(
                f"faster-than-{baseline}",
                f"The method takes no more processor time than {baseline}",
                "what a practitioner would use today",
                problem,
                ratio("cpu_seconds", baseline, METHOD),
                1.0,
                role="practice",
            )
            for problem, baseline in (
                ("high-rank", EXACT),
                ("dense-high-rank", EXACT),
                ("low-rank", "soft-impute"),
                ("low-rank", "svt"),
                ("low-rank", "scaled-gradient"),
            )
        ),
        *(
            Claim(
                "more-accurate-than-soft-impute",
                "On hidden entries the method's error is at most that of SoftImpute",
                "what a practitioner would use today",
                problem,
                ratio("hidden_error", "soft-impute", METHOD),
                1.0,
                role="practice",
            )
            for problem in ("low-rank", NOISY, DIGITS)
        ),
        *(
            Claim(
                f"less-work-than-{baseline}",
                f"The method needs no more multiply-adds in all than {baseline}",
                source,
                problem,
                ratio("multiply_adds", baseline, METHOD),
                1.0,
                role="practice",
            )
            for problem, baseline, source in (
                ("middle-rank", "plain-cg", "section on the regression solver: the sketch preconditions"),
                (SPIKY, "plain-cg", "section on the regression solver: the sketch preconditions"),
                ("middle-rank", "warm-cg", "what libraries for implicit feedback do"),
            )
        ),
        Claim(
            "reuse-beats-fresh-samples",
            f"The error after reusing all entries is at most that of {FRESH_SWEEPS} sweeps over entries of their own",
            "the theory reads fresh entries in every half-sweep, practice does not",
            "dense-middle-rank",
            _error("fresh-samples", METHOD, settings),
            1.0,
            role="practice",
        ),
    ]


def paper_figure(tables: Mapping[str, xr.Dataset]) -> Figure:
    """Convergence at the highest rank, work against rank in both regimes, and recovery against oversampling."""
    from matplotlib.figure import Figure

    from tasks.scoring import median_curve

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    convergence, cost, recovery = figure.subplots(1, 3)
    table = tables["high-rank"]
    for name in (METHOD, EXACT, "warm-cg", "plain-cg", "scaled-gradient"):
        convergence.semilogy(*median_curve(table, name), label=name)
    convergence.set(xlim=(0, 60), xlabel="sweep", ylabel="relative residual on observed entries", title="high rank")
    for group, style in ((SPARSE, "o-"), (DENSE, "s--")):
        for name, colour in ((METHOD, "C0"), (EXACT, "C1")):
            column = [tables[problem].sel(contender=name) for problem in group]
            work = [float(part["multiply_adds_per_entry"].mean()) for part in column]
            ranks = [float(part["rank"].mean()) for part in column]
            density = "2 k n log n" if group is SPARSE else f"{DENSE_SHARE:g} n^2"
            cost.loglog(ranks, work, style, color=colour, label=f"{name}, {density}")
    cost.set(xlabel="rank k", ylabel="multiply-adds per sweep and entry", title="cost")
    phases = {float(name.removeprefix("oversampling-")): name for name in tables if name.startswith("oversampling-")}
    for name in (METHOD, EXACT, "scaled-gradient", "soft-impute", "svt"):
        shares = [share_recovered(tables[problem], contender=name) for problem in phases.values()]
        recovery.plot(list(phases), shares, "o-", label=name, alpha=0.7)
    recovery.set(xlabel="entries / degrees of freedom", ylabel="share recovered to 1e-2", title="recovery")
    for panel in (convergence, cost, recovery):
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    return figure


STUDY = Study(
    name="robust-altmin-completion",
    family="low_rank",
    summary="Does alternating minimisation complete a matrix as well if its least squares are approximate?",
    paper=Paper(
        title="Low Rank Matrix Completion via Robust Alternating Minimization in Nearly Linear Time",
        authors="Y. Gu, Z. Song, J. Yin, L. Zhang",
        venue="ICLR 2024",
        claim="Approximate inner solves keep recovery and sample complexity, in O~(|Omega| k) and not O~(|Omega| k^2)",
    ),
    settings=CompletionSettings,
    sizes={
        Size.SMALL: {
            "instances": 1,
            "repetitions": 2,
            "side": 120,
            "max_sweeps": 200,
            "spikiness": 0.2,
            "least_oversampling": 3.0,
        },
        Size.DEFAULT: {"instances": 2, "repetitions": 5},
        Size.LARGE: {"instances": 4, "repetitions": 10, "side": 1000},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        Metric("relative_error", relative_error, "relative error of the whole completion"),
        Metric("hidden_error", hidden_error, "relative error on the entries not observed"),
        work_metric("sweeps", "sweeps over both factors, or iterations"),
        work_metric("multiply_adds", "multiply-adds of all sweeps"),
        work_metric("multiply_adds_per_entry", "multiply-adds per sweep and observed entry"),
        work_metric("inner_steps", "inner steps per row problem"),
        Metric("rank", lambda instance, result: float(instance.rank), "rank of the completion"),
    ),
    claims=_claims,
    # no further than zero is: without a penalty, completions of digits overfit hidden pixels, each in its own way
    agreement=lambda settings: Agreement(EXACT, 1.0, relative_distance),
    history_length=lambda settings: max(5 * settings.max_sweeps, 300) + 1,
    history_label="relative residual on the observed entries",
    headline=(METHOD, EXACT),
    method=(
        "From clipped singular vectors of the observed entries, alternating minimisation solves one least-squares "
        "problem for each row and each column. Each is solved approximately: a CountSketch of 4 k rows gives a "
        "preconditioner and a first iterate, and conjugate gradients reduce the gradient to the inner tolerance. A "
        "problem of s rows so costs s k log(1/eps) + 2 k^3 multiply-adds instead of the s k^2 of its normal equations."
    ),
    figure=paper_figure,
    surprises=(
        "The inner accuracy sets no floor: solved to 1e-1, row problems lead to the same error as solved to 1e-6, in a "
        "few sweeps more and with a third less work. The sketched solution of a problem without residual is exact, so "
        "its error shrinks with the completion's. Started from zero, the floor is there. And forming the sketch costs "
        "2 k^3 for each row, so that at completion's densities exact least squares, a BLAS-3 product and a small "
        "Cholesky factorisation, stay faster; three plain CG steps from the completion before cost least."
    ),
)
