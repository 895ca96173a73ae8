import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.validation import InputError
from flows.cli import main
from flows.study import StudyName, run_study
from tasks.logs import LOGGERS
from tasks.study import Size
from tasks.tracking import open_tracking

STUDY = StudyName("compensated-summation")


@pytest.fixture(scope="module", autouse=True)
def open_loggers():
    """The levels that the command line gives them."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("logs")


@pytest.fixture(scope="module")
def report(root, prefect_api, dask_cluster):
    return run_study(STUDY, Size.SMALL, {}, root, dask_cluster)


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def log_of(root, flow_run):
    (path,) = (Path(root) / "logs").glob(f"*-{flow_run}.jsonl")
    return read(path)


def test_the_log_tells_the_run_from_its_request_to_its_end(root, report):
    lines = log_of(root, report["prefect_flow_run"])
    assert {line["flow_run"] for line in lines} == {report["prefect_flow_run"]}
    start, end = lines[0], lines[-1]
    assert start["message"] == "started"
    assert start["request"] == {"study": STUDY.value, "size": "small", "settings": {}}
    assert start.keys() >= {"git_commit", "lock_digest", "python", "packages"}
    stages = [(line["stage"], *line["problems"], "seconds" in line) for line in lines if "stage" in line]
    assert stages == [
        ("ensure_data_sets", "cancelling-sums", False),
        ("ensure_data_sets", "cancelling-sums", True),
        ("ensure_results", "cancelling-sums", False),
        ("ensure_results", "cancelling-sums", True),
    ]
    assert [line["done"] for line in lines if "shards" in line] == [1, 2, 3, 1, 2, 3]
    (judged,) = [line for line in lines if "verdicts" in line]
    assert judged["verdicts"] == {f"{c['problem']}/{c['name']}": c["verdict"] for c in report["claims"]}
    assert end["message"] == "ended"
    assert end["seconds"] > 0
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_mlflow_keeps_the_log_up_to_the_moment_of_logging(root, report, tmp_path):
    client = open_tracking(root)
    (item,) = client.list_artifacts(report["mlflow"]["run_id"], "logs")
    assert item.path == f"logs/{STUDY.value}-small-{report['prefect_flow_run']}.jsonl"
    kept = read(client.download_artifacts(report["mlflow"]["run_id"], item.path, str(tmp_path)))
    assert kept[-1]["message"] == "logged to MLflow"
    assert kept == log_of(root, report["prefect_flow_run"])[: len(kept)]


def test_a_run_that_fails_says_why_in_the_last_line(root, report, dask_cluster, monkeypatch):
    def fail(*_, **__):
        raise OSError("the disk\nis full")

    monkeypatch.setattr("tasks.stages.complete_store", fail)
    before = set((Path(root) / "logs").iterdir())
    with pytest.raises(OSError, match="is full"):
        run_study(STUDY, Size.SMALL, {"seed": 3}, root, dask_cluster)
    (path,) = set((Path(root) / "logs").iterdir()) - before
    last = read(path)[-1]
    assert (last["level"], last["message"]) == ("error", "failed: OSError: the disk is full")


def test_a_run_that_is_refused_leaves_no_log(prefect_api, tmp_path):
    with pytest.raises(InputError):
        run_study(STUDY, Size.SMALL, {"lenght": 5}, str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []


def test_garbage_collection_and_doctor_leave_logs_alone(root, report):
    before = {path: path.read_bytes() for path in (Path(root) / "logs").iterdir()}
    collected = CliRunner().invoke(main, ["gc", "--store", root, "--older-than", "0", "--json"])
    assert collected.exit_code == 0, collected.output
    assert not any("logs" in orphan["url"].rsplit("/", 2)[-2:] for orphan in json.loads(collected.output)["orphans"])
    CliRunner().invoke(main, ["doctor", "--store", root, "--json"])
    assert {path: path.read_bytes() for path in (Path(root) / "logs").iterdir()} == before
