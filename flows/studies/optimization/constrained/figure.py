"""The study's figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from flows.studies.optimization.constrained.problems import (
    ACCURACIES,
    COMPARED,
    EXACT,
    LOGISTIC,
    METHOD,
    MINRES,
    PENALTY,
    PRACTICAL,
    REFERENCE,
    SHARPENED,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def rates_and_costs(tables: Mapping[str, xr.Dataset]) -> Figure:
    """The KKT residual over Newton steps, evaluations, and operations of the inner solves, as the paper's box plots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.2), layout="constrained")
    curves, evaluations, operations = figure.subplots(1, 3)
    table = tables[LOGISTIC].isel(instance=0)
    for contender in (*ACCURACIES, SHARPENED, METHOD, REFERENCE):
        column = table.sel(contender=contender)
        curves.plot(column["history"].values[: int(column["steps"])], label=contender)
    curves.set(yscale="log", title=LOGISTIC, xlabel="Newton step", ylabel="KKT residual")
    curves.legend(fontsize="x-small")
    shown = (METHOD, PRACTICAL, EXACT, MINRES, PENALTY)
    for axes, metric, title in (
        (evaluations, "evaluations", "evaluations of f and c"),
        (operations, "inner_flops", "operations of the inner solves"),
    ):
        groups = {problem: np.arange(len(shown)) + 6 * i for i, problem in enumerate(COMPARED)}
        for problem, places in groups.items():
            columns = [tables[problem][metric].sel(contender=contender).values for contender in shown]
            axes.boxplot([column[np.isfinite(column)] for column in columns], positions=places, widths=0.7)
            above = axes.get_xaxis_transform()
            axes.text(places.mean(), 1.01, problem, transform=above, ha="center", va="bottom", fontsize="small")
        axes.set_xticks(np.concatenate(list(groups.values())), shown * len(groups), rotation=90, fontsize="x-small")
        axes.set(yscale="log", ylabel=title)
    return figure
