"""Runs that died, in a real Prefect server and a real MLflow database, and what the next command makes of them."""

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Running

from flows.dead_runs import end_dead_flow_runs, process_tags
from tasks.dead_records import end_dead_records
from tasks.liveness import HOST, PROCESS, this_host, this_process
from tasks.tracking import Record, log_record, open_tracking

BOOT, NUMBER, START = this_process().split("-")
DEAD = f"{BOOT}-{NUMBER}-{float(START) - 100:.2f}"  # the same number, another start
HERE = f"{HOST}={this_host()}"


@flow(name="a flow")
def nothing():
    pass


@pytest.fixture
def begin(prefect_api):
    with get_client(sync_client=True) as client:

        def create(*tags):
            return client.create_flow_run(nothing, tags=tags, state=Running()).id

        yield create


def state_of(run):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).state.type.value


def test_a_flow_run_whose_process_is_gone_has_crashed(begin):
    dead = begin(HERE, f"{PROCESS}={DEAD}")
    assert end_dead_flow_runs() == 1
    assert state_of(dead) == "CRASHED"
    assert end_dead_flow_runs() == 0


def test_a_task_run_whose_end_nobody_heard_has_crashed(begin):
    from prefect import task

    @task
    def some_task():
        pass

    tags = (HERE, f"{PROCESS}={DEAD}")
    with get_client(sync_client=True) as client:
        parent = begin(*tags)
        run = client.create_task_run(some_task, parent, "0", state=Running())
        assert end_dead_flow_runs() == 2
        assert client.read_task_run(run.id).state.type.value == "CRASHED"


@pytest.mark.parametrize(
    "tags",
    [process_tags(), (f"{HOST}=elsewhere", f"{PROCESS}={DEAD}"), (HERE,), (HERE, f"{PROCESS}=unreadable")],
    ids=["of a living process", "of another host", "of no process", "of no name"],
)
def test_a_flow_run_that_may_live_is_left_alone(begin, tags):
    running = begin(*tags)
    assert end_dead_flow_runs() == 0
    assert state_of(running) == "RUNNING"


def test_a_record_whose_process_is_gone_is_killed_and_completed_by_the_same_command(make_root, monkeypatch):
    root = make_root("dead")
    client = open_tracking(root)
    written = Record(name="a", identity="a", metrics={"x": 1.0}, children=[Record(name="b", identity="b")])

    class KilledError(Exception):
        pass

    def killed():
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("tasks.tracking.this_process", lambda: DEAD)
        patch.setattr("mlflow.MlflowClient.set_terminated", lambda *_: killed())
        with pytest.raises(KilledError):
            log_record(client, root, "dead", "a", lambda: written)
    experiment = client.get_experiment_by_name("dead").experiment_id

    def statuses():
        return sorted(run.info.status for run in client.search_runs([experiment]))

    assert statuses() == ["RUNNING", "RUNNING"]
    assert end_dead_records(client) == 2
    assert statuses() == ["KILLED", "KILLED"]
    assert end_dead_records(client) == 0
    log_record(client, root, "dead", "a", lambda: written)
    assert statuses() == ["FINISHED", "FINISHED"]


def test_a_record_of_a_living_process_or_another_host_is_left_alone(make_root):
    client = open_tracking(make_root("living"))
    experiment = client.create_experiment("living")
    client.create_run(experiment, tags={HOST: this_host(), PROCESS: this_process()})
    client.create_run(experiment, tags={HOST: "elsewhere", PROCESS: DEAD})
    client.create_run(experiment)
    assert end_dead_records(client) == 0


def test_without_experiments_there_is_nothing_to_end(make_root, monkeypatch):
    client = open_tracking(make_root("empty"))
    monkeypatch.setattr("mlflow.MlflowClient.search_experiments", lambda _: [])
    assert end_dead_records(client) == 0
