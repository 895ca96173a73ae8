"""The study's figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from flows.studies.optimization.block_descent.problems import METHOD, OBJECTIVE, REFERENCE, SLACKS
from flows.studies.optimization.block_descent.statistics import SMALLEST_GAP

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def convergence_and_identification(tables: Mapping[str, xr.Dataset]) -> Figure:
    """Gaps against steps for rules and updates, blocks of graphs, updates with bounds, and the active set."""
    from matplotlib.figure import Figure

    shown = {
        "least-squares": (
            "fixed-cyclic",
            "fixed-gs",
            "fixed-gsl",
            "variable-gs",
            "variable-gsd",
            "variable-gsd-matrix",
        ),
        "lattice": ("greedy-forest", "tree-partition", "random-forest", "red-black", "dense-blocks"),
        "nonnegative-lasso": (METHOD, "exact-blocks", "fixed-two-metric", "projected-gradient"),
    }
    figure = Figure(figsize=(15, 3.8), layout="constrained")
    panels = figure.subplots(1, 4)
    for axes, (problem, contenders) in zip(panels, shown.items(), strict=False):
        table = tables[problem]
        for contender in contenders:
            history = table["history"].sel(contender=contender).values[0]
            values = history[: int(table["steps"].sel(contender=contender).values[0])]
            if problem != "lattice":
                least = float(table[OBJECTIVE].sel(contender=REFERENCE).values[0])
                values = np.maximum(values / values[0] - least, SMALLEST_GAP)
            axes.plot(values, label=contender)
        quantity = "relative residual" if problem == "lattice" else "f - f*, relative to f at zero"
        axes.set(yscale="log", title=problem, xlabel="step", ylabel=quantity)
        axes.legend(fontsize="x-small")
    for contender in (METHOD, "projected-gradient"):
        steps = [float(tables[name]["identification"].sel(contender=contender).mean()) for name in SLACKS]
        panels[3].plot(list(SLACKS.values()), steps, marker="o", label=contender)
    panels[3].set(xscale="log", title="identification", xlabel="slack", ylabel="step after which the support stays")
    panels[3].legend(fontsize="x-small")
    return figure
