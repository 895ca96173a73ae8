"""The solver chosen online: the bandit behind `assay generate --solver auto` against the best fixed choice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyThresholded
from data.pde.helmholtz import Helmholtz
from data.pde.recirculation import Recirculation
from data.pde.thermal import Thermal
from data.problem import Problem
from data.streams.mixed_systems import MixedSystems
from data.validation import GridSize
from kernels.linear_systems.adaptive import adaptive_sequence
from kernels.linear_systems.adaptive.arms import MOST_ITERATIONS
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.solvers import true_relative_residual
from tasks.claims import Claim, ratio, share_above
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, relative_distance, work_metric

if TYPE_CHECKING:
    import xarray as xr

# The bandit's solvers by what they are; symmetric and unsymmetric systems need different ones.
FIXED = {
    "grid-multigrid": ("grid-multigrid",),
    "lanes": ("lanes",),
    "incomplete-factors": ("cg-ic0", "bicgstab-ilu0"),
    "amg": ("amg-cg", "amg-gmres"),
    "recycling": ("recycling-10",),
}
MIXED = "mixed-systems"


class AdaptiveSettings(Settings):
    """The parameters of the study."""

    grid: GridSize = Field(ge=12, description="unknowns per side of the grids")
    refinement: int = Field(ge=1, le=6, description="of the mesh of the problem that has no grid")
    tolerance: float = Field(1e-8, gt=0.0, lt=1.0, description="on the true relative residual")


def _problems(settings: AdaptiveSettings) -> dict[str, Problem]:
    grid = settings.grid
    problems: tuple[Problem, ...] = (
        DarcyLognormal(grid=grid),
        DarcyThresholded(grid=grid, high=1e6, low=1.0),
        ConvectionDiffusion(grid=grid),
        Recirculation(grid=grid, cell_peclet=50.0),
        Helmholtz(grid=grid + 1, wave_number=0.4 * grid),
        Thermal(refinement=settings.refinement),
        MixedSystems(grid=grid),
    )
    return {problem.name: problem for problem in problems}


def _contenders(settings: AdaptiveSettings, problem: str) -> tuple[Contender, ...]:  # noqa: ARG001 - the same for all
    tolerance = {"tolerance": settings.tolerance}
    return (
        Contender("auto", adaptive_sequence, tolerance, "method", True, summary="a bandit over all of them and more"),
        *(
            Contender(
                name,
                adaptive_sequence,
                {**tolerance, "arms": arms},
                sequential=True,
                summary="always, with the same fallbacks",
            )
            for name, arms in FIXED.items()
        ),
        Contender("direct", sparse_lu_sequence, tolerance, sequential=True, summary="SciPy's SuperLU"),
    )


def over_best_fixed(results: xr.Dataset, *, metric: str) -> float:
    """The total of a metric for the bandit over the least total of the fixed choices, known in hindsight."""
    totals = results[metric].sum("instance", skipna=False)
    return float(totals.sel(contender="auto") / np.nanmin(totals.sel(contender=list(FIXED))))


def _claims(settings: AdaptiveSettings) -> tuple[Claim, ...]:
    return tuple(claim for problem in _problems(settings) for claim in _claims_of(problem, settings))


def _claims_of(problem: str, settings: AdaptiveSettings) -> list[Claim]:
    # better than the best fixed choice is two per cent less, or a bandit that only finds that choice would pass
    limit = 0.98 if problem == MIXED else 1.1
    source = "the claim that `--solver auto` is sold with; in the paper, regret to the best fixed parameter"
    return [
        Claim(
            "near-best-fixed",
            f"Over a stream the bandit pays at most {limit} times what the best fixed choice pays, in modelled cost",
            source,
            problem,
            partial(over_best_fixed, metric="cost"),
            limit,
            "<=",
        ),
        Claim(
            "near-best-fixed-in-time",
            f"Over a stream the bandit takes at most {limit} times the processor time of the fastest fixed choice",
            "the same in seconds, choosing included: the model of the costs has to be right, too",
            problem,
            partial(over_best_fixed, metric="cpu_seconds"),
            limit,
            "<=",
            role="practice",
        ),
        Claim(
            "faster-than-direct",
            "The bandit takes less processor time than SciPy's sparse LU",
            "what a practitioner would use today",
            problem,
            ratio("cpu_seconds", "direct", "auto"),
            1.0,
            role="practice",
        ),
        Claim(
            "solved",
            "Every system has the residual that was asked for",
            "fallbacks",
            problem,
            partial(share_above, metric="relative_residual", contender="auto", limit=settings.tolerance),
            0.0,
            "<=",
            "linear",
            "control",
        ),
    ]


STUDY = Study(
    name="adaptive-solver",
    method="Every solver with its parameters is an arm of a bandit, and its cost is its counted work times a "
    "price measured once. Cheap features of the matrix are the context: an arm's cost is known from "
    "systems of like features, and the arm with the lowest optimistic prediction is taken. A solver that "
    "fails is charged, and the next one solves the system, at last sparse LU.",
    family="linear_systems",
    summary="Does a bandit over solvers come within a tenth of the best fixed solver, without knowing it?",
    paper=Paper(
        title="Learning to Relax: Setting Solver Parameters Across a Sequence of Linear System Instances (generalised)",
        authors="after M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar",
        venue="ICLR 2024",
        claim="Parameters set online approach the total cost of the best fixed ones; here, whole solvers",
    ),
    settings=AdaptiveSettings,
    sizes={
        Size.SMALL: {"instances": 24, "repetitions": 3, "grid": 12, "refinement": 1},
        Size.DEFAULT: {"instances": 500, "repetitions": 3, "grid": 64, "refinement": 3},
        Size.LARGE: {"instances": 500, "repetitions": 10, "grid": 128, "refinement": 5},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric("cost", "modelled cost", "us"),
        work_metric("fallbacks", "solvers that did not reach the tolerance before one did"),
        work_metric("iterations", "iterations"),
        Metric("relative_residual", true_relative_residual, "true relative residual"),
    ),
    claims=_claims,
    # a relative residual bounds the relative error but for the condition number, 1e6 times larger where media jump
    agreement=lambda settings: Agreement("direct", 1e6 * settings.tolerance, relative_distance),
    history_length=lambda _: MOST_ITERATIONS + 1,
    history_label="relative residual",
    headline=("auto", "grid-multigrid", "lanes"),
)
