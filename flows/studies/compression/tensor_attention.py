"""Attention over pairs of tokens in near-linear time, and how large entries it bears."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.compression.digit_tokens import DigitTokens
from data.compression.uniform_tokens import UniformTokens
from data.problem import Problem
from kernels.compression.tensor_attention.direct import direct_attention, running_softmax_attention
from kernels.compression.tensor_attention.polynomial import polynomial_attention
from kernels.compression.tensor_attention.sampling import sampled_attention
from kernels.compression.tensor_attention.sufficient_degree import sufficient_degree
from kernels.result import Result
from tasks.claims import Claim, quotient_of_problems, ratio
from tasks.rates import growth
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

BOUNDS = {3: (0.5, 1.0, 1.5, 2.0, 3.0), 2: (2.0,)}  # by order
DOUBLINGS = (1, 2, 4, 8)
DIGITS = "digits"
DEGREE = 4
HISTORY = 64
# Where the exact result is out of reach, the reference is a polynomial with this share of the method's tolerance.
REFERENCE_TOLERANCE = 1e-3


class TensorAttentionSettings(Settings):
    """The parameters of the study."""

    tolerance: float = Field(1e-3, gt=0.0, lt=1.0, description="error allowed of an entry; values are at most one")
    dimension: int = Field(6, ge=1, le=12, description="entries of a token where the number of tokens grows")
    fewest: int = Field(64, ge=4, le=256, description="tokens of the smallest problem that is also solved directly")
    fewest_fast: int = Field(2048, ge=32, le=2**15, description="tokens of the smallest that is not")
    tokens: int = Field(128, ge=8, le=512, description="tokens where the bound of the entries grows")
    # With six entries the degree that is proven to suffice at B = 3 would need nine million features.
    bounded_dimension: int = Field(4, ge=1, le=6, description="entries of a token where their bound grows")
    samples: int = Field(4096, ge=1, le=10**6, description="pairs of tokens that the Monte Carlo baseline draws")

    @model_validator(mode="after")
    def _different_sizes(self) -> TensorAttentionSettings:
        if self.fewest_fast <= DOUBLINGS[-1] * self.fewest:
            raise ValueError(f"fewest_fast={self.fewest_fast} must exceed {DOUBLINGS[-1]} times fewest={self.fewest}")
        return self


def _by_length(fewest: int) -> dict[str, float]:
    return {f"n-{fewest * factor}": float(fewest * factor) for factor in DOUBLINGS}


def _by_bound(order: int = 3) -> dict[str, float]:
    return {f"{'' if order == 3 else 'matrix-'}b-{bound:g}": bound for bound in BOUNDS[order]}


def _problems(settings: TensorAttentionSettings) -> dict[str, Problem]:
    lengths = _by_length(settings.fewest) | _by_length(settings.fewest_fast)
    bounded = {"tokens": settings.tokens, "dimension": settings.bounded_dimension}
    return {
        **{name: UniformTokens(tokens=int(n), dimension=settings.dimension) for name, n in lengths.items()},
        **{name: UniformTokens(**bounded, bound=bound) for name, bound in _by_bound().items()},
        **{name: UniformTokens(**bounded, bound=bound, order=2) for name, bound in _by_bound(order=2).items()},
        DIGITS: DigitTokens(tokens=settings.tokens, dimension=settings.dimension),
    }


def _contenders(settings: TensorAttentionSettings, problem: str) -> tuple[Contender, ...]:
    tolerance = {"tolerance": settings.tolerance}
    taylor = {**tolerance, "degree": DEGREE, "expansion": "taylor"}
    fast = (
        Contender("polynomial", polynomial_attention, tolerance, "method", summary="of the degree proven to suffice"),
        Contender("degree-4", polynomial_attention, taylor, summary="Taylor's polynomial of degree 4"),
    )
    if problem in _by_length(settings.fewest_fast):
        finer = {"tolerance": REFERENCE_TOLERANCE * settings.tolerance}
        certified = "the polynomial proven to be a thousand times as accurate"
        return (*fast, Contender("reference", polynomial_attention, finer, "control", summary=certified))
    exact = (
        Contender("direct", direct_attention, summary="by definition, with BLAS"),
        Contender("reference", running_softmax_attention, summary="by definition, one compiled loop"),
    )
    if problem in _by_bound(order=2):
        return (*fast, *exact)
    if problem in _by_bound():
        least = {**tolerance, "degree": DEGREE}
        known = "the least degree of Taylor's polynomial that suffices, found with the exact result"
        return (
            *fast,
            Contender("chebyshev-4", polynomial_attention, least, summary="Chebyshev's polynomial of degree 4"),
            *exact,
            Contender("sufficient-degree", sufficient_degree, role="control", summary=known),
        )
    pairs = {"samples": settings.samples}
    drawn = "uniformly drawn pairs of tokens"
    return (*fast, *exact, Contender("monte-carlo", sampled_attention, pairs, stochastic=True, summary=drawn))


def largest_difference(value: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The largest error of an entry, which is what the paper bounds."""
    return float(np.abs(value - reference).max())


def _largest_entry(instance: Any, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    return float(np.abs(result.value).max())


def relative_error(results: xr.Dataset, *, contender: str) -> float:
    """The mean over instances of the largest error of an entry relative to the largest entry."""
    errors: Any = results[DISTANCE].sel(contender=contender)
    return float((errors / results["largest_entry"].sel(contender="reference")).mean(skipna=False))


def proven_share(results: xr.Dataset, *, contender: str) -> float:
    """The largest error as a share of its bound, over all instances: above one the bound is wrong."""
    errors: Any = results[DISTANCE].sel(contender=contender)
    return float((errors / results["error_bound"].sel(contender=contender)).max(skipna=False))


def quotient_of_relative_errors(results: xr.Dataset, *, contender: str, numerator: str, denominator: str) -> float:
    """:func:`relative_error` on one problem over that on another."""
    errors = [relative_error(results.sel(problem=name), contender=contender) for name in (numerator, denominator)]
    return errors[0] / errors[1]


def _claims(settings: TensorAttentionSettings) -> tuple[Claim, ...]:
    return (*_cost_claims(settings), *_accuracy_claims(settings), *_practice_claims(settings))


def _cost_claims(settings: TensorAttentionSettings) -> list[Claim]:
    direct, fast = _by_length(settings.fewest), _by_length(settings.fewest_fast)
    return [
        *(
            Claim(
                f"near-linear-{contender}",
                f"With entries below one, the processor time of {contender} grows at most as n^1.2",
                "abstract: n^(1+o(1)) time; 0.2 allows for the o(1)",
                tuple(fast),
                growth("cpu_seconds", contender, fast),
                1.2,
                "<=",
                "linear",
            )
            for contender in ("polynomial", "degree-4")
        ),
        Claim(
            "direct-is-cubic",
            "The processor time of the definition, with BLAS, grows at least as n^2.6",
            "abstract: the straightforward algorithm requires cubic time",
            tuple(direct),
            growth("cpu_seconds", "direct", direct),
            2.6,
            scale="linear",
            role="control",
        ),
        Claim(
            "features-explode",
            "For the same accuracy, entries below 2 need at least five times the features of entries below 1",
            "the threshold (log n)^(1/3): exponents, and with them the degree, grow as B^3",
            ("b-1", "b-2"),
            partial(
                quotient_of_problems,
                metric="features",
                contender="sufficient-degree",
                numerator="b-2",
                denominator="b-1",
            ),
            5.0,
        ),
        Claim(
            "degree-follows-exponents",
            "From B = 1 to B = 3 the degree that is proven to suffice grows at most as B^3",
            "degree of the polynomial: of the order of the largest exponent, or of log(1 / error) where that is larger",
            ("b-1", "b-1.5", "b-2", "b-3"),
            growth("degree", "polynomial", {name: bound for name, bound in _by_bound().items() if bound >= 1}),
            3.0,
            "<=",
            "linear",
        ),
    ]


def _accuracy_claims(settings: TensorAttentionSettings) -> list[Claim]:
    longer = f"n-{settings.fewest * DOUBLINGS[2]}"
    return [
        *(
            Claim(
                "accurate-when-bounded",
                "With entries below one, the largest error at degree 4 is at most 1e-4 of the largest entry",
                "abstract: bounded entries suffice; the accuracy is that of the catalogue's check",
                problem,
                partial(relative_error, contender="degree-4"),
                1e-4,
                "<=",
            )
            for problem in (longer, DIGITS)
        ),
        Claim(
            "useless-when-unbounded",
            "With entries up to 3, the largest error at degree 4 is more than a tenth of the largest entry",
            "abstract: bounded entries are necessary (seen for one algorithm; the lower bound is for all)",
            "b-3",
            partial(relative_error, contender="degree-4"),
            0.1,
        ),
        Claim(
            "error-grows-as-the-remainder",
            "From B = 0.5 to B = 1 the error at degree 4 grows at least as B^14",
            "exponents grow as B^3, Taylor's remainder as their fifth power",
            ("b-0.5", "b-1"),
            growth(DISTANCE, "degree-4", {"b-0.5": 0.5, "b-1": 1.0}),
            14.0,
            scale="linear",
        ),
        Claim(
            "higher-order-needs-smaller-entries",
            "With entries up to 2, the error at degree 4 is larger for pairs of tokens than for matrix attention",
            "abstract: the higher the order, the lower the bound on the entries needs to be",
            ("matrix-b-2", "b-2"),
            partial(quotient_of_relative_errors, contender="degree-4", numerator="b-2", denominator="matrix-b-2"),
            1.0,
        ),
        Claim(
            "least-degree-polynomial-is-better",
            "With entries up to 2, Chebyshev's polynomial of degree 4 is no less accurate than Taylor's",
            "the paper takes the polynomial of least degree for the worst exponent",
            "b-2",
            ratio(DISTANCE, "degree-4", "chebyshev-4"),
            1.0,
        ),
        *(
            Claim(
                f"bound-holds-{contender}",
                f"No entry that {contender} returns is off by more than it says",
                "2 tau max|V1| max|V2| / z, with tau the error of the polynomial and z the least mean weight",
                (longer, DIGITS, *_by_bound(order=2), *_by_bound()),
                partial(proven_share, contender=contender),
                1.0,
                "<=",
                role="control",
            )
            for contender in ("polynomial", "degree-4")
        ),
    ]


def _practice_claims(settings: TensorAttentionSettings) -> list[Claim]:
    longest, middle = (f"n-{settings.fewest * factor}" for factor in (DOUBLINGS[3], DOUBLINGS[1]))
    return [
        *(
            Claim(
                f"faster-than-{name}",
                f"The polynomial takes no more processor time than the {text}",
                "what a practitioner would use today",
                problem,
                ratio("cpu_seconds", name, "polynomial"),
                1.0,
                role="practice",
            )
            for name, text in (("direct", "definition with BLAS"), ("reference", "definition as a compiled loop"))
            for problem in (middle, longest, DIGITS)
        ),
        *(
            Claim(
                "beats-monte-carlo",
                f"The error at degree 4 is no larger than that of {settings.samples} random pairs",
                "sampling, with several times the multiplications",
                problem,
                ratio(DISTANCE, "monte-carlo", "degree-4"),
                1.0,
                role="practice",
            )
            for problem in (longest, DIGITS)
        ),
    ]


def _figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Error against the bound of the entries, and processor time against the number of tokens."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    accuracy, cost = figure.subplots(1, 2)
    curves = (
        ("degree-4", 3, "degree 4, Taylor"),
        ("chebyshev-4", 3, "degree 4, Chebyshev"),
        ("polynomial", 3, "degree proven to suffice"),
        ("degree-4", 2, "degree 4, matrix attention"),
    )
    for contender, order, label in curves:
        errors = [relative_error(results[name], contender=contender) for name in _by_bound(order)]
        accuracy.plot(BOUNDS[order], errors, "o--" if order == 2 else "o-", label=label)
    accuracy.set(xlabel="bound B of the entries", ylabel="largest error / largest entry", xscale="log", yscale="log")
    for contender in ("polynomial", "degree-4", "direct", "monte-carlo"):
        tables = {int(name[2:]): table for name, table in results.items() if name.startswith("n-")}
        run = sorted(n for n, table in tables.items() if contender in table["contender"])
        seconds = [float(tables[n]["cpu_seconds"].sel(contender=contender).mean()) for n in run]
        cost.plot(run, seconds, "o-", label=contender)
    cost.set(xlabel="tokens n", ylabel="processor time, s", xscale="log", yscale="log")
    for axes in (accuracy, cost):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


STUDY = Study(
    name="tensor-attention",
    family="compression",
    summary="Attention over pairs of tokens in near-linear time: how large may the entries be?",
    paper=Paper(
        title="How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention to Kronecker "
        "Computation",
        authors="J. Alman, Z. Song",
        venue="ICLR 2024",
        claim="Entries below o((log n)^(1/3)) are sufficient, and necessary, for tensor attention in n^(1+o(1)) time",
    ),
    settings=TensorAttentionSettings,
    sizes={
        Size.SMALL: {"instances": 2, "repetitions": 3, "fewest": 8, "fewest_fast": 128, "tokens": 24},
        Size.DEFAULT: {"instances": 2, "repetitions": 5},
        Size.LARGE: {"instances": 4, "repetitions": 10, "fewest_fast": 8192, "tokens": 256},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric("degree", "degree of the polynomial"),
        work_metric("features", "monomials of a token"),
        work_metric("error_bound", "proven bound of the error of an entry"),
        work_metric("multiplications", "multiplications, exponentials not counted"),
        Metric("largest_entry", _largest_entry, "largest absolute entry of the result"),
    ),
    claims=_claims,
    agreement=lambda settings: Agreement("reference", settings.tolerance, largest_difference),
    history_length=lambda settings: HISTORY,
    history_label="proven bound of the error by degree",
    headline=("polynomial", "degree-4"),
    method=(
        "A power of the exponent sum_l Q_il K1_jl K2_kl / d is a sum over monomials of a factor for Q, one for K1 and "
        "one for K2, so with a polynomial in place of exp the sums over all pairs (j, k) factor into sums over j and "
        "over k. With R = C(d + g, g) monomials up to degree g that costs O(n R d), where the definition costs "
        "O(n^3 d). The degree must grow with the largest exponent, B^3 for entries up to B, so R stays below every "
        "power of n only while B is o((log n)^(1/3))."
    ),
    figure=_figure,
    surprises=(
        "The polynomial wins long before n is large: with entries below one from about 30 tokens on, and at 512 tokens "
        "some 250 times over. With entries up to 3, and four of them a token, the degree that is proven to suffice is "
        "39, and at 128 tokens the definition is some 30 times faster. Chebyshev's series, nearly the best for the "
        "worst exponent, is proven accurate at a far lower degree than Taylor's, yet at the same degree its actual "
        "error is eight times larger: the exponents of random tokens gather around zero. The bound of the error is "
        "safe by a factor of twenty at the least, since the errors of different pairs average out. Random pairs are "
        "hopeless: the result is a mean of products of mean zero, smaller than the sampling error."
    ),
)
