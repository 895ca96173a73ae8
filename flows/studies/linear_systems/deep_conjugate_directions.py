"""The deep conjugate direction method: a network, trained on one matrix, proposes the search directions for others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from data.pde.pressure.systems import PressureGallery, PressurePockets
from data.problem import Problem
from data.validation import GridSize
from kernels.linear_systems.conjugate_directions.deep import deep_conjugate_directions
from kernels.linear_systems.conjugate_directions.deflation import mode_deflated_cg
from kernels.linear_systems.solvers import solve_krylov, solve_self_contained, true_relative_residual
from tasks.claims import Claim, ratio, share_above
from tasks.rates import growth
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study, relative_distance, work_metric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

METHOD = "deep-directions"
POCKETS, DOUBLED = "pockets", "pockets-doubled"
POISSON, DIFFUSION = "gallery-poisson", "gallery-diffusion"
CELLS_PER_SIDE = {POCKETS: 1.0, DOUBLED: 2.0}  # relative to the grid trained on


class DirectionsSettings(Settings):
    """The parameters of the study."""

    grid: GridSize = Field(64, ge=8, le=256, description="cells per side of the square trained on")
    channels: int = Field(16, ge=1, le=64, description="of the network")
    levels: int = Field(3, ge=1, le=6, description="of the network")
    ritz_vectors: int = Field(300, ge=1, le=2000, description="Lanczos steps before training; modes of deflated CG")
    vectors: int = Field(1000, ge=1, le=10**5, description="right-hand sides trained on")
    epochs: int = Field(2, ge=1, le=1000, description="passes over them")
    batch: int = Field(4, ge=1, le=1000, description="right-hand sides to a step of Adam")
    learning_rate: float = Field(2e-3, gt=0.0, le=1.0, description="the largest of Adam's")
    tolerance: float = Field(1e-4, gt=0.0, lt=1.0, description="on the true relative residual")
    max_iterations: int = Field(1000, ge=1, le=10**5, description="a run that reaches it counts as that many")

    @model_validator(mode="after")
    def _modes_fit(self) -> DirectionsSettings:
        if self.ritz_vectors > self.grid**2:
            raise ValueError(f"ritz_vectors={self.ritz_vectors} must be at most grid^2={self.grid**2}")
        return self


def _problems(settings: DirectionsSettings) -> dict[str, Problem]:
    trained: dict[str, Any] = {
        "systems_per_network": settings.instances,
        "training_grid": settings.grid,
        **settings.model_dump(
            include={"channels", "levels", "ritz_vectors", "vectors", "epochs", "batch", "learning_rate"}
        ),
    }
    return {
        POCKETS: PressurePockets(grid=settings.grid, **trained),
        DOUBLED: PressurePockets(grid=2 * settings.grid, **trained),
        POISSON: PressureGallery(grid=settings.grid, matrix="poisson", **trained),
        DIFFUSION: PressureGallery(grid=settings.grid, matrix="diffusion", **trained),
    }


def _contenders(settings: DirectionsSettings, problem: str) -> tuple[Contender, ...]:  # noqa: ARG001 - all alike
    stop = {"tolerance": settings.tolerance, "max_iterations": settings.max_iterations}

    def network(name: str, role: Literal["method", "baseline", "control"], kept: int, summary: str) -> Contender:
        return Contender(name, deep_conjugate_directions, {**stop, "conjugated": kept}, role, summary=summary)

    def krylov(name: str, preconditioner: str, summary: str) -> Contender:
        options = {**stop, "solver": "cg", "preconditioner": preconditioner}
        return Contender(name, solve_krylov, options, summary=summary)

    return (
        network(METHOD, "method", 2, "the network's direction, conjugate to the last two"),
        network("line-search", "control", 0, "steepest descent along the network's direction"),
        network("fcg-1", "baseline", 1, "flexible CG with the same network, conjugate to the last one"),
        network("fcg-20", "baseline", 20, "flexible CG with the same network, conjugate to the last twenty"),
        krylov("cg", "none", "plain CG"),
        krylov("ic0-cg", "ic0", "incomplete Cholesky without fill"),
        Contender("amg-cg", solve_self_contained, {**stop, "solver": "amg_cg"}, summary="PyAMG's Ruge-Stueben"),
        Contender(
            "deflated-cg",
            mode_deflated_cg,
            {**stop, "modes": settings.ritz_vectors},
            summary="as many modes of the empty square as training had Ritz vectors",
        ),
        Contender(
            "sparse-lu",
            solve_self_contained,
            {"solver": "sparse_lu", "tolerance": settings.tolerance},
            summary="SciPy's SuperLU",
        ),
    )


def _claims(settings: DirectionsSettings) -> tuple[Claim, ...]:
    return (
        *(claim for problem in (POCKETS, DOUBLED) for claim in _pocket_claims(problem, settings)),
        *_growth_claims(),
        *_gallery_claims(),
    )


def _pocket_claims(problem: str, settings: DirectionsSettings) -> list[Claim]:
    return [
        Claim(
            "halves-cg",
            "On unseen domains the method needs at most half of plain CG's iterations",
            "abstract: a given tolerance in a small number of iterations; the paper's comparison with CG",
            problem,
            ratio("iterations", "cg", METHOD),
            2.0,
        ),
        Claim(
            "fewer-than-ic0-cg",
            "On unseen domains the method needs no more iterations than CG with incomplete Cholesky",
            "the paper's comparison with incomplete Cholesky preconditioned CG",
            problem,
            ratio("iterations", "ic0-cg", METHOD),
            1.0,
        ),
        Claim(
            "conjugation-helps",
            "Without conjugation to the last two directions, by line search alone, it takes more iterations",
            "algorithm 1: two A-orthogonalisations",
            problem,
            ratio("iterations", "line-search", METHOD),
            1.0,
        ),
        Claim(
            "second-direction-helps",
            "Flexible CG with the same network, which keeps one direction only, takes more iterations",
            "what the method adds to the flexible CG of Golub and Ye",
            problem,
            ratio("iterations", "fcg-1", METHOD),
            1.0,
            role="practice",
        ),
        Claim(
            "fewer-than-deflated-cg",
            "It needs no more iterations than CG deflated by as many modes, whose products are not counted",
            "what the Ritz vectors can do without a network",
            problem,
            ratio("iterations", "deflated-cg", METHOD),
            1.0,
            role="practice",
        ),
        *(
            Claim(
                f"faster-than-{baseline}",
                f"It needs no more processor time than {baseline}, training left out",
                "what a practitioner would use today",
                problem,
                ratio("cpu_seconds", baseline, METHOD),
                1.0,
                role="practice",
            )
            for baseline in ("cg", "amg-cg")
        ),
        Claim(
            "solved",
            "Every solution has the residual that was asked for",
            "stopping rule",
            problem,
            partial(share_above, metric="relative_residual", contender=METHOD, limit=settings.tolerance),
            0.0,
            "<=",
            "linear",
            "control",
        ),
    ]


def _growth_claims() -> list[Claim]:
    return [
        Claim(
            "independent-of-size",
            "Doubling the cells per side multiplies the method's iterations by less than 1.5 (2^0.58)",
            "abstract: a small number of iterations, independent of the problem size",
            tuple(CELLS_PER_SIDE),
            growth("iterations", METHOD, CELLS_PER_SIDE),
            math.log2(1.5),
            "<=",
            "linear",
        ),
        Claim(
            "cg-grows",
            "Doubling the cells per side multiplies CG's iterations by at least 1.7 (2^0.77)",
            "control: its iterations go with the square root of the condition number",
            tuple(CELLS_PER_SIDE),
            growth("iterations", "cg", CELLS_PER_SIDE),
            math.log2(1.7),
            ">=",
            "linear",
            "control",
        ),
    ]


def _gallery_claims() -> list[Claim]:
    return [
        Claim(
            "halves-cg",
            "On pyamg's Poisson matrix, which it was trained on, it needs at most half of plain CG's iterations",
            "the paper's comparison with CG, on right-hand sides that it was not trained on",
            POISSON,
            ratio("iterations", "cg", METHOD),
            2.0,
        ),
        Claim(
            "generalises-to-another-operator",
            "On pyamg's anisotropic diffusion it needs no more iterations than plain CG",
            "abstract: generalises effectively to various systems beyond those encountered during training",
            DIFFUSION,
            ratio("iterations", "cg", METHOD),
            1.0,
        ),
    ]


def median_history(table: xr.Dataset, contender: str) -> Any:
    """The median over instances of a contender's residuals, as far as half of the instances go."""
    histories = table["history"].sel(contender=contender).values
    iterating = np.isfinite(histories).mean(0) >= 0.5
    return np.nanmedian(histories[:, iterating], axis=0)


def _figure(tables: Mapping[str, xr.Dataset]) -> Figure:
    """Residuals against iterations on the grid trained on and on one of twice the cells per side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, problem in zip(figure.subplots(1, 2, sharey=True), CELLS_PER_SIDE, strict=True):
        for contender in (METHOD, "line-search", "fcg-1", "deflated-cg", "amg-cg", "ic0-cg", "cg"):
            axes.semilogy(median_history(tables[problem], contender), label=contender)
        axes.set(title=problem, xlabel="iteration", xscale="symlog", xlim=(0, None))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("relative residual (median)")
    figure.axes[0].legend(fontsize="small")
    return figure


STUDY = Study(
    name="deep-conjugate-directions",
    family="linear_systems",
    summary="Does a network that proposes search directions beat CG on domains, and at sizes, that it never saw?",
    paper=Paper(
        title="A Deep Conjugate Direction Method for Iteratively Solving Linear Systems",
        authors="A. Kaneda, O. Akar, J. Chen, V. A. T. Kala, D. Hyde, J. Teran",
        venue="ICML 2023",
        claim="A tolerance is reached in a small number of iterations, independent of the size, also on unseen systems",
    ),
    settings=DirectionsSettings,
    sizes={
        Size.SMALL: {
            "instances": 2,
            "repetitions": 2,
            "grid": 16,
            "channels": 8,
            "levels": 2,
            "ritz_vectors": 60,
            "vectors": 256,
        },
        Size.DEFAULT: {"instances": 8, "repetitions": 5},
        Size.LARGE: {"instances": 20, "repetitions": 10, "vectors": 4000},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(
        work_metric("iterations", "iterations"),
        work_metric("operator_applications", "products with the matrix"),
        Metric("relative_residual", true_relative_residual, "true relative residual"),
    ),
    claims=_claims,
    # a relative residual bounds the relative error but for the condition number, less than the square of cells per side
    agreement=lambda settings: Agreement("sparse-lu", (2 * settings.grid) ** 2 * settings.tolerance, relative_distance),
    history_length=lambda settings: settings.max_iterations + 1,
    history_label="relative residual",
    headline=(METHOD, "ic0-cg", "cg"),
    method="A convolutional network maps the residual, at unit length, to a search direction. The direction is made "
    "conjugate to the last two and followed by exact line search, so that its scale does not matter. The network is "
    "trained without solutions, on one matrix without pockets: for random combinations of Ritz vectors, the step along "
    "its direction shall leave a small residual.",
    surprises="With two directions kept, the method is Notay's flexible CG with the network as preconditioner. The "
    "second direction saves 3 to 4 % of the iterations, twenty would save a quarter. Twice the cells per side take 1.5 "
    "times the iterations, so that the threshold cannot be decided; CG takes twice as many. As many sine modes as "
    "training had Ritz vectors, which nobody has to train, need fewer iterations than the network. In seconds the "
    "method is 20 to 30 times slower than plain CG and 13 to 20 times slower than algebraic multigrid: a forward pass "
    "takes as long as 200 iterations of CG. That leaves out training, 23 s a network. The weights are part of the data "
    "set, so that the first run takes minutes and those after it do not train. With a relu after every convolution, as "
    "in the authors' code, but without biases, some networks stay so poor after a short training that the iteration "
    "does not converge, although it has a line search; so here a relu stands in residual blocks only. Of two trial "
    "networks with the authors' relu, twice the cells per side took one 1.6 and the other 2 times the iterations.",
    figure=_figure,
)
