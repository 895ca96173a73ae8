"""The flow that puts one paper to the test."""

from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact

from flows.dead_runs import tasks_untagged
from flows.defaults import TIME_LIMIT
from flows.form import (
    Fresh,
    MemoryLimit,
    Repair,
    Scheduler,
    SizeChoice,
    StoreRoot,
    TimeLimit,
    Workers,
    form_field,
)
from flows.logs import kept_log, log_start
from flows.plan import plan_study, store_root
from flows.refusals import refused_in_one_line
from flows.registry import find_study, study_families
from flows.shard_commands import study_origin
from tasks.artifacts import show_report, verdict_in_words
from tasks.cluster import LOCAL, open_cluster
from tasks.limits import limits_on
from tasks.places import require_writable
from tasks.scoring import in_plain_words, tally
from tasks.stages import DataSetRequest, ResultsRequest, ensure_data_sets, ensure_results, score, track
from tasks.study import Size
from tasks.tracking import Record, mlflow_report, open_tracking

StudyName = StrEnum("StudyName", {name.replace("-", "_"): name for name in study_families()})  # type: ignore[misc]


@flow(name="study", flow_run_name="{study}-{size}", validate_parameters=True)
@refused_in_one_line
@kept_log
@tasks_untagged
def run_study(
    study: Annotated[StudyName, form_field("the paper to put to the test")],
    size: SizeChoice = Size.DEFAULT,
    settings: Annotated[
        dict[str, Any], form_field('settings that differ from the size, such as {"seed": 1}; see `assay show STUDY`')
    ] = {},  # noqa: B006 - Prefect shows the default in its form and never changes it
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    fresh: Fresh = False,
    repair: Repair = False,
    time_limit: TimeLimit = TIME_LIMIT,
    memory_limit: MemoryLimit = None,
) -> dict[str, Any]:
    """Generate a paper's problems, run its method and the baselines, judge its claims and log all to MLflow.

    What the store already holds is reused; an interrupted run is resumed by the same parameters.
    """
    root = store_root(store)
    require_writable(root)
    plan = plan_study(find_study(study.value), size, settings, root, fresh=fresh)
    request = {"study": plan.study.name, "size": size.value, "settings": settings}
    log_start(request)
    client = open_tracking(root)
    origins = {name: study_origin(request, name, time_limit, memory_limit) for name in plan.result_sets}
    with open_cluster(scheduler, workers) as address:
        limits = limits_on(address, time_limit, memory_limit)
        data_sets = ensure_data_sets(
            [
                DataSetRequest(results.data_set, plan.data_url(name), origins[name])
                for name, results in plan.result_sets.items()
            ],
            address, description=f"{plan.study.name}: data sets", limits=limits, repair=repair,
        )  # fmt: skip
        result_reports = ensure_results(
            [
                ResultsRequest(results, plan.data_url(name), plan.folders[name], origins[name])
                for name, results in plan.result_sets.items()
            ],
            address, description=f"{plan.study.name}: results", limits=limits, repair=repair,
        )  # fmt: skip
    rows, judgements = score(plan.result_sets, plan.folders, plan.study.claims(plan.settings))

    def record() -> Record:
        from flows.study_record import study_record  # draws figures, which takes long to import

        return study_record(plan, request, rows, judgements)

    logged = track(root, plan.study.name, plan.identity, record)
    words = in_plain_words(rows, judgements)
    claims = [judgement.as_dict() for judgement in judgements]
    report = {
        **request,
        "claims": claims,
        "contenders": rows,
        "in_plain_words": words,
        "data_sets": data_sets,
        "results": result_reports,
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }
    columns = ("problem", "name", "verdict", "estimate", "lower", "upper", "comparison", "threshold")
    table = [{column: claim[column] for column in columns} for claim in claims]
    create_table_artifact(table, key=f"claims-{plan.study.name}", description=f"Claims of {plan.study.name}")
    title = f"{plan.study.name} ({size}): {tally(claim['verdict'] for claim in claims)}"
    sentences = [*map(verdict_in_words, judgements), *words]
    named = [{**data_set, "problem": name} for name, data_set in zip(plan.result_sets, data_sets, strict=True)]
    show_report(f"report-{plan.study.name}", title, sentences, client, logged, named)
    return report
