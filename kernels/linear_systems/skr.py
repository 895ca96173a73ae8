"""Sorting Krylov Recycling: related systems, sorted into a chain of neighbours and solved by recycling."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from kernels.linear_systems.deflated_cg import deflated_cg
from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.krylov_tools import RecycledSpace
from kernels.linear_systems.ordering import order_sequence
from kernels.linear_systems.preconditioners import FactorizationError, build_preconditioner
from kernels.linear_systems.solvers import not_preconditioned
from kernels.linear_systems.types import System
from kernels.result import Result


def sorting_krylov_recycling(
    systems: Sequence[System],
    *,
    ordering: str = "greedy",
    ordering_options: Mapping[str, Any] | None = None,
    solver: Literal["gcrodr", "deflated_cg"] = "gcrodr",
    preconditioner: str = "jacobi",
    restart: int = 30,
    recycle: int = 10,
    carry: bool = True,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems in a sorted order, each with the space that the one before left.

    Parameters
    ----------
    systems : sequence of System
        All of one size n; their parameters, of one shape (p,), are what is sorted by.
    ordering : str
        A name that :func:`~kernels.linear_systems.ordering.order_sequence` knows, with its ``ordering_options``.
        ``"greedy"`` is the paper's; ``"none"`` leaves out the sorting.
    solver : {"gcrodr", "deflated_cg"}
        The recycling solver: the paper's GCRO-DR, or deflated CG for symmetric positive definite systems.
    preconditioner : str
        A name that :func:`~kernels.linear_systems.preconditioners.build_preconditioner` knows; built for each system.
    restart : int
        m, the dimension of a GCRO-DR cycle; deflated CG has no use for it.
    recycle : int
        k, the dimension of the space carried from system to system.
    carry : bool
        Whether the space is carried; if not, each system starts afresh, which leaves deflated restarting alone.
    tolerance, max_iterations
        As for the solver: on the true relative residual, for each system.

    Yields
    ------
    position : int
        Of the system in ``systems``.
    result : Result
        As from the solver; BREAKDOWN where the preconditioner does not exist for the matrix.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    H. Wang, Z. Hao, J. Wang, Z. Geng, Z. Wang, B. Li, F. Wu, "Accelerating data generation for neural operators via
    Krylov subspace recycling", ICLR 2024, algorithms 1 (sorting) and 2.
    """
    solvers: Mapping[str, Callable[..., tuple[Result, RecycledSpace | None]]] = {
        "gcrodr": partial(gcrodr, restart=restart),
        "deflated_cg": deflated_cg,
    }
    if solver not in solvers:
        raise ValueError(f"solver must be one of {', '.join(solvers)}, not {solver!r}")
    # step 1: sort the systems into a chain of neighbours by their parameters
    parameters = np.stack([system.parameters for system in systems])
    order = order_sequence(parameters, ordering, **(ordering_options or {}))
    # step 2: solve them in that order, handing on the recycled space
    space = None
    for position in order:
        system = systems[position]
        try:
            approximation = build_preconditioner(preconditioner, system.matrix)
        except FactorizationError:
            yield int(position), not_preconditioned(system)
            continue
        result, left = solvers[solver](
            system.matrix,
            system.rhs,
            preconditioner=approximation,
            recycle=recycle,
            tolerance=tolerance,
            max_iterations=max_iterations,
            recycled=space,
        )
        space = left if carry else None
        yield int(position), result
