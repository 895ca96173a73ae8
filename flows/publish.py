"""From runs in MLflow to the pages in docs: what was measured last at the default size, in words."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from data.validation import InputError
from flows.pages import catalogue_page, load_reports, study_page
from flows.plan import store_root
from flows.registry import find_study, study_families
from flows.study_record import PAPER_FIGURE
from tasks.study import Size
from tasks.tracking import REPORT, finished_runs, nothing_logged, open_tracking, read_document

_CANDIDATES = 100


def publish_studies(studies: Sequence[str], store: str, folder: str) -> dict[str, Any]:
    """Write ``studies/<study>.json``, ``.md`` and ``.png`` of every study, and ``catalogue.md``, below a folder.

    Raises
    ------
    InputError
        If a study does not exist or was never run at its default size with its own settings.
    """
    root = store_root(store)
    if nothing_logged(root):
        raise InputError(f"nothing was ever logged for the store {root}: run `assay run STUDY` first")
    client = open_tracking(root)
    chosen = {name: find_study(name) for name in studies or study_families()}
    runs = {name: _last_default_run(client, name) for name in chosen}
    if missing := [name for name, run in runs.items() if run is None and studies]:
        raise InputError(
            f"no run of {', '.join(missing)} at the default size in the store {root}: `assay run` it first"
        )
    pages = Path(folder) / "studies"
    pages.mkdir(parents=True, exist_ok=True)
    written = []
    for name, run in runs.items():
        if run is None:
            continue
        run_id, report = run
        study = chosen[name]
        (pages / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
        (pages / f"{name}.md").write_text(study_page(study, report))
        written += [pages / f"{name}.json", pages / f"{name}.md"]
        if study.figure:
            with tempfile.TemporaryDirectory() as scratch:
                figure = Path(client.download_artifacts(run_id, PAPER_FIGURE, scratch))
                (pages / f"{name}.png").write_bytes(figure.read_bytes())
            written.append(pages / f"{name}.png")
    overview = Path(folder) / "catalogue.md"
    overview.write_text(catalogue_page(load_reports(pages)))
    return {"written": [str(path) for path in [*written, overview]]}


def _last_default_run(client: MlflowClient, name: str) -> tuple[str, dict[str, Any]] | None:
    for run in finished_runs(client, name, f"params.size = '{Size.DEFAULT.value}'", limit=_CANDIDATES):
        report: dict[str, Any] = read_document(client, run.info.run_id, REPORT)
        if not report["settings"]:
            return run.info.run_id, report
    return None
