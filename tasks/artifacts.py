"""What the page of a flow run shows: the result in words, its figures as images, and where everything lies."""

import base64
import io
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from prefect.artifacts import create_markdown_artifact

from tasks.claims import Judgement
from tasks.tracking import LoggedRun

FIGURES = "figures"  # the folder of a run's artifacts in MLflow
MLFLOW_UI = "ASSAY_MLFLOW_UI"
"""Environment variable: the address of an MLflow UI on the database that runs are logged to."""

_COLOURS = 128  # a figure with a palette is a third of the size, and every look at a run's page loads it


def show_report(
    key: str,
    title: str,
    words: Sequence[str],
    client: MlflowClient,
    logged: LoggedRun,
    data_sets: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Create the report of a run as an artifact of Prefect; call inside a flow run, after all is logged.

    Parameters
    ----------
    key : str
        Lower-case letters, digits and dashes; artifacts of one key are one history in the Prefect UI.
    title, words
        A heading, and the result in sentences.
    client, logged
        Where MLflow has the run; its figures are shown, read from there whether they were drawn now or earlier.
    data_sets
        Reports of the data sets, with their ``problem``, ``instances``, ``unsolved`` and ``url``.
    """
    report = report_text(title, words, logged, data_sets, read_figures(client, logged.run_id))
    create_markdown_artifact(report, key=key, description=title)


def report_text(
    title: str,
    words: Sequence[str],
    logged: LoggedRun,
    data_sets: Sequence[Mapping[str, Any]],
    figures: Mapping[str, bytes],
) -> str:
    """The report as Markdown; it needs nothing but itself, so figures are in it as data URIs."""
    images = "\n\n".join(f"![{name}]({_data_uri(png)})" for name, png in figures.items())
    parts = [
        f"# {_plain(title)}",
        mlflow_place(logged),
        "\n".join(f"- {_plain(sentence)}" for sentence in words),
        images,
        _how_to_open(data_sets) if data_sets else "",
    ]
    return "\n\n".join(part for part in parts if part)


def mlflow_place(logged: LoggedRun) -> str:
    """A link to a run in the MLflow UI that is known, else the command that starts one."""
    served = logged.tracking_uri if logged.tracking_uri.startswith(("http://", "https://")) else ""
    if address := (os.environ.get(MLFLOW_UI) or served).rstrip("/"):
        place = f"{address}/#/experiments/{logged.experiment_id}/runs/{logged.run_id}"
        return f"[MLflow run {logged.run_id}]({place}?workflowType=machine_learning)"
    command = _as_code([f"mlflow ui --backend-store-uri {logged.tracking_uri}"])
    return f"MLflow run {logged.run_id}, seen with\n\n{command}"


def verdict_in_words(judgement: Judgement) -> str:
    """A claim's verdict, what was measured and what it was to be."""
    measured = f"{judgement.estimate:.3g} ({judgement.lower:.3g} to {judgement.upper:.3g})"
    wanted = f"{judgement.comparison} {judgement.threshold:.3g}"
    return f"{judgement.verdict}: {judgement.problem}, {judgement.name}, {measured}, to be {wanted}"


def read_figures(client: MlflowClient, run_id: str) -> dict[str, bytes]:
    """The figures of a run in MLflow as PNG files with a palette, by their names."""
    if not client.list_artifacts(run_id, FIGURES):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(Path(client.download_artifacts(run_id, FIGURES, folder)).glob("*.png"))
        return {path.stem: _with_palette(path) for path in paths}


def _with_palette(path: Path) -> bytes:
    from PIL import Image

    reduced = io.BytesIO()
    with Image.open(path) as image:
        # The default, a median cut, turns rare colours grey: those of a claim that fails.
        image.convert("RGB").quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(reduced, "PNG")
    return reduced.getvalue()


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _how_to_open(data_sets: Sequence[Mapping[str, Any]]) -> str:
    lines = ["import xarray"]
    for report in data_sets:
        lines.append("")
        lines.append(f"# {report['problem']}: {report['instances']} instances, {report['unsolved']} of them unsolved")
        lines.append(f"xarray.open_zarr({json.dumps(report['url'])})")
    return _as_code(lines)


def _plain(text: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def _as_code(lines: Sequence[str]) -> str:
    """Lines as they are: indented, nothing in a path or a message can be Markdown."""
    return "\n".join(f"    {part}" for line in lines for part in line.splitlines() or [""])
