"""What users call: one system, a sequence of systems, or a V-cycle as preconditioner."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

import numpy as np

from kernels.linear_systems.compiled import entry_kernel
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
from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.structured_multigrid import MultigridSolver, StructuredGrid
from kernels.linear_systems.types import Matrix, Preconditioner, System, Vector
from kernels.result import Result, Status

MOST_LEVELS = 40

_lay_out = entry_kernel(lay_out)
_place_level = entry_kernel(place_level)

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
    return _SOLVER.solve(matrix, rhs, tolerance, max_iterations)


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
    yield from _SOLVER.solve_sequence(systems, tolerance, max_iterations)


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
    return _SOLVER.preconditioner("grid_multigrid_3d", matrix)


class _Box(StructuredGrid):
    """A box of layers, rows and columns."""

    shape: tuple[int, int, int]

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._outer = np.zeros(FIELDS, dtype=np.int64)
        _lay_out(self._outer, *self.shape, 0, DOUBLE_FAMILIES)
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
        _place_level(self._single, self._layout, 0, *self.shape)
        if not make_network(self._double, self._outer, self._single, self._layout[0], self._unit) > 0.0:
            return Status.BREAKDOWN
        invert_black(self._double, self._outer)
        self._levels = build_hierarchy(self._single, self._layout, self._scratch)
        return None

    def load(self, residual: Vector, factor: float) -> None:
        """To the residual's place."""
        load(residual, self._double, self._outer, self._outer[DOUBLE_RESIDUAL], factor)

    def unload(self, factor: float, solution: Vector) -> None:
        """From the iterate's place."""
        unload(self._double, self._outer, self._outer[SOLUTION], factor, solution)

    def iterate(self, tolerance: float, history: Vector, iterations: int) -> tuple[int, int, Status | None]:
        """Conjugate gradients."""
        iterations, cycles, ended = krylov.conjugate_gradients(
            self._double, self._outer, self._single, self._layout, self._levels, tolerance, history, iterations
        )
        return iterations, cycles, _STATUS[ended]

    def true_residual(self, matrix: Matrix, solution: Vector, rhs: Vector, factor: float) -> tuple[Vector, float]:
        """With the matrix as given."""
        with np.errstate(over="ignore", invalid="ignore"):
            residual = rhs - matrix @ solution
            return residual, norm(residual) * factor

    def apply_cycle(self) -> None:
        """On the red cells."""
        krylov.precondition(self._double, self._outer, self._single, self._layout, self._levels, 1.0 / self._unit)


def _elements(depth: int, rows: int, columns: int, families: int) -> int:
    grid = np.zeros(FIELDS, dtype=np.int64)
    _lay_out(grid, depth, rows, columns, 0, families)
    return int(grid[END])


@lru_cache(maxsize=4096)
def _most_elements(depth: int, rows: int, columns: int) -> int:
    """The largest workspace that the levels of a box can take, whichever axes each of them halves."""
    shape = depth, rows, columns
    halved = set(product(*({cells, (cells + 1) // 2} for cells in shape))) - {shape}
    return _elements(*shape, LEVEL_FAMILIES) + max((_most_elements(*cells) for cells in halved), default=0)


_SOLVER: MultigridSolver[_Box] = MultigridSolver(find_box, _Box)
