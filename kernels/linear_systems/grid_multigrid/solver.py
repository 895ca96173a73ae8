"""What users call: one system, a sequence of systems, or a V-cycle as preconditioner."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.compiled import entry_kernel
from kernels.linear_systems.grid_multigrid import krylov
from kernels.linear_systems.grid_multigrid.hierarchy import build_hierarchy, place_level
from kernels.linear_systems.grid_multigrid.layout import (
    END,
    FIELDS,
    LEVEL_FAMILIES,
    OUTER_END,
    OUTER_FAMILIES,
    RESIDUAL,
    SOLUTION,
    SYMMETRIC,
    place,
    set_symmetry,
)
from kernels.linear_systems.grid_multigrid.residual import true_residual
from kernels.linear_systems.grid_multigrid.stencil import (
    find_grid,
    is_symmetric,
    load,
    make_network,
    mean_diagonal,
    scale_matrix,
    split,
    unload,
)
from kernels.linear_systems.structured_multigrid import MultigridSolver, StructuredGrid
from kernels.linear_systems.types import Matrix, Preconditioner, System, Vector
from kernels.result import Result, Status

MOST_LEVELS = 40

_place = entry_kernel(place)
_place_level = entry_kernel(place_level)
_set_symmetry = entry_kernel(set_symmetry)

_STATUS = {
    krylov.CONVERGED: None,
    krylov.ITERATION_LIMIT: Status.ITERATION_LIMIT,
    krylov.BREAKDOWN: Status.BREAKDOWN,
    krylov.NOT_FINITE: Status.NOT_FINITE,
}


def grid_multigrid(matrix: Matrix, rhs: Vector, *, tolerance: float = 1e-8, max_iterations: int = 200) -> Result:
    """Solve a five-point system on a rectangular grid by CG or BiCGStab with a multigrid V-cycle as preconditioner.

    The grid is found from the pattern of the matrix. A matrix that is exactly symmetric is solved by CG. The V-cycle
    runs in single precision, all else in double.

    It is built for coefficients that jump, for anisotropy along an axis, and for flow: by upwind differences at any
    cell Peclet number, by central ones up to 5 or so. Anisotropy whose direction changes from region to region costs
    ten times the iterations. On all but small grids, central differences at cell Peclet numbers above 20 (10 where the
    flow crosses the boundary) fail, and so do coefficients that jump a millionfold from cell to cell; such runs are
    given up early. It is not for indefinite matrices. Look at the status.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        With the five-point pattern of a grid (zeros stored), points numbered row by row, and a positive diagonal.
    rhs : ndarray, shape (n,), float64
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x with
        the matrix as given; where it disagrees with the recurrence, the iteration starts again from it.
    max_iterations : int
        The limit on iterations; those of BiCGStab have two V-cycles. From the 12th on, a run ends where even thrice
        its rate of convergence would not do within the limit.

    Returns
    -------
    Result
        ``history`` is ``||residual|| / ||rhs||`` per iteration. Status is ITERATION_LIMIT where the limit is reached
        or cannot suffice; BREAKDOWN for a diagonal that is not positive and where CG meets a matrix that is not
        positive definite; STAGNATED when the true residual no longer decreases; NOT_FINITE for NaN or infinity in the
        data or the iteration.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or the pattern is not that of a grid.

    References
    ----------
    .. [1] U. Trottenberg, C. Oosterlee and A. Schueller, "Multigrid", Academic Press, 2001.
    .. [2] Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., 2003, algorithms 7.7 and 9.1.
    .. [3] H. Elman and G. Golub, "Iterative methods for cyclically reduced non-self-adjoint linear systems", Math.
       Comp. 54, 1990: the elimination of one colour.
    """
    return _SOLVER.solve(matrix, rhs, tolerance, max_iterations)


def grid_multigrid_sequence(
    systems: Iterable[System], *, tolerance: float = 1e-8, max_iterations: int = 200
) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems as :func:`grid_multigrid` does, in one workspace as long as the grid stays the same.

    Parameters
    ----------
    systems : iterable of System
    tolerance, max_iterations
        As for :func:`grid_multigrid`.

    Yields
    ------
    position : int
        Of the system in the sequence.
    result : Result

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or a pattern is not that of a grid.
    """
    yield from _SOLVER.solve_sequence(systems, tolerance, max_iterations)


def grid_multigrid_preconditioner(matrix: Matrix) -> Preconditioner:
    """One V-cycle on the red cells, between elimination and back-substitution of the black ones, as M^-1.

    For a symmetric positive definite matrix M is symmetric positive definite, to single precision.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        As for :func:`grid_multigrid`.

    Raises
    ------
    ValueError
        If the matrix is not as described.
    FactorizationError
        If it is not finite or its diagonal not positive; it is a ValueError too.
    """
    return _SOLVER.preconditioner("grid_multigrid", matrix)


class _Grid(StructuredGrid):
    """A grid of rows and columns."""

    shape: tuple[int, int]

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = self.shape = shape
        self._outer = np.zeros(FIELDS, dtype=np.int64)
        _place(self._outer, rows, columns, 0, False, OUTER_FAMILIES)
        self._double = _aligned_zeros(int(self._outer[OUTER_END]), np.float64)
        self._layout = np.zeros((MOST_LEVELS, FIELDS), dtype=np.int64)
        self._single = _aligned_zeros(_most_elements(rows, columns), np.float32)
        self._residual = np.zeros(rows * columns)
        self._levels = 0
        self._unit = 0.0

    def set_up(self, matrix: Matrix) -> Status | None:
        """Take in a matrix; the status it calls for where it cannot be solved."""
        split(matrix.data, self._double, self._outer)
        _set_symmetry(self._outer, is_symmetric(self._double, self._outer))
        self._unit = mean_diagonal(self._double, self._outer)
        if not 0.0 < self._unit < np.inf:
            return Status.BREAKDOWN if np.isfinite(matrix.data).all() else Status.NOT_FINITE
        _place_level(self._single, self._layout, 0, *self.shape, self._outer[SYMMETRIC])
        if not make_network(self._double, self._outer, self._single, self._layout[0], self._unit):
            return Status.NOT_FINITE
        self._levels = build_hierarchy(self._single, self._layout)
        scale_matrix(self._double, self._outer, self._single, self._layout[0], self._unit)
        return None

    def load(self, residual: Vector, factor: float) -> None:
        """To the residual's place."""
        load(residual, self._double, self._outer, self._outer[RESIDUAL], factor)

    def unload(self, factor: float, solution: Vector) -> None:
        """In the units of the matrix as given."""
        unload(self._double, self._outer, self._outer[SOLUTION], factor / self._unit, solution)

    def iterate(self, tolerance: float, history: Vector, iterations: int) -> tuple[int, int, Status | None]:
        """CG where the matrix is symmetric, else BiCGStab."""
        run = krylov.conjugate_gradients if self._outer[SYMMETRIC] else krylov.bicgstab
        iterations, cycles, ended = run(
            self._double, self._outer, self._single, self._layout, self._levels, tolerance, history, iterations
        )
        return iterations, cycles, _STATUS[ended]

    def true_residual(self, matrix: Matrix, solution: Vector, rhs: Vector, factor: float) -> tuple[Vector, float]:
        """With the matrix as given."""
        relative = true_residual(matrix.data, *self.shape, solution, rhs, factor, self._residual)
        return self._residual, relative

    def apply_cycle(self) -> None:
        """On the red cells."""
        krylov.precondition(self._double, self._outer, self._single, self._layout, self._levels)


@lru_cache(maxsize=1024)
def _most_elements(rows: int, columns: int) -> int:
    """The largest workspace that the levels of a grid can take, whichever directions each of them halves."""
    grid = np.zeros(FIELDS, dtype=np.int64)
    _place(grid, rows, columns, 0, False, LEVEL_FAMILIES)
    halved = {((rows + 1) // 2, columns), (rows, (columns + 1) // 2), ((rows + 1) // 2, (columns + 1) // 2)}
    return int(grid[END]) + max((_most_elements(*shape) for shape in halved - {(rows, columns)}), default=0)


def _aligned_zeros(count: int, dtype: Any) -> NDArray[Any]:
    """Zeros that begin at a multiple of 64 bytes, a cache line."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(count + 64 // itemsize, dtype=dtype)
    offset = -memory.ctypes.data % 64 // itemsize
    return memory[offset : offset + count]


_SOLVER: MultigridSolver[_Grid] = MultigridSolver(find_grid, _Grid)
