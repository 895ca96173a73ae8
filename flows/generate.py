"""The flow that makes a data set: instances of a problem and their solutions."""

from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact

from data.registry import problems
from flows.data_set_plan import SHARD_SIZE, DataSetPlan, plan_data_set
from flows.form import Repair, Scheduler, StoreRoot, Workers, form_field
from flows.plan import store_root
from flows.solvers import PreconditionerName, Solver
from tasks.cluster import LOCAL, open_cluster
from tasks.provenance import environment, machine, source_digest
from tasks.stages import ensure_data_set, track
from tasks.store import require_writable
from tasks.tracking import Record, StoredInput, mlflow_report, open_tracking

EXPERIMENT = "generate"

ProblemName = StrEnum("ProblemName", {name.replace("-", "_"): name for name in problems()})  # type: ignore[misc]


@flow(name="generate", flow_run_name="{problem}-{count}")
def generate_data_set(
    problem: Annotated[ProblemName, form_field("the family of instances, see `assay list`")],
    count: Annotated[int, form_field("number of instances", ge=1, le=10**8)] = 100,
    settings: Annotated[
        dict[str, Any], form_field("parameters of the problem that differ from its defaults, such as grid")
    ] = {},  # noqa: B006 - Prefect shows the default in its form and never changes it
    solver: Annotated[Solver, form_field("what solves the systems")] = Solver.DIRECT,
    preconditioner: Annotated[PreconditionerName, form_field("of the Krylov solvers")] = PreconditionerName.JACOBI,
    tolerance: Annotated[float, form_field("on the true relative residual", gt=0, lt=1)] = 1e-8,
    seed: Annotated[int, form_field("seed of all random draws", ge=0, le=2**63 - 1)] = 0,
    shard_size: Annotated[int, form_field("instances per unit of work and of storage", ge=1, le=10**6)] = SHARD_SIZE,
    out: Annotated[str, form_field("path or URL of the data set; empty: below the store, by its digest")] = "",
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    repair: Repair = False,
) -> dict[str, Any]:
    """Draw the instances of a problem, solve them on the cluster and store both in Zarr, with their provenance.

    What an interrupted run left is resumed by the same parameters; a finished data set is reused.
    """
    root = store_root(store)
    plan = plan_data_set(
        problem=problem.value,
        count=count,
        settings=settings,
        solver=solver.value,
        preconditioner=preconditioner.value,
        tolerance=tolerance,
        seed=seed,
        shard_size=shard_size,
        root=root,
        out=out,
    )
    require_writable(plan.url)
    open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        report = ensure_data_set(plan.data_set, plan.url, address, repair=repair)
    logged = track(root, EXPERIMENT, _identity(plan), lambda: _record(plan, report))
    create_markdown_artifact(
        f"Data set of {count} instances of {problem.value}: `{plan.url}`", key=f"generate-{problem.value}"
    )
    return {
        **plan.request,
        "data_sets": [report],
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }


def _identity(plan: DataSetPlan) -> str:
    return f"{plan.data_set.digest}/{plan.url}"


def _record(plan: DataSetPlan, report: dict[str, Any]) -> Record:
    data_set = plan.data_set
    solver = data_set.solver
    assert solver is not None
    return Record(
        name=f"{data_set.problem.name} x {data_set.count}",
        identity=_identity(plan),
        params={"count": data_set.count, "seed": data_set.seed, "solver": solver.name, **solver.options}
        | {f"problem.{name}": value for name, value in data_set.problem.model_dump(mode="json").items()},
        tags={
            "problem": data_set.problem.name,
            "data_set": data_set.digest,
            "data_set_url": report["url"],
            "kernel_source": source_digest(solver.method),
            "paper": data_set.problem.reference,
            "prefect.flow_run": str(runtime.flow_run.id),
            **environment(),
            **machine(),
        },
        metrics={key: float(report[key]) for key in ("instances", "unsolved", "cpu_seconds")},
        inputs=[StoredInput(data_set.problem.name, data_set.digest, report["url"])],
    )
