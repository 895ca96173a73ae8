"""The figures of a study: convergence of its contenders and its claims at a glance."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.claims import Judgement, Verdict
from tasks.results import ResultSet
from tasks.scoring import median_curve

COLOURS = {Verdict.HOLDS: "tab:green", Verdict.FAILS: "tab:red", Verdict.INCONCLUSIVE: "tab:gray"}


def convergence_figure(results: ResultSet, table: xr.Dataset, headline: tuple[str, ...]) -> Figure:
    """The median history of every contender that iterates; those of the headline are drawn bold."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for contender in results.contenders:
        steps, values = median_curve(table, contender.name)
        if steps.size < 2:
            continue
        bold = contender.name in headline
        axes.plot(steps, values, label=contender.name, linewidth=2.2 if bold else 1.0, alpha=1.0 if bold else 0.7)
    axes.set(
        xlabel="iteration", ylabel=f"{results.history_label} (median)", title=f"{results.study}: {results.problem}"
    )
    axes.set_xscale("symlog", linthresh=10)
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize="small", ncols=2)
    return figure


def claims_figure(judgements: list[Judgement], title: str) -> Figure:
    """Every claim's estimate and interval relative to its threshold, coloured by verdict."""
    figure = Figure(figsize=(9, 1.2 + 0.42 * len(judgements)), layout="constrained")
    axes = figure.subplots()
    for row, judgement in enumerate(reversed(judgements)):
        _draw_claim(axes, row, judgement)
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yticks(range(len(judgements)), [f"{j.problem}: {j.name}" for j in reversed(judgements)], fontsize="small")
    axes.set(xlabel="estimate and 95 % interval / threshold", title=title)
    axes.grid(alpha=0.3, axis="x")
    return figure


def _draw_claim(axes: Axes, row: int, judgement: Judgement) -> None:
    threshold = judgement.threshold or 1.0
    values = np.array([judgement.lower, judgement.estimate, judgement.upper]) / threshold
    colour = COLOURS[judgement.verdict]
    if np.isfinite(values).all() and (values > 0).all():
        axes.plot(values[[0, 2]], [row, row], color=colour, linewidth=3)
        axes.plot(values[1], row, "o", color=colour)
    sign = "\u2265" if judgement.comparison == ">=" else "\u2264"
    text = f"  {judgement.estimate:.3g} {sign} {judgement.threshold:g}: {judgement.verdict}"
    axes.annotate(text, (1.0, row), xycoords=("axes fraction", "data"), va="center", fontsize="small", color=colour)
