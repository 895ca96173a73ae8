"""The flow that makes a data set: instances of a problem and their solutions."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from prefect import flow, runtime
from prefect.artifacts import create_table_artifact

from data.registry import problems
from data.sampling import Sampling
from flows.data_set_plan import SHARD_SIZE, DataSetPlan, FloatType, plan_data_sets
from flows.dead_runs import tasks_untagged
from flows.defaults import TIME_LIMIT
from flows.form import MemoryLimit, Repair, Scheduler, StoreRoot, TimeLimit, Workers, form_field
from flows.logs import kept_log, log_start
from flows.plan import store_root
from flows.refusals import refused_in_one_line
from flows.shard_commands import data_set_origin
from flows.solvers import PreconditionerName, Solver
from kernels.linear_systems.adaptive import ARM_NAMES
from tasks.artifacts import show_report
from tasks.cluster import LOCAL, open_cluster
from tasks.limits import limits_on
from tasks.places import require_writable
from tasks.provenance import environment, machine, source_digest
from tasks.stages import DataSetRequest, ensure_data_sets, track
from tasks.store import open_store
from tasks.tracking import Record, StoredInput, mlflow_report, open_tracking

EXPERIMENT = "generate"

ProblemName = StrEnum("ProblemName", {name.replace("-", "_"): name for name in problems()})  # type: ignore[misc]


@flow(name="generate", flow_run_name="{problem}-{count}")
@refused_in_one_line
@kept_log
@tasks_untagged
def generate_data_set(
    problem: Annotated[ProblemName, form_field("the family of instances, see `assay list --problems`")],
    count: Annotated[int, form_field("number of instances to train on", ge=1, le=10**8)] = 100,
    valid: Annotated[int, form_field("further instances for validation", ge=0, le=10**8)] = 0,
    test: Annotated[int, form_field("further instances for testing", ge=0, le=10**8)] = 0,
    settings: Annotated[
        dict[str, Any], form_field('parameters of the problem that differ from its defaults, such as {"grid": 64}')
    ] = {},  # noqa: B006 - Prefect shows the default in its form and never changes it
    solver: Annotated[Solver, form_field("what solves the systems")] = Solver.AUTO,
    preconditioner: Annotated[PreconditionerName, form_field("of the Krylov solvers")] = PreconditionerName.JACOBI,
    tolerance: Annotated[float, form_field("on the true relative residual", gt=0, lt=1)] = 1e-8,
    sampling: Annotated[Sampling, form_field("how the instances cover the space of parameters")] = Sampling.MONTE_CARLO,
    seed: Annotated[int, form_field("seed of all random draws", ge=0, le=2**63 - 1)] = 0,
    shard_size: Annotated[int, form_field("instances per unit of work and of storage", ge=1, le=10**6)] = SHARD_SIZE,
    dtype: Annotated[FloatType, form_field("type of the stored fields")] = FloatType.FLOAT64,
    solution_bits: Annotated[int | None, form_field("mantissa bits kept of solutions; None: all", ge=1, le=52)] = None,
    parameter_bits: Annotated[
        int | None, form_field("mantissa bits kept of parameters; None: all", ge=1, le=52)
    ] = None,
    level: Annotated[int, form_field("of the zstd compression; 0: its default", ge=-7, le=22)] = 0,
    chunk: Annotated[int | None, form_field("instances read at once; None: as many as fit in 4 MiB", ge=1)] = None,
    out: Annotated[str, form_field("path or URL of the data set; empty: below the store, by its digest")] = "",
    store: StoreRoot = "",
    scheduler: Scheduler = LOCAL,
    workers: Workers = None,
    repair: Repair = False,
    time_limit: TimeLimit = TIME_LIMIT,
    memory_limit: MemoryLimit = None,
) -> dict[str, Any]:
    """Draw the instances of a problem, solve them on the cluster and store both in Zarr, with their provenance.

    What an interrupted run left is resumed by the same parameters; a finished data set is reused. Training,
    validation and testing get data sets of their own, which share no random numbers.
    """
    root = store_root(store)
    plans = plan_data_sets(
        problem=problem.value,
        count=count,
        valid=valid,
        test=test,
        settings=settings,
        solver=solver.value,
        preconditioner=preconditioner.value,
        tolerance=tolerance,
        sampling=sampling.value,
        seed=seed,
        shard_size=shard_size,
        dtype=dtype.value,
        solution_bits=solution_bits,
        parameter_bits=parameter_bits,
        level=level,
        chunk=chunk,
        root=root,
        out=out,
    )
    for plan in plans:
        require_writable(plan.url)
    log_start(plans[0].request)
    client = open_tracking(root)
    with open_cluster(scheduler, workers) as address:
        limits = limits_on(address, time_limit, memory_limit)
        reports = ensure_data_sets(
            [
                DataSetRequest(plan.data_set, plan.url, data_set_origin(plan, time_limit, memory_limit))
                for plan in plans
            ],
            address, description=problem.value, limits=limits, repair=repair,
        )  # fmt: skip
    logged = track(root, EXPERIMENT, _identity(plans), lambda: _record(plans, reports))
    create_table_artifact(reports, key=f"data-sets-{problem.value}", description=f"Data sets of {problem.value}")
    show_report(f"generate-{problem.value}", f"Data sets of {problem.value}", [], client, logged, reports)
    return {
        **plans[0].request,
        "data_sets": reports,
        "mlflow": mlflow_report(logged),
        "prefect_flow_run": str(runtime.flow_run.id),
    }


def _identity(plans: Sequence[DataSetPlan]) -> str:
    return " ".join(f"{plan.data_set.digest}/{plan.url}" for plan in plans)


def _record(plans: Sequence[DataSetPlan], reports: Sequence[dict[str, Any]]) -> Record:
    data_set = plans[0].data_set
    solver = data_set.solver
    assert solver is not None
    instances = sum(plan.data_set.count for plan in plans)
    request = {key: plans[0].request[key] for key in ("count", "valid", "test", "seed", "sampling")}
    metrics = {key: float(sum(report[key] for report in reports)) for key in ("instances", "unsolved", "cpu_seconds")}
    return Record(
        name=f"{data_set.problem.name} x {instances}",
        identity=_identity(plans),
        params=request
        | {"solver": solver.name, **solver.options}
        | {f"problem.{name}": value for name, value in data_set.problem.model_dump(mode="json").items()},
        tags={
            "problem": data_set.problem.name,
            "data_set": data_set.digest,
            "data_set_url": reports[0]["url"],
            "kernel_source": source_digest(solver.method),
            "paper": data_set.problem.reference,
            "prefect.flow_run": str(runtime.flow_run.id),
            **environment(),
            **machine(),
        },
        metrics=metrics | solving_totals([report["url"] for report in reports]),
        inputs=[
            StoredInput(data_set.problem.name, plan.data_set.digest, report["url"])
            for plan, report in zip(plans, reports, strict=True)
        ],
    )


def solving_totals(urls: Sequence[str]) -> dict[str, float]:
    """What solving took over all instances: summed counts and costs, and how many instances each solver solved."""
    totals: dict[str, float] = defaultdict(float)
    for url in urls:
        stored = dict(open_store(url, "r").arrays())
        for name in {"iterations", "operator_applications", "fallbacks", "cost"} & stored.keys():
            totals[name] += float(np.nansum(np.asarray(stored[name])))
        if "solver" in stored:
            codes = np.asarray(stored["solver"])
            for code in codes[np.isfinite(codes)]:
                totals[f"solved_by.{ARM_NAMES[int(code)]}"] += 1.0
    return dict(totals)
