"""What MLflow keeps of a study, with the chain of custody of every number."""

from typing import Any

from prefect import runtime

from flows.plan import StudyPlan
from flows.study_views import counts, experiment_tags, run_tags
from tasks.claims import Judgement
from tasks.figures import claims_figure, convergence_figure
from tasks.provenance import environment, machine, source_digest
from tasks.scoring import in_plain_words, median_curve, tally
from tasks.speed_figures import speed_up_figure, work_precision_figure
from tasks.stages import load_tables
from tasks.tracking import REPORT, Record, StoredInput

PAPER_FIGURE, CLAIMS_FIGURE = "figures/paper.png", "figures/claims.png"
SPEED_FIGURE, WORK_FIGURE = "figures/speed-up.png", "figures/work-precision.png"


def study_record(
    plan: StudyPlan, request: dict[str, Any], rows: list[dict[str, Any]], judgements: list[Judgement]
) -> Record:
    """What MLflow keeps of a study: claims on the parent run, one child run a contender and problem."""
    study = plan.study
    tables = load_tables(plan.folders)
    words = in_plain_words(rows, judgements)
    flow_run = str(runtime.flow_run.id)
    custody = {
        "paper": f"{study.paper.authors}: {study.paper.title} ({study.paper.venue})",
        "prefect.flow_run": flow_run,
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
    drawn = {
        SPEED_FIGURE: speed_up_figure(plan.result_sets, tables),
        WORK_FIGURE: work_precision_figure(plan.result_sets, tables, study.headline),
    }
    return Record(
        name=f"{study.name} ({plan.size}): {tally(judgement.verdict for judgement in judgements)}",
        identity=plan.identity,
        params={"size": plan.size.value, **plan.settings.model_dump(mode="json")},
        tags={
            **custody,
            **{f"data_set.{name}": results.data_set.digest for name, results in plan.result_sets.items()},
            **{f"results.{name}": folder for name, folder in plan.folders.items()},
            **{f"verdict.{j.problem}.{j.name}": j.verdict.value for j in judgements},
            **run_tags(request, judgements, words, environment()["git_commit"]),
        },
        metrics=counts(judgements)
        | {
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
            **{path: figure for path, figure in drawn.items() if figure is not None},
            **({PAPER_FIGURE: study.figure(tables)} if study.figure else {}),
            CLAIMS_FIGURE: claims_figure(judgements, study.paper.title),
            **{
                f"figures/convergence-{name}.png": convergence_figure(results, tables[name], study.headline)
                for name, results in plan.result_sets.items()
                if results.history_length > 1
            },
        },
        documents={
            REPORT: {
                **request,
                "claims": [judgement.as_dict() for judgement in judgements],
                "contenders": rows,
                "in_plain_words": words,
                "environment": environment(),
                "machine": machine(),
            }
        },
        children=children,
        experiment_tags=experiment_tags(plan, judgements, flow_run),
    )


def _input(plan: StudyPlan, problem: str) -> StoredInput:
    return StoredInput(problem, plan.result_sets[problem].data_set.digest, plan.data_url(problem))
