"""Why permuting hidden units by weight matching makes trained networks linearly connected, and how well it merges."""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from data.merging.trained_networks import DigitNetworks, MixtureNetworks
from data.problem import Problem
from flows.studies.merging.permutations.figures import matching_figure
from flows.studies.merging.permutations.measures import (
    BARRIER,
    GAMMA,
    LED,
    MERGED,
    METRICS,
    NEGLIGIBLE,
    alignment_gain,
    barrier_across,
    distance_gap,
    gain,
)
from kernels.merging.baselines import activation_matching, no_permutation, random_permutation
from kernels.merging.straight_through import straight_through_matching
from kernels.merging.weight_matching import weight_matching
from tasks.claims import Claim, Statistic, mean_of, ratio
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Paper, Settings, Size, Study

WM, PLAIN, STE, STE_FROM_MODEL = "weight-matching", "no-permutation", "straight-through", "straight-through-from-model"
ACTIVATIONS, RANDOM = "activation-matching", "random-permutation"
LEADING, TRAILING, REFERENCE = "leading-triplets", "trailing-triplets", "best-of-starts"
DIGITS, SMALL_START = "digits", "digits-small-start"
# The deviation over sqrt(inputs) of starting weights: He's for rectified linear units is the problem's default, sqrt 2;
# this is that of PyTorch's linear layers.
SMALL_GAIN = float(1.0 / np.sqrt(3.0))
SWEEPS = 100
# Of the straight-through estimator by its start, from 0.003, 0.01, 0.03, 0.1, 0.3 and 1: the least training loss half
# way after 50 steps, on groups of seed 900.
LEARNING_RATES = {
    DIGITS: {"reference": 0.03, "model": 1.0},
    SMALL_START: {"reference": 0.01, "model": 1.0},
}


class WeightMatchingSettings(Settings):
    """The parameters of the study."""

    width: int = Field(
        256, ge=16, le=1024, description="units of each hidden layer; the mixture has a quarter to twice"
    )
    epochs: int = Field(30, ge=1, le=1000, description="passes over the digits in training")
    points: int = Field(5000, ge=100, le=10**6, description="observations of the mixture, 60 percent to train on")
    merged: int = Field(5, ge=MERGED, le=10, description="networks merged at most")
    steps: int = Field(
        25, ge=1, le=10_000, description="of the straight-through estimator, each with all training data"
    )
    starts: int = Field(5, ge=1, le=100, description="of weight matching, for the reference")


def _widths(settings: WeightMatchingSettings) -> dict[str, int]:
    widths = (settings.width // 4, settings.width, 2 * settings.width)
    return {f"mixture-{width}": width for width in widths}


def _problems(settings: WeightMatchingSettings) -> dict[str, Problem]:
    digits = {"width": settings.width, "epochs": settings.epochs}
    return {
        DIGITS: DigitNetworks(**digits, models=settings.merged),
        SMALL_START: DigitNetworks(**digits, models=MERGED, initial_gain=SMALL_GAIN),
        **{
            name: MixtureNetworks(width=width, models=2, points=settings.points)
            for name, width in _widths(settings).items()
        },
    }


def _contenders(settings: WeightMatchingSettings, problem: str) -> tuple[Contender, ...]:
    sweeps = {"max_sweeps": SWEEPS}
    several = {**sweeps, "starts": settings.starts}
    best = "the best of several starts"
    contenders = (
        Contender(WM, weight_matching, sweeps, "method", stochastic=True, summary="coordinate descent on the distance"),
        Contender(REFERENCE, weight_matching, several, "control", stochastic=True, summary=best),
        Contender(ACTIVATIONS, activation_matching, summary="correlations of activations on the training data"),
        Contender(PLAIN, no_permutation, summary="the plain average"),
        Contender(RANDOM, random_permutation, role="control", stochastic=True, summary="of all hidden units"),
    )
    if problem in _widths(settings):
        return contenders
    search, from_model = (
        {"steps": settings.steps, "learning_rate": rate, "start": start}
        for start, rate in LEARNING_RATES[problem].items()
    )
    leading, trailing = ({**sweeps, "triplets": part} for part in ("leading", "trailing"))
    return (
        *contenders,
        Contender(STE, straight_through_matching, search, stochastic=True, summary="starts at weight matching"),
        Contender(
            STE_FROM_MODEL, straight_through_matching, from_model, stochastic=True, summary="starts at no permutation"
        ),
        Contender(LEADING, weight_matching, leading, "control", stochastic=True, summary="sees a quarter of triplets"),
        Contender(TRAILING, weight_matching, trailing, "control", stochastic=True, summary="sees the other triplets"),
    )


def _claims(settings: WeightMatchingSettings) -> tuple[Claim, ...]:
    claims = []
    for problem in (DIGITS, SMALL_START):
        claims += [*_barrier_claims(problem), *_mechanism_claims(problem), *_merging_claims(problem, "three", MERGED)]
    claims += _merging_claims(DIGITS, "all", settings.merged)
    return (*claims, *_width_claims(settings), *_practice_claims())


def _barriers(numerator: str, denominator: str) -> Statistic:
    return ratio(BARRIER, numerator, denominator, floor=NEGLIGIBLE)


def _barrier_claims(problem: str) -> list[Claim]:
    return [
        Claim(
            "distance-falls-little",
            "Weight matching reduces the distance of the networks by at most 40 percent",
            "abstract: permutations found by weight matching do not significantly reduce the distance",
            problem,
            partial(mean_of, metric="distance_reduction", contender=WM),
            0.4,
            "<=",
            "linear",
        ),
        Claim(
            "barrier-falls",
            "After weight matching the barrier of the test loss is at most 30 percent of what it was",
            "abstract: weight matching identifies permutations that satisfy linear mode connectivity",
            problem,
            _barriers(WM, PLAIN),
            0.3,
            "<=",
        ),
        Claim(
            "barrier-to-remove",
            "Without a permutation the barrier is at least 0.1 nats",
            "control: networks that are connected already show nothing",
            problem,
            partial(mean_of, metric=BARRIER, contender=PLAIN),
            0.1,
            role="control",
        ),
        Claim(
            "random-permutation-does-nothing",
            "A random permutation leaves at least 70 percent of the barrier",
            "control: it is the choice of the permutation that counts",
            problem,
            _barriers(RANDOM, PLAIN),
            0.7,
            role="control",
        ),
        Claim(
            "function-stays",
            "The permuted networks compute what they did, to 1e-9 of the largest output",
            "control: biases and the columns of the next layer move along",
            problem,
            partial(mean_of, metric="function_change", contender=WM),
            1e-9,
            "<=",
            "linear",
            "control",
        ),
        Claim(
            "one-start-suffices",
            "One start leaves the networks at most two percent farther apart than the best of several",
            "control: what fails is not the search for the least distance",
            problem,
            partial(mean_of, metric=DISTANCE, contender=WM),
            0.02,
            "<=",
            "linear",
            "control",
        ),
    ]


def _mechanism_claims(problem: str) -> list[Claim]:
    leading = f"{GAMMA:g} of the largest"
    return [
        Claim(
            "leading-vectors-align",
            f"Weight matching raises R of the singular values above {leading} by at least 0.2, the mean over layers",
            "abstract: it mainly aligns the singular vectors of large singular values; the catalogue's threshold",
            problem,
            partial(alignment_gain, contender=WM, other=PLAIN, gamma=GAMMA),
            0.2,
            scale="linear",
        ),
        Claim(
            "leading-vectors-align-best",
            f"After it, R of the singular values above {leading} exceeds R of all in two thirds of the layers or more",
            "abstract: mainly those of large singular values",
            problem,
            partial(mean_of, metric=LED, contender=WM),
            2.0 / 3.0,
            scale="linear",
        ),
        Claim(
            "leading-triplets-suffice",
            "Matching by a quarter of the singular triplets leaves at most 1.5 times the barrier of matching by all",
            "abstract: the large singular values determine the function; intervention of the catalogue",
            problem,
            _barriers(LEADING, WM),
            1.5,
            "<=",
        ),
        Claim(
            "trailing-triplets-do-not",
            "Matching by the other triplets leaves at least twice the barrier of matching by all",
            "abstract: the large singular values determine the function; intervention of the catalogue",
            problem,
            _barriers(TRAILING, WM),
            2.0,
        ),
    ]


def _merging_claims(problem: str, name: str, count: int) -> list[Claim]:
    claims = []
    for suffix, other in (("", STE), ("-from-model", STE_FROM_MODEL)):
        start = "the permutation of weight matching" if other == STE else "no permutation"
        opponent = f"that of the straight-through estimator started at {start}"
        gained = partial(gain, metric=f"accuracy_of_{name}", contender=WM, other=other)
        claims += [
            Claim(
                f"{name}-as-good-as-straight-through{suffix}",
                f"The mean of {count} networks is at most one point less accurate than {opponent}",
                "abstract: weight matching outperforms it; the catalogue's threshold",
                problem,
                gained,
                -0.01,
                scale="linear",
            ),
            Claim(
                f"{name}-better-than-straight-through{suffix}",
                f"The mean of {count} networks is more accurate than {opponent}",
                "abstract: weight matching outperforms it, especially when merging three or more models",
                problem,
                gained,
                0.0,
                scale="linear",
            ),
        ]
    return claims


def _width_claims(settings: WeightMatchingSettings) -> list[Claim]:
    narrow, *_, wide = names = tuple(_widths(settings))
    return [
        Claim(
            "wide-networks-connect-better",
            f"After weight matching the barrier at {wide} is at most that at {narrow}",
            "Git Re-Basin, section 5.3: linear mode connectivity improves with width",
            names,
            partial(barrier_across, contender=WM, numerator=wide, denominator=narrow),
            1.0,
            "<=",
        ),
        *(
            Claim(
                "barrier-falls",
                "After weight matching the barrier of the test loss is at most 30 percent of what it was",
                "abstract: weight matching identifies permutations that satisfy linear mode connectivity",
                name,
                _barriers(WM, PLAIN),
                0.3,
                "<=",
            )
            for name in names
        ),
    ]


def _practice_claims() -> list[Claim]:
    return [
        *(
            Claim(
                "no-worse-than-activation-matching",
                "The barrier after weight matching is at most that after matching correlations of activations",
                "what a practitioner with data would use; it costs one pass over them",
                problem,
                _barriers(WM, ACTIVATIONS),
                1.0,
                "<=",
                role="practice",
            )
            for problem in (DIGITS, SMALL_START)
        ),
        Claim(
            "tenth-of-the-time",
            "Weight matching takes at most a tenth of the processor time of the straight-through estimator",
            "what the data cost: a gradient and a weight matching a step",
            DIGITS,
            ratio("cpu_seconds", STE, WM),
            10.0,
            role="practice",
        ),
    ]


STUDY = Study(
    name="weight-matching-lmc",
    family="merging",
    summary="Why does permuting hidden units by weight matching connect two trained networks, and merge several?",
    paper=Paper(
        title="Analysis of Linear Mode Connectivity via Permutation-Based Weight Matching",
        authors="A. Ito, M. Yamada, A. Kumagai",
        venue="ICLR 2025",
        claim="Weight matching connects networks by aligning the singular vectors of large singular values, not by "
        "bringing them close, and outperforms the straight-through estimator for three or more networks",
    ),
    settings=WeightMatchingSettings,
    sizes={
        Size.SMALL: {
            "instances": 1,
            "repetitions": 3,
            "width": 32,
            "epochs": 5,
            "points": 400,
            "merged": 4,
            "steps": 3,
            "starts": 2,
        },
        Size.DEFAULT: {"instances": 1, "repetitions": 5},
        Size.LARGE: {"instances": 2, "repetitions": 10, "width": 512, "steps": 200},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=METRICS,
    claims=_claims,
    # no more than a bound: only the method and its starts seek the least distance, and a claim compares these
    agreement=lambda settings: Agreement(REFERENCE, 1.0, distance_gap),
    history_length=lambda settings: SWEEPS + 1,
    history_label="root mean square distance to the first network",
    headline=(WM, ACTIVATIONS),
    method=(
        "The hidden units of a network may be permuted without changing its function. Weight matching permutes them "
        "such that the parameters come as close as possible to those of another network: layer by layer, it solves a "
        "linear assignment problem until no layer can be improved. Two networks are then averaged, or several, each "
        "matched to the first."
    ),
    figure=partial(matching_figure, problems=(DIGITS, SMALL_START), before=PLAIN, after=WM),
    surprises=(
        "What weight matching aligns depends on how far training has moved the weights from their random start. From "
        "the usual start for rectified linear units (He's) the singular vectors of the second layer are mostly those "
        "of the start: R is 0.12 over all and 0.14 over those above 0.3 of the largest. From a start 2.4 times "
        "smaller, as PyTorch's, the paper's account is exact: R is 0.07 over all and 0.54 over the leading ones, a "
        "quarter of the triplets matches as well as all, and the others leave some twenty times the barrier. The "
        "distance is indeed not what counts: from He's start, matching activations reduces it half as much as "
        "matching weights and leaves a third of the barrier. The straight-through estimator, which in Git Re-Basin's "
        "code starts at what weight matching finds, then merges five networks 15 points more accurately; even started "
        "at no permutation it wins. From the small start the two are equal, and weight matching beats the search from "
        "no permutation. Where all singular values exceed 0.3 of the largest, as in the last layer, leaving out small "
        "ones leaves R as it is, so that not every layer can show the effect."
    ),
)
