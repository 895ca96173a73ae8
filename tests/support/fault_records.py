"""What MLflow's and Prefect's databases hold of a run, read without either."""

import sqlite3
from contextlib import closing

UNFINISHED = ("RUNNING", "PENDING")


def query(database, statement, *values):
    """The rows of a query; a database that does not exist yet has none."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError:
        return []


def logged_parents(database, store):
    """Numbers and statuses of the parent runs whose results lie in a store."""
    return query(
        database,
        "select distinct run_uuid, status from runs join tags using (run_uuid) "
        "where key like 'results.%' and value like ? and lifecycle_stage = 'active'",
        f"{store}/%",
    )


def logged_curves(database, parent):
    """Statuses of a parent run and its children, and how many points each metric of each has, in all and by step."""
    family = (
        "select run_uuid from runs where run_uuid = ?1 or run_uuid in "
        "(select run_uuid from tags where key = 'mlflow.parentRunId' and value = ?1)"
    )
    statuses = query(database, f"select name, status from runs where run_uuid in ({family})", parent)
    points = query(
        database,
        "select name, key, count(*), count(distinct step) from metrics join runs using (run_uuid) "
        f"where run_uuid in ({family}) group by run_uuid, key",
        parent,
    )
    return sorted(statuses), {(name, key): counts for name, key, *counts in points}


def count_runs(database, store):
    """How many runs MLflow has begun for a store: those that name it, and children of those that do."""
    rows = query(
        database,
        "select count(distinct run_uuid) from tags where (key = 'results' or key like 'results.%') and value like ?",
        f"{store}/%",
    )
    return rows[0][0] if rows else 0


def count_points(database, store):
    """How many points of metrics MLflow has of a store."""
    rows = query(
        database,
        "select count(*) from metrics where run_uuid in "
        "(select run_uuid from tags where (key = 'results' or key like 'results.%') and value like ?)",
        f"{store}/%",
    )
    return rows[0][0] if rows else 0


def unfinished_records(database):
    """Runs in MLflow that are still running."""
    return query(database, "select run_uuid, name from runs where status = 'RUNNING' and lifecycle_stage = 'active'")


def unfinished_flow_runs(database):
    """Flow runs and task runs in Prefect's database that are not over."""
    marks = ", ".join("?" * len(UNFINISHED))
    return [
        row
        for table in ("flow_run", "task_run")
        for row in query(database, f"select name, state_type from {table} where state_type in ({marks})", *UNFINISHED)
    ]
