"""The end of flow runs whose process is gone: nobody else would ever take them out of the state "Running"."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tasks.liveness import HOST, PROCESS, is_gone, this_host, this_process

P = ParamSpec("P")
R = TypeVar("R")

MESSAGE = "The process of this run is gone, and nobody heard how the run ended."


def process_tags() -> tuple[str, str]:
    """The tags by which a later command recognises the flow runs of this process."""
    return f"{HOST}={this_host()}", f"{PROCESS}={this_process()}"


def tasks_untagged(flow_function: Callable[P, R]) -> Callable[P, R]:
    """Keep the tags of a flow run from its tasks: Prefect takes two seconds to look up the limits of a task's tags."""

    @functools.wraps(flow_function)
    def untagging(*args: P.args, **kwargs: P.kwargs) -> R:
        from prefect.context import TagsContext

        with TagsContext(current_tags=set()):
            return flow_function(*args, **kwargs)

    return untagging


def end_dead_flow_runs() -> int:
    """Mark as crashed the flow runs of this host whose process is gone, with their task runs; returns how many.

    A task run can outlast its flow run: Prefect learns of its end by an event, which is lost with a server.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    unfinished = [StateType.RUNNING, StateType.PENDING]
    mine = [process_tags()[0]]
    of_this_host = filters.FlowRunFilterTags(all_=mine)
    flow_runs = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=unfinished)), tags=of_this_host
    )
    task_runs = filters.TaskRunFilter(
        state=filters.TaskRunFilterState(type=filters.TaskRunFilterStateType(any_=unfinished))
    )
    with get_client(sync_client=True) as client:
        running = client.read_task_runs(
            flow_run_filter=filters.FlowRunFilter(tags=of_this_host), task_run_filter=task_runs
        )
        parents = list({run.flow_run_id for run in running if run.flow_run_id})
        dead_parents = {run.id for run in _read_flow_runs(client, parents) if _is_dead(run.tags)}
        dead_tasks = [run for run in running if run.flow_run_id in dead_parents]
        for task_run in dead_tasks:
            client.set_task_run_state(task_run.id, Crashed(message=MESSAGE), force=True)
        dead_flows = [run for run in client.read_flow_runs(flow_run_filter=flow_runs) if _is_dead(run.tags)]
        for flow_run in dead_flows:
            client.set_flow_run_state(flow_run.id, Crashed(message=MESSAGE), force=True)
    return len(dead_tasks) + len(dead_flows)


def _read_flow_runs(client: Any, identifiers: list[Any]) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    if not identifiers:
        return []
    return list(client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=identifiers))))


def _is_dead(tags: list[str]) -> bool:
    return any(is_gone(tag.removeprefix(f"{PROCESS}=")) for tag in tags if tag.startswith(f"{PROCESS}="))
