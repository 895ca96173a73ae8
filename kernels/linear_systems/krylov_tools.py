"""What the Krylov solvers share: checked input, counted products, Gram-Schmidt and Givens rotations.

Vectors of a basis are the rows of a C-ordered array, so that every vector is contiguous.
"""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg.blas import dnrm2

from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector, is_finite
from kernels.result import Result, Status

Block = NDArray[np.float64]

# A cycle that takes less than this share off the residual would need 10^10 like it to take one per cent: rounding.
NO_PROGRESS = 1.0 - 1e-12
REORTHOGONALISE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class RecycledSpace:
    """A subspace that one system of a sequence hands to the next.

    Attributes
    ----------
    vectors : ndarray, shape (n, k), float64
        A basis in solution space, where it keeps its meaning while matrix and preconditioner change.
    preconditioned : ndarray, shape (n, k), float64, or None
        The product of the preconditioner M with ``vectors``, for the M of the system the space was taken from.
    """

    vectors: Block
    preconditioned: Block | None = None


class Run:
    """One solve of ``matrix @ x = rhs``: its input, checked, the iterate, the residual history and the counts.

    Attributes
    ----------
    residual : ndarray, shape (n,)
        The residual of the initial guess.
    start_status : Status or None
        How the run ends before it begins (data not finite, zero right-hand side, exact guess); None if it goes on.
    solution : ndarray, shape (n,)
        The iterate, moved by the solver.
    target : float
        The residual norm at which the run has converged.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range; the message names it, its value and what is allowed.
    """

    def __init__(
        self,
        matrix: Matrix,
        rhs: Vector,
        preconditioner: Preconditioner | None,
        tolerance: float,
        max_iterations: int,
        initial_guess: Vector | None,
    ) -> None:
        self.n = check_matrix(matrix)
        check_vector("rhs", rhs, self.n)
        if initial_guess is not None:
            check_vector("initial_guess", initial_guess, self.n)
        check_tolerance(tolerance)
        check_count("max_iterations", max_iterations, least=1)
        self.matrix = matrix
        self.rhs = rhs
        self.preconditioner = preconditioner
        self.max_iterations = max_iterations
        self.rhs_norm = norm(rhs)
        self.target = tolerance * self.rhs_norm
        self.solution = np.zeros(self.n)
        self.history: list[float] = []
        self.iterations = 0
        self.operator_applications = 0
        self.preconditioner_applications = 0
        self._verified_norm = math.inf
        self._last_is_true = True
        self.residual = rhs
        self.start_status: Status | None
        if not is_finite(matrix, rhs):
            self.start_status = Status.NOT_FINITE
            self.history.append(math.nan)
        elif not rhs.any():
            self.start_status = Status.CONVERGED
            self.history.append(0.0)
        else:
            if initial_guess is not None:
                self.solution[:] = initial_guess
            self.history.append(math.nan)
            self.residual, self.start_status = self.verified_residual()

    def multiply(self, vector: Vector, out: Vector) -> Vector:
        """The product of the matrix and ``vector``, written to ``out``."""
        self.operator_applications += 1
        csr_multiply(self.matrix.data, self.matrix.indices, self.matrix.indptr, vector, out)
        return out

    def multiply_rows(self, rows: Block) -> Block:
        """The product of the matrix and each row of ``rows``, as rows."""
        products = np.empty_like(rows)
        for row, out in zip(rows, products, strict=True):
            self.multiply(row, out)
        return products

    def precondition(self, vector: Vector) -> Vector:
        """The preconditioner's solve of ``vector``, or ``vector`` itself where there is none."""
        if self.preconditioner is None:
            return vector
        self.preconditioner_applications += 1
        return self.preconditioner.solve(vector)

    def true_residual(self) -> tuple[Vector, float]:
        """The residual ``rhs - matrix @ solution``, computed from the solution, and its norm, which is recorded."""
        if self.solution.any():
            residual = self.multiply(self.solution, np.empty(self.n))
            np.subtract(self.rhs, residual, out=residual)
        else:
            residual = self.rhs.copy()
        residual_norm = norm(residual)
        self.history[-1] = residual_norm / self.rhs_norm
        self._last_is_true = True
        return residual, residual_norm

    def step_done(self, residual_norm: float) -> None:
        """Count an iteration and record the residual norm it reached."""
        self.iterations += 1
        self.history.append(residual_norm / self.rhs_norm)
        self._last_is_true = False

    def verified_residual(self) -> tuple[Vector, Status | None]:
        """The true residual, and the status it calls for, or None where the solver should go on from it.

        It is asked for when a recurrence says converged; a true residual that has not decreased since it was last
        asked for is at the limit of rounding: STAGNATED.
        """
        residual, residual_norm = self.true_residual()
        previous, self._verified_norm = self._verified_norm, residual_norm
        if not math.isfinite(residual_norm):
            return residual, Status.NOT_FINITE
        if residual_norm <= self.target:
            return residual, Status.CONVERGED
        return residual, Status.STAGNATED if residual_norm > NO_PROGRESS * previous else None

    def finish(self, status: Status, **more_work: float) -> Result:
        """The result of the run as it stands; the last entry of the history is made the true residual."""
        if status is not Status.NOT_FINITE and not self._last_is_true:
            self.true_residual()
        work = {
            "iterations": self.iterations,
            "operator_applications": self.operator_applications,
            "preconditioner_applications": self.preconditioner_applications,
        }
        return Result(self.solution, status, np.array(self.history), work | more_work)


def norm(vector: Vector) -> float:
    """The Euclidean norm, safe from overflow and underflow of the squares."""
    return cast(float, dnrm2(vector)) if vector.size else 0.0


def check_recycled(recycled: RecycledSpace | None, n: int, most: int) -> None:
    """Raise ValueError unless a carried space is finite, fits ``n`` unknowns and has at most ``most`` columns."""
    if recycled is None:
        return
    blocks = {"vectors": recycled.vectors}
    if recycled.preconditioned is not None:
        blocks["preconditioned"] = recycled.preconditioned
    for name, block in blocks.items():
        shape = np.shape(block)
        if len(shape) != 2 or shape[0] != n or shape[1] > most or shape != recycled.vectors.shape:
            raise ValueError(f"recycled.{name} must be an array of shape ({n}, k), k <= {most}, not {shape}")
        if block.dtype != np.float64 or not np.isfinite(block).all():
            raise ValueError(f"recycled.{name} must be finite and float64; it is {block.dtype}")


def carried_rows(run: Run, recycled: RecycledSpace | None) -> tuple[Block, Block]:
    """The carried vectors and their products with the matrix, by rows; none where a product overflows."""
    if recycled is not None:
        vectors = np.ascontiguousarray(recycled.vectors.T)
        images = run.multiply_rows(vectors)
        if np.isfinite(images).all():
            return vectors, images
    return np.empty((0, run.n)), np.empty((0, run.n))


@njit(cache=True)
def csr_multiply(
    data: Vector, indices: NDArray[np.int32], indptr: NDArray[np.int32], vector: Vector, out: Vector
) -> None:
    """Write the product of a CSR matrix and ``vector`` to ``out``.

    Unsigned indices spare numba's test for negative ones, which more than doubles the time.
    """
    for row in range(out.size):
        total = 0.0
        for entry in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            total += data[entry] * vector[np.uint64(indices[entry])]
        out[row] = total


@njit(cache=True, fastmath={"reassoc", "contract"})
def advance(length: float, direction: Vector, product: Vector, solution: Vector, residual: Vector) -> float:
    """Move the solution along a direction and the residual with it in one sweep; return its squared norm."""
    total = 0.0
    for i in range(direction.size):
        solution[i] += length * direction[i]
        residual[i] -= length * product[i]
        total += residual[i] * residual[i]
    return total


@njit(cache=True)
def orthonormalise(basis: Block, count: int, coefficients: Vector) -> float:
    """Orthonormalise row ``count`` of ``basis`` against the rows before it, by classical Gram-Schmidt.

    A second pass follows where the first leaves less than a tenth of the vector, and with it a noticeable share of
    rounding (the criterion of Daniel, Gragg, Kaufman and Stewart 1976; two passes are always enough).

    Parameters
    ----------
    basis : ndarray, shape (at least count + 1, n)
        Rows below ``count`` are orthonormal; row ``count`` is overwritten, by zeros if it depends on them.
    count : int
    coefficients : ndarray, shape (at least count + 1,)
        Receives the components along the rows before, then the norm of what remained.

    Returns
    -------
    float
        The norm of what remained: 0 for a dependent vector, NaN or infinity for one that is not finite.
    """
    vector = basis[count]
    original_norm = float(np.linalg.norm(vector))
    remaining_norm = original_norm
    coefficients[:count] = 0.0
    if count > 0:
        earlier = basis[:count]
        for _ in range(2):
            before = remaining_norm
            projection = np.dot(earlier, vector)
            coefficients[:count] += projection
            vector -= np.dot(projection, earlier)
            remaining_norm = float(np.linalg.norm(vector))
            if remaining_norm > REORTHOGONALISE * before:
                break
    # below this, what remains is the rounding of the subtraction and has no direction
    if remaining_norm <= 10 * np.finfo(np.float64).eps * original_norm:
        remaining_norm = 0.0
        vector[:] = 0.0
    else:
        vector *= 1.0 / remaining_norm
    coefficients[count] = remaining_norm
    return remaining_norm


@njit(cache=True)
def rotate(column: Vector, step: int, rotations: Block, triangle: Block, rotated_rhs: Vector) -> float:
    """Bring a new column of a Hessenberg matrix to triangular form by Givens rotations.

    Parameters
    ----------
    column : ndarray, shape (at least step + 2,)
        Column ``step`` of the Hessenberg matrix; not changed.
    step : int
    rotations : ndarray, shape (2, steps)
        Cosines and sines of the earlier rotations; receives the new ones.
    triangle : ndarray, shape (steps, steps)
        Receives the new column of the triangular factor.
    rotated_rhs : ndarray, shape (steps + 1,)
        The right-hand side of the least-squares problem, rotated so far; rotated once more.

    Returns
    -------
    float
        The residual norm of the least-squares problem with this column.
    """
    upper = column[0]
    for i in range(step):
        cosine, sine = rotations[0, i], rotations[1, i]
        triangle[i, step] = cosine * upper + sine * column[i + 1]
        upper = cosine * column[i + 1] - sine * upper
    length = np.hypot(upper, column[step + 1])
    cosine, sine = (1.0, 0.0) if length == 0.0 else (upper / length, column[step + 1] / length)
    rotations[0, step], rotations[1, step] = cosine, sine
    triangle[step, step] = length
    rotated_rhs[step + 1] = -sine * rotated_rhs[step]
    rotated_rhs[step] *= cosine
    return float(abs(rotated_rhs[step + 1]))


class ArnoldiRelation:
    """The relation ``A @ directions.T = basis.T @ coefficients``, extended one column at a time.

    The first ``leading`` rows of ``basis`` (C) and ``directions`` (U) are set by a recycling method; the rows after
    them are the Krylov basis V and its preconditioned copy Z = M^-1 V. So ``coefficients`` is G = [[D, B], [0, H]], D
    diagonal, H the Hessenberg matrix; with nothing recycled, H alone.

    Parameters
    ----------
    run : Run
    restart : int
        The largest number of columns.
    side : {"right", "left"}
        Where the preconditioner M stands; on the left, A above is M^-1 A and Z is V.
    keep_directions : bool
        Whether ``directions`` is stored; GMRES does without it, for the memory traffic.
    """

    def __init__(self, run: Run, restart: int, *, side: str = "right", keep_directions: bool = False) -> None:
        self.run = run
        self.left = side == "left"
        self.restart = restart
        self.basis = np.zeros((restart + 1, run.n))
        self.directions = np.empty((restart if keep_directions else 0, run.n))
        self.coefficients = np.zeros((restart + 1, restart), order="F")
        self._triangle = np.zeros((restart, restart))
        self._rotations = np.zeros((2, restart))
        self._rotated_rhs = np.zeros(restart + 1)

    def expand(self, leading: int, start_norm: float, threshold: float, scale: float = 1.0) -> tuple[int, float, bool]:
        """Take Arnoldi steps from the unit vector in row ``leading`` of the basis.

        Parameters
        ----------
        leading : int
            The number of recycled rows; their part of ``coefficients`` must be set.
        start_norm : float
            The norm of the residual that the start vector was made from.
        threshold : float
            Stop when the residual norm, times ``scale``, is at or below it.
        scale : float
            From the residual norm of the least-squares problem to what is recorded and compared.

        Returns
        -------
        columns : int
            The number of columns of the relation now.
        estimate : float
            The scaled residual norm that the steps reached; NaN if a vector was not finite.
        exhausted : bool
            Whether the Krylov space is invariant: the last row of the basis is zero.
        """
        run = self.run
        self._rotated_rhs[0] = start_norm
        estimate, exhausted, column = start_norm * scale, False, leading
        while column < self.restart and run.iterations < run.max_iterations and estimate > threshold and not exhausted:
            self._multiply(column)
            new = self.coefficients[:, column]
            remaining = orthonormalise(self.basis, column + 1, new)
            exhausted = remaining == 0.0
            step = column - leading
            estimate = scale * rotate(new[leading:], step, self._rotations, self._triangle, self._rotated_rhs)
            run.step_done(estimate)
            column += 1
            if not math.isfinite(estimate):
                break
        return column, estimate, exhausted

    def minimiser(self, leading: int, columns: int, exhausted: bool) -> Vector:
        """The y, shape (columns - leading,), that minimises ``|| start_norm e_1 - H y ||``.

        In an exhausted space of a singular matrix the last pivot vanishes: that direction is left out.
        """
        size = columns - leading
        triangle = self._triangle[:size, :size]
        pivots = np.abs(np.diagonal(triangle))
        usable = size
        if exhausted and pivots[-1] <= 10 * np.finfo(np.float64).eps * pivots.max():
            usable -= 1
        y = np.zeros(size)
        back_substitute(triangle[:usable, :usable], self._rotated_rhs, y)
        return y

    def _multiply(self, column: int) -> None:
        run, product = self.run, self.basis[column + 1]
        if self.left:
            run.multiply(self.basis[column], product)
            product[:] = run.precondition(product)
            return
        direction = run.precondition(self.basis[column])
        if len(self.directions):
            self.directions[column] = direction
        run.multiply(direction, product)


@njit(cache=True)
def back_substitute(triangle: Block, rhs: Vector, out: Vector) -> None:
    """Solve an upper triangular system; ``rhs`` and ``out`` may be longer than the triangle."""
    for row in range(triangle.shape[0] - 1, -1, -1):
        total = rhs[row]
        for column in range(row + 1, triangle.shape[0]):
            total -= triangle[row, column] * out[column]
        out[row] = total / triangle[row, row]
