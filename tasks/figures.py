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
    figure = Figure(figsize=(8, 5))  # its margins suit one panel; the engines take longer than all the drawing
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
    """Every claim's estimate and interval relative to its threshold, coloured by verdict, a panel for each problem."""
    problems = {
        judgement.problem: [j for j in judgements if j.problem == judgement.problem] for judgement in judgements
    }
    columns = min(3, len(problems))
    rows = -(-len(problems) // columns)
    longest = max(len(claims) for claims in problems.values())
    figure = Figure(figsize=(6.2 * columns, (0.9 + 0.24 * longest) * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for panel, (problem, claims) in zip(panels, problems.items(), strict=False):
        for height, judgement in enumerate(reversed(claims)):
            _draw_claim(panel, height, judgement)
        panel.axvline(1.0, color="black", linewidth=1.0)
        panel.set_xscale("log")
        panel.set_ylim(-0.7, longest - 0.3)
        panel.set_yticks(range(len(claims)), [judgement.name for judgement in reversed(claims)], fontsize="small")
        panel.set_title(problem, fontsize="medium")
        panel.grid(alpha=0.3, axis="x")
    for panel in panels[len(problems) :]:
        panel.set_visible(False)
    figure.suptitle(title)
    figure.supxlabel("estimate and 95 % interval / threshold", fontsize="small")
    return figure


def _draw_claim(panel: Axes, height: int, judgement: Judgement) -> None:
    threshold = judgement.threshold or 1.0
    values = np.array([judgement.lower, judgement.estimate, judgement.upper]) / threshold
    colour = COLOURS[judgement.verdict]
    if np.isfinite(values).all() and (values > 0).all():
        panel.plot(values[[0, 2]], [height, height], color=colour, linewidth=3)
        panel.plot(values[1], height, "o", color=colour, markersize=4)
    sign = "\u2265" if judgement.comparison == ">=" else "\u2264"
    text = f" {judgement.estimate:.3g} {sign} {judgement.threshold:.3g}: {judgement.verdict}"
    panel.annotate(text, (1.0, height), xycoords=("axes fraction", "data"), va="center", fontsize="small", color=colour)
