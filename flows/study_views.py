"""How a study's experiment looks in MLflow: its note, its views, and what a run's page says first."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from flows.plan import StudyPlan
from flows.shard_commands import study_command
from tasks.artifacts import verdict_in_words
from tasks.claims import Judgement, Verdict
from tasks.results import DISTANCE
from tasks.scoring import tally
from tasks.tracking import EXPERIMENT_ID
from tasks.views import TAG, saved_view

CLAIMS_VIEW = "assay-claims"
HOLDS, FAILS, INCONCLUSIVE = (f"claims/{verdict}" for verdict in Verdict)
_MOST_CLAIMS = 20
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # runs, not the traces of a language model


def run_tags(
    request: Mapping[str, Any], judgements: Sequence[Judgement], words: Sequence[str], commit: str
) -> dict[str, str]:
    """What MLflow shows of a run beside its name: description, the command that makes it again, and commit."""
    return {
        MLFLOW_RUN_NOTE: _description(judgements, words),
        MLFLOW_SOURCE_NAME: shlex.join(study_command(request)),
        MLFLOW_SOURCE_TYPE: "LOCAL",
        MLFLOW_GIT_COMMIT: commit,
    }


def _description(judgements: Sequence[Judgement], words: Sequence[str]) -> str:
    """The count of verdicts, the paper's claims and who is fastest; the table of runs shows how it begins."""
    papers_first = sorted(judgements, key=lambda judgement: judgement.role != "paper")
    shown = papers_first[:_MOST_CLAIMS]
    lines = [f"Of {len(judgements)} claims {tally(judgement.verdict for judgement in judgements)}.", ""]
    lines += [f"- {verdict_in_words(judgement)}" for judgement in shown]
    if len(judgements) > len(shown):
        lines.append(f"- and {len(judgements) - len(shown)} more, among the metrics and in report.json")
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in words)]).rstrip()


def counts(judgements: Sequence[Judgement]) -> dict[str, float]:
    """How many claims hold, fail and are inconclusive, under names of their own that no claim has."""
    found = [judgement.verdict for judgement in judgements]
    return {f"claims/{verdict}": float(found.count(verdict)) for verdict in Verdict}


def experiment_tags(plan: StudyPlan, judgements: Sequence[Judgement], flow_run: str) -> dict[str, str]:
    """The note of a study's experiment, and its views: the claims of all runs, the contenders of the last on a problem.

    A view of contenders is a table sorted by time and, on the chart page, their curves on one axis.
    """
    paper = plan.study.paper
    claims = f"#/experiments/{EXPERIMENT_ID}/runs?viewStateShareKey={CLAIMS_VIEW}"
    note = (
        f'Which claims hold: [the view "Claims"]({claims}); contenders and curves: under Views.\n\n'
        f"{paper.authors}: *{paper.title}*, {paper.venue}.\n\n{plan.study.summary}"
    )
    verdicts = [f"tags.verdict.{judgement.problem}.{judgement.name}" for judgement in judgements]
    tags = {
        **_KIND,
        MLFLOW_RUN_NOTE: note,
        f"{TAG}{CLAIMS_VIEW}": saved_view(
            "Claims",
            ["params.size", f"metrics.{HOLDS}", f"metrics.{FAILS}", f"metrics.{INCONCLUSIVE}", *verdicts],
            "tags.`assay.parent` = 'yes'",
            "attributes.start_time",
            ascending=False,
            rank=1 + len(plan.result_sets),
        ),
    }
    for rank, (name, results) in enumerate(reversed(list(plan.result_sets.items())), start=1):
        metrics = ["cpu_seconds", "unsolved", "failed", *(metric.name for metric in results.metrics), DISTANCE]
        tags[f"{TAG}assay-contenders-{name}"] = saved_view(
            f"Contenders on {name}, last run",
            ["params.contender", "tags.role", *(f"metrics.{metric}" for metric in metrics)],
            f"tags.`prefect.flow_run` = '{flow_run}' and params.problem = '{name}'",
            "metrics.cpu_seconds",
            rank=rank,
            curve=plan.study.history_label if results.history_length > 1 else "",
        )
    return tags
