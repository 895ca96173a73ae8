"""What solving a sequence of systems would compute, validated before anything is written."""

import math

from data.systems.opening import absolute_location
from data.validation import InputError, choice, validated
from flows.data_set_plan import DataSetPlan
from flows.plan import absolute_url, require_memory
from flows.solvers import PreconditionerName, Solver, make_solver, solver_metrics
from tasks.datasets import DataSet
from tasks.own_systems import OwnSystems, sound_systems_only

DEFAULT_SOLVER = Solver.AUTO
DEFAULT_PRECONDITIONER = PreconditionerName.ILU0  # algebraic: there is no grid


def plan_solutions(
    *,
    systems: str,
    solver: str,
    preconditioner: str,
    tolerance: float,
    shard_size: int,
    root: str,
    out: str,
) -> DataSetPlan:
    """Validate a request to solve the systems at a location; reads all of them once.

    Parameters
    ----------
    systems : str
        An .npz file, a Zarr group, a folder of Matrix Market files, or a function (module:function, file.py:function).
    solver, preconditioner : str
        Empty for the defaults.

    Raises
    ------
    InputError
        One line for the first parameter that is not allowed, or if none of the systems can be solved.
    """
    if shard_size < 1:
        raise InputError(f"shard_size={shard_size} is not allowed: it must be at least 1")
    if not (math.isfinite(tolerance) and 0 < tolerance < 1):
        raise InputError(f"tolerance={tolerance} is not allowed: it must lie between 0 and 1")
    chosen = choice(Solver, "solver", solver or DEFAULT_SOLVER)
    approximation = choice(PreconditionerName, "preconditioner", preconditioner or DEFAULT_PRECONDITIONER)
    problem = validated(OwnSystems, {"systems": absolute_location(systems)})
    count = problem.available()
    contender = sound_systems_only(make_solver(chosen, tolerance, approximation))
    data_set = DataSet(problem, 0, count, min(shard_size, count), contender, solver_metrics(chosen))
    require_memory(data_set.layout())
    request = {
        "systems": systems,
        "solver": chosen.value,
        "preconditioner": approximation.value,
        "tolerance": tolerance,
        "shard_size": shard_size,
        "out": out,
    }
    return DataSetPlan(data_set, absolute_url(out) if out else data_set.url(root), request)
