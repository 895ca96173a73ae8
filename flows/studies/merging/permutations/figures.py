"""What permuting networks does to them, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flows.studies.merging.permutations.measures import BARRIER, GAMMAS, LAYERS, alignment_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MERGED = {"pair": "accuracy_of_pair", "three": "accuracy_of_three", "all": "accuracy_of_all"}


def matching_figure(tables: Mapping[str, xr.Dataset], *, problems: Sequence[str], before: str, after: str) -> Figure:
    """Barrier against distance, singular vectors before and after matching, and the accuracy of merged networks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.7 * len(problems)), layout="constrained")
    for row, problem in zip(figure.subplots(len(problems), 3, squeeze=False), problems, strict=True):
        means = tables[problem].drop_vars("history", errors="ignore").mean("instance")
        _barriers(row[0], means, problem)
        _vectors(row[1], means, before, after)
        _merged(row[2], means)
        for axes in row:
            axes.grid(alpha=0.3)
            axes.legend(fontsize="x-small")
    return figure


def _barriers(axes: Axes, means: xr.Dataset, title: str) -> None:
    for name in means["contender"].values.tolist():
        column = means.sel(contender=name)
        axes.plot(column["distance_reduction"], column[BARRIER], "o", label=name)
    axes.set(xlabel="reduction of the distance", ylabel="barrier, nats", title=title)


def _vectors(axes: Axes, means: xr.Dataset, before: str, after: str) -> None:
    for position, gamma in enumerate(GAMMAS):
        names = [alignment_name(layer, gamma) for layer in LAYERS]
        for contender, style, label in ((before, "o--", None), (after, "o-", f"gamma = {gamma:g}")):
            values = [float(means[name].sel(contender=contender)) for name in names]
            axes.plot(LAYERS, values, style, color=f"C{position}", label=label)
    axes.set(xlabel="layer", ylabel="R", title="dashed before, solid after matching", xticks=LAYERS)


def _merged(axes: Axes, means: xr.Dataset) -> None:
    for name in means["contender"].values.tolist():
        axes.plot(list(MERGED), [float(means[m].sel(contender=name)) for m in MERGED.values()], "o-", label=name)
    axes.set(xlabel="networks merged", ylabel="test accuracy of their mean")
