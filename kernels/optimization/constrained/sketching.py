"""Sketch and project: random rows, or random combinations of all rows, of a linear system."""

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray

from kernels.optimization.constrained.inner_solvers import InnerSolver
from kernels.optimization.constrained.types import Matrix, Vector

# numba looks whether a signed index is negative, which takes as long as the step itself
Indices = NDArray[np.uint32]
LARGEST_BLOCK = 1024  # sketches


class KaczmarzSolver(InnerSolver):
    """Randomized Kaczmarz: project onto the hyperplane of a row drawn uniformly.

    A step costs the entries of a row. The residual of all rows, which costs as much as half of N steps, is refreshed
    after every 2 N.

    Parameters
    ----------
    random : Generator
    most_steps : int
        The limit on steps each time that accuracy is asked for.

    References
    ----------
    .. [1] T. Strohmer, R. Vershynin, "A randomized Kaczmarz algorithm with exponential convergence", J. Fourier Anal.
       Appl. 15, 2009.
    .. [2] R. M. Gower, P. Richtarik, "Randomized iterative methods for linear systems", SIAM J. Matrix Anal. Appl.
       36(4), 2015: sketch and project.
    """

    def __init__(self, random: np.random.Generator, most_steps: int) -> None:
        super().__init__()
        self._random = random
        self._most_steps = most_steps

    def begin(self, matrix: Matrix, rhs: Vector) -> None:
        """Turn to a system, of which only entries that are not zero count."""
        super().begin(matrix, rhs)
        rows = sp.csr_array(matrix)
        self._pointers, self._columns = rows.indptr.astype(np.uint32), rows.indices.astype(np.uint32)
        self._entries = np.asarray(rows.data)
        self._inverse_squares = _inverse_where_positive(np.asarray(rows.multiply(rows).sum(axis=1)))

    def improve(self, target: float) -> None:
        """Go on from the solution so far."""
        self.residual_norm, steps, visited = _kaczmarz(
            self._pointers,
            self._columns,
            self._entries,
            self._inverse_squares,
            self.rhs,
            self.solution,
            self.residual_norm,
            target,
            self._most_steps,
            self._random,
        )
        self.steps += steps
        self.flops += 4.0 * visited


class GaussianSolver(InnerSolver):
    """Project onto the hyperplane of a combination of all rows with Gaussian weights.

    The sketches of N steps, then of twice as many each time, are drawn and multiplied with the matrix at once; after
    each block the residual is refreshed.

    Parameters
    ----------
    random : Generator
    most_steps : int
        The limit on steps each time that accuracy is asked for.
    """

    def __init__(self, random: np.random.Generator, most_steps: int) -> None:
        super().__init__()
        self._random = random
        self._most_steps = most_steps

    def improve(self, target: float) -> None:
        """Go on from the solution so far."""
        size, left = self.rhs.size, self._most_steps
        entries = self.matrix.nnz if isinstance(self.matrix, sp.csr_array) else self.matrix.size
        block = size
        while self.residual_norm > target and left > 0:
            sketches = self._random.standard_normal((min(block, left), size))
            rows = np.ascontiguousarray(sketches @ self.matrix)
            squares = np.einsum("ij,ij->i", rows, rows)
            _project(rows, sketches @ self.rhs, _inverse_where_positive(squares), self.solution)
            self._measure()
            left -= len(sketches)
            block = min(2 * block, LARGEST_BLOCK)
            self.steps += len(sketches)
            self.flops += len(sketches) * (2.0 * entries + 8.0 * size)


def _inverse_where_positive(squares: Vector) -> Vector:
    """The inverse of positive numbers; zero for zero, so that rows without entries are passed over."""
    return np.divide(1.0, squares, out=np.zeros(squares.size), where=squares > 0.0)


@njit(cache=True)
def _kaczmarz(
    pointers: Indices,
    columns: Indices,
    entries: Vector,
    inverse_squares: Vector,
    rhs: Vector,
    solution: Vector,
    residual_norm: float,
    target: float,
    most_steps: int,
    random: np.random.Generator,
) -> tuple[float, int, int]:
    """Steps from a solution, which is overwritten; the residual's norm, the steps and the entries they visited."""
    size = rhs.size
    steps = 0
    visited = 0
    while residual_norm > target and steps < most_steps:
        for _ in range(min(2 * size, most_steps - steps)):
            row = int(random.random() * size)  # a tenth of the time that Generator.integers takes
            begin, end = pointers[row], pointers[row + 1]
            residual = -rhs[row]
            for k in range(begin, end):
                residual += entries[k] * solution[columns[k]]
            factor = residual * inverse_squares[row]
            for k in range(begin, end):
                solution[columns[k]] -= factor * entries[k]
            visited += end - begin
            steps += 1
        total = 0.0
        for row in range(size):
            residual = -rhs[row]
            for k in range(pointers[row], pointers[row + 1]):
                residual += entries[k] * solution[columns[k]]
            total += residual * residual
        visited += entries.size // 2
        residual_norm = np.sqrt(total)
    return residual_norm, steps, visited


@njit(cache=True)
def _project(rows: NDArray[np.float64], offsets: Vector, inverse_squares: Vector, solution: Vector) -> None:
    """Project a vector, which is overwritten, onto one hyperplane after the other."""
    for step in range(len(rows)):
        factor = (rows[step] @ solution - offsets[step]) * inverse_squares[step]
        for k in range(solution.size):
            solution[k] -= factor * rows[step, k]
