"""Setting the relaxation parameter online: bandits that see iteration counts alone, against what they could know."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from data.problem import Problem
from data.streams.shifted_laplacian import ShiftedLaplacian
from data.validation import GridSize
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.learning_to_relax import learning_to_relax
from kernels.linear_systems.optimal_relaxation import best_fixed_omega, golden_section_omega, sor_at_optimal_omega
from kernels.linear_systems.relaxation import solve_relaxed
from kernels.linear_systems.solvers import solve_krylov, true_relative_residual
from tasks.claims import Claim, Statistic, ratio, share_above
from tasks.rates import log_log_slope
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, relative_distance, work_metric

if TYPE_CHECKING:
    import xarray as xr

# The shape parameters of the paper's two Beta laws.
LAWS = {"high-variance": (0.5, 1.5), "low-variance": (2.0, 6.0)}
CONJUGATE_GRADIENTS = "high-variance-cg"
# The shifts of the paper's matrix on its grid; on others they go with the eigenvalues.
PAPER_GRID = 11
SHIFTS = (-0.15, 0.45)
STORED_ITERATIONS = 32


class RelaxationSettings(Settings):
    """The parameters of the study."""

    grid: GridSize = Field(PAPER_GRID, ge=4, description="cells per side: (grid - 1)^2 unknowns")
    tolerance: float = Field(1e-8, gt=0.0, lt=1.0, description="on the true relative residual")
    max_iterations: int = Field(10_000, ge=1, le=10**6, description="a run that reaches it counts as that many")


def _interval(settings: RelaxationSettings) -> tuple[float, float]:
    scale = (PAPER_GRID / settings.grid) ** 2
    return SHIFTS[0] * scale, SHIFTS[1] * scale


def _problems(settings: RelaxationSettings) -> dict[str, Problem]:
    least, greatest = _interval(settings)
    streams: dict[str, Problem] = {
        name: ShiftedLaplacian(grid=settings.grid, alpha=alpha, beta=beta, least_shift=least, greatest_shift=greatest)
        for name, (alpha, beta) in LAWS.items()
    }
    return {**streams, CONJUGATE_GRADIENTS: streams["high-variance"]}


def _contenders(settings: RelaxationSettings, problem: str) -> tuple[Contender, ...]:
    stop = {"tolerance": settings.tolerance, "max_iterations": settings.max_iterations}
    relaxed = {**stop, "solver": "ssor_cg" if problem == CONJUGATE_GRADIENTS else "sor"}

    def learner(name: str, role: Literal["method", "baseline", "control"], summary: str, bandit: str) -> Contender:
        options = {**relaxed, "learner": bandit, "interval": _interval(settings)}
        return Contender(name, learning_to_relax, options, role, sequential=True, stochastic=True, summary=summary)

    contenders = [
        learner("tsallis-inf", "method", "the paper's bandit, blind to the shift", "tsallis_inf"),
        learner("chebcb", "baseline", "the paper's contextual bandit, which sees the shift", "chebcb"),
        learner("tsallis-inf-cb", "baseline", "Tsallis-INF in five bins of the shift", "binned_tsallis_inf"),
        learner("epsilon-greedy", "baseline", "explores in a tenth of the rounds", "epsilon_greedy"),
        learner("ucb1", "baseline", "UCB1 on costs over the greatest seen", "ucb1"),
        learner("uniform", "control", "omega at random", "uniform"),
        Contender("best-fixed", best_fixed_omega, relaxed, "control", True, summary="the best omega in hindsight"),
        Contender("golden-section", golden_section_omega, relaxed, "control", summary="the best found per system"),
        *(
            Contender(f"omega-{omega:g}", solve_relaxed, {**relaxed, "omega": omega}, summary="fixed")
            for omega in (1.0, 1.5, 1.8)
        ),
        Contender("cg", solve_krylov, {**stop, "solver": "cg", "preconditioner": "none"}, summary="plain CG"),
        Contender(
            "sparse-lu",
            sparse_lu_sequence,
            {"tolerance": settings.tolerance},
            sequential=True,
            summary="SciPy's SuperLU, which needs no omega",
        ),
    ]
    if problem in LAWS:
        young = "Young's omega for each system, from its spectrum"
        contenders.append(Contender("instance-optimal", sor_at_optimal_omega, stop, "control", summary=young))
    return tuple(contenders)


def last_fifth(results: xr.Dataset, *, statistic: Statistic) -> float:
    """A statistic of the last fifth of a stream, when most has been learned."""
    return statistic(results.isel(instance=slice(-max(1, results.sizes["instance"] // 5), None)))


def regret_slope(results: xr.Dataset, *, learner: str, comparator: str) -> float:
    """The exponent of the growth of regret: the slope of log R(t) against log t on the last nine tenths of a stream.

    R(t) is what a learner paid more in rounds 1 to t than one arm, in iterations; below one it counts as one.
    """
    costs = results["iterations"]
    excess: Any = costs.sel(contender=learner).values - costs.sel(contender=comparator).values
    rounds = np.unique(np.geomspace(max(1, excess.size // 10), excess.size, 100).astype(int))
    return log_log_slope(rounds, np.maximum(np.cumsum(excess)[rounds - 1], 1.0))


def _late_ratio(numerator: str, denominator: str) -> Statistic:
    return partial(last_fifth, statistic=ratio("iterations", numerator, denominator))


def _claims(settings: RelaxationSettings) -> tuple[Claim, ...]:
    sor = [claim for problem in LAWS for claim in [*_sor_claims(problem), *_common_claims(problem, settings)]]
    return (*sor, *_cg_claims(), *_common_claims(CONJUGATE_GRADIENTS, settings))


def _sor_claims(problem: str) -> list[Claim]:
    return [
        Claim(
            "sublinear-regret",
            "The regret of Tsallis-INF to the best fixed omega grows at most as T^0.7",
            "abstract: the cost approaches that of the best fixed omega; Tsallis-INF's bound is T^0.5",
            problem,
            partial(regret_slope, learner="tsallis-inf", comparator="best-fixed"),
            0.7,
            "<=",
            "linear",
        ),
        Claim(
            "halves-gauss-seidel",
            "Over the whole stream Tsallis-INF needs at most half of Gauss-Seidel's iterations",
            "figure of fixed omegas against Tsallis-INF",
            problem,
            ratio("iterations", "omega-1", "tsallis-inf"),
            2.0,
        ),
        Claim(
            "approaches-instance-optimal",
            "In the last fifth ChebCB needs at most 1.2 times the iterations of Young's omega for each system",
            "abstract: the contextual bandit asymptotically achieves the instance-optimal policy",
            problem,
            _late_ratio("chebcb", "instance-optimal"),
            1.2,
            "<=",
        ),
        Claim(
            "context-beats-best-fixed",
            "In the last fifth ChebCB needs fewer iterations than the best fixed omega",
            "figure of the contextual bandits",
            problem,
            _late_ratio("best-fixed", "chebcb"),
            1.0,
        ),
        Claim(
            "young-is-instance-optimal",
            "Young's omega needs at most 1.1 times the iterations of the best that golden section finds",
            "what the paper calls instance-optimal is optimal asymptotically",
            problem,
            ratio("iterations", "instance-optimal", "golden-section"),
            1.1,
            "<=",
            role="control",
        ),
    ]


def _cg_claims() -> list[Claim]:
    return [
        Claim(
            "approaches-golden-section",
            "In the last fifth ChebCB needs at most 1.2 times the iterations of the best omega for each system",
            "section on preconditioned CG: the same learners for another cost",
            CONJUGATE_GRADIENTS,
            _late_ratio("chebcb", "golden-section"),
            1.2,
            "<=",
        ),
        Claim(
            "beats-plain-cg",
            "SSOR-CG with learned omega needs fewer iterations than CG without a preconditioner",
            "heat equation: the learners beat vanilla CG",
            CONJUGATE_GRADIENTS,
            ratio("iterations", "cg", "tsallis-inf"),
            1.0,
        ),
    ]


def _common_claims(problem: str, settings: RelaxationSettings) -> list[Claim]:
    return [
        Claim(
            "approaches-best-fixed",
            "In the last fifth Tsallis-INF needs at most 1.25 times the iterations of the best fixed omega",
            "abstract: the overall cost approaches that of the best fixed omega",
            problem,
            _late_ratio("tsallis-inf", "best-fixed"),
            1.25,
            "<=",
        ),
        Claim(
            "learning-helps",
            "Tsallis-INF needs fewer iterations than omega at random",
            "control: something is learned",
            problem,
            ratio("iterations", "uniform", "tsallis-inf"),
            1.0,
            role="control",
        ),
        Claim(
            "solved",
            "Every system that Tsallis-INF returns has the residual that was asked for",
            "stopping rule",
            problem,
            partial(share_above, metric="relative_residual", contender="tsallis-inf", limit=settings.tolerance),
            0.0,
            "<=",
            "linear",
            "control",
        ),
        *(
            Claim(
                f"beats-{baseline}",
                f"Tsallis-INF needs no more iterations than {baseline} over the whole stream",
                "the textbook's bandits",
                problem,
                ratio("iterations", baseline, "tsallis-inf"),
                1.0,
                role="practice",
            )
            for baseline in ("epsilon-greedy", "ucb1")
        ),
        *(
            Claim(
                f"faster-than-{baseline}",
                f"Tsallis-INF needs no more processor time than {baseline}, learning included",
                "what a practitioner would use today",
                problem,
                ratio("cpu_seconds", baseline, "tsallis-inf"),
                1.0,
                role="practice",
            )
            for baseline in ("cg", "sparse-lu")
        ),
    ]


STUDY = Study(
    name="learning-to-relax",
    family="linear_systems",
    summary="Can a bandit set SOR's omega, seeing nothing but the iterations of the systems before?",
    paper=Paper(
        title="Learning to Relax: Setting Solver Parameters Across a Sequence of Linear System Instances",
        authors="M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar",
        venue="ICLR 2024",
        claim="The total cost approaches that of the best fixed omega and, given the shift, of the best omega for each",
    ),
    settings=RelaxationSettings,
    sizes={
        Size.SMALL: {"instances": 100, "repetitions": 6},
        Size.DEFAULT: {"instances": 5000, "repetitions": 5},
        Size.LARGE: {"instances": 5000, "repetitions": 40},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric("iterations", "iterations, those of exploration included"),
        Metric("relative_residual", true_relative_residual, "true relative residual"),
    ),
    claims=_claims,
    # a relative residual bounds the relative error but for the condition number
    agreement=lambda settings: Agreement("sparse-lu", 1e4 * settings.tolerance, relative_distance),
    history_length=lambda settings: STORED_ITERATIONS + 1,
    history_label=f"relative residual of the first {STORED_ITERATIONS} iterations",
    headline=("tsallis-inf", "chebcb", "best-fixed"),
    method="Each system is solved by SOR with an omega that a bandit chooses; the iterations that it took are "
    "all the bandit sees. Tsallis-INF keeps a distribution over a grid of omegas and needs no context. "
    "ChebCB is given the shift of the matrix and fits the cost of every omega by Chebyshev polynomials in "
    "it.",
    surprises="The policy that the paper calls instance-optimal, Young's omega, is 2 to 3 % worse than the best that "
    "golden section finds. The textbook's epsilon-greedy does as well as Tsallis-INF.",
)
