"""The gradient of a low-rank adapter in near-linear time, and how large scores it bears."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import comb, log
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from data.adapters.digit_layer import DigitLayer
from data.adapters.random_layer import RandomLayer
from data.problem import Problem
from kernels.adapters.exact import blocked_gradient, dense_gradient, exact_multiplications
from kernels.adapters.nystroem import nystroem_gradient
from kernels.adapters.polynomial import polynomial_gradient
from kernels.adapters.random_features import random_feature_gradient
from kernels.adapters.sufficient_degree import gradient_error, sufficient_degree
from kernels.result import Result
from tasks.claims import Claim, Statistic, mean_of, quotient_of_problems, ratio
from tasks.rates import growth
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

LARGEST_SCORES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SHARES = (32, 8, 4, 2, 1)  # of the longest sequence; the slopes are those of the last four
DIGITS = "digits"
DEGREE = 4
MAX_DEGREE = 40
HISTORY = 80


class LoraGradientSettings(Settings):
    """The parameters of the study."""

    tolerance: float = Field(1e-2, gt=0.0, lt=1.0, description="relative error allowed of a row of the attention")
    dimension: int = Field(8, ge=2, le=10, description="entries of a token where the sequence grows")
    longest: int = Field(32768, ge=512, le=2**17, description="tokens of the longest sequence; others are shares of it")
    tokens: int = Field(512, ge=8, le=1797, description="tokens where the scores grow, and of the digits")
    # With eight entries the degree that is proven to suffice at Gamma = 8 would need fourteen million features.
    bounded_dimension: int = Field(4, ge=2, le=5, description="entries of a token where the scores grow")
    trained_dimension: int = Field(3, ge=2, le=4, description="entries of a token of the digits")

    @model_validator(mode="after")
    def _whole_shares(self) -> LoraGradientSettings:
        if self.longest % SHARES[0]:
            raise ValueError(f"longest={self.longest} must be a multiple of {SHARES[0]}")
        return self


def _by_length(settings: LoraGradientSettings) -> dict[str, float]:
    return {f"L-{settings.longest // share}": float(settings.longest // share) for share in SHARES}


def _by_score() -> dict[str, float]:
    return {f"gamma-{score:g}": score for score in LARGEST_SCORES}


def _problems(settings: LoraGradientSettings) -> dict[str, Problem]:
    bounded = {"tokens": settings.tokens, "dimension": settings.bounded_dimension}
    return {
        **{
            name: RandomLayer(tokens=int(length), dimension=settings.dimension, largest_score=1.0)
            for name, length in _by_length(settings).items()
        },
        **{name: RandomLayer(**bounded, largest_score=score) for name, score in _by_score().items()},
        DIGITS: DigitLayer(tokens=settings.tokens, dimension=settings.trained_dimension),
    }


def _dimension(settings: LoraGradientSettings, problem: str) -> int:
    if problem == DIGITS:
        return settings.trained_dimension
    return settings.bounded_dimension if problem in _by_score() else settings.dimension


def _contenders(settings: LoraGradientSettings, problem: str) -> tuple[Contender, ...]:
    features = comb(_dimension(settings, problem) + DEGREE, DEGREE)
    tolerance = {"tolerance": settings.tolerance}
    taylor, chebyshev = ({**tolerance, "expansion": expansion} for expansion in ("taylor", "chebyshev"))
    proven = "polynomial of the degree that is proven to suffice"
    fourth = {**taylor, "degree": DEGREE}
    contenders = (
        Contender("chained", polynomial_gradient, chebyshev, "method", summary=f"Chebyshev's {proven}"),
        Contender("degree-4", polynomial_gradient, fourth, summary="Taylor's polynomial of degree 4"),
        Contender("blocked", blocked_gradient, summary="exact, 64 queries at a time"),
        Contender(
            "performer",
            random_feature_gradient,
            {"features": features},
            stochastic=True,
            summary="positive random features, as many as degree 4 has",
        ),
        Contender(
            "nystroem",
            nystroem_gradient,
            {"landmarks": features},
            stochastic=True,
            summary="landmarks, as many as degree 4 has features",
        ),
    )
    if problem in _by_length(settings):
        return contenders
    known = "the least degree of Taylor's polynomial that suffices, found with the exact gradient"
    least = {**tolerance, "max_degree": MAX_DEGREE}
    return (
        *contenders,
        Contender("taylor", polynomial_gradient, taylor, summary=f"Taylor's {proven}"),
        Contender("dense", dense_gradient, summary="exact, all scores at once"),
        Contender("sufficient-degree", sufficient_degree, least, "control", summary=known),
    )


def _largest_score(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    return float(instance.largest_score)


def break_even_length(instance: Any, result: Result) -> float:
    """The length from which the exact gradient would multiply more often; multiplications per token stay the same."""
    n, d = instance.inputs.shape
    return float(result.work.get("multiplications", np.nan) / n / exact_multiplications(1, d))


def _claims(settings: LoraGradientSettings) -> tuple[Claim, ...]:
    return (*_length_claims(settings), *_score_claims(settings), *_practice_claims(settings))


def _length_claims(settings: LoraGradientSettings) -> list[Claim]:
    lengths = dict(list(_by_length(settings).items())[1:])
    longest, half = f"L-{settings.longest}", f"L-{settings.longest // 2}"
    return [
        *(
            Claim(
                f"near-linear-{kind}-{contender}",
                f"With scores up to 1, the {text} of {contender} grows at most as L^1.25",
                "abstract: nearly linear time; 0.25 allows for the o(1), which lies in the degree",
                tuple(lengths),
                growth(metric, contender, lengths),
                1.25,
                "<=",
                "linear",
            )
            for kind, metric, text in (
                ("work", "multiplications", "number of multiplications"),
                ("time", "cpu_seconds", "processor time"),
            )
            for contender in ("chained", "degree-4")
        ),
        Claim(
            "blocked-is-quadratic",
            "The processor time of the exact gradient, block by block, grows at least as L^1.7",
            "the catalogue's check: without it, the sequences would be too short to say anything",
            tuple(lengths),
            growth("cpu_seconds", "blocked", lengths),
            1.7,
            scale="linear",
            role="control",
        ),
        *(
            Claim(
                f"crosses-over-{contender}",
                f"With scores up to 1, {contender} takes no more processor time than the exact gradient",
                f"the catalogue's check: a crossover must exist below {settings.longest} tokens",
                half,
                ratio("cpu_seconds", "blocked", contender),
                1.0,
            )
            for contender in ("chained", "degree-4")
        ),
        *(
            _error_below(name, statement, problem, contender, settings)
            for name, contender, statement in (
                ("accurate-chained", "chained", "the degree that is proven to suffice for the attention"),
                ("accurate-degree-4", "degree-4", "Taylor's polynomial of degree 4"),
            )
            for problem in (longest, "gamma-1")
        ),
    ]


def _error_below(name: str, what: str, problem: str, contender: str, settings: LoraGradientSettings) -> Claim:
    return Claim(
        name,
        f"With scores up to 1, {what} has both gradients with a relative error of at most {settings.tolerance:g}",
        "abstract: nearly linear approximation below the threshold; the accuracy is that of the catalogue's check",
        problem,
        partial(mean_of, metric=DISTANCE, contender=contender),
        settings.tolerance,
        "<=",
    )


def _score_claims(settings: LoraGradientSettings) -> list[Claim]:
    pair = ("gamma-1", "gamma-8")

    def quotient(metric: str, contender: str) -> Statistic:
        return partial(quotient_of_problems, metric=metric, contender=contender, numerator=pair[1], denominator=pair[0])

    return [
        Claim(
            "error-grows-with-scores",
            "From scores up to 1 to scores up to 8, the error of degree 4 grows at least 30-fold",
            "the threshold on the norms; the factor is that of the catalogue's check",
            pair,
            quotient(DISTANCE, "degree-4"),
            30.0,
        ),
        Claim(
            "useless-above-threshold",
            "With scores up to 8, the relative error of degree 4 exceeds a tenth",
            "abstract: efficient approximation exists only below the threshold (seen for one algorithm, not for all)",
            "gamma-8",
            partial(mean_of, metric=DISTANCE, contender="degree-4"),
            0.1,
        ),
        Claim(
            "features-grow-with-scores",
            f"From scores up to 1 to scores up to 8, five times the features or more are needed for "
            f"{settings.tolerance:g}",
            "the threshold on the norms: the degree, and with it the number of features, follows the scores",
            pair,
            quotient("features", "sufficient-degree"),
            5.0,
        ),
        Claim(
            "crossover-moves-with-scores",
            "From scores up to 1 to scores up to 8, the length from which the method pays grows at least tenfold",
            "abstract: a sharp transition in efficiency (of this algorithm; the lower bound is for all)",
            pair,
            quotient("break_even_length", "chained"),
            10.0,
        ),
    ]


def _practice_claims(settings: LoraGradientSettings) -> list[Claim]:
    longest = f"L-{settings.longest}"
    return [
        *(
            Claim(
                f"as-accurate-as-{name}",
                f"The error of degree 4 is no larger than that of {text}, with as many features",
                "what a practitioner would try first",
                problem,
                ratio(DISTANCE, name, "degree-4"),
                1.0,
                role="practice",
            )
            for name, text in (("performer", "positive random features"), ("nystroem", "Nystroem's landmarks"))
            for problem in (longest, "gamma-4", DIGITS)
        ),
        Claim(
            "trained-scores-are-small",
            f"The largest score of a trained layer is at most log L = {log(settings.tokens):.1f}",
            "the threshold, norms of o(sqrt(log L)), with its constant taken as one",
            DIGITS,
            partial(mean_of, metric="largest_score", contender="chained"),
            log(settings.tokens),
            "<=",
            role="practice",
        ),
        Claim(
            "accurate-when-trained",
            f"With the scores of a trained layer, the error of degree 4 is at most {settings.tolerance:g}",
            "the catalogue's question: on which side of the threshold do real heads lie?",
            DIGITS,
            partial(mean_of, metric=DISTANCE, contender="degree-4"),
            settings.tolerance,
            "<=",
            role="practice",
        ),
        Claim(
            "faster-when-trained",
            "With the scores of a trained layer, the method takes no more processor time than the exact gradient",
            "the catalogue's question: on which side of the threshold do real heads lie?",
            DIGITS,
            ratio("cpu_seconds", "blocked", "chained"),
            1.0,
            role="practice",
        ),
    ]


def _figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Error and crossover against the largest score, and processor time against the length of the sequence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    accuracy, cost, time = figure.subplots(1, 3)
    scores = _by_score()
    for contender in ("degree-4", "chained", "taylor", "performer", "nystroem"):
        errors = [mean_of(results[name], metric=DISTANCE, contender=contender) for name in scores]
        accuracy.plot(scores.values(), np.maximum(errors, 1e-16), "o-", label=contender)
    accuracy.set(xlabel="largest score", ylabel="relative error of the gradient", yscale="log")
    for contender, label in (
        ("sufficient-degree", "Taylor, known to suffice"),
        ("taylor", "Taylor, proven"),
        ("chained", "Chebyshev, proven"),
    ):
        features = [mean_of(results[name], metric="features", contender=contender) for name in scores]
        cost.plot(scores.values(), features, "o-", label=label)
    lengths = [mean_of(results[name], metric="break_even_length", contender="chained") for name in scores]
    cost.plot(scores.values(), lengths, "k--", label="tokens from which Chebyshev, proven, pays")
    cost.set(xlabel="largest score", ylabel="features, or tokens", yscale="log")
    for axes in (accuracy, cost):
        axes.set_xscale("log", base=2)
        axes.set_xticks(LARGEST_SCORES, [f"{score:g}" for score in LARGEST_SCORES])
    tokens = sorted(int(name[2:]) for name in results if name.startswith("L-"))
    for contender in ("chained", "degree-4", "nystroem", "blocked"):
        seconds = [mean_of(results[f"L-{n}"], metric="cpu_seconds", contender=contender) for n in tokens]
        time.plot(tokens, seconds, "o-", label=contender)
    time.set(xlabel="tokens L", ylabel="processor time, s", xscale="log", yscale="log")
    for axes in (accuracy, cost, time):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


STUDY = Study(
    name="lora-gradient-nearlinear",
    family="adapters",
    summary="The gradient of a low-rank adapter in near-linear time: how large may the attention's scores be?",
    paper=Paper(
        title="Computational Limits of Low-Rank Adaptation (LoRA) for Transformer-Based Models",
        authors="J. Y.-C. Hu, M. Su, E.-J. Kuo, Z. Song, H. Liu",
        venue="ICLR 2025",
        claim="Below a threshold of the norms, and only there, gradients of adapters take nearly linear time",
    ),
    settings=LoraGradientSettings,
    sizes={
        Size.SMALL: {"instances": 1, "repetitions": 3, "longest": 512, "dimension": 4, "tokens": 32},
        Size.DEFAULT: {"instances": 1, "repetitions": 5},
        Size.LARGE: {"instances": 2, "repetitions": 10, "longest": 65536, "tokens": 1024},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric("degree", "degree of the polynomial"),
        work_metric("features", "features of a token"),
        work_metric("multiplications", "multiplications, exponentials not counted"),
        Metric("break_even_length", break_even_length, "tokens from which the exact gradient multiplies more"),
        Metric("largest_score", _largest_score, "largest absolute score of the layer"),
    ),
    claims=_claims,
    agreement=lambda settings: Agreement("blocked", settings.tolerance, gradient_error),
    history_length=lambda settings: HISTORY,
    history_label="proven error of a row of the attention by degree",
    headline=("chained", "degree-4"),
    method=(
        "A power of a score q . k is a sum over monomials of one factor for the query and one for the key, so with a "
        "polynomial of degree g in place of exp the attention matrix has rank R = C(d + g, g), and is never formed. "
        "All that the gradient of the adapter needs of it are its means of keys, of values and of their products, so "
        "it costs O(L R d^2) operations, where the exact one costs O(L^2 d). The degree must grow with the largest "
        "score, so R stays below every power of L only while the scores are o(log L); that no other algorithm does "
        "better rests on the Strong Exponential Time Hypothesis and cannot be tested: what is seen here is the "
        "threshold of this algorithm alone."
    ),
    figure=_figure,
    surprises=(
        "An error of the attention that is small beside one says nothing of the gradient: with scores up to 0.25, rows "
        "proven right to a hundredth left gradients wrong by up to 18 percent, since such rows differ from uniform by "
        "little more than that. The bound used here is relative to that difference, by way of the error of the "
        "polynomial's slope, and no result that met it was off by a hundredth. Where the scores stay below one, degree "
        "4 multiplies less than the exact gradient from 2,300 tokens on, the degree that is proven to suffice from "
        "6,000; with four entries a token instead of eight, from 350 tokens, but from 18,600 for scores up to 8. "
        "Training does not stay below: 300 steps of gradient descent take the layer that restores digits from scores "
        "of 3 to scores of 12, where degree 4 is useless and the proof asks for degree 26, thirteen times slower than "
        "the exact gradient even with three entries a token. Landmarks (Nystroem) with as many features are ten to "
        "fifty times more accurate than the polynomial for scores of a half and above. Between 4,096 and 32,768 tokens "
        "the bound of the scores, though not the scores themselves, grows enough to ask for one degree more in one "
        "repetition of five: the o(1) of the exponent, seen at work."
    ),
)
