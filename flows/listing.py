"""What `assay list` and `assay show` tell."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from data.registry import problems
from data.validation import unknown
from flows.catalogue import catalogue
from flows.plan import plan_study, store_root
from flows.registry import find_study, study_families
from tasks.study import Size, Study


def list_studies(family: str, store: str) -> list[dict[str, Any]]:
    """One row a paper of the catalogue: family, title, whether it works and the verdicts of its last run in MLflow.

    Raises
    ------
    InputError
        If there is no such family.
    """
    families = {entry.family for entry in catalogue()}
    if family and family not in families:
        raise unknown("family", family, families)
    verdicts = _last_verdicts(store_root(store))
    return [
        {
            "study": entry.name,
            "family": entry.family,
            "paper": entry.title,
            "state": "works" if entry.works else "not yet",
            "last_verdicts": verdicts.get(entry.name),
        }
        for entry in catalogue()
        if family in {"", entry.family}
    ]


def _last_verdicts(root: str) -> dict[str, dict[str, int]]:
    """How many claims held and failed in the last run of every study; nothing where nothing was ever logged."""
    from tasks.tracking import finished_runs, nothing_logged, open_tracking

    if nothing_logged(root):
        return {}
    client = open_tracking(root)
    counts = {}
    for name in study_families():
        if runs := finished_runs(client, name):
            found = [value for tag, value in runs[0].data.tags.items() if tag.startswith("verdict.")]
            counts[name] = {verdict: found.count(verdict) for verdict in ("holds", "fails", "inconclusive")}
    return counts


def list_problems() -> list[dict[str, Any]]:
    """One row a problem, with its parameters."""
    return [
        {"problem": name, "summary": kind.summary, "reference": kind.reference, "settings": _fields(kind)}
        for name, kind in problems().items()
    ]


def describe_study(name: str, size: Size, overrides: Mapping[str, Any], store: str, *, dry_run: bool) -> dict[str, Any]:
    """A study at a size: its paper, settings, problems, contenders and claims; with ``dry_run`` also the plan.

    Raises
    ------
    InputError
        For an unknown study or a setting that is not allowed.
    """
    study: Study = find_study(name)
    plan = plan_study(study, size, overrides, store_root(store))
    description: dict[str, Any] = {
        "study": study.name,
        "family": study.family,
        "summary": study.summary,
        "paper": {
            "title": study.paper.title,
            "authors": study.paper.authors,
            "venue": study.paper.venue,
            "claim": study.paper.claim,
        },
        "size": size.value,
        "settings": [
            {**row, "value": plan.settings.model_dump(mode="json")[row["name"]]} for row in _fields(study.settings)
        ],
        "problems": [
            {
                "problem": label,
                "generator": results.data_set.problem.name,
                "summary": results.data_set.problem.summary,
                "parameters": results.data_set.problem.model_dump(mode="json"),
                "contenders": [
                    {"contender": c.name, "role": c.role, "summary": c.summary, "options": dict(c.options)}
                    for c in results.contenders
                ],
            }
            for label, results in plan.result_sets.items()
        ],
        "claims": [
            {
                "problem": claim.where,
                "name": claim.name,
                "role": claim.role,
                "statement": claim.statement,
                "threshold": f"{claim.comparison} {claim.threshold:.4g}",
                "source": claim.source,
            }
            for claim in study.claims(plan.settings)
        ],
    }
    if dry_run:
        description["plan"] = [store_plan.as_dict() for store_plan in plan.stores()]
    return description


def _fields(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model from its JSON schema: name, type or choices, default, bounds, description."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    rows = []
    for name, field in schema["properties"].items():
        allowed = definitions.get(field["$ref"].rsplit("/", 1)[-1], {}) if "$ref" in field else field
        bounds = {
            "exclusiveMinimum": ">",
            "minimum": ">=",
            "exclusiveMaximum": "<",
            "maximum": "<=",
            "multipleOf": "multiple of",
        }
        limits = [f"{sign} {allowed[key]:g}" for key, sign in bounds.items() if key in allowed]
        rows.append(
            {
                "name": name,
                "allowed": ", ".join(map(str, allowed["enum"])) if "enum" in allowed else ", ".join(limits),
                "default": field.get("default"),
                "description": field.get("description", ""),
            }
        )
    return rows
