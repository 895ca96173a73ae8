"""The end of runs in MLflow whose process is gone: nobody else would ever take them out of the state "RUNNING"."""

from mlflow import MlflowClient

from tasks.liveness import HOST, PROCESS, is_gone, this_host


def end_dead_records(client: MlflowClient) -> int:
    """Mark as killed the runs in MLflow of this host whose process is gone; returns how many.

    The command that would have finished such a run completes it all the same.
    """
    condition = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{this_host()}'"
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, condition) if experiments else []
    dead = [run for run in found if is_gone(run.data.tags.get(PROCESS, ""))]
    for run in dead:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(dead)
