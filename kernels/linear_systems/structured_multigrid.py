"""What multigrid on grids of two and of three dimensions shares: the outer iteration, and workspaces that are kept."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from kernels.linear_systems.krylov_tools import NO_PROGRESS, norm
from kernels.linear_systems.preconditioners.factors import FactorizationError
from kernels.linear_systems.types import Matrix, Preconditioner, System, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector
from kernels.result import Result, Status


class StructuredGrid(ABC):
    """The workspaces of a grid, and the matrix that was set up in them last."""

    shape: tuple[int, ...]

    @abstractmethod
    def set_up(self, matrix: Matrix) -> Status | None:
        """Take in a matrix; the status it calls for where it cannot be solved."""

    @abstractmethod
    def load(self, residual: Vector, factor: float) -> None:
        """Take in a residual, multiplied by a factor, and begin at zero."""

    @abstractmethod
    def unload(self, factor: float, solution: Vector) -> None:
        """Add the iterate, multiplied by a factor, to a solution."""

    @abstractmethod
    def iterate(self, tolerance: float, history: Vector, iterations: int) -> tuple[int, int, Status | None]:
        """Run the Krylov method to the tolerance; iterations and V-cycles so far, and how it ended, None if well."""

    @abstractmethod
    def true_residual(self, matrix: Matrix, solution: Vector, rhs: Vector, factor: float) -> tuple[Vector, float]:
        """The residual in double precision, and its norm multiplied by a factor."""

    @abstractmethod
    def apply_cycle(self) -> None:
        """Replace the iterate by a V-cycle applied to the residual."""

    def solve(self, matrix: Matrix, rhs: Vector, rhs_norm: float, tolerance: float, max_iterations: int) -> Result:
        """Solve a system with the matrix that was set up, restarting from the true residual until that is small."""
        solution = np.zeros(rhs.size)
        history = np.empty(max_iterations + 1)
        history[0] = residual_norm = 1.0
        residual, iterations, status = rhs, 0, None
        cycles = products = 0
        while status is None:
            self.load(residual, 1.0 / rhs_norm)
            iterations, run_cycles, status = self.iterate(tolerance, history, iterations)
            cycles += run_cycles
            self.unload(rhs_norm, solution)
            previous = residual_norm
            residual, residual_norm = self.true_residual(matrix, solution, rhs, 1.0 / rhs_norm)
            products += 1
            history[iterations] = residual_norm
            if not np.isfinite(residual_norm):
                status = Status.NOT_FINITE
            elif residual_norm <= tolerance:
                status = Status.CONVERGED
            elif status is None and residual_norm > NO_PROGRESS * previous:
                status = Status.STAGNATED
        return _result(solution, status, history[: iterations + 1].copy(), iterations, cycles, cycles + products)

    def precondition(self, vector: Vector) -> Vector:
        """The V-cycle applied to a vector."""
        solution = np.zeros(vector.size)
        scale = norm(vector)
        if scale > 0.0:
            self.load(vector, 1.0 / scale)
            self.apply_cycle()
            self.unload(scale, solution)
        return solution


Grid = TypeVar("Grid", bound=StructuredGrid)


class MultigridSolver(Generic[Grid]):
    """Multigrid for the grids of one kind.

    Parameters
    ----------
    find_shape : callable
        Matrix -> the shape of the grid whose pattern it has; ValueError if it has none.
    make_grid : callable
        Shape -> the workspaces.
    """

    def __init__(self, find_shape: Callable[[Matrix], Any], make_grid: Callable[[Any], Grid]) -> None:
        self._find_shape, self._make_grid = find_shape, make_grid
        self._of_this_thread = _ThreadMemory()

    def solve(self, matrix: Matrix, rhs: Vector, tolerance: float, max_iterations: int) -> Result:
        """Solve one system, in the workspaces that this thread used last if they fit."""
        check_tolerance(tolerance)
        check_count("max_iterations", max_iterations, least=1)
        return self._solve(self._of_this_thread, matrix, rhs, tolerance, max_iterations)

    def solve_sequence(
        self, systems: Iterable[System], tolerance: float, max_iterations: int
    ) -> Iterator[tuple[int, Result]]:
        """Solve systems one after another, in workspaces of their own."""
        check_tolerance(tolerance)
        check_count("max_iterations", max_iterations, least=1)
        memory = _Memory()
        for position, system in enumerate(systems):
            yield position, self._solve(memory, system.matrix, system.rhs, tolerance, max_iterations)

    def preconditioner(self, name: str, matrix: Matrix) -> Preconditioner:
        """One V-cycle as M^-1."""
        check_matrix(matrix)
        grid = self._make_grid(self._find_shape(matrix))
        if (status := grid.set_up(matrix)) is not None:
            raise FactorizationError(f"{name}: no hierarchy for this matrix ({status})")

        def solve(vector: Vector) -> Vector:
            check_vector("vector", vector, matrix.shape[0])
            return grid.precondition(vector)

        return Preconditioner(name, solve, None)

    def _solve(self, memory: "_Memory", matrix: Matrix, rhs: Vector, tolerance: float, max_iterations: int) -> Result:
        check_vector("rhs", rhs, check_matrix(matrix))
        shape = self._find_shape(matrix)
        grid = memory.grid
        if grid is None or grid.shape != shape:
            grid = memory.grid = self._make_grid(shape)
        rhs_norm = norm(rhs)
        status = grid.set_up(matrix)
        if status is Status.NOT_FINITE or not np.isfinite(rhs_norm):
            memory.grid = None  # what is not finite in the workspaces would stay
            return _result(np.zeros(rhs.size), Status.NOT_FINITE, np.array([np.nan]))
        if rhs_norm == 0.0:
            return _result(np.zeros(rhs.size), Status.CONVERGED, np.zeros(1))
        if status is not None:
            return _result(np.zeros(rhs.size), status, np.ones(1))
        result = grid.solve(matrix, rhs, rhs_norm, tolerance, max_iterations)
        if result.status is Status.NOT_FINITE:
            memory.grid = None
        return result


class _Memory:
    """The workspaces of the last grid."""

    def __init__(self) -> None:
        self.grid: StructuredGrid | None = None


class _ThreadMemory(threading.local, _Memory):
    """Fresh workspaces cost as much as a solve: the kernel's page faults. So every thread keeps its last ones."""


def _result(
    solution: Vector, status: Status, history: Vector, iterations: int = 0, cycles: int = 0, products: int = 0
) -> Result:
    work = {"iterations": iterations, "operator_applications": products, "preconditioner_applications": cycles}
    return Result(solution, status, history, work)
