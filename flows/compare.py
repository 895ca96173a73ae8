"""What changed between two runs of a study: what was asked, code and machine, data, verdicts, numbers and times."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from data.validation import InputError
from flows.plan import store_root
from flows.regressions import Slowdown, slowdowns
from flows.reproduce import logged_request
from tasks.provenance import environment, machine
from tasks.results import TIMINGS
from tasks.tracking import open_tracking

Change = dict[str, Any]
_MEASURED = ("verdict", "estimate", "lower", "upper")


def compare_runs(before: str, after: str, store: str) -> dict[str, Any]:
    """Compare two logged runs of one study, given by their ids.

    Returns
    -------
    dict
        ``settings``, ``provenance``, ``data_sets``, ``results``, ``sources`` and ``options`` hold what differs, by
        name, each as its value ``before`` and ``after``; ``claims`` all claims, ``metrics`` all means of contenders;
        ``slower`` and ``faster`` the contenders whose time relative to their peers changed beyond noise, as ratios to
        before.

    Raises
    ------
    InputError
        If one is no parent run of a study, or they are runs of different studies.
    """
    root = store_root(store)
    reports = [logged_request(root, run_id)[1] for run_id in (before, after)]
    studies = [report["study"] for report in reports]
    if studies[0] != studies[1]:
        raise InputError(
            f"runs of different studies cannot be compared: {before} is of {studies[0]}, {after} of {studies[1]}"
        )
    client = open_tracking(root)
    runs = [client.get_run(run_id) for run_id in (before, after)]
    children = [_children(client, run) for run in runs]
    return {
        "study": studies[0],
        "before": _identity(runs[0]),
        "after": _identity(runs[1]),
        "settings": _differences(*(run.data.params for run in runs)),
        "provenance": _differences(*(_provenance(run) for run in runs)),
        "data_sets": _differences(*(_tagged(run, "data_set.") for run in runs)),
        "results": _differences(*(_results(run) for run in runs)),
        "sources": _differences(*(_sources(found) for found in children)),
        "options": _differences(*(_options(found) for found in children)),
        "claims": _claims(*(report["claims"] for report in reports)),
        "metrics": _metrics(*(report["contenders"] for report in reports)),
        "slower": [asdict(slowdown) for slowdown in slowdowns(runs[0], runs[1])],
        "faster": [asdict(_inverted(slowdown)) for slowdown in slowdowns(runs[1], runs[0])],
    }


def _inverted(slowdown: Slowdown) -> Slowdown:
    """The same change seen from the other run."""
    ratio, lower, upper = 1 / slowdown.ratio, 1 / slowdown.upper, 1 / slowdown.lower
    return replace(slowdown, ratio=ratio, lower=lower, upper=upper)


def _identity(run: Run) -> dict[str, str]:
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds")
    return {"run_id": run.info.run_id, "name": run.info.run_name, "started": started}


def _children(client: MlflowClient, run: Run) -> list[Run]:
    condition = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.info.run_id}'"
    return list(client.search_runs([run.info.experiment_id], condition, max_results=SEARCH_MAX_RESULTS_THRESHOLD))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    """What two mappings do not have in common, in the order of the names in the first."""
    names = dict.fromkeys([*before, *after])
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    }


def _provenance(run: Run) -> dict[str, str]:
    """The tags that say what code ran where, with a name for every package."""
    tags = {name: run.data.tags[name] for name in (*environment(), *machine()) if name in run.data.tags}
    packages = (package.partition(" ") for package in tags.pop("packages", "").split(", ") if package)
    return tags | {name: version for name, _, version in packages}


def _tagged(run: Run, prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in run.data.tags.items() if name.startswith(prefix)}


def _results(run: Run) -> dict[str, str]:
    """The folders of the results by problem; their names hold the digest of methods and data, and the attempt."""
    return {problem: folder.rsplit("/", 1)[-1] for problem, folder in _tagged(run, "results.").items()}


def _sources(children: Sequence[Run]) -> dict[str, str]:
    return {_place(run): run.data.tags.get("kernel_source", "") for run in children}


def _options(children: Sequence[Run]) -> dict[str, str]:
    return {f"{_place(run)}/{name}": value for run in children for name, value in run.data.params.items()}


def _place(run: Run) -> str:
    return f"{run.data.params.get('problem')}/{run.data.params.get('contender')}"


def _claims(before: Sequence[Change], after: Sequence[Change]) -> list[Change]:
    """Every claim of either run, and whether its two intervals exclude each other."""
    old, new = ({(claim["problem"], claim["name"]): claim for claim in claims} for claims in (before, after))
    return [
        {
            "problem": problem,
            "name": name,
            "before": _measured(old.get((problem, name))),
            "after": _measured(new.get((problem, name))),
            "apart": _apart(old.get((problem, name)), new.get((problem, name))),
        }
        for problem, name in dict.fromkeys([*old, *new])
    ]


def _measured(claim: Change | None) -> Change | None:
    return None if claim is None else {key: claim[key] for key in _MEASURED}


def _apart(before: Change | None, after: Change | None) -> bool:
    """Whether two intervals have nothing in common; one without bounds has something in common with all."""
    if before is None or after is None:
        return False
    pairs = ((before["upper"], after["lower"]), (after["upper"], before["lower"]))
    return any(upper is not None and lower is not None and upper < lower for upper, lower in pairs)


def _metrics(before: Sequence[Change], after: Sequence[Change]) -> list[Change]:
    """Every mean of every contender of either run, and by which part of the old value it changed."""
    old, new = (
        {
            (row["problem"], row["contender"], key): value
            for row in rows
            for key, value in row.items()
            if isinstance(value, int | float | None) and not key.endswith("_max")
        }
        for rows in (before, after)
    )
    return [
        {
            "problem": problem,
            "contender": contender,
            "metric": metric,
            "timed": metric in TIMINGS,
            "before": (was := old.get((problem, contender, metric))),
            "after": (now := new.get((problem, contender, metric))),
            "change": (now - was) / abs(was) if was and now is not None else None,
        }
        for problem, contender, metric in dict.fromkeys([*old, *new])
    ]
