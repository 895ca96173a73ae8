"""The flow that runs many studies and says what changed since the last campaign; a regression makes it fail."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from mlflow import MlflowClient
from prefect import flow, get_run_logger, runtime, tags
from prefect.artifacts import create_table_artifact

from flows.dead_runs import process_tags, tasks_untagged
from flows.defaults import TIME_LIMIT
from flows.form import Fresh, MemoryLimit, Scheduler, SizeChoice, StoreRoot, TimeLimit, Workers, form_field
from flows.logs import kept_log, log_start
from flows.plan import store_root
from flows.refusals import refused_in_one_line
from flows.registry import study_families
from flows.regressions import lost_claims, slowdowns
from flows.study import StudyName, run_study
from tasks.artifacts import show_report
from tasks.cluster import LOCAL, open_cluster
from tasks.places import one_line, require_writable
from tasks.provenance import environment, machine
from tasks.scoring import tally
from tasks.stages import track
from tasks.study import Size
from tasks.tracking import Record, finished_runs, mlflow_report, open_tracking, read_document

EXPERIMENT = "campaign"
SUMMARY = "campaign.json"

FamilyName = StrEnum("FamilyName", {name: name for name in sorted(set(study_families().values()))})  # type: ignore[misc]


class RegressionError(RuntimeError):
    """A study is broken, a claim held in the last campaign and no longer holds, or a contender got slower.

    Its ``summary`` is what the flow returns where nothing regressed.
    """

    def __init__(self, message: str, summary: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.summary = dict(summary or {})


@flow(name="campaign", flow_run_name="campaign-{size}")
@refused_in_one_line
@kept_log
@tasks_untagged
def run_campaign(
    studies: Annotated[list[StudyName], form_field("the studies to run; empty: all")] = [],  # noqa: B006
    family: Annotated[FamilyName | None, form_field("only the studies of this family; None: all")] = None,
    size: SizeChoice = Size.DEFAULT,
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    fresh: Fresh = False,
    time_limit: TimeLimit = TIME_LIMIT,
    memory_limit: MemoryLimit = None,
) -> dict[str, Any]:
    """Run studies one after another on one cluster; a study that breaks is reported and does not stop the others.

    Raises
    ------
    RegressionError
        At the end, when all is logged.
    """
    root = store_root(store)
    require_writable(root)
    client = open_tracking(root)
    chosen = [study.value for study in studies] or [
        name for name, member in study_families().items() if family is None or member == family.value
    ]
    log_start({"size": size.value, "studies": chosen, "fresh": fresh})
    reports: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    with open_cluster(scheduler, workers) as address:
        for name in chosen:
            try:
                with tags(*process_tags()):
                    reports[name] = run_study(
                        StudyName(name), size=size, store=root, scheduler=address, fresh=fresh, time_limit=time_limit,
                        memory_limit=memory_limit,
                    )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - one broken study must not stop the others
                broken[name] = one_line(error)
                get_run_logger().error("study %s is broken: %s", name, broken[name])
    verdicts = {
        f"{name}/{claim['problem']}/{claim['name']}": claim["verdict"]
        for name, report in reports.items()
        for claim in report["claims"]
    }
    runs = {name: report["mlflow"]["run_id"] for name, report in reports.items()}
    previous = _last_campaign(client, size)
    earlier = previous.get("verdicts", {})
    changes = {
        claim: {"before": earlier[claim], "now": verdict}
        for claim, verdict in verdicts.items()
        if claim in earlier and earlier[claim] != verdict
    }
    summary: dict[str, Any] = {
        "size": size.value,
        "studies": chosen,
        "broken": broken,
        "verdicts": verdicts,
        "claims": {name: report["claims"] for name, report in reports.items()},
        "compared_with_last": bool(previous),
        "changes": changes,
        "regressions": [
            *(f"{name} is broken: {error}" for name, error in broken.items()),
            *lost_claims(changes),
            *_slower_studies(client, previous.get("runs", {}), runs),
        ],
        "runs": runs,
    }
    flow_run = str(runtime.flow_run.id)
    logged = track(root, EXPERIMENT, flow_run, lambda: _record(summary, flow_run))
    rows = [{"claim": claim, "verdict": verdict, **changes.get(claim, {})} for claim, verdict in verdicts.items()]
    create_table_artifact(rows, key="campaign", description=f"Verdicts of the {size} campaign")
    show_report("report-campaign", f"Campaign ({size})", _words(summary), client, logged)
    report = {**summary, "mlflow": mlflow_report(logged), "prefect_flow_run": flow_run}
    if regressions := summary["regressions"]:
        raise RegressionError("; ".join(regressions), report)
    return report


def _words(summary: Mapping[str, Any]) -> list[str]:
    """What came out of a campaign, and what is different from the last one, in sentences."""
    changes = summary["changes"].items()
    return [
        f"{len(summary['studies'])} studies, {len(summary['broken'])} of them broken",
        f"claims: {tally(summary['verdicts'].values())}",
        *(f"regression: {regression}" for regression in summary["regressions"]),
        *(f"{claim}: {change['before']} before, {change['now']} now" for claim, change in changes),
    ]


def _last_campaign(client: MlflowClient, size: Size) -> dict[str, Any]:
    """What the last campaign of this size found; empty where there is none."""
    runs = finished_runs(client, EXPERIMENT, f"params.size = '{size.value}'")
    return dict(read_document(client, runs[0].info.run_id, SUMMARY)) if runs else {}


def _slower_studies(client: MlflowClient, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        f"{study}: {slowdown}"
        for study, run_id in now.items()
        if before.get(study, run_id) != run_id
        for slowdown in slowdowns(client.get_run(before[study]), client.get_run(run_id))
    ]


def _record(summary: dict[str, Any], flow_run: str) -> Record:
    verdicts = list(summary["verdicts"].values())
    return Record(
        name=f"campaign ({summary['size']})",
        identity=flow_run,
        params={"size": summary["size"], "studies": ",".join(summary["studies"])},
        tags={
            "prefect.flow_run": flow_run,
            **environment(),
            **machine(),
            **{f"verdict.{claim}": verdict for claim, verdict in summary["verdicts"].items()},
        },
        metrics={
            **{verdict: float(verdicts.count(verdict)) for verdict in ("holds", "fails", "inconclusive")},
            "changed": float(len(summary["changes"])),
            "broken": float(len(summary["broken"])),
            "regressions": float(len(summary["regressions"])),
        },
        documents={SUMMARY: summary},
    )
