"""From stored results to what is reported: a table of contenders, their curves and the judgement of every claim."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kernels.result import Status
from tasks.claims import Claim, Judgement, Verdict, judge, select_results
from tasks.contenders import status_code
from tasks.results import DISTANCE, TIMINGS, ResultSet, results_url, timings_url
from tasks.store import DIGESTS

CURVE_POINTS = 320
CURVE_BYTES = 2**28  # of histories that are in memory at once


def load_table(folder: str) -> xr.Dataset:
    """Results and timings of a finished run, lazily, with dimensions instance, contender and step."""
    results: xr.Dataset = xr.open_zarr(results_url(folder), chunks=None)
    timings = xr.open_zarr(timings_url(folder), chunks=None)
    return results.merge(timings[list(TIMINGS)]).drop_vars(DIGESTS).set_coords("repetition")


def load_scalars(folder: str) -> xr.Dataset:
    """All but the histories of a finished run, in memory."""
    return load_table(folder).drop_dims("step").load()


def summarise(results: ResultSet, table: xr.Dataset) -> list[dict[str, Any]]:
    """One row a contender: means of all metrics over the instances where they are finite, and what went wrong.

    ``<metric>_not_finite`` counts the instances that the mean leaves out; it is absent where there are none.
    """
    rows = []
    for contender in results.contenders:
        column = table.sel(contender=contender.name)
        status = column["status"].values
        row: dict[str, Any] = {
            "problem": results.problem,
            "contender": contender.name,
            "role": contender.role,
            "instances": status.size,
            "unsolved": int((status != status_code(Status.CONVERGED)).sum()),
            "failed": int((status == status_code(Status.FAILED)).sum()),
        }
        for name in [*(metric.name for metric in results.metrics), DISTANCE, *TIMINGS]:
            values = column[name].values
            finite = np.isfinite(values)
            row[name] = float(values[finite].mean()) if finite.any() else None
            row[f"{name}_max"] = float(values[finite].max()) if finite.any() else None
            if not finite.all():
                row[f"{name}_not_finite"] = int((~finite).sum())
        rows.append(row)
    return rows


def in_plain_words(rows: list[dict[str, Any]], judgements: list[Judgement]) -> list[str]:
    """For each problem with a claim about time: who is fastest, how the paper's method compares, and who gave up."""
    sentences = []
    for problem in dict.fromkeys(judgement.problem for judgement in judgements if judgement.timed):
        contenders = [row for row in rows if row["problem"] == problem]
        if not contenders:  # a claim over several problems
            continue
        method = next(row for row in contenders if row["role"] == "method")
        solved = [row for row in contenders if not row["unsolved"] and row["role"] != "control"]
        sentences += [
            f"{problem}: {row['contender']} leaves {row['unsolved']} of {row['instances']} instances unsolved; "
            "ratios to it measure where it was stopped."
            for row in contenders
            if row["unsolved"]
        ]
        if method not in solved:
            continue
        fastest = min(solved, key=lambda row: float(row["cpu_seconds"]))
        milliseconds = [1e3 * row["cpu_seconds"] for row in (fastest, method)]
        sentences.append(
            f"{problem}: {method['contender']} is the fastest of {len(solved)} contenders."
            if fastest is method
            else f"{problem}: {fastest['contender']} wins, {milliseconds[1] / milliseconds[0]:.1f} times faster than "
            f"{method['contender']} ({milliseconds[0]:.3g} against {milliseconds[1]:.3g} ms per instance)."
        )
    return sentences


def tally(verdicts: Iterable[str]) -> str:
    """How many claims hold, fail and are inconclusive, in words."""
    found = Counter(verdicts)
    words = {Verdict.HOLDS: "hold", Verdict.FAILS: "fail", Verdict.INCONCLUSIVE: "inconclusive"}
    return ", ".join(f"{found[verdict]} {word}" for verdict, word in words.items() if found[verdict])


def judge_claims(claims: tuple[Claim, ...], tables: Mapping[str, xr.Dataset]) -> list[Judgement]:
    """The judgement of every claim on the results of its problem or problems."""
    return [judge(claim, select_results(claim, tables), list(TIMINGS)) for claim in claims]


def median_curve(table: xr.Dataset, contender: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The median history over instances at log-spaced steps; a finished instance keeps its last value.

    Returns
    -------
    steps, values : ndarray, shape (points,)
        At most CURVE_POINTS points; steps where the median is not finite are left out.
    """
    column = table.sel(contender=contender)
    lengths = column["steps"].values
    longest = int(lengths.max(initial=0))
    if longest == 0:
        return np.empty(0, np.int64), np.empty(0)
    steps = np.unique(np.geomspace(1, longest, CURVE_POINTS).astype(np.int64)) - 1
    at_once = max(1, CURVE_BYTES // (8 * lengths.size))
    values = np.concatenate(
        [
            np.median(_at_steps(column, lengths, steps[first : first + at_once]), axis=0)
            for first in range(0, steps.size, at_once)
        ]
    )
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _at_steps(column: xr.Dataset, lengths: NDArray[np.int32], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """The histories at some steps, of the instances that have one; read a block of instances after another."""
    history = column["history"]
    rows = max(1, CURVE_BYTES // (8 * history.sizes["step"]))
    blocks = []
    for first in range(0, lengths.size, rows):
        there = lengths[first : first + rows]
        last = np.minimum(steps[None, :], there[there > 0][:, None] - 1)
        block = history[first : first + rows].values[there > 0]
        blocks.append(np.take_along_axis(block, last, axis=1))
    return np.concatenate(blocks)
