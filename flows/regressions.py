"""What got worse between two runs of a study: claims that no longer hold, contenders that got slower."""

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr
from mlflow.entities import Run

from tasks.claims import Verdict, confidence_interval
from tasks.results import results_url, timings_url
from tasks.scoring import load_scalars
from tasks.store import store_state

NOISE = 1.25
"""The ratio of times that the whole interval must exceed: what machines do from day to day is no news."""


@dataclass(frozen=True)
class Slowdown:
    """How many times longer a contender takes than before, with a 95 % interval over repetitions."""

    problem: str
    contender: str
    ratio: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """One line for people."""
        interval = f"{self.lower:.2f} to {self.upper:.2f}"
        return f"{self.contender} on {self.problem} takes {self.ratio:.2f} times as long ({interval})"


def lost_claims(changes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The claims that held before and no longer do, one line each."""
    held = Verdict.HOLDS.value
    return [
        f"{claim} held and is now: {change['now']}"
        for claim, change in changes.items()
        if change["before"] == held != change["now"]
    ]


def slowdowns(before: Run, now: Run) -> list[Slowdown]:
    """The contenders of a study that got slower beyond noise from one of its runs to another.

    Times are compared on the same instances, relative to the study's other contenders: that the whole machine is slower
    today is no regression. Problems whose data set changed, or whose results are the same or gone, are left out.
    """
    found = []
    for name, folder in now.data.tags.items():
        problem = name.removeprefix("results.")
        earlier = before.data.tags.get(name)
        same_data = now.data.tags.get(f"data_set.{problem}") == before.data.tags.get(f"data_set.{problem}")
        if problem == name or earlier in {None, folder} or not same_data:
            continue
        if all(_is_there(place) for place in (earlier, folder)):
            found += slower_contenders(problem, load_scalars(earlier), load_scalars(folder))
    return found


def slower_contenders(problem: str, before: xr.Dataset, now: xr.Dataset) -> list[Slowdown]:
    """The contenders of one problem that got slower, from the tables of two runs on the same instances."""
    ratios = _mean_times(now) / _mean_times(before)  # the contenders that both have
    drift = max(float(ratios.median()), 1.0)  # others that got faster make nobody slower
    found = []
    for contender in ratios["contender"].values.tolist():
        ratio, lower, upper = confidence_interval((ratios.sel(contender=contender) / drift).values, "log")
        if lower > NOISE:
            found.append(Slowdown(problem, contender, ratio, lower, upper))
    return found


def _mean_times(table: xr.Dataset) -> xr.DataArray:
    return table["cpu_seconds"].groupby("repetition").mean()


def _is_there(folder: str) -> bool:
    return store_state(results_url(folder)) == "complete" == store_state(timings_url(folder))
