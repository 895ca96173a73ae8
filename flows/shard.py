"""One shard alone, in this process: its data drawn, its contenders run, nothing written. For looking into a failure."""

import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from data.validation import InputError, unknown
from flows import output
from flows.cli_options import print_document
from flows.data_set_plan import DataSetPlan
from flows.plan import StudyPlan
from tasks.contenders import Outcome, first_failure, last_residual
from tasks.datasets import DataSet, draw_instances
from tasks.limits import Limits, run_alone
from tasks.study import Contender


@dataclass(frozen=True)
class Shard:
    """A shard of a data set and what runs on it, in this order."""

    data_set: DataSet
    number: int
    contenders: Sequence[Contender]
    study: str | None = None
    problem: str = ""
    budget: Mapping[str, float] = field(default_factory=dict)


def study_shard(plan: StudyPlan, shard: str) -> Shard:
    """The shard of a study that ``PROBLEM:N`` names.

    Raises
    ------
    InputError
        If there is none.
    """
    name, _, number = shard.rpartition(":")
    if not name:
        raise InputError(f"--shard {shard!r} is not of the form PROBLEM:N, such as {min(plan.result_sets)}:0")
    if name not in plan.result_sets:
        raise unknown("problem", name, plan.result_sets)
    results = plan.result_sets[name]
    chosen = _number(results.data_set, shard, number)
    return Shard(results.data_set, chosen, results.order(chosen), plan.study.name, name, results.budget)


def data_set_shard(plans: Collection[DataSetPlan], shard: str) -> Shard:
    """The shard of a data set that ``N`` names or, for validation and testing, ``valid:N`` and ``test:N``.

    Raises
    ------
    InputError
        If there is none.
    """
    split, _, number = shard.rpartition(":")
    data_sets = {plan.data_set.split.value: plan.data_set for plan in plans}
    if split and split not in data_sets:
        raise unknown("split", split, data_sets)
    data_set = data_sets[split] if split else next(iter(data_sets.values()))
    assert data_set.solver is not None
    return Shard(data_set, _number(data_set, shard, number), [data_set.solver], problem=data_set.problem.name)


def _number(data_set: DataSet, shard: str, number: str) -> int:
    count = data_set.layout().shard_count
    if not (number.isdecimal() and int(number) < count):
        raise InputError(
            f"--shard {shard!r} is not allowed: the number of the shard must lie between 0 and {count - 1}"
        )
    return int(number)


def limits_alone(seconds: float, gibibytes: float | None, workers: int | None) -> Limits:
    """The limits that a contender has in a run with so many workers."""
    return Limits(seconds, gibibytes, workers or os.cpu_count() or 1)


def compute_shard(
    shard: Shard,
    limits: Limits,
    begins: Callable[[str], object] = lambda _: None,
    ended: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """Draw the data of a shard and run its contenders, as its worker would; ``begins`` and ``ended`` are told of each.

    A contender that takes too long ends this process with the stacks of its threads on standard error.
    """
    rows = shard.data_set.layout().rows(shard.number)
    document: dict[str, Any] = {
        "study": shard.study,
        "problem": shard.problem,
        "shard": shard.number,
        "first_instance": rows.start,
        "instances": rows.stop - rows.start,
        "traceback": "",
        "contenders": [],
    }
    # the rounding of BLAS depends on its number of threads
    with threadpool_limits(limits=1):
        try:
            instances = draw_instances(shard.data_set, shard.number)
        except Exception:  # noqa: BLE001 - what the generator raised is what is asked for
            return {**document, "traceback": traceback.format_exc()}
        for row in _rows(shard, limits, instances, rows.start, begins):
            document["contenders"].append(row)
            ended(row)
    return document


def show_shard(shard: Shard, limits: Limits, *, as_json: bool) -> None:
    """Compute a shard alone and print what came of it; the process ends with status 1 if anything failed."""
    if as_json:
        document = compute_shard(shard, limits)
        print_document(document, as_json, output.print_shard)
    else:
        document = compute_shard(shard, limits, output.print_contender_begins, output.print_contender_alone)
        output.print_shard(document)
    if document["traceback"] or any(row["failure"] for row in document["contenders"]):
        sys.exit(1)


def _rows(
    shard: Shard, limits: Limits, instances: Sequence[Any], first: int, begins: Callable[[str], object]
) -> Iterator[dict[str, Any]]:
    for contender in shard.contenders:
        begins(contender.name)
        outcomes = run_alone(limits, contender, instances, shard.data_set.seed, first, shard.budget)
        yield {"contender": contender.name, **_summary(outcomes, first)}


def _summary(outcomes: Sequence[Outcome], first: int) -> dict[str, Any]:
    """What a contender did on a shard; the last residual is that of its first failure, or else the largest."""
    failure = first_failure(outcomes, first)
    residuals = [residual for outcome in outcomes if (residual := last_residual(outcome.result)) is not None]
    statuses = [outcome.result.status.name.lower() for outcome in outcomes]
    return {
        "status": {name: statuses.count(name) for name in dict.fromkeys(statuses)},
        "instances": len(outcomes),
        "steps": sum(outcome.result.history.size for outcome in outcomes),
        "last_residual": failure["last_residual"] if failure else max(residuals, default=None),
        "seconds": float(np.nansum([outcome.wall_seconds for outcome in outcomes])),
        "failure": failure["reason"] if failure else "",
        "traceback": next((outcome.traceback for outcome in outcomes if outcome.failure), ""),
    }
