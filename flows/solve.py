"""The flow that solves a sequence of systems of the user's own."""

from typing import Annotated, Any

import numpy as np
from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact

from data.systems.system import BadSystemError, Defect
from flows.data_set_plan import SHARD_SIZE, DataSetPlan
from flows.form import Repair, Scheduler, StoreRoot, Workers, form_field
from flows.plan import store_root
from flows.solve_plan import DEFAULT_PRECONDITIONER, DEFAULT_SOLVER, plan_solutions
from flows.solvers import PreconditionerName, Solver
from kernels.result import Status
from tasks.cluster import LOCAL, open_cluster
from tasks.contenders import status_code
from tasks.own_systems import OwnSystems
from tasks.provenance import environment, machine, source_digest
from tasks.stages import ensure_data_set, track
from tasks.store import open_store, require_writable
from tasks.tracking import Record, StoredInput, mlflow_report, open_tracking

EXPERIMENT = "solve"
MOST_NAMED = 5


@flow(name="solve", flow_run_name="{systems}")
def solve_systems(
    systems: Annotated[str, form_field(".npz file, Zarr group, folder of Matrix Market files, or module:function")],
    solver: Annotated[Solver, form_field("what solves the systems")] = DEFAULT_SOLVER,
    preconditioner: Annotated[PreconditionerName, form_field("of the Krylov solvers")] = DEFAULT_PRECONDITIONER,
    tolerance: Annotated[float, form_field("on the true relative residual", gt=0, lt=1)] = 1e-8,
    shard_size: Annotated[int, form_field("systems per unit of work and of storage", ge=1, le=10**6)] = SHARD_SIZE,
    out: Annotated[str, form_field("path or URL of the solutions; empty: below the store, by their digest")] = "",
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    repair: Repair = False,
) -> dict[str, Any]:
    """Solve the systems on the cluster and store solutions and residuals in Zarr, with their provenance.

    Bad systems are named and passed over. What an interrupted run left is resumed by the same parameters; finished
    solutions are reused.
    """
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
    open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        report = ensure_data_set(plan.data_set, plan.url, address, repair=repair)
    report |= _unsolved(plan)
    logged = track(root, EXPERIMENT, _identity(plan), lambda: _record(plan, report))
    create_markdown_artifact(_summary(report), key="solve")
    return {
        **plan.request,
        "data_sets": [report],
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }


def _unsolved(plan: DataSetPlan) -> dict[str, Any]:
    """How many systems are bad or unsolved, of stored shards too, and what is wrong with the first of them."""
    stored = open_store(plan.url, "r")
    status, defects = np.asarray(stored["status"]), np.asarray(stored["defect"])
    unsolved = np.flatnonzero(status != status_code(Status.CONVERGED))
    return {
        "unsolved": len(unsolved),
        "bad": int(np.count_nonzero(defects != Defect.NONE.code)),
        "failures": {
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


def _summary(report: dict[str, Any]) -> str:
    named = "".join(f"\n- {system}: {reason}" for system, reason in report["failures"].items())
    return f"{report['instances']} systems, {report['unsolved']} of them unsolved: `{report['url']}`\n{named}"


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
        documents={"failures.json": report["failures"]},
    )
