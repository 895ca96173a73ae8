"""The commands that compute one shard of a run alone, as the reports of failures print them."""

import json
from collections.abc import Mapping
from typing import Any

from data.sampling import Split
from flows.cli_options import settings_of
from flows.data_set_plan import DataSetPlan
from flows.defaults import TIME_LIMIT
from tasks.failures import Origin
from tasks.own_systems import OwnSystems

_DATA_SET_OPTIONS = (
    "count", "valid", "test", "solver", "preconditioner", "tolerance", "sampling", "seed", "shard_size",
)  # fmt: skip
_SOLVE_OPTIONS = ("solver", "preconditioner", "tolerance", "shard_size")


def study_command(request: Mapping[str, Any]) -> list[str]:
    """The command that runs a study; the request has the keys study, size and settings."""
    return ["assay", "run", request["study"], "--size", request["size"], *_assignments(request["settings"])]


def study_origin(
    request: Mapping[str, Any], problem: str, time_limit: float = TIME_LIMIT, memory_limit: float | None = None
) -> Origin:
    """Of the shards of a study's problem; for the request see :func:`study_command`."""
    arguments = [*study_command(request), *_limits(time_limit, memory_limit)]
    return Origin(problem, request["study"], arguments, f"{problem}:")


def data_set_origin(plan: DataSetPlan, time_limit: float = TIME_LIMIT, memory_limit: float | None = None) -> Origin:
    """Of the shards of a data set; how it is stored makes no difference to them."""
    problem, split = plan.request["problem"], plan.data_set.split
    arguments = [
        "assay", "generate", problem, *_assignments(plan.request["settings"]),
        *_options(plan.request, _DATA_SET_OPTIONS), *_limits(time_limit, memory_limit),
    ]  # fmt: skip
    return Origin(problem, None, arguments, "" if split is Split.TRAIN else f"{split}:")


def solve_origin(plan: DataSetPlan, time_limit: float = TIME_LIMIT, memory_limit: float | None = None) -> Origin:
    """Of the shards of a sequence of systems."""
    problem = plan.data_set.problem
    assert isinstance(problem, OwnSystems)
    options = [*_options(plan.request, _SOLVE_OPTIONS), *_limits(time_limit, memory_limit)]
    return Origin(problem.name, None, ["assay", "solve", problem.systems, *options])


def _options(request: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [argument for name in names for argument in (f"--{name.replace('_', '-')}", str(request[name]))]


def _assignments(settings: Mapping[str, Any]) -> list[str]:
    return [argument for key, value in settings.items() for argument in ("--set", _assignment(key, value))]


def _assignment(key: str, value: Any) -> str:
    """KEY=VALUE as the command line reads it: text as it is unless it would be read as something else."""
    plain = f"{key}={value}"
    if isinstance(value, str) and settings_of((plain,)) == {key: value}:
        return plain
    return f"{key}={json.dumps(value)}"


def _limits(time_limit: float, memory_limit: float | None) -> list[str]:
    seconds = [] if time_limit == TIME_LIMIT else ["--time-limit", str(time_limit)]
    return seconds + ([] if memory_limit is None else ["--memory-limit", str(memory_limit)])
