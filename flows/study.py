"""The flow that puts one paper to the test."""

from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact

from flows.defaults import TIME_LIMIT
from flows.form import (
    Fresh,
    Repair,
    Scheduler,
    SizeChoice,
    StoreRoot,
    TimeLimit,
    Workers,
    form_field,
)
from flows.plan import plan_study, store_root
from flows.registry import find_study, study_families
from tasks.cluster import LOCAL, open_cluster
from tasks.scoring import in_plain_words
from tasks.stages import ensure_data_set, ensure_results, score, track
from tasks.store import require_writable
from tasks.study import Size
from tasks.tracking import Record, mlflow_report, open_tracking

StudyName = StrEnum("StudyName", {name.replace("-", "_"): name for name in study_families()})  # type: ignore[misc]


@flow(name="study", flow_run_name="{study}-{size}", validate_parameters=True)
def run_study(
    study: Annotated[StudyName, form_field("the paper to put to the test")],
    size: SizeChoice = Size.DEFAULT,
    settings: Annotated[
        dict[str, Any], form_field("settings of the study that differ from the size, see `assay show STUDY`")
    ] = {},  # noqa: B006 - Prefect shows the default in its form and never changes it
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    fresh: Fresh = False,
    repair: Repair = False,
    time_limit: TimeLimit = TIME_LIMIT,
) -> dict[str, Any]:
    """Generate a paper's problems, run its method and the baselines, judge its claims and log all to MLflow.

    What the store already holds is reused; an interrupted run is resumed by the same parameters.
    """
    root = store_root(store)
    require_writable(root)
    plan = plan_study(find_study(study.value), size, settings, root, fresh=fresh)
    open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        data_sets = {
            name: ensure_data_set(results.data_set, plan.data_url(name), address, repair=repair)
            for name, results in plan.result_sets.items()
        }
        result_reports = {
            name: ensure_results(
                results, plan.data_url(name), plan.folders[name], address, repair=repair, time_limit=time_limit
            )
            for name, results in plan.result_sets.items()
        }
    rows, judgements = score(plan.result_sets, plan.folders, plan.study.claims(plan.settings))
    request = {"study": plan.study.name, "size": size.value, "settings": settings}

    def record() -> Record:
        from flows.study_record import study_record  # draws figures, which takes long to import

        return study_record(plan, request, rows, judgements)

    logged = track(root, plan.study.name, plan.identity, record)
    claims = [judgement.as_dict() for judgement in judgements]
    report = {
        **request,
        "claims": claims,
        "contenders": rows,
        "in_plain_words": in_plain_words(rows, judgements),
        "data_sets": list(data_sets.values()),
        "results": list(result_reports.values()),
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }
    columns = ("problem", "name", "verdict", "estimate", "lower", "upper", "comparison", "threshold")
    table = [{column: claim[column] for column in columns} for claim in claims]
    create_table_artifact(table, key=f"claims-{plan.study.name}", description=f"Claims of {plan.study.name}")
    return report
