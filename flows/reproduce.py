"""Running a logged study again in a store of its own, and holding the new numbers against the old."""

from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from data.validation import InputError
from tasks.cluster import LOCAL
from tasks.places import without_credentials
from tasks.study import Size
from tasks.tracking import REPORT, nothing_logged, open_tracking, read_document

RELATIVE_TOLERANCE = 1e-9


def logged_request(root: str, run_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request of a logged study and its report.

    Raises
    ------
    InputError
        If there is no such run, or it is not the parent run of a study.
    """
    if nothing_logged(root):
        raise InputError(f"no run {run_id!r}: nothing was ever logged for the store {root}")
    client = open_tracking(root)
    try:
        client.get_run(run_id)
    except MlflowException:
        raise InputError(f"MLflow at {without_credentials(str(client.tracking_uri))} has no run {run_id!r}") from None
    report = _report(client, run_id)
    return {key: report[key] for key in ("study", "size", "settings")}, report


def _report(client: MlflowClient, run_id: str) -> dict[str, Any]:
    if not any(item.path == REPORT for item in client.list_artifacts(run_id)):
        raise InputError(f"run {run_id} is not the parent run of a study: give the id that `assay run` prints")
    report: dict[str, Any] = read_document(client, run_id, REPORT)
    return report


def reproduce_run(root: str, run_id: str, scratch: str, scheduler: str = LOCAL) -> dict[str, Any]:
    """Run the study of a logged run again, everything from the start, in the store ``scratch``, and compare.

    Numbers that depend on the machine's speed are left out.

    Returns
    -------
    dict
        ``agrees``, how many numbers were compared and, for each that differs, the old and the new one.
    """
    from flows.study import StudyName, run_study  # imports Prefect, which must find its server's address set

    request, before = logged_request(root, run_id)
    now = run_study(StudyName(request["study"]), Size(request["size"]), request["settings"], scratch, scheduler)
    old, new = _numbers(before), _numbers(now)
    differing = {
        name: {"logged": old.get(name), "now": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if not _agree(old.get(name), new.get(name))
    }
    return {"run_id": run_id, **request, "compared": len(old), "differing": differing, "agrees": not differing}


def _numbers(report: dict[str, Any]) -> dict[str, float | None]:
    """All reported numbers that do not depend on the machine's speed, by name."""
    numbers = {
        f"{row['problem']}/{row['contender']}/{key}": value
        for row in report["contenders"]
        for key, value in row.items()
        if isinstance(value, int | float | None)
    }
    numbers |= {
        f"{claim['problem']}/{claim['name']}/{key}": claim[key]
        for claim in report["claims"]
        for key in ("estimate", "lower", "upper")
        if not claim["timed"]
    }
    return {name: value for name, value in numbers.items() if "seconds" not in name}


def _agree(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= RELATIVE_TOLERANCE * max(abs(first), abs(second))
