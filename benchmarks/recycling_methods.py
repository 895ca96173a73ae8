"""The methods that ``benchmarks.recycling_on_multigrid`` compares: solvers with what they carry through a sequence."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.linear_system import LinearSystem
from kernels.linear_systems.bicgstab import bicgstab
from kernels.linear_systems.cg import cg
from kernels.linear_systems.deflated_cg import deflated_cg
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.grid_multigrid import grid_multigrid
from kernels.linear_systems.krylov_tools import RecycledSpace
from kernels.linear_systems.least_squares_start import least_squares_start
from kernels.linear_systems.types import Matrix, Preconditioner
from kernels.result import Result, Status

Array = NDArray[np.float64]
Order = Literal["drawn", "sorted"]
Chain = Callable[[LinearSystem, Preconditioner | None, float], Result]
Solver = Callable[..., Result]

ORDERS: tuple[Order, ...] = ("drawn", "sorted")
RESTART = 40
WINDOW = 40
SETTLED = 5  # systems after which a recycled space is what it will be


@dataclass(frozen=True)
class Method:
    """A solver on a sequence of systems: in which order, with what memory, after how many systems it is measured."""

    name: str
    kind: Literal["plain", "recycled", "start"]
    order: Order
    begin: Callable[[], Chain]
    lead: int = 1


def definite_methods(limit: int) -> list[Method]:
    """For symmetric positive definite systems, which are given up after ``limit`` iterations."""
    plain = partial(cg, max_iterations=limit)
    return [
        *_plain("CG", plain),
        *_recycled("deflated CG, k=20", partial(deflated_cg, recycle=20, max_iterations=limit)),
        *_recycled("deflated CG, k=5", partial(deflated_cg, recycle=5, max_iterations=limit), ["sorted"]),
        *_recycled(f"GCRO-DR({RESTART},20)", _gcrodr(20, limit), ["sorted"]),
        *_starts(plain),
    ]


def general_methods(limit: int, sizes: Sequence[int] = (20, 5)) -> list[Method]:
    """For other systems, which are given up after ``limit`` iterations; ``sizes`` are those of the recycled space."""
    plain = partial(gmres, restart=RESTART, max_iterations=limit)
    methods = [*_plain(f"GMRES({RESTART})", plain), *_plain("BiCGStab", partial(bicgstab, max_iterations=limit))]
    for size in sizes:
        orders: Sequence[Order] = ORDERS if size == sizes[0] else ["sorted"]
        methods += _recycled(f"GCRO-DR({RESTART},{size})", _gcrodr(size, limit), orders)
    return [*methods, *_starts(plain)]


def own_multigrid_methods() -> list[Method]:
    """Grid multigrid as users call it; the starts of its production use."""
    return [*_plain("grid multigrid", _own_multigrid), *_starts(_own_multigrid)]


def direct_methods() -> list[Method]:
    """Sparse LU, which factorises only where the matrix changes."""
    return [Method("sparse LU", "plain", order, SparseLU) for order in ORDERS]


def _plain(name: str, solver: Solver) -> list[Method]:
    return [Method(name, "plain", order, partial(Plain, solver)) for order in ORDERS]


def _recycled(name: str, solver: Callable[..., Any], orders: Sequence[Order] = ORDERS) -> list[Method]:
    return [Method(name, "recycled", order, partial(Recycling, solver), SETTLED) for order in orders]


def _starts(solver: Solver) -> list[Method]:
    windows: list[tuple[int, Order]] = [(WINDOW, "drawn"), (WINDOW, "sorted"), (10, "sorted")]
    return [
        Method("start: neighbour", "start", "sorted", partial(NeighbourStart, solver)),
        *(
            Method(f"start: last {window}", "start", order, partial(LeastSquaresStart, solver, window), window)
            for window, order in windows
        ),
    ]


def _gcrodr(size: int, limit: int) -> Callable[..., Any]:
    return partial(gcrodr, restart=RESTART, recycle=size, max_iterations=limit)


@dataclass(frozen=True, slots=True)
class Plain:
    """A solver that carries nothing."""

    solver: Solver

    def __call__(self, system: LinearSystem, preconditioner: Preconditioner | None, tolerance: float) -> Result:
        """Solve a system."""
        return self.solver(system.matrix, system.rhs, preconditioner=preconditioner, tolerance=tolerance)


@dataclass(slots=True)
class Recycling:
    """A recycling solver and the space it carries."""

    solver: Callable[..., tuple[Result, RecycledSpace | None]]
    space: RecycledSpace | None = None

    def __call__(self, system: LinearSystem, preconditioner: Preconditioner | None, tolerance: float) -> Result:
        """Solve a system with the space of the one before."""
        options = {"preconditioner": preconditioner, "tolerance": tolerance, "recycled": self.space}
        result, self.space = self.solver(system.matrix, system.rhs, **options)
        return result


@dataclass(slots=True)
class NeighbourStart:
    """A plain solver that starts from the solution before."""

    solver: Solver
    solution: Array | None = None

    def __call__(self, system: LinearSystem, preconditioner: Preconditioner | None, tolerance: float) -> Result:
        """Solve a system from the solution of the one before."""
        options = {"preconditioner": preconditioner, "tolerance": tolerance, "initial_guess": self.solution}
        result = self.solver(system.matrix, system.rhs, **options)
        self.solution = result.value
        return result


@dataclass(slots=True)
class LeastSquaresStart:
    """A plain solver that starts from the best combination of the last solutions."""

    solver: Solver
    window: int
    solutions: Array | None = None
    count: int = 0

    def __call__(self, system: LinearSystem, preconditioner: Preconditioner | None, tolerance: float) -> Result:
        """Solve a system; the product with each of the last solutions counts as one with the matrix."""
        if self.solutions is None:
            self.solutions = np.zeros((system.rhs.size, self.window))
        known = min(self.count, self.window)
        start = least_squares_start(system.matrix, system.rhs, self.solutions[:, :known])
        options = {"preconditioner": preconditioner, "tolerance": tolerance, "initial_guess": start}
        result = self.solver(system.matrix, system.rhs, **options)
        self.solutions[:, self.count % self.window] = result.value
        self.count += 1
        products = result.work["operator_applications"] + known
        return Result(result.value, result.status, result.history, {**result.work, "operator_applications": products})


class SparseLU:
    """Sparse LU that factorises only where the matrix changes."""

    def __init__(self) -> None:
        self._waiting: deque[LinearSystem] = deque()
        self._results: Iterator[tuple[int, Result]] | None = None

    def __call__(self, system: LinearSystem, _: Preconditioner | None, tolerance: float) -> Result:
        """Solve a system."""
        self._waiting.append(system)
        if self._results is None:
            self._results = sparse_lu_sequence(iter(self._waiting.popleft, None), tolerance=tolerance)
        return next(self._results)[1]


def _own_multigrid(
    matrix: Matrix,
    rhs: Array,
    *,
    preconditioner: None,  # noqa: ARG001
    tolerance: float,
    initial_guess: Array | None = None,
) -> Result:
    """Grid multigrid from an initial guess, by solving for the correction."""
    if initial_guess is None:
        return grid_multigrid(matrix, rhs, tolerance=tolerance)
    residual = rhs - matrix @ initial_guess
    remaining = float(np.linalg.norm(residual) / np.linalg.norm(rhs))
    if remaining <= tolerance:
        return Result(initial_guess, Status.CONVERGED, np.array([remaining]), {"operator_applications": 1})
    result = grid_multigrid(matrix, residual, tolerance=tolerance / remaining)
    products = result.work["operator_applications"] + 1
    return Result(
        initial_guess + result.value,
        result.status,
        remaining * result.history,
        {**result.work, "operator_applications": products},
    )
