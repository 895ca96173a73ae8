"""The flow that runs many studies and says what changed since the last campaign."""

from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_table_artifact

from flows.form import Fresh, Scheduler, SizeChoice, StoreRoot, Workers, form_field
from flows.plan import store_root
from flows.registry import study_families
from flows.study import StudyName, run_study
from tasks.cluster import LOCAL, open_cluster
from tasks.provenance import environment, machine
from tasks.stages import track
from tasks.store import require_writable
from tasks.study import Size
from tasks.tracking import Record, finished_runs, mlflow_report, open_tracking

EXPERIMENT = "campaign"

FamilyName = StrEnum("FamilyName", {name: name for name in sorted(set(study_families().values()))})  # type: ignore[misc]


@flow(name="campaign", flow_run_name="campaign-{size}")
def run_campaign(
    studies: Annotated[list[StudyName], form_field("the studies to run; empty: all")] = [],  # noqa: B006
    family: Annotated[FamilyName | None, form_field("only the studies of this family; empty: all")] = None,
    size: SizeChoice = Size.DEFAULT,
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    fresh: Fresh = False,
) -> dict[str, Any]:
    """Run studies one after another on one cluster; a study that breaks is reported and does not stop the others."""
    root = store_root(store)
    require_writable(root)
    client = open_tracking(root)
    chosen = [study.value for study in studies] or [
        name for name, member in study_families().items() if family is None or member == family.value
    ]
    reports: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    with open_cluster(scheduler, workers) as address:
        for name in chosen:
            try:
                reports[name] = run_study(StudyName(name), size=size, store=root, scheduler=address, fresh=fresh)
            except Exception as error:  # noqa: BLE001 - one broken study must not stop the others
                broken[name] = f"{type(error).__name__}: {error}".replace("\n", " ")
                get_run_logger().error("study %s is broken: %s", name, broken[name])
    verdicts = {
        f"{name}/{claim['problem']}/{claim['name']}": claim["verdict"]
        for name, report in reports.items()
        for claim in report["claims"]
    }
    previous = _last_verdicts(client, size)
    changes = {
        claim: {"before": previous[claim], "now": verdict}
        for claim, verdict in verdicts.items()
        if claim in previous and previous[claim] != verdict
    }
    summary = {
        "size": size.value,
        "studies": chosen,
        "broken": broken,
        "verdicts": verdicts,
        "compared_with_last": bool(previous),
        "changes": changes,
        "runs": {name: report["mlflow"]["run_id"] for name, report in reports.items()},
    }
    flow_run = str(runtime.flow_run.id)
    logged = track(root, EXPERIMENT, flow_run, lambda: _record(summary, flow_run))
    rows = [{"claim": claim, "verdict": verdict, **changes.get(claim, {})} for claim, verdict in verdicts.items()]
    create_table_artifact(rows, key="campaign", description=f"Verdicts of the {size} campaign")
    return {**summary, "mlflow": mlflow_report(logged), "prefect_flow_run": flow_run}


def _last_verdicts(client: Any, size: Size) -> dict[str, str]:
    """The verdicts of the last campaign of this size, by claim."""
    runs = finished_runs(client, EXPERIMENT, f"params.size = '{size.value}'")
    tags = runs[0].data.tags if runs else {}
    return {name.removeprefix("verdict."): value for name, value in tags.items() if name.startswith("verdict.")}


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
        },
        documents={"campaign.json": summary},
    )
