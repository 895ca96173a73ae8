"""The flow that puts one paper to the test."""

import os
from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact
from pydantic import Field

from flows.plan import StudyPlan, checked_root, default_root, plan_study
from flows.registry import find_study, study_families
from tasks.claims import Judgement
from tasks.cluster import LOCAL, open_cluster
from tasks.figures import claims_figure, convergence_figure
from tasks.provenance import environment, machine, source_digest
from tasks.scoring import in_plain_words, median_curve
from tasks.stages import ensure_data_set, ensure_results, load_tables, score, track
from tasks.store import require_writable
from tasks.study import Size
from tasks.tracking import Record, StoredInput, mlflow_report, open_tracking

StudyName = StrEnum("StudyName", {name.replace("-", "_"): name for name in study_families()})  # type: ignore[misc]


@flow(name="study", flow_run_name="{study}-{size}", validate_parameters=True)
def run_study(
    study: Annotated[StudyName, Field(description="the paper to put to the test")],
    size: Annotated[Size, Field(description="small: seconds, default: a minute, large: a night")] = Size.DEFAULT,
    settings: Annotated[
        dict[str, Any], Field(description="settings of the study that differ from the size, see `assay show STUDY`")
    ] = {},  # noqa: B006 - Prefect shows the default in its form and never changes it
    store: Annotated[str, Field(description="folder or URL of the store; empty: ASSAY_STORE or ./assay-store")] = "",
    scheduler: Annotated[str, Field(description="'local' or the address of a Dask scheduler")] = LOCAL,
    workers: Annotated[int | None, Field(ge=1, le=1024, description="local workers; empty: one a core")] = None,
    fresh: Annotated[bool, Field(description="run the contenders again although results exist")] = False,
    repair: Annotated[bool, Field(description="check all stored shards and compute damaged ones again")] = False,
) -> dict[str, Any]:
    """Generate a paper's problems, run its method and the baselines, judge its claims and log all to MLflow.

    What the store already holds is reused; an interrupted run is resumed by the same parameters.
    """
    root = checked_root(store or os.environ.get("ASSAY_STORE") or default_root())
    require_writable(root)
    plan = plan_study(find_study(study.value), size, settings, root, fresh=fresh)
    open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        data_sets = {
            name: ensure_data_set(results.data_set, plan.data_url(name), address, repair=repair)
            for name, results in plan.result_sets.items()
        }
        result_reports = {
            name: ensure_results(results, plan.data_url(name), plan.folders[name], address, repair=repair)
            for name, results in plan.result_sets.items()
        }
    rows, judgements = score(plan.result_sets, plan.folders, plan.study.claims(plan.settings))
    request = {"study": plan.study.name, "size": size.value, "settings": settings}
    logged = track(root, plan.study.name, lambda: study_record(plan, request, rows, judgements))
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


def study_record(
    plan: StudyPlan, request: dict[str, Any], rows: list[dict[str, Any]], judgements: list[Judgement]
) -> Record:
    """What MLflow keeps of a study: claims on the parent run, one child run a contender and problem."""
    study = plan.study
    tables = load_tables(plan.folders)
    custody = {
        "paper": f"{study.paper.authors}: {study.paper.title} ({study.paper.venue})",
        "prefect.flow_run": str(runtime.flow_run.id),
        **environment(),
        **machine(),
    }
    children = []
    for row in rows:
        results = plan.result_sets[row["problem"]]
        contender = next(c for c in results.contenders if c.name == row["contender"])
        table = tables[row["problem"]]
        steps, values = median_curve(table, contender.name)
        children.append(
            Record(
                name=f"{row['problem']}: {contender.name}",
                identity=f"{plan.identity}/{row['problem']}/{contender.name}",
                params={"problem": row["problem"], "contender": contender.name, **contender.options},
                tags={
                    **custody,
                    "role": contender.role,
                    "kernel_source": source_digest(contender.method),
                    "data_set": results.data_set.digest,
                    "results": plan.folders[row["problem"]],
                },
                metrics={key: float(value) for key, value in row.items() if isinstance(value, int | float)},
                curves={study.history_label: (steps, values)} if steps.size > 1 else {},
                inputs=[_input(plan, row["problem"])],
            )
        )
    return Record(
        name=f"{study.name} ({plan.size})",
        identity=plan.identity,
        params={"size": plan.size.value, **plan.settings.model_dump(mode="json")},
        tags={**custody, **{f"verdict.{j.problem}.{j.name}": j.verdict.value for j in judgements}},
        metrics={
            f"{judgement.problem}/{judgement.name}/{key}": value
            for judgement in judgements
            for key, value in {
                "estimate": judgement.estimate,
                "lower": judgement.lower,
                "upper": judgement.upper,
                "threshold": judgement.threshold,
                "holds": float(judgement.verdict == "holds"),
            }.items()
        },
        inputs=[_input(plan, name) for name in plan.result_sets],
        figures={
            "figures/claims.png": claims_figure(judgements, study.paper.title),
            **{
                f"figures/convergence-{name}.png": convergence_figure(results, tables[name], study.headline)
                for name, results in plan.result_sets.items()
                if results.history_length > 1
            },
        },
        documents={
            "report.json": {"request": request, "claims": [j.as_dict() for j in judgements], "contenders": rows}
        },
        children=children,
    )


def _input(plan: StudyPlan, problem: str) -> StoredInput:
    return StoredInput(problem, plan.result_sets[problem].data_set.digest, plan.data_url(problem))
