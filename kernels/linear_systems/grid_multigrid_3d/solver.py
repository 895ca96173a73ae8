"""What users call: one system, a sequence of systems, or a V-cycle as preconditioner."""

import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

import numpy as np

from kernels.linear_systems.grid_multigrid_3d import krylov
from kernels.linear_systems.grid_multigrid_3d.hierarchy import build_hierarchy, place_level
from kernels.linear_systems.grid_multigrid_3d.layout import (
    DOUBLE_FAMILIES,
    DOUBLE_RESIDUAL,
    END,
    FIELDS,
    LEVEL_FAMILIES,
    NETWORK,
    SOLUTION,
    lay_out,
)
from kernels.linear_systems.grid_multigrid_3d.matrix import (
    find_box,
    invert_black,
    load,
    make_network,
    mean_diagonal,
    split,
    unload,
)
from kernels.linear_systems.krylov_tools import NO_PROGRESS, norm
from kernels.linear_systems.preconditioners.factors import FactorizationError
from kernels.linear_systems.types import Matrix, Preconditioner, System, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector
from kernels.result import Result, Status

MOST_LEVELS = 40

_STATUS = {
    krylov.CONVERGED: None,
    krylov.ITERATION_LIMIT: Status.ITERATION_LIMIT,
    krylov.BREAKDOWN: Status.BREAKDOWN,
    krylov.NOT_FINITE: Status.NOT_FINITE,
}


def grid_multigrid_3d(matrix: Matrix, rhs: Vector, *, tolerance: float = 1e-8, max_iterations: int = 200) -> Result:
    """Solve a symmetric seven-point system on a box by CG with a multigrid V-cycle as preconditioner.

    The box is found from the pattern of the matrix. The V-cycle runs in single precision, all else in double. It is
    built for coefficients that jump and for anisotropy along the grid; not for indefinite matrices.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        With the seven-point pattern of a box (zeros stored), points numbered with x fastest, exactly symmetric, and
        with a positive diagonal.
    rhs : ndarray, shape (n,), float64
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x with
        the matrix as given; where it disagrees with the recurrence, the iteration starts again from it.
    max_iterations : int
        The limit on iterations.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration. Status is BREAKDOWN for a matrix that is not symmetric,
        for a diagonal that is not positive and where CG meets a matrix that is not positive definite; STAGNATED when
        the true residual no longer decreases; NOT_FINITE for NaN or infinity in the data or the iteration.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or the pattern is not that of a box.

    References
    ----------
    .. [1] U. Trottenberg, C. Oosterlee and A. Schueller, "Multigrid", Academic Press, 2001.
    .. [2] Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, algorithm 9.1.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, least=1)
    return _solve(_of_this_thread, matrix, rhs, tolerance, max_iterations)


def grid_multigrid_3d_sequence(
    systems: Iterable[System], *, tolerance: float = 1e-8, max_iterations: int = 200
) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems as :func:`grid_multigrid_3d` does, in one workspace while the box stays the same.

    Parameters
    ----------
    systems : iterable of System
    tolerance, max_iterations
        As for :func:`grid_multigrid_3d`.

    Yields
    ------
    position : int
        Of the system in the sequence.
    result : Result

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or a pattern is not that of a box.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, least=1)
    memory = _Memory()
    for position, system in enumerate(systems):
        yield position, _solve(memory, system.matrix, system.rhs, tolerance, max_iterations)


def grid_multigrid_3d_preconditioner(matrix: Matrix) -> Preconditioner:
    """One V-cycle on the red cells, between elimination and back-substitution of the black ones, as M^-1.

    For a symmetric positive definite matrix M is symmetric positive definite, to single precision.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        As for :func:`grid_multigrid_3d`.

    Raises
    ------
    ValueError
        If the matrix is not as described.
    FactorizationError
        If it is not finite or symmetric or its diagonal not positive; it is a ValueError too.
    """
    check_matrix(matrix)
    box = _Box(*find_box(matrix))
    if box.set_up(matrix) is not None:
        raise FactorizationError(
            "grid_multigrid_3d: the matrix is not finite, not symmetric or its diagonal not positive"
        )

    def solve(vector: Vector) -> Vector:
        check_vector("vector", vector, matrix.shape[0])
        return box.precondition(vector)

    return Preconditioner("grid_multigrid_3d", solve, None)


class _Box:
    """The workspaces of a box, and the matrix that was set up in them last."""

    def __init__(self, depth: int, rows: int, columns: int) -> None:
        self.shape = depth, rows, columns
        self._outer = np.zeros(FIELDS, dtype=np.int64)
        lay_out(self._outer, *self.shape, 0, DOUBLE_FAMILIES)
        self._double = np.zeros(self._outer[END])
        self._layout = np.zeros((MOST_LEVELS, FIELDS), dtype=np.int64)
        self._scratch = _most_elements(*self.shape)
        self._single = np.zeros(self._scratch + 2 * _elements(*self.shape, NETWORK), dtype=np.float32)
        self._levels = 0
        self._unit = 0.0

    def set_up(self, matrix: Matrix) -> Status | None:
        """Take in a matrix; the status it calls for where it cannot be solved."""
        symmetric = split(matrix.data, self._double, self._outer)
        self._unit = mean_diagonal(self._double, self._outer)
        if not (symmetric and 0.0 < self._unit < np.inf):
            return Status.BREAKDOWN if np.isfinite(matrix.data).all() else Status.NOT_FINITE
        place_level(self._single, self._layout, 0, *self.shape)
        if not make_network(self._double, self._outer, self._single, self._layout[0], self._unit) > 0.0:
            return Status.BREAKDOWN
        invert_black(self._double, self._outer)
        self._levels = build_hierarchy(self._single, self._layout, self._scratch)
        return None

    def solve(self, matrix: Matrix, rhs: Vector, rhs_norm: float, tolerance: float, max_iterations: int) -> Result:
        """Solve a system with the matrix that was set up."""
        solution = np.zeros(rhs.size)
        history = np.empty(max_iterations + 1)
        history[0] = residual_norm = 1.0
        residual, iterations, status = rhs, 0, None
        cycles = products = 0
        while status is None:
            load(residual, self._double, self._outer, self._outer[DOUBLE_RESIDUAL], 1.0 / rhs_norm)
            iterations, run_cycles, ended = krylov.conjugate_gradients(
                self._double, self._outer, self._single, self._layout, self._levels, tolerance, history, iterations
            )
            cycles += run_cycles
            status = _STATUS[ended]
            unload(self._double, self._outer, self._outer[SOLUTION], rhs_norm, solution)
            with np.errstate(over="ignore", invalid="ignore"):
                residual = rhs - matrix @ solution
                previous, residual_norm = residual_norm, norm(residual) / rhs_norm
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
            load(vector, self._double, self._outer, self._outer[DOUBLE_RESIDUAL], 1.0 / scale)
            krylov.precondition(self._double, self._outer, self._single, self._layout, self._levels, 1.0 / self._unit)
            unload(self._double, self._outer, self._outer[SOLUTION], scale, solution)
        return solution


class _Memory:
    """The workspaces of the last box."""

    def __init__(self) -> None:
        self._box: _Box | None = None

    def box(self, depth: int, rows: int, columns: int) -> _Box:
        """Workspaces for a box."""
        if self._box is None or self._box.shape != (depth, rows, columns):
            self._box = _Box(depth, rows, columns)
        return self._box

    def forget(self) -> None:
        """Drop the workspaces: what is not finite in them would stay."""
        self._box = None


class _ThreadMemory(threading.local, _Memory):
    """Fresh workspaces cost as much as a solve: the kernel's page faults. So every thread keeps its last ones."""


_of_this_thread = _ThreadMemory()


def _solve(memory: _Memory, matrix: Matrix, rhs: Vector, tolerance: float, max_iterations: int) -> Result:
    check_vector("rhs", rhs, check_matrix(matrix))
    box = memory.box(*find_box(matrix))
    rhs_norm = norm(rhs)
    status = box.set_up(matrix)
    if status is Status.NOT_FINITE or not np.isfinite(rhs_norm):
        memory.forget()
        return _result(np.zeros(rhs.size), Status.NOT_FINITE, np.array([np.nan]))
    if rhs_norm == 0.0:
        return _result(np.zeros(rhs.size), Status.CONVERGED, np.zeros(1))
    if status is not None:
        return _result(np.zeros(rhs.size), status, np.ones(1))
    result = box.solve(matrix, rhs, rhs_norm, tolerance, max_iterations)
    if result.status is Status.NOT_FINITE:
        memory.forget()
    return result


def _result(
    solution: Vector, status: Status, history: Vector, iterations: int = 0, cycles: int = 0, products: int = 0
) -> Result:
    work = {"iterations": iterations, "operator_applications": products, "preconditioner_applications": cycles}
    return Result(solution, status, history, work)


def _elements(depth: int, rows: int, columns: int, families: int) -> int:
    grid = np.zeros(FIELDS, dtype=np.int64)
    lay_out(grid, depth, rows, columns, 0, families)
    return int(grid[END])


@lru_cache(maxsize=4096)
def _most_elements(depth: int, rows: int, columns: int) -> int:
    """The largest workspace that the levels of a box can take, whichever axes each of them halves."""
    shape = depth, rows, columns
    halved = set(product(*({cells, (cells + 1) // 2} for cells in shape))) - {shape}
    return _elements(*shape, LEVEL_FAMILIES) + max((_most_elements(*cells) for cells in halved), default=0)
