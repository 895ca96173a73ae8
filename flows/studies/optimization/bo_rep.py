"""Bilevel optimization where the smoothness of the upper level has no bound: what normalised momentum is good for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import Field

from data.optimization.bilevel.analytic import CoshBilevel
from data.optimization.bilevel.hyper_cleaning import DigitsCleaning
from data.optimization.bilevel.recurrent import RecurrentClassification
from data.problem import Problem
from flows.studies.optimization.bilevel.measures import METRICS, root_mean_square_distance
from kernels.optimization.bilevel.bo_rep import bo_rep
from kernels.optimization.bilevel.double_loop import aid_bio, stocbio
from kernels.optimization.bilevel.implicit import implicit_differentiation
from kernels.optimization.bilevel.moving_average import ma_soba
from kernels.optimization.bilevel.run import CHECKPOINTS
from tasks.claims import Claim, mean_of, ratio
from tasks.study import Agreement, Contender, Paper, Settings, Size, Study, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

METHOD, REFERENCE = "bo-rep", "exact"
UNBOUNDED, FAR, BOUNDED, GRID = "unbounded", "far", "bounded", "step-grid"
DIGITS, RECURRENT = "digits", "recurrent"
COSH = (UNBOUNDED, FAR, BOUNDED, GRID)
COMPARED = (METHOD, "ma-soba", "ma-soba-clipped", "stocbio")
PERIODS = (1, 2, 4, 8)
GRID_POINTS = 6
LARGEST_LOSS = 1e12

# The least of six steps, each sqrt(10) times the one before; normalised steps are lengths, the others factors.
NEAR_STEPS = {METHOD: 1e-3, "ma-soba-clipped": 1e-3, **dict.fromkeys(("ma-soba", "stocbio", "aid-bio"), 10**-3.5)}
LEAST_STEPS = {
    UNBOUNDED: NEAR_STEPS,
    FAR: {METHOD: 1e-3, "ma-soba-clipped": 1e-3, **dict.fromkeys(("ma-soba", "stocbio", "aid-bio"), 10**-5.0)},
    BOUNDED: NEAR_STEPS,
    DIGITS: {METHOD: 10**-1.5, **dict.fromkeys(("ma-soba", "stocbio", "aid-bio"), 10**0.5)},
    RECURRENT: {METHOD: 1e-2, **dict.fromkeys(("ma-soba-clipped", "ma-soba", "stocbio", "aid-bio"), 10**-1.5)},
}
# The best point of each grid on the first instance of seed 0 at the default size: by the mean ||grad F|| over the last
# tenth of the budget on the analytic problems, by F elsewhere. The study runs on seed 1.
CHOSEN = {
    UNBOUNDED: {METHOD: 1, "ma-soba-clipped": 1, "ma-soba": 1, "stocbio": 2, "aid-bio": 2},
    FAR: {METHOD: 1, "ma-soba-clipped": 1, "ma-soba": 4, "stocbio": 4, "aid-bio": 3},
    BOUNDED: {METHOD: 1, "ma-soba-clipped": 1, "ma-soba": 1, "stocbio": 3, "aid-bio": 2},
    DIGITS: {METHOD: 3, "ma-soba": 4, "stocbio": 4, "aid-bio": 2},
    RECURRENT: {METHOD: 2, "ma-soba-clipped": 3, "ma-soba": 3, "stocbio": 3, "aid-bio": 3},
}
# Steps of y and of the linear system, and samples in a minibatch: the same for all methods, and not tuned.
INNER = {**dict.fromkeys(COSH, 0.1), DIGITS: 0.2, RECURRENT: 0.3}
BATCH = {**dict.fromkeys(COSH, 1), DIGITS: 32, RECURRENT: 16}
TOLERANCE = {**dict.fromkeys(COSH, 1e-6), DIGITS: 0.1, RECURRENT: 0.3}


class BoRepSettings(Settings):
    """The parameters of the study."""

    dimension: int = Field(20, ge=2, le=500, description="of x in the analytic problems")
    calls: int = Field(20_000, ge=200, le=10**8, description="of oracles in the analytic problems")
    grid_calls: int = Field(10_000, ge=200, le=10**8, description="of oracles for every step of the grid")
    training: int = Field(1000, ge=20, le=1700, description="images of digits for training; 3/10 as many to validate")
    cleaning_calls: int = Field(400_000, ge=10_000, le=10**9, description="of oracles for digits")
    sequences: int = Field(256, ge=0, le=10**5, description="for the recurrent network; 0 leaves it out, and JAX")
    recurrent_calls: int = Field(60_000, ge=1000, le=10**9, description="of oracles for the recurrent network")


def _problems(settings: BoRepSettings) -> dict[str, Problem]:
    unbounded = CoshBilevel(dimension=settings.dimension)
    problems: dict[str, Problem] = {
        UNBOUNDED: unbounded,
        FAR: CoshBilevel(dimension=settings.dimension, distance=6.0),
        BOUNDED: CoshBilevel(dimension=settings.dimension, rate=0.1),
        GRID: unbounded,
        DIGITS: DigitsCleaning(training=settings.training, validation=3 * settings.training // 10),
    }
    if settings.sequences:
        problems[RECURRENT] = RecurrentClassification(training=settings.sequences, validation=settings.sequences)
    return problems


def _budget(settings: BoRepSettings, problem: str) -> dict[str, float]:
    calls = {
        UNBOUNDED: settings.calls,
        FAR: settings.calls,
        BOUNDED: settings.calls,
        GRID: settings.grid_calls,
        DIGITS: settings.cleaning_calls,
        RECURRENT: settings.recurrent_calls,
    }
    return {"oracle_calls": calls[problem]}


def grid_step(problem: str, contender: str, point: int) -> float:
    """The step at a point of a contender's grid, rounded to three digits."""
    return float(f"{LEAST_STEPS[problem][contender] * 10 ** (point / 2):.3g}")


def contender(problem: str, name: str, step: float, **options: Any) -> Contender:
    """A stochastic method at a step of x, under its own name unless ``label`` gives another."""
    inner, label = INNER[problem], options.pop("label", name)
    shared = {"step": step, "lower_step": inner, "batch": BATCH[problem], **options}
    run: Any = {METHOD: bo_rep, "stocbio": stocbio, "aid-bio": aid_bio}.get(name, ma_soba)
    if name != "aid-bio":
        shared["system_step"] = inner
    if name == "ma-soba-clipped":
        shared["clip"] = 1.0
    role: Any = "baseline" if name != METHOD else "method" if label == METHOD else "control"
    return Contender(label, run, shared, role, stochastic=True, budgeted=True, summary=_SUMMARIES[name])


_SUMMARIES = {
    METHOD: "normalised momentum, y every third iteration, a refined start",
    "ma-soba": "a moving average of hypergradients, one step of everything an iteration",
    "ma-soba-clipped": "the same, its average clipped at length 1",
    "stocbio": "three steps of y, a Neumann series of ten terms",
    "aid-bio": "three steps of y, five iterations of conjugate gradients",
}


def _contenders(settings: BoRepSettings, problem: str) -> tuple[Contender, ...]:  # noqa: ARG001 - all sizes alike
    exact = {"tolerance": TOLERANCE[problem], "max_iterations": 1000}
    reference = Contender(REFERENCE, implicit_differentiation, exact, "control", summary="L-BFGS on the exact gradient")
    tuned = UNBOUNDED if problem == GRID else problem

    def at(name: str, **options: Any) -> Contender:
        return contender(problem, name, grid_step(tuned, name, CHOSEN[tuned][name]), **options)

    if problem == GRID:
        tried = [
            contender(problem, name, grid_step(tuned, name, point), label=f"{name}-{point}")
            for name in COMPARED
            for point in range(GRID_POINTS)
        ]
        return (at(METHOD), *tried, reference)
    methods = [at(name) for name in CHOSEN[problem]]
    if problem == UNBOUNDED:
        methods.append(at(METHOD, label="unrefined", refinement_epochs=0))
    if problem == DIGITS:
        methods += [at(METHOD, label=f"period-{period}", period=period) for period in PERIODS]
    return (*methods, reference)


def loss_over_steps(results: xr.Dataset, *, name: str) -> float:
    """The largest F of a method over a factor of ten in its step, relative to its best at any step of the grid.

    The ten is where this is least; steps of the grid differ by sqrt(10). What diverged counts as LARGEST_LOSS.
    """
    labels = [f"{name}-{point}" for point in range(GRID_POINTS)]
    column: Any = results["objective"].sel(contender=labels).mean("instance", skipna=False)
    finals = np.fmin(column.values, LARGEST_LOSS)
    return float(sliding_window_view(finals, 3).max(axis=1).min() / finals.min())


def more_loss_over_steps(results: xr.Dataset, *, name: str, other: str) -> float:
    """The loss over a factor of ten in the step of another method over that of a method."""
    return loss_over_steps(results, name=other) / loss_over_steps(results, name=name)


def _claims(settings: BoRepSettings) -> tuple[Claim, ...]:
    claims = [*_unbounded_claims(), *_robustness_claims(), *_ablation_claims(), *_control_claims()]
    if settings.sequences:
        claims += [
            Claim(
                f"beats-{other}",
                f"On the recurrent network its F is at most that of {other}",
                "abstract and experiments: more effective where recurrent networks are trained",
                RECURRENT,
                ratio("objective", other, METHOD),
                1.0,
            )
            for other in ("ma-soba", "stocbio", "aid-bio")
        ]
    return tuple(claims)


def _unbounded_claims() -> list[Claim]:
    gradient = "final_progress"
    return [
        *(
            Claim(
                f"halves-{other}",
                f"Late in the budget ||grad F|| is at most half of that of {other}",
                "abstract: conventional bilevel methods are unsuitable under unbounded smoothness",
                problem,
                ratio(gradient, other, METHOD),
                2.0,
            )
            for problem in (UNBOUNDED, FAR)
            for other in ("ma-soba", "stocbio")
        ),
        *(
            Claim(
                "beats-clipping",
                "Late in the budget ||grad F|| is at most that of MA-SOBA with clipping",
                "isolates normalisation: if clipping does as well, the rest of the method is not what helps",
                problem,
                ratio(gradient, "ma-soba-clipped", METHOD),
                1.0,
            )
            for problem in (UNBOUNDED, FAR)
        ),
        Claim(
            "gradient-falls-with-calls",
            "The mean of ||grad F|| so far falls at least as calls^-0.2 from a tenth of the budget on",
            "abstract: O(1/eps^4) iterations, an exponent of -1/4",
            UNBOUNDED,
            partial(mean_of, metric="average_decay", contender=METHOD),
            -0.2,
            "<=",
            "linear",
        ),
        Claim(
            "refinement-helps-early",
            "Without the refined start ||grad F|| is larger in the first tenth of the budget",
            "abstract: initialization refinement is one of two novel techniques",
            UNBOUNDED,
            ratio("early_progress", "unrefined", METHOD),
            1.0,
        ),
        Claim(
            "no-slower-than-ma-soba",
            "With the same calls it takes at most twice the processor time of MA-SOBA",
            "what a practitioner would use today",
            UNBOUNDED,
            ratio("cpu_seconds", "ma-soba", METHOD),
            0.5,
            role="practice",
        ),
    ]


def _robustness_claims() -> list[Claim]:
    return [
        Claim(
            "tenfold-step-costs-little",
            "Steps over some factor of ten all end with F at most 1.1 times that of the best step",
            "a normalised step does not depend on the scale of the gradient",
            GRID,
            partial(loss_over_steps, name=METHOD),
            1.1,
            "<=",
            "linear",
        ),
        *(
            Claim(
                f"tenfold-step-costs-{other}-more",
                f"Steps over a factor of ten lose no more, relative to the best of them, than those of {other}",
                "the same",
                GRID,
                partial(more_loss_over_steps, name=METHOD, other=other),
                1.0,
            )
            for other in COMPARED[1:]
        ),
    ]


def _ablation_claims() -> list[Claim]:
    claims = []
    for period in PERIODS[1:]:
        claims += [
            Claim(
                f"period-{period}-costs-little",
                f"With y updated every {period} iterations F is at most 1.05 times that with updates in each",
                "abstract: periodic updates suffice",
                DIGITS,
                ratio("objective", f"period-{period}", "period-1"),
                1.05,
                "<=",
            ),
            Claim(
                f"period-{period}-saves-calls",
                f"With y updated every {period} iterations at most 0.9 times the lower-level gradients are taken",
                "what periodic updates are for",
                DIGITS,
                ratio("lower_gradients", f"period-{period}", "period-1"),
                0.9,
                "<=",
            ),
        ]
    return claims


def _control_claims() -> list[Claim]:
    return [
        Claim(
            "parity-on-digits",
            "On digits, whose smoothness is bounded, F is at most 1.05 times that of MA-SOBA",
            "control: only parity is expected",
            DIGITS,
            ratio("objective", METHOD, "ma-soba"),
            1.05,
            "<=",
            role="control",
        ),
        Claim(
            "nothing-to-gain-where-bounded",
            "Where the smoothness is bounded ||grad F|| of MA-SOBA is at most 1.5 times its own",
            "control: what helps is the unbounded smoothness",
            BOUNDED,
            ratio("final_progress", "ma-soba", METHOD),
            1.5,
            "<=",
            role="control",
        ),
    ]


def _figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Progress against the spent budget, and the final F against the step."""
    from matplotlib.figure import Figure

    shown = [name for name in (UNBOUNDED, FAR, BOUNDED, DIGITS, RECURRENT) if name in results]
    figure = Figure(figsize=(3.6 * (len(shown) + 1), 3.8), layout="constrained")
    *panels, steps = figure.subplots(1, len(shown) + 1)
    for axes, problem in zip(panels, shown, strict=True):
        for name in CHOSEN[problem]:
            history = results[problem]["history"].sel(contender=name).mean("instance").values
            axes.plot(np.arange(CHECKPOINTS + 1), history[: CHECKPOINTS + 1], label=name)
        quantity = "||grad F||" if problem in COSH else "validation loss"
        axes.set(yscale="log", title=problem, xlabel="per cent of the budget", ylabel=quantity)
        axes.legend(fontsize="x-small")
    for name in COMPARED:
        finals = [float(results[GRID]["objective"].sel(contender=f"{name}-{k}").mean()) for k in range(GRID_POINTS)]
        steps.loglog([grid_step(UNBOUNDED, name, k) for k in range(GRID_POINTS)], finals, "o-", label=name)
    steps.set(title="F after each step of the grid", xlabel="step")
    steps.legend(fontsize="x-small")
    return figure


STUDY = Study(
    name="bo-rep",
    family="optimization",
    summary="Where the upper level's smoothness has no bound, does a normalised bilevel method do what others cannot?",
    paper=Paper(
        title="Bilevel Optimization under Unbounded Smoothness: A New Algorithm and Convergence Analysis",
        authors="J. Hao, X. Gong, M. Liu",
        venue="ICLR 2024",
        claim="O(1/eps^4) oracle calls to an eps-stationary point where the upper level's smoothness is unbounded",
    ),
    settings=BoRepSettings,
    sizes={
        Size.SMALL: {
            "instances": 1,
            "repetitions": 3,
            "seed": 1,
            "dimension": 10,
            "calls": 1200,
            "grid_calls": 600,
            "training": 100,
            "cleaning_calls": 15_000,
            "sequences": 0,
        },
        Size.DEFAULT: {"instances": 1, "repetitions": 5, "seed": 1},
        Size.LARGE: {
            "instances": 1,
            "repetitions": 10,
            "seed": 1,
            "calls": 200_000,
            "grid_calls": 20_000,
            "cleaning_calls": 2_000_000,
            "recurrent_calls": 300_000,
        },
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(*METRICS, work_metric("lower_gradients", "stochastic gradients of the lower level")),
    claims=_claims,
    # stochastic methods promise a small gradient, not a point, and logits of weights near 0 or 1 drift freely
    agreement=lambda settings: Agreement(REFERENCE, 100.0, root_mean_square_distance),
    # the reference may take a thousand iterations
    history_length=lambda settings: 1001,
    history_label="norm of grad F or validation loss",
    headline=(METHOD,),
    budget=_budget,
    method="The upper variable moves by steps of one length along a moving average of stochastic hypergradients. The "
    "lower variable is refined by epochs of SGD at the start, and from then on moves only every few iterations, while "
    "the solution of the linear system that the hypergradient needs moves in each. So the method needs no bound on the "
    "upper level's Hessian.",
    figure=_figure,
    surprises="Where the plain method's step is chosen with care, it does not need the normalisation: from distance 3 "
    "MA-SOBA ends with a smaller gradient than BO-REP. What normalisation buys is that the step need not be chosen so "
    "well: far off, one step of MA-SOBA works in some instances and diverges in others, while a factor of ten in it "
    "costs BO-REP next to nothing. Clipping buys the same, so it is the bound on the step's length that helps. On the "
    "recurrent network no hypergradient was long enough to be clipped.",
)
