"""The figures of a study about time: paired speed-ups over the paper's method, and work against precision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from kernels.result import Status
from tasks.claims import confidence_interval
from tasks.contenders import status_code
from tasks.results import ResultSet

LEVELS = 60
MOST_INSTANCES = 100
MOST_BYTES = 2**27  # of histories held at once
RANGE = 1e-16  # of levels: below it differences are rounding
LEAST_REDUCTION = 10.0
"""The factor by which a history must fall for time to a tolerance to mean anything."""


@dataclass(frozen=True)
class SpeedUp:
    """How many times the paper's method's processor time a contender takes on the same instances."""

    contender: str
    ratio: float
    lower: float
    upper: float
    unsolved: int


def speed_ups(results: ResultSet, table: xr.Dataset) -> list[SpeedUp]:
    """The speed-up of the paper's method over every other contender of a problem, with a 95 % interval.

    The ratio of processor times is taken instance by instance; of the instances of a repetition the geometric mean
    counts, and the interval is Student's t over these. Instances without a positive time of both are left out, and so
    is a contender that has none.
    """
    names = [contender.name for contender in results.contenders]
    method = next((i for i, contender in enumerate(results.contenders) if contender.role == "method"), None)
    if method is None:
        return []
    seconds, status = table["cpu_seconds"].values, table["status"].values
    _, repetition = np.unique(table["repetition"].values, return_inverse=True)
    logarithms = np.log(seconds, out=np.full(seconds.shape, np.nan), where=seconds > 0)
    found = []
    for i, name in enumerate(names):
        paired = logarithms[:, i] - logarithms[:, method]
        both = np.isfinite(paired)
        if i == method or not both.any():
            continue
        counts = np.bincount(repetition[both])
        sums = np.bincount(repetition[both], paired[both])
        ratio, lower, upper = confidence_interval(np.exp(sums[counts > 0] / counts[counts > 0]), "log")
        unsolved = int((status[:, i] != status_code(Status.CONVERGED)).sum())
        found.append(SpeedUp(name, ratio, lower, upper, unsolved))
    return found


def speed_up_figure(result_sets: Mapping[str, ResultSet], tables: Mapping[str, xr.Dataset]) -> Figure | None:
    """The speed-up over every contender, slowest on top, a panel for each problem; None where nothing was timed."""
    found = {name: speed_ups(results, tables[name]) for name, results in result_sets.items()}
    panels = {name: sorted(values, key=lambda value: value.ratio) for name, values in found.items() if values}
    if not panels:
        return None
    figure, axes = _panels([0.35 + 0.22 * len(values) for values in panels.values()], left=1.5, right=1.05)
    for panel, (name, values) in zip(axes, panels.items(), strict=True):
        method = next(c.name for c in result_sets[name].contenders if c.role == "method")
        for height, value in enumerate(values):
            _draw_speed_up(panel, height, value)
        panel.set_yticks(range(len(values)), [value.contender for value in values], fontsize="x-small")
        panel.set_ylim(-0.7, len(values) - 0.3)
        panel.axvline(1.0, color="black", linewidth=1.0)
        _ratio_axis(panel)
        panel.set_title(f"{name}: time / time of {method}", fontsize="small")
    _caption(
        figure,
        "processor time on the same instances; geometric mean and 95 % interval over repetitions.\n"
        "Green: the paper's method is faster; red: slower; grey: not decided. Hollow: it did not solve them all.",
    )
    return figure


def _draw_speed_up(panel: Axes, height: int, value: SpeedUp) -> None:
    decided = "tab:green" if value.lower > 1 else "tab:red" if value.upper < 1 else "tab:gray"
    if np.isfinite([value.lower, value.upper]).all():
        panel.plot([value.lower, value.upper], [height, height], color=decided, linewidth=3)
    panel.plot(
        value.ratio, height, "o", color=decided, markersize=5, markerfacecolor="w" if value.unsolved else decided
    )
    text = f" {value.ratio:.3g}" + (f" ({value.unsolved} unsolved)" if value.unsolved else "")
    panel.annotate(text, (1.0, height), xycoords=("axes fraction", "data"), va="center", fontsize="x-small")


def times_to_levels(
    histories: NDArray[np.float64], steps: NDArray[np.int64], seconds: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The median time over instances until a history first falls to each level; infinite where half never get there.

    The steps of an instance are taken as equally long, so that its last one ends at its measured time.

    Parameters
    ----------
    histories : ndarray, shape (instances, longest history), float64
    steps : ndarray, shape (instances,), int
        Length of each history.
    seconds : ndarray, shape (instances,), float64
        Processor time of each instance.
    levels : ndarray, shape (levels,), float64
    """
    times = np.full((len(histories), levels.size), np.inf)
    for row, history, length, total in zip(times, histories, steps, seconds, strict=True):
        best = np.fmin.accumulate(history[:length])  # a NaN is no progress
        first = np.searchsorted(-best, -levels)
        reached = first < length
        row[reached] = total * first[reached] / max(length - 1, 1)
    times = np.maximum(times, np.finfo(float).tiny)  # what holds from the start
    median: NDArray[np.float64] = np.quantile(times, 0.5, axis=0, method="higher")
    return median


def work_precision(results: ResultSet, table: xr.Dataset) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each contender that iterates the times at which it reaches levels of the history, and those levels.

    Of many instances some are taken, evenly spread. Empty where no history falls tenfold: a reward or a value that
    grows has no precision that takes time to reach.
    """
    most = min(MOST_INSTANCES, max(1, MOST_BYTES // (8 * table.sizes["contender"] * table.sizes["step"])))
    evenly = np.unique(np.linspace(0, table.sizes["instance"] - 1, most, dtype=int))
    chosen = table[["history", "steps", "cpu_seconds"]].isel(instance=evenly).load()
    columns = {}
    for i, contender in enumerate(results.contenders):
        seconds, steps = chosen["cpu_seconds"].values[:, i], chosen["steps"].values[:, i]
        usable = (steps > 1) & (seconds > 0) & np.isfinite(seconds)
        if usable.any():
            histories = chosen["history"].values[usable, i, : steps.max()]
            columns[contender.name] = histories, steps[usable], seconds[usable]
    ends = [_first_and_best(histories, steps) for histories, steps, _ in columns.values()]
    ends = [(first, max(best, RANGE * first)) for first, best in ends if 0 <= best <= first < np.inf and first > 0]
    if not any(first >= LEAST_REDUCTION * best for first, best in ends):
        return {}
    highest = max(first for first, _ in ends)
    levels = np.geomspace(highest, max(RANGE * highest, min(best for _, best in ends)), LEVELS)
    curves = {}
    for name, (histories, steps, seconds) in columns.items():
        times = times_to_levels(histories, steps, seconds, levels)
        reached = np.isfinite(times) & (times > np.finfo(float).tiny)
        if reached.any():
            curves[name] = times[reached], levels[reached]
    return curves


def _first_and_best(histories: NDArray[np.float64], steps: NDArray[np.int64]) -> tuple[float, float]:
    within = np.where(np.arange(histories.shape[1]) < steps[:, None], histories, np.inf)
    return float(np.median(histories[:, 0])), float(np.median(np.fmin.reduce(within, axis=1)))


def work_precision_figure(
    result_sets: Mapping[str, ResultSet], tables: Mapping[str, xr.Dataset], headline: tuple[str, ...]
) -> Figure | None:
    """Work against precision: the time that each contender needs to each level of the history, a panel a problem.

    A contender without a history is a dotted line at its time. None where no problem has a history that falls.
    """
    found = {
        name: work_precision(results, tables[name])
        for name, results in result_sets.items()
        if results.history_length > 1
    }
    panels = {name: curves for name, curves in found.items() if curves}
    if not panels:
        return None
    names = list(dict.fromkeys(c.name for name in panels for c in result_sets[name].contenders))
    colour = dict(zip(names, _colours(len(names)), strict=True))
    figure, axes = _panels([3.0] * len(panels), left=0.75, right=0.2, legend=len(names))
    shown = set()
    for panel, (name, curves) in zip(axes, panels.items(), strict=True):
        for contender, (times, levels) in curves.items():
            bold = contender in headline
            panel.plot(times, levels, color=colour[contender], linewidth=2.2 if bold else 1.0)
            panel.plot(times[-1], levels[-1], "o", color=colour[contender], markersize=6 if bold else 3.5)
        for contender in {c.name for c in result_sets[name].contenders} - curves.keys():
            seconds = float(tables[name]["cpu_seconds"].sel(contender=contender).median())
            if np.isfinite(seconds) and seconds > 0:
                panel.axvline(seconds, color=colour[contender], linewidth=1.0, linestyle=":")
        shown |= {c.name for c in result_sets[name].contenders}
        panel.set(xscale="log", yscale="log")
        panel.minorticks_off()
        panel.set_title(name, fontsize="small")
        panel.set_xlabel("processor seconds", fontsize="x-small")
        panel.set_ylabel(result_sets[name].history_label, fontsize="x-small")
    handles = [
        Line2D([], [], color=colour[name], linewidth=2.2 if name in headline else 1.0, label=name)
        for name in names
        if name in shown
    ]
    figure.legend(handles=handles, loc="upper center", ncols=6, fontsize="x-small", frameon=False)
    _caption(
        figure,
        f"median over up to {MOST_INSTANCES} instances of the time until a level is first reached, if half reach it;\n"
        "a contender's steps are taken as equally long. Dotted: the whole time of a contender without a history.",
    )
    return figure


def _ratio_axis(panel: Axes) -> None:
    """A logarithmic axis with plain numbers at its ticks, few enough to be read."""
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    few = np.log10(high / low) < 1.5
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=7))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())


def _colours(count: int) -> list[tuple[float, float, float, float]]:
    palette: Callable[[float], tuple[float, float, float, float]] = mpl.colormaps["tab20" if count > 10 else "tab10"]
    return [palette(i % 20 if count > 10 else i) for i in range(count)]


def _panels(heights: list[float], *, left: float, right: float, legend: int = 0) -> tuple[Figure, list[Axes]]:
    """A figure of at most three panels a row, with their heights and the margins at their sides in inches.

    Laid out by hand: for ten panels matplotlib's own engines take longer than all the drawing.
    """
    columns = min(3, len(heights))
    rows = [max(heights[first : first + columns]) for first in range(0, len(heights), columns)]
    inside, between, bottom, top = 3.3, 0.75, 0.95, 0.35 + 0.18 * -(-legend // 6)
    total = sum(rows) + between * (len(rows) - 1) + top + bottom
    width = max(columns * (left + inside + right), 7.0)
    figure = Figure(figsize=(width, total))
    grid = figure.add_gridspec(
        len(rows),
        columns,
        height_ratios=rows,
        left=left / width,
        right=1 - right / width,
        top=1 - top / total,
        bottom=bottom / total,
        hspace=between * len(rows) / sum(rows),  # of the mean height
        wspace=(left + right) / inside,
    )
    panels = [figure.add_subplot(grid[position // columns, position % columns]) for position in range(len(heights))]
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.tick_params(labelsize="x-small")
    return figure, panels


def _caption(figure: Figure, text: str) -> None:
    figure.text(0.5, 0.05 / figure.get_figheight(), text, ha="center", va="bottom", fontsize="x-small")
