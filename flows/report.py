"""The report of a campaign: one page that needs no other file, and the same as Markdown."""

import base64
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mlflow import MlflowClient
from mlflow.entities import Run

from data.validation import InputError
from flows.campaign import EXPERIMENT, SUMMARY
from flows.pages import interval, tally_of_claims
from flows.plan import store_root
from flows.registry import find_study, study_families
from flows.study_record import CLAIMS_FIGURE, PAPER_FIGURE
from tasks.places import without_credentials
from tasks.study import Size
from tasks.tracking import REPORT, finished_runs, nothing_logged, open_tracking, read_document

MARK = "made by `assay report`"
_FIGURES = "figures"


def write_report(store: str, size: Size, to: str) -> dict[str, Any]:
    """Write the last campaign of a size as an HTML page and, beside it, as Markdown.

    Raises
    ------
    InputError
        If there is no such campaign, or a file stands in the way that no report wrote.
    """
    page = Path(to).expanduser()
    if page.suffix != ".html":
        raise InputError(f"--to {to!r} is not allowed: the name of the page must end in .html")
    root = store_root(store)
    client = None if nothing_logged(root) else open_tracking(root)
    runs = finished_runs(client, EXPERIMENT, f"params.size = '{size.value}'") if client else []
    if client is None or not runs:
        raise InputError(
            f"no campaign of size {size.value} was logged for the store {root}: run `assay campaign` first"
        )
    pages = [page, page.with_suffix(".md")]
    for path in pages:
        if path.exists() and MARK not in path.read_text(errors="replace"):
            raise InputError(f"{path} exists and is no report: choose another name by --to")
    campaign = campaign_context(client, runs[0])
    page.parent.mkdir(parents=True, exist_ok=True)
    for path in pages:
        path.write_text(render(f"report{path.suffix}", campaign))
    return {"campaign": runs[0].info.run_id, "pages": [str(path) for path in pages]}


def campaign_context(client: MlflowClient, campaign: Run) -> dict[str, Any]:
    """All that a report shows: the campaign's summary, and each study with its claims, figures and run."""
    summary = read_document(client, campaign.info.run_id, SUMMARY)
    ended = datetime.fromtimestamp(campaign.info.end_time / 1000, UTC)
    return {
        **summary,
        "mark": MARK,
        "ended": f"{ended:%Y-%m-%d %H:%M} UTC",
        "run_id": campaign.info.run_id,
        "link": _link(client, campaign),
        "tally": tally_of_claims({"verdict": verdict} for verdict in summary["verdicts"].values()),
        "machine": campaign.data.tags.get("machine", ""),
        "commit": campaign.data.tags.get("git_commit", "")[:12],
        "sections": [
            _section(client, name, client.get_run(run_id), summary["changes"])
            for name, run_id in summary["runs"].items()
            if name in study_families()
        ],
    }


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of this folder, filled; HTML is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)


def _section(client: MlflowClient, name: str, run: Run, changes: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    study, report = find_study(name), read_document(client, run.info.run_id, REPORT)
    claims = [
        {
            **claim,
            "interval": interval(claim),
            "before": changes.get(f"{name}/{claim['problem']}/{claim['name']}", {}).get("before", ""),
        }
        for claim in report["claims"]
    ]
    return {
        "study": study,
        "claims": claims,
        "tally": tally_of_claims(claims),
        "in_plain_words": report["in_plain_words"],
        "figures": _figures(client, run.info.run_id),
        "run_id": run.info.run_id,
        "link": _link(client, run),
    }


def _figures(client: MlflowClient, run_id: str) -> dict[str, str]:
    """The figure of the paper's plot or, of a study without one, that of its claims, as base64 by name."""
    there = {item.path for item in client.list_artifacts(run_id, _FIGURES)}
    chosen = next((path for path in (PAPER_FIGURE, CLAIMS_FIGURE) if path in there), None)
    if chosen is None:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(client.download_artifacts(run_id, chosen, scratch)).read_bytes()
    return {Path(chosen).stem: base64.b64encode(image).decode()}


def _link(client: MlflowClient, run: Run) -> str:
    """The page of a run where MLflow is a server; nothing where it is a file."""
    server = without_credentials(str(client.tracking_uri))
    if not server.startswith(("http://", "https://")):
        return ""
    return f"{server.rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
