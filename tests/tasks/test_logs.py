import json
import logging
import threading
from uuid import uuid4

import fsspec
import pytest
from prefect.logging.loggers import PrefectLogAdapter

from tasks import logs
from tasks.logs import fields, log_shards, run_log, without_secrets

SECRET = "hunter2-and-more"
FLOW, TASK = logs.LOGGERS


@pytest.fixture(autouse=True)
def open_loggers(monkeypatch):
    """Loggers as the command line opens them, without Prefect's own handlers."""
    for name in logs.LOGGERS:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(logger, "level", logging.INFO)
        logger.manager._clear_cache()
    yield
    logging.getLogger(FLOW).manager._clear_cache()


def says(flow_run, name=FLOW, **task):
    """A logger as Prefect gives it to a run."""
    return PrefectLogAdapter(logging.getLogger(name), {"flow_run_id": flow_run, **task})


def lines(root, flow_run):
    (path,) = (root / "logs").glob(f"*{flow_run}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_message_is_one_line_of_json_with_its_fields(tmp_path):
    with run_log(str(tmp_path), "a1", "skr-small"):
        says("a1", TASK, task_run_name="results-darcy").warning(
            "%s failed", "gmres", extra=fields(study="skr", problem="darcy", shard=3)
        )
    (line,) = lines(tmp_path, "a1")
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "prefect.task_runs",
        "flow_run": "a1",
        "task": "results-darcy",
        "message": "gmres failed",
        "study": "skr",
        "problem": "darcy",
        "shard": 3,
    }
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["skr-small-a1.jsonl"]


def test_a_traceback_stays_in_its_line(tmp_path):
    with run_log(str(tmp_path), "a1", "skr"):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            says("a1").exception("it broke")
    (line,) = lines(tmp_path, "a1")
    assert "ValueError: two\nlines" in line["traceback"]


def test_what_is_no_news_is_left_out_and_a_run_that_says_nothing_leaves_nothing(tmp_path):
    with run_log(str(tmp_path), "a1", "skr"):
        says("a1").debug("a detail")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_do_not_mix(tmp_path):
    runs = [str(uuid4()) for _ in range(2)]
    both_open = threading.Barrier(2)

    def run(flow_run):
        with run_log(str(tmp_path), flow_run, "skr-small"):
            both_open.wait(10)
            for i in range(50):
                says(flow_run).info("message %d", i, extra=fields(mine=flow_run))
            both_open.wait(10)

    threads = [threading.Thread(target=run, args=(flow_run,)) for flow_run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for flow_run in runs:
        found = lines(tmp_path, flow_run)
        assert [line["message"] for line in found] == [f"message {i}" for i in range(50)]
        assert {line["mine"] for line in found} == {flow_run}


def test_a_run_that_goes_on_later_goes_on_in_its_log(tmp_path):
    for _ in range(2):
        with run_log(str(tmp_path), "a1", "skr"):
            says("a1").info("started")
    assert len(lines(tmp_path, "a1")) == 2


def test_a_log_does_not_grow_without_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MOST_LINES", 5)
    with run_log(str(tmp_path), "a1", "skr"):
        for i in range(20):
            says("a1").info("%d", i)
    assert [line["message"] for line in lines(tmp_path, "a1")] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(("done", "total", "said"), [(0, 3, 3), (0, 20_000, 20), (19_990, 20_000, 1), (2, 2, 0)])
def test_shards_are_told_at_most_twenty_times(tmp_path, monkeypatch, done, total, said):
    monkeypatch.setattr(logs, "logger", lambda: says("a1"))
    with run_log(str(tmp_path), "a1", "skr"):
        says("a1").info("started")
        passed = list(log_shards(iter(range(done, total)), "darcy", done, total))
    assert passed == list(range(done, total))
    assert len(lines(tmp_path, "a1")) == 1 + said
    if said:
        assert lines(tmp_path, "a1")[-1]["message"] == f"{total} of {total} shards done: darcy"


@pytest.mark.parametrize("name", ["../../etc/skr", "skr small/1", "a" * 500], ids=["upwards", "folder", "long"])
def test_the_name_of_a_run_cannot_lead_out_of_the_folder(tmp_path, name):
    with run_log(str(tmp_path / "store"), "a1", name):
        says("a1").info("started")
    (path,) = tmp_path.rglob("*.jsonl")
    assert path.parent == tmp_path / "store" / "logs"


def test_the_log_of_a_remote_store_is_copied_there_also_when_the_run_fails():
    root = f"memory://{uuid4().hex}"

    def run():
        with run_log(root, "a1", "skr"):
            says("a1").info("started")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    with fsspec.open(f"{root}/logs/skr-a1.jsonl", "rt") as file:
        assert json.loads(file.read())["message"] == "started"


def test_no_credentials_reach_a_log(tmp_path, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, f'{name.lower()}"{SECRET}')
    with run_log(str(tmp_path), "a1", "skr"):
        says("a1").info("logged to %s", f"postgresql://me:{SECRET}@db.example/mlflow")
        says("a1").info("started", extra=fields(request={"out": f"https://me:p@{SECRET}@bucket.example/x"}))
        says("a1").error("the server said: %s", f'no such key aws_secret_access_key"{SECRET}')
        try:
            raise OSError(f'mlflow_tracking_password"{SECRET}')
        except OSError:
            says("a1").exception("failed")
    assert len(lines(tmp_path, "a1")) == 4
    assert SECRET not in next((tmp_path / "logs").iterdir()).read_text()


def test_addresses_and_words_without_credentials_stay():
    for text in (
        "tcp://127.0.0.1:8786, a@b",
        "see https://mlflow.example/base and write to me@work",
        "s3://bucket/a@b",
    ):
        assert without_secrets(text) == text
