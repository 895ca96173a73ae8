"""Sparse bandits whose rewards are only nearly linear: what covering the sparse directions buys, and at what price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.online.misspecified_bandit import DigitBandit, Misspecification, SphereBandit
from data.problem import Problem
from kernels.online.design_least_squares import g_optimal_elimination, g_optimal_least_squares
from kernels.online.misspecified_bandit import LONGEST_HISTORY, MisspecifiedBandit
from kernels.online.query_baselines import exhaustive_search, lin_ucb, sparse_regression, uniform_search
from kernels.online.sparse_cover import sparse_cover
from kernels.online.sparse_elimination import sparse_elimination
from kernels.result import Result
from tasks.claims import Claim, Statistic, ratio
from tasks.rates import growth
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

SPARSITY, EPS = 2, 0.1
GUARANTEE = 4.0
UNIFORM, NEEDLE, SPARSE_DECOY, DIGITS = "uniform", "needle", "sparse-decoy", "digits"
METHODS = ("sparse-cover", "sparse-elimination")


class BanditSettings(Settings):
    """The parameters of the study."""

    arms: int = Field(6000, ge=100, le=10**5, description="arms on the sphere")
    images: int = Field(1500, ge=100, le=1797, description="images of digits that are the arms of the real problem")
    dimension: int = Field(
        40, ge=24, le=80, multiple_of=8, description="the most features; others are half, a quarter and an eighth"
    )


def _dimensions(settings: BanditSettings) -> dict[str, float]:
    return {f"d-{settings.dimension // part}": settings.dimension // part for part in (8, 4, 2, 1)}


def _accuracies(settings: BanditSettings) -> dict[str, float]:
    """1 / eps at half of the most features."""
    return {"eps-0.2": 5.0, f"d-{settings.dimension // 2}": 10.0, "eps-0.05": 20.0}


def _sparsities(settings: BanditSettings) -> dict[str, float]:
    """The sparsity at a quarter of the most features."""
    return {"s-1": 1, f"d-{settings.dimension // 4}": SPARSITY, "s-3": 3}


def _problems(settings: BanditSettings) -> dict[str, Problem]:
    most, half, quarter = settings.dimension, settings.dimension // 2, settings.dimension // 4

    def sphere(dimension: float, **options: Any) -> SphereBandit:
        common = {"arm_count": settings.arms, "sparsity": SPARSITY, "misspecification": EPS}
        return SphereBandit(dimension=int(dimension), **{**common, **options})

    return {
        **{name: sphere(dimension) for name, dimension in _dimensions(settings).items()},
        "eps-0.2": sphere(half, misspecification=0.2),
        "eps-0.05": sphere(half, misspecification=0.05),
        "s-1": sphere(quarter, sparsity=1),
        "s-3": sphere(quarter, sparsity=3),
        UNIFORM: sphere(half, errors=Misspecification.UNIFORM),
        NEEDLE: sphere(half, errors=Misspecification.NEEDLE),
        SPARSE_DECOY: sphere(most, errors=Misspecification.SPARSE_DECOY),
        DIGITS: DigitBandit(arm_count=settings.images, sparsity=SPARSITY, misspecification=EPS),
    }


def core_set_bound(dimension: int) -> int:
    """The queries that suffice for a G-optimal design up to a factor of two: 4 d log log d + 16."""
    return math.ceil(4.0 * dimension * math.log(max(1.0, math.log(dimension))) + 16.0)


def _budget(settings: BanditSettings, problem: str) -> dict[str, float]:
    return {"queries": core_set_bound(_problems(settings)[problem].variables()["parameter"].shape[0])}


def _contenders() -> tuple[Contender, ...]:
    pursuit = {"estimator": "matching_pursuit"}
    return (
        Contender("sparse-cover", sparse_cover, role="method", summary="one arm for every sparse direction of a cover"),
        Contender(
            "sparse-elimination", sparse_elimination, summary="the cover's arms by optimism, until 4 eps is sure"
        ),
        Contender("g-optimal", g_optimal_least_squares, budgeted=True, summary="least squares on a G-optimal design"),
        Contender("g-optimal-elimination", g_optimal_elimination, budgeted=True, summary="the same, phase by phase"),
        Contender("lasso", sparse_regression, stochastic=True, budgeted=True, summary="LassoCV on random arms"),
        Contender("matching-pursuit", sparse_regression, pursuit, stochastic=True, budgeted=True, summary="OMP"),
        Contender("lin-ucb", lin_ucb, budgeted=True, summary="optimism on a ridge regression"),
        Contender("uniform", uniform_search, role="control", stochastic=True, budgeted=True, summary="the best seen"),
        Contender("exhaustive", exhaustive_search, role="control", summary="queries every arm"),
    )


def _reward(bandit: MisspecifiedBandit, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    return float(result.value[1])


def _optimum(bandit: MisspecifiedBandit, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    return float(bandit.rewards.max()) / bandit.misspecification


def _suboptimality(bandit: MisspecifiedBandit, result: Result) -> float:
    return _optimum(bandit, result) - _reward(bandit, result)


def regret(results: xr.Dataset, contender: str) -> xr.DataArray:
    """The suboptimality of a contender over eps, from its two parts, which unlike it are never zero."""
    column = results[["optimum", "reward"]].sel(contender=contender)
    return column["optimum"] - column["reward"]


def by_problem(results: xr.Dataset, *, statistic: Statistic) -> float:
    """A statistic of several problems whose repetitions were grouped with problem and instance stacked into one."""
    return statistic(results.unstack())


def share_beyond(results: xr.Dataset, *, contender: str, limit: float) -> float:
    """The share of instances whose suboptimality over eps exceeds a limit; one that is not finite exceeds it."""
    # the proof's bound can be attained, so rounding must not exceed it
    return float(1.0 - (regret(results, contender) <= limit * (1.0 + 1e-9)).mean())


def root_slope(results: xr.Dataset, *, contender: str, dimensions: Mapping[str, float]) -> float:
    """How much the mean suboptimality over eps grows when sqrt(d) grows by one, by least squares over problems."""
    means = regret(results.sel(problem=list(dimensions)), contender).mean("instance", skipna=False).values
    return _slope(np.sqrt(list(dimensions.values())), means)


def advantage(results: xr.Dataset, *, contender: str, rival: str) -> float:
    """How much more reward a contender's arm has than a rival's, over eps, on average."""
    rewards = results["reward"]
    return float((rewards.sel(contender=contender) - rewards.sel(contender=rival)).mean(skipna=False))


def difference_between_problems(results: xr.Dataset, *, contender: str, higher: str, lower: str) -> float:
    """How much greater a contender's mean suboptimality over eps is on one problem than on another."""
    means = regret(results, contender).mean("instance", skipna=False)
    return float(means.sel(problem=higher) - means.sel(problem=lower))


def growth_per_step(results: xr.Dataset, *, metric: str, contender: str, steps: Mapping[str, float]) -> float:
    """The factor by which a metric's mean grows for every step, by least squares on its logarithms."""
    column: Any = results[metric].sel(contender=contender, problem=list(steps))
    logarithms = np.log(column.mean("instance", skipna=False).values)
    return math.exp(_slope(np.array(list(steps.values())), logarithms))


def _slope(abscissae: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    spread = abscissae - abscissae.mean()
    return float(spread @ values / (spread @ spread))


def _claims(settings: BanditSettings) -> tuple[Claim, ...]:
    return (*_guarantees(settings), *_rates(settings), *_comparisons(settings), *_controls(settings))


def _guarantees(settings: BanditSettings) -> list[Claim]:
    every = tuple(_problems(settings))
    return [
        Claim(
            f"{contender}-within-4-eps",
            f"The arm of {contender} is within 4 eps of the best on every instance, whatever the errors",
            "abstract: O(eps)-optimal actions; the constant is that of the proof",
            every,
            partial(share_beyond, contender=contender, limit=GUARANTEE),
            0.0,
            "<=",
            "linear",
        )
        for contender in METHODS
    ]


def _rates(settings: BanditSettings) -> list[Claim]:
    dimensions, accuracies, sparsities = _dimensions(settings), _accuracies(settings), _sparsities(settings)
    claims = []
    for contender in METHODS:
        claims += [
            _trend(
                f"{contender}-error-free-of-sqrt-d",
                f"The suboptimality of {contender} grows by at most 0.1 eps when sqrt(d) grows by one",
                "abstract: sparsity breaks the eps sqrt(d) barrier",
                dimensions,
                partial(root_slope, contender=contender, dimensions=dimensions),
                0.1,
            ),
            *(
                _trend(
                    f"{contender}-queries-in-{name}",
                    f"The queries of {contender} grow no faster than the power s + 0.1 of {variable}",
                    "abstract: O(eps^-s d^s) queries",
                    sizes,
                    growth("queries", contender, sizes),
                    SPARSITY + 0.1,
                )
                for name, variable, sizes in (("d", "d", dimensions), ("inverse-eps", "1 / eps", accuracies))
            ),
            _trend(
                f"{contender}-queries-per-sparse-feature",
                f"One more sparse feature multiplies the queries of {contender} by at most 3 d / eps",
                "abstract: O(eps^-s d^s) queries; 3 is the constant of the volume argument",
                sparsities,
                partial(growth_per_step, metric="queries", contender=contender, steps=sparsities),
                3.0 * (settings.dimension // 4) / EPS,
            ),
        ]
    return claims + [
        _trend(
            f"{contender}-error-grows",
            f"The suboptimality of {contender} over eps grows with sqrt(d) against an adversary of its own",
            "abstract: Lattimore et al. reach O(eps sqrt(d)), the barrier to be broken",
            dimensions,
            partial(root_slope, contender=contender, dimensions=dimensions),
            0.0,
            ">=",
        )
        for contender in ("g-optimal", "g-optimal-elimination")
    ]


def _trend(
    name: str,
    statement: str,
    source: str,
    sizes: Mapping[str, float],
    statistic: Statistic,
    threshold: float,
    comparison: Literal[">=", "<="] = "<=",
) -> Claim:
    by_size = partial(by_problem, statistic=statistic)
    return Claim(name, statement, source, tuple(sizes), by_size, threshold, comparison, "linear")


def _comparisons(settings: BanditSettings) -> list[Claim]:
    largest = f"d-{settings.dimension}"
    hardest = (largest, SPARSE_DECOY, DIGITS)
    lattimore = "abstract: sparsity helps against the regression of Lattimore et al."
    practitioner = "what a practitioner would do with as many queries as a G-optimal design may need"
    return [
        *(
            _beats(problem, "sparse-cover", rival, lattimore, "paper")
            for problem in hardest
            for rival in ("g-optimal", "g-optimal-elimination")
        ),
        *(
            _beats(problem, "sparse-elimination", rival, practitioner, "practice")
            for problem in hardest
            for rival in ("lasso", "matching-pursuit", "lin-ucb")
        ),
        *(
            Claim(name, statement, source, problem, ratio(*compared), 1.0, role="practice")
            for name, statement, source, compared, problems in (
                (
                    "elimination-queries-less-than-g-optimal",
                    "Sparse elimination queries no more arms than least squares on a G-optimal design",
                    "sparsity should not cost queries",
                    ("queries", "g-optimal", "sparse-elimination"),
                    (*_dimensions(settings), DIGITS),
                ),
                (
                    "elimination-faster-than-lasso",
                    "Sparse elimination takes no more processor time than scikit-learn's LassoCV on its sample",
                    "what a practitioner would use today",
                    ("cpu_seconds", "lasso", "sparse-elimination"),
                    (largest, DIGITS),
                ),
            )
            for problem in problems
        ),
    ]


def _beats(
    problem: str, contender: str, rival: str, source: str, role: Literal["paper", "practice", "control"]
) -> Claim:
    return Claim(
        f"{contender}-beats-{rival}",
        f"The arm of {contender} has at least the reward of that of {rival}",
        source,
        problem,
        partial(advantage, contender=contender, rival=rival),
        0.0,
        ">=",
        "linear",
        role,
    )


def _controls(settings: BanditSettings) -> list[Claim]:
    half = f"d-{settings.dimension // 2}"
    misled = partial(difference_between_problems, contender="g-optimal", higher=half, lower=UNIFORM)
    return [
        *(
            Claim(
                "cover-leaves-arms-out",
                "The cover queries at most half of the arms",
                "querying all arms is trivial",
                name,
                ratio("queries", "exhaustive", "sparse-cover"),
                2.0,
                role="control",
            )
            for name in _dimensions(settings)
        ),
        *(
            _beats(name, "sparse-elimination", "uniform", "control: something is learned", "control")
            for name in (f"d-{settings.dimension}", SPARSE_DECOY, DIGITS)
        ),
        Claim(
            "adversary-misleads-least-squares",
            "Least squares loses more to its adversary than to uniform errors of the same size",
            "control: random errors average out, the adversary's do not",
            (half, UNIFORM),
            partial(by_problem, statistic=misled),
            0.0,
            ">=",
            "linear",
            "control",
        ),
    ]


def _figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Suboptimality and queries against the number of features."""
    from matplotlib.figure import Figure

    scan = sorted((int(name.removeprefix("d-")), table) for name, table in results.items() if name.startswith("d-"))
    dimensions = [dimension for dimension, _ in scan]
    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    losses, prices = figure.subplots(1, 2)
    for contender in (*METHODS, "g-optimal", "g-optimal-elimination", "lasso", "lin-ucb", "uniform"):
        for axes, metric in ((losses, "suboptimality"), (prices, "queries")):
            columns = [table[metric].sel(contender=contender) for _, table in scan]
            axes.plot(dimensions, [float(column.mean()) for column in columns], marker="o", label=contender)
    losses.axhline(GUARANTEE, color="grey", linestyle="--", label="guarantee")
    losses.set(xlabel="features d", ylabel="suboptimality / eps")
    prices.set(xlabel="features d", ylabel="queries", xscale="log", yscale="log")
    losses.legend(fontsize="small")
    return figure


def _reward_gap(value: Any, reference: Any) -> float:
    return float(abs(reference[1] - value[1]))


STUDY = Study(
    name="sparse-misspecified-bandit",
    family="online",
    summary="Does sparsity free misspecified linear bandits from an error that grows with the dimension?",
    paper=Paper(
        title="Does Sparsity Help in Learning Misspecified Linear Bandits?",
        authors="J. Dong, L. F. Yang",
        venue="ICML 2023",
        claim="With s-sparse parameters O(eps)-optimal actions are found by O(eps^-s d^s) queries",
    ),
    settings=BanditSettings,
    sizes={
        Size.SMALL: {"instances": 2, "repetitions": 3, "arms": 400, "images": 200, "dimension": 24},
        Size.DEFAULT: {"instances": 3, "repetitions": 10},
        Size.LARGE: {"instances": 3, "repetitions": 20, "arms": 8000, "dimension": 64},
    },
    problems=_problems,
    contenders=lambda settings, problem: _contenders(),
    metrics=(
        work_metric("queries", "distinct arms queried"),
        Metric("suboptimality", _suboptimality, "suboptimality of the arm over eps"),
        Metric("reward", _reward, "reward of the arm over eps"),
        Metric("optimum", _optimum, "greatest reward over eps"),
    ),
    claims=_claims,
    # rewards in units of eps: what CONVERGED promises
    agreement=lambda settings: Agreement("exhaustive", GUARANTEE * (1.0 + 1e-9), _reward_gap),
    history_length=lambda settings: LONGEST_HISTORY + 1,
    history_label=f"best reward over eps after each of the first {LONGEST_HISTORY + 1} queries",
    headline=(*METHODS, "g-optimal"),
    budget=_budget,
    method=(
        "The unit sphere of every set of s features is covered up to eps. For each direction of the cover the arm that "
        "is best along it is queried. One of them is within 4 eps of the best arm, and the best of them is returned."
    ),
    surprises=(
        "Elimination by optimism, as certain, asks ten arms where the cover asks thousands. The cover's queries grow "
        "like d and hardly with 1 / eps: few arms are best along any direction. LinUCB with a radius for the errors, "
        "blind to sparsity, finds better arms than elimination, which stops once 4 eps are sure."
    ),
    figure=_figure,
)
