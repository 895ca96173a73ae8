"""The end of flow runs whose process is gone: nobody else would ever take them out of the state "Running"."""

from tasks.liveness import HOST, PROCESS, is_gone, this_host, this_process

MESSAGE = "The process of this run is gone, and nobody heard how the run ended."


def process_tags() -> tuple[str, str]:
    """The tags by which a later command recognises the flow runs of this process."""
    return f"{HOST}={this_host()}", f"{PROCESS}={this_process()}"


def end_dead_flow_runs() -> int:
    """Mark as crashed the flow runs and task runs of this host whose process is gone; returns how many.

    A task run can outlast its flow run: Prefect learns of its end by an event, which is lost with a server.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    unfinished = [StateType.RUNNING, StateType.PENDING]
    mine = [process_tags()[0]]
    flow_runs = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=unfinished)),
        tags=filters.FlowRunFilterTags(all_=mine),
    )
    task_runs = filters.TaskRunFilter(
        state=filters.TaskRunFilterState(type=filters.TaskRunFilterStateType(any_=unfinished)),
        tags=filters.TaskRunFilterTags(all_=mine),
    )
    with get_client(sync_client=True) as client:
        dead_tasks = [run for run in client.read_task_runs(task_run_filter=task_runs) if _is_dead(run.tags)]
        for task_run in dead_tasks:
            client.set_task_run_state(task_run.id, Crashed(message=MESSAGE), force=True)
        dead_flows = [run for run in client.read_flow_runs(flow_run_filter=flow_runs) if _is_dead(run.tags)]
        for flow_run in dead_flows:
            client.set_flow_run_state(flow_run.id, Crashed(message=MESSAGE), force=True)
    return len(dead_tasks) + len(dead_flows)


def _is_dead(tags: list[str]) -> bool:
    return any(is_gone(tag.removeprefix(f"{PROCESS}=")) for tag in tags if tag.startswith(f"{PROCESS}="))
