"""The flow that solves a sequence of systems of the user's own."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from prefect import flow, runtime

from data.systems.opening import absolute_location
from data.systems.system import BadSystemError, Defect
from data.validation import InputError
from flows.data_set_plan import SHARD_SIZE, DataSetPlan
from flows.dead_runs import tasks_untagged
from flows.defaults import TIME_LIMIT
from flows.form import MemoryLimit, Repair, Scheduler, StoreRoot, TimeLimit, Workers, form_field
from flows.logs import kept_log, log_start
from flows.plan import store_root
from flows.refusals import refused_in_one_line
from flows.shard_commands import solve_origin
from flows.solve_plan import DEFAULT_PRECONDITIONER, DEFAULT_SOLVER, plan_solutions
from flows.solvers import PreconditionerName, Solver
from kernels.result import Status
from tasks.artifacts import show_report
from tasks.cluster import LOCAL, open_cluster
from tasks.contenders import status_code
from tasks.limits import limits_on
from tasks.own_systems import OwnSystems
from tasks.places import require_writable
from tasks.provenance import environment, machine, source_digest
from tasks.stages import DataSetRequest, ensure_data_sets, track
from tasks.store import open_store
from tasks.tracking import Record, StoredInput, mlflow_report, open_tracking
from tasks.zarr_systems import is_zarr

EXPERIMENT = "solve"
MOST_NAMED = 5


@flow(name="solve", flow_run_name="{systems}")
@refused_in_one_line
@kept_log
@tasks_untagged
def solve_systems(
    systems: Annotated[
        str, form_field(".npz file, Zarr group or folder of Matrix Market files; not in a form: module:function")
    ],
    solver: Annotated[Solver, form_field("what solves the systems")] = DEFAULT_SOLVER,
    preconditioner: Annotated[PreconditionerName, form_field("of the Krylov solvers")] = DEFAULT_PRECONDITIONER,
    tolerance: Annotated[float, form_field("on the true relative residual", gt=0, lt=1)] = 1e-8,
    shard_size: Annotated[int, form_field("systems per unit of work and of storage", ge=1, le=10**6)] = SHARD_SIZE,
    out: Annotated[str, form_field("path or URL of the solutions; empty: below the store, by their digest")] = "",
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    repair: Repair = False,
    time_limit: TimeLimit = TIME_LIMIT,
    memory_limit: MemoryLimit = None,
) -> dict[str, Any]:
    """Solve the systems on the cluster and store solutions and residuals in Zarr, with their provenance.

    Bad systems are named and passed over. What an interrupted run left is resumed by the same parameters; finished
    solutions are reused.
    """
    _require_data(systems)
    root = store_root(store)
    plan = plan_solutions(
        systems=systems,
        solver=solver.value,
        preconditioner=preconditioner.value,
        tolerance=tolerance,
        shard_size=shard_size,
        root=root,
        out=out,
    )
    require_writable(plan.url)
    log_start(plan.request)
    client = open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        request = DataSetRequest(plan.data_set, plan.url, solve_origin(plan, time_limit, memory_limit))
        limits = limits_on(address, time_limit, memory_limit)
        [report] = ensure_data_sets([request], address, description="solve", limits=limits, repair=repair)
    report |= _unsolved(plan)
    logged = track(root, EXPERIMENT, _identity(plan), lambda: _record(plan, report))
    show_report("solve", f"Solutions of {systems}", _words(report), client, logged, [report])
    return {
        **plan.request,
        "data_sets": [report],
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }


def _require_data(systems: str) -> None:
    """Refuse a Python function where the run comes from a deployment: a form chooses data, it does not name code.

    Raises
    ------
    InputError
        One line, also where there is nothing at the location.
    """
    location = absolute_location(systems)
    if runtime.deployment.id and not is_zarr(location) and not Path(location).exists():
        raise InputError(f"{systems} does not exist: a run from a form reads a file, a folder or a Zarr group")


def _unsolved(plan: DataSetPlan) -> dict[str, Any]:
    """How many systems are bad or unsolved, of stored shards too, and what is wrong with the first of them."""
    stored = open_store(plan.url, "r")
    status, defects = np.asarray(stored["status"]), np.asarray(stored["defect"])
    unsolved = np.flatnonzero(status != status_code(Status.CONVERGED))
    return {
        "unsolved": len(unsolved),
        "bad": int(np.count_nonzero(defects != Defect.NONE.code)),
        "first_unsolved": {
            f"system {index}": _reason(plan, index, list(Status)[status[index]]) for index in unsolved[:MOST_NAMED]
        },
    }


def _reason(plan: DataSetPlan, index: int, status: Status) -> str:
    problem = plan.data_set.problem
    assert isinstance(problem, OwnSystems)
    try:
        problem.check(index)
    except BadSystemError as error:
        return str(error)
    return str(status)


def _words(report: dict[str, Any]) -> list[str]:
    solved = f"{report['instances']} systems, {report['unsolved']} of them unsolved"
    return [solved, *(f"{system}: {reason}" for system, reason in report["first_unsolved"].items())]


def _identity(plan: DataSetPlan) -> str:
    return f"{plan.data_set.digest}/{plan.url}"


def _record(plan: DataSetPlan, report: dict[str, Any]) -> Record:
    data_set = plan.data_set
    solver = data_set.solver
    assert solver is not None
    parameters = data_set.problem.model_dump(mode="json")
    return Record(
        name=f"{parameters['systems']} x {data_set.count}",
        identity=_identity(plan),
        params={"count": data_set.count, "solver": solver.name, **solver.options, **parameters},
        tags={
            "data_set": data_set.digest,
            "data_set_url": report["url"],
            "kernel_source": source_digest(solver.method),
            "prefect.flow_run": str(runtime.flow_run.id),
            **environment(),
            **machine(),
        },
        metrics={key: float(report[key]) for key in ("instances", "unsolved", "bad", "cpu_seconds")},
        inputs=[StoredInput("systems", parameters["content"], parameters["systems"])],
        documents={"unsolved.json": report["first_unsolved"], "failures.json": report["failures"]},
    )
