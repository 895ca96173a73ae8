"""Running contenders on instances: isolated, timed, one thread each, warmed up outside the measured time."""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from data.problem import instance_generator
from kernels.budget import Budget
from kernels.result import Result, Status
from tasks.code_loading import watch_loading
from tasks.study import Contender, Metric

_STATUSES = list(Status)
_METHOD_STREAM = 2**32  # spawn keys of the methods' own random streams lie beyond those of the instances
_COLD_SECONDS = 0.2  # of a shorter run, what caches and memory lack at first is too large a part
_warmed_up: set[str] = set()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one contender did on one instance and how long it took."""

    result: Result
    cpu_seconds: float
    wall_seconds: float
    failure: str = ""
    traceback: str = ""

    def score(self, metric: Metric, instance: Any) -> float:
        """The metric's value, NaN where the method failed."""
        return float("nan") if self.result.status is Status.FAILED else float(metric.measure(instance, self.result))


def status_code(status: Status) -> int:
    """The integer that stores a status."""
    return _STATUSES.index(status)


def status_legend() -> str:
    """The meaning of the stored integers."""
    return "status: " + ", ".join(f"{code} = {status.name.lower()}" for code, status in enumerate(_STATUSES))


def run_contender(
    contender: Contender,
    instances: Sequence[Any],
    seed: int,
    first: int,
    budget: Mapping[str, float] | None = None,
) -> list[Outcome]:
    """Run one contender on consecutive instances, the first of which has index ``first``; never raises.

    Every instance is timed alone (a sequential method's first one includes its preparation, such as sorting), on one
    BLAS thread. Neither imports nor compilation are measured: a process runs a contender's first instance twice, and
    takes the second time, unless the first one is as good.
    """
    run = _run_sequence if contender.sequential else _run_each
    options = partial(_options, contender, seed, dict(budget or {}))
    numba.set_num_threads(1)
    with threadpool_limits(1):
        if repr(contender) in _warmed_up:
            return run(contender, instances, first, options)
        _warmed_up.add(repr(contender))
        with watch_loading() as has_loaded:
            (outcome,) = run(contender, instances[:1], first, options)
        if contender.sequential or has_loaded() or not outcome.wall_seconds > _COLD_SECONDS:
            return run(contender, instances, first, options)
        return [outcome, *run(contender, instances[1:], first + 1, options)]


def _run_each(
    contender: Contender, instances: Sequence[Any], first: int, options: Callable[[int], dict[str, Any]]
) -> list[Outcome]:
    outcomes = []
    for index, instance in enumerate(instances, first):
        given = options(index)
        outcomes.append(_held_to(given.get("budget"), _timed(partial(contender.method, instance, **given))))
    return outcomes


def _run_sequence(
    contender: Contender, instances: Sequence[Any], first: int, options: Callable[[int], dict[str, Any]]
) -> list[Outcome]:
    given = options(first)
    outcomes: dict[int, Outcome] = {}
    results: Iterator[tuple[int, Result]] | None = None
    position = 0

    def advance() -> Result:
        nonlocal results, position
        if results is None:
            results = iter(contender.method(instances, **given))
        position, result = next(results)
        return result

    missing = failed("the sequence ended early")
    for _ in instances:
        outcome = _timed(advance)
        if outcome.failure:
            missing = outcome
            break
        outcomes[position] = outcome
    return [outcomes.get(i, missing) for i in range(len(instances))]


def _options(contender: Contender, seed: int, budget: Mapping[str, float], index: int) -> dict[str, Any]:
    options = dict(contender.options)
    if contender.stochastic:
        options["random"] = instance_generator(seed, _METHOD_STREAM + index)
    if contender.budgeted:
        options["budget"] = Budget(budget)
    return options


def _held_to(budget: Budget | None, outcome: Outcome) -> Outcome:
    """The outcome with what was spent; a failure where that, or what the method itself counted, is too much."""
    if budget is None or outcome.failure:
        return outcome
    counted = outcome.result.work
    work = {**counted, **{unit: max(spent, counted.get(unit, 0.0)) for unit, spent in budget.spent.items()}}
    for unit, limit in budget.limits.items():
        if work[unit] > limit:
            return failed(f"{unit}: {work[unit]:g} spent, {limit:g} allowed")
    return replace(outcome, result=replace(outcome.result, work=work))


def _timed(call: Callable[[], Result]) -> Outcome:
    cpu, wall = time.thread_time(), time.perf_counter()
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - one failing contender must not stop the others
        return failed_by(error)
    return Outcome(result, time.thread_time() - cpu, time.perf_counter() - wall)


def failed(failure: str, trace: str = "") -> Outcome:
    """The outcome of a contender that has none, and why."""
    return Outcome(Result(np.empty(0), Status.FAILED, np.empty(0)), float("nan"), float("nan"), failure, trace)


def failed_by(error: Exception) -> Outcome:
    """The outcome of a contender that raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    failure = f"{type(error).__name__}: {error} ({frame.name}, line {frame.lineno})".replace("\n", " ")
    return failed(failure, "".join(traceback.format_exception(error)))


def first_failure(outcomes: Sequence[Outcome], first: int) -> dict[str, Any] | None:
    """Why a contender failed on a shard that begins with instance ``first``, and its last residual; None if it did not.

    It failed where it raised, broke a limit or its budget, or met NaN or infinity.
    """
    positions = [
        i for i, outcome in enumerate(outcomes) if outcome.failure or outcome.result.status is Status.NOT_FINITE
    ]
    if not positions:
        return None
    outcome = outcomes[positions[0]]
    where = f"instance {first + positions[0]}"
    if others := len(positions) - 1:
        where += f" and {others} more"
    return {
        "reason": f"{outcome.failure or outcome.result.status} ({where})",
        "last_residual": last_residual(outcome.result),
    }


def last_residual(result: Result) -> float | None:
    """The last finite entry of a result's history."""
    finite = result.history[np.isfinite(result.history)]
    return float(finite[-1]) if finite.size else None
