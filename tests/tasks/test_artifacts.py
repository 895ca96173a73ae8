import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tasks.artifacts import MLFLOW_UI, mlflow_place, read_figures, report_text, verdict_in_words
from tasks.claims import Judgement, Verdict
from tasks.tracking import LoggedRun, Record, log_record, open_tracking

DATA_SET = {"problem": "poisson", "instances": 8, "unsolved": 1, "url": "/store/poisson.zarr"}


def logged(uri):
    return LoggedRun("abc", "3", "", uri, reused=False)


def report(words=(), data_sets=(), figures=None):
    return report_text("Poisson", words, logged("http://mlflow:5000"), data_sets, figures or {})


@pytest.mark.parametrize(
    ("uri", "served_at"),
    [
        ("http://mlflow:5000/", ""),
        ("sqlite:///store/mlflow.db", "http://mlflow:5000"),
        ("http://elsewhere", "http://mlflow:5000/"),
    ],
    ids=["tracking server", "UI on a database", "UI beside a tracking server"],
)
def test_a_run_is_linked_where_an_mlflow_ui_is_known(monkeypatch, uri, served_at):
    monkeypatch.setenv(MLFLOW_UI, served_at)
    assert "](http://mlflow:5000/#/experiments/3/runs/abc?" in mlflow_place(logged(uri))


def test_without_a_known_ui_the_command_that_shows_the_run_is_given(monkeypatch):
    monkeypatch.delenv(MLFLOW_UI, raising=False)
    place = mlflow_place(logged("sqlite:///store/mlflow.db"))
    assert "MLflow run abc" in place
    assert "    mlflow ui --backend-store-uri sqlite:///store/mlflow.db" in place
    assert "](" not in place


def test_a_data_set_is_given_as_the_statement_that_opens_it():
    assert '    xarray.open_zarr("/store/poisson.zarr")' in report(data_sets=[DATA_SET])
    assert "    # poisson: 8 instances, 1 of them unsolved" in report(data_sets=[DATA_SET])


@pytest.mark.parametrize("text", ["[here](http://evil)", "<img src=x>", "**bold**", "one\n# two", "`code`"])
def test_neither_words_nor_paths_become_markdown(text):
    lines = report(words=[text], data_sets=[{**DATA_SET, "url": text}]).splitlines()
    for line in (line for line in lines if not line.startswith(("    ", "# Poisson", "[MLflow run"))):
        assert not re.search(r"(?<!\\)[\[\]<>*`#]", line)


def test_figures_are_images_in_the_report_itself():
    uri = re.search(r"!\[claims\]\(data:image/png;base64,([^)]*)\)", report(figures={"claims": b"a figure"}))
    assert base64.b64decode(uri.group(1)) == b"a figure"


def test_a_verdict_is_said_with_what_was_measured_and_wanted():
    judgement = Judgement(
        "faster", "", "", "darcy", "paper", ">=", 2.0, 2.5, 2.25, 3.0, 5, timed=False, verdict=Verdict.HOLDS
    )
    assert verdict_in_words(judgement) == "holds: darcy, faster, 2.5 (2.25 to 3), to be >= 2"


def test_figures_are_read_from_mlflow_small_and_looking_the_same(make_root):
    root = make_root("figures")
    client = open_tracking(root)
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    for shift in np.linspace(0.0, 1.0, 8):
        axes.plot(np.sin(np.linspace(0.0, 9.0, 200) + shift), color=str(shift / 2))
    for height, colour in enumerate(("tab:red", "tab:green", "tab:gray")):
        axes.plot(100, height, "o", color=colour, markersize=4)
    run = log_record(client, root, "study", "one", lambda: Record("one", "one", figures={"figures/waves.png": figure}))
    original = io.BytesIO()
    figure.savefig(original, format="png")
    (name, small), *others = read_figures(client, run.run_id).items()
    assert (name, others) == ("waves", [])
    assert len(small) < len(original.getvalue()) / 2
    drawn, shown = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) for png in (original.getvalue(), small)
    )
    assert drawn.shape == shown.shape
    coloured = np.ptp(drawn, axis=2) > 100
    assert coloured.any()
    assert np.abs(drawn - shown).mean() < 2.0
    assert np.abs(drawn - shown)[coloured].mean() < 10.0


def test_a_run_without_figures_has_none(make_root):
    root = make_root("bare")
    client = open_tracking(root)
    run = log_record(client, root, "study", "one", lambda: Record("one", "one"))
    assert read_figures(client, run.run_id) == {}
