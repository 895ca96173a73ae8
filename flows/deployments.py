"""The deployment file, checked strictly: Prefect ignores keys that it does not know and skips what it cannot read."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import Flow
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.cli.deploy._schedules import _schedule_config_to_deployment_schedule
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from pydantic import BaseModel, Field, ValidationError

from data.validation import unknown


class _Concurrency(ConcurrencyLimitSpec, extra="forbid"):
    limit: int = Field(ge=1)
    collision_strategy: ConcurrencyLimitStrategy


class _Schedule(RawScheduleConfig):
    slug: str = Field(min_length=1)
    timezone: str
    active: bool


class _WorkPool(WorkPoolConfig, extra="forbid"):
    name: str = Field(min_length=1)


class _Deployment(DeploymentConfig, extra="forbid"):
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    tags: list[str] = Field(min_length=1)
    entrypoint: str
    work_pool: _WorkPool
    concurrency_limit: _Concurrency
    schedule: None = None  # the old spelling, which has neither slug nor timezone
    # An empty list would leave the schedules that the server has.
    schedules: list[_Schedule] | None = Field(None, min_length=1)  # type: ignore[assignment]


class _File(PrefectYamlModel, extra="forbid"):
    deployments: list[_Deployment] = Field(min_length=1)  # type: ignore[assignment]


def check_deployment_file(path: Path) -> list[str]:
    """All that is wrong with a deployment file, one line each; an empty list says that Prefect deploys what it says.

    The keys are those of Prefect's own models, none of them unknown. Beyond those, every deployment has a description,
    a work pool, a concurrency limit and pull steps (none, if the list is empty); every schedule has a slug, a timezone
    and says whether it is active; entrypoints are importable flows; parameters are valid for them.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no text, or a date that does not exist
        return [f"{path.name} cannot be read: {' '.join(str(error).split())}"]
    if not isinstance(document, dict):
        return [f"{path.name} does not contain a mapping"]
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        return [_describe(document, problem["loc"], problem) for problem in error.errors()]
    names = Counter((deployment.entrypoint, deployment.name) for deployment in file.deployments)
    problems = [f"{name}: appears {times} times" for (_, name), times in names.items() if times > 1]
    for deployment in file.deployments:
        pull = deployment.pull if deployment.pull is not None else file.pull
        problems += [f"{deployment.name}: {problem}" for problem in _problems(deployment, pull)]
    return problems


def _problems(deployment: _Deployment, pull: Any) -> list[str]:
    """What Prefect's models cannot see."""
    problems = [] if pull is not None else ["pull is missing: Prefect would record the current folder"]
    schedules = deployment.schedules or []
    problems += [
        f"schedule {slug!r} appears {times} times"
        for slug, times in Counter(schedule.slug for schedule in schedules).items()
        if times > 1
    ]
    for schedule in schedules:
        try:
            _schedule_config_to_deployment_schedule(schedule.model_dump(mode="json", exclude_unset=True))
        except ValueError as error:
            problems.append(f"schedule {schedule.slug!r}: {_first_reason(error)}")
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(deployment.entrypoint, use_placeholder_flow=False)
    except Exception as error:  # noqa: BLE001 - importing runs code that can raise anything
        return [*problems, f"entrypoint {deployment.entrypoint!r} is no flow: {' '.join(str(error).split())}"]
    # A schedule has no form that would ask for what is missing.
    requests = [{**deployment.parameters, **schedule.parameters} for schedule in schedules] or [deployment.parameters]
    for request in requests:
        problems += _parameter_problems(flow, request, complete=bool(schedules))
    return list(dict.fromkeys(problems))


def _parameter_problems(flow: Flow[..., Any], parameters: Mapping[str, Any], *, complete: bool) -> list[str]:
    """Parameters that the flow does not have or refuses, or, where they must be ``complete``, needs."""
    schema = parameter_schema(flow).model_dump_for_openapi()
    known = schema["properties"]
    problems = [str(unknown("parameter", name, known)) for name in parameters if name not in known]
    errors = validate(dict(parameters), cast("Any", schema), ignore_required=not complete)
    return problems + [".".join(["parameters", *map(str, error.path)]) + f": {error.message}" for error in errors]


def _describe(document: Mapping[str, Any], location: tuple[int | str, ...], problem: Mapping[str, Any]) -> str:
    """One line for an error of the models: the deployment by its name, and the nearest key to an unknown one."""
    owner, path = "", location
    match location:
        case ("deployments", int() as index, *inner):
            entry = document["deployments"][index]
            name = entry.get("name") if isinstance(entry, dict) else None
            owner, path = f"{name or f'deployment {index + 1}'}: ", tuple(inner)
    if problem["type"] == "extra_forbidden":
        return f"{owner}{unknown('key', str(path[-1]), _keys(path, inside=bool(owner)))}"
    where = ".".join(str(part) for part in path)
    return f"{owner}{where}: {problem['msg'].removeprefix('Value error, ')}"


def _keys(path: tuple[int | str, ...], *, inside: bool) -> list[str]:
    """The keys that are known where the last one of a path stands."""
    model: type[BaseModel]
    match path:
        case ("work_pool", _):
            model = _WorkPool
        case ("concurrency_limit", _):
            model = _Concurrency
        case ("schedules", _, _):
            model = _Schedule
        case _:
            model = _Deployment if inside else _File
    return [field.alias or name for name, field in model.model_fields.items()]


def _first_reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return " ".join(str(error).split())
