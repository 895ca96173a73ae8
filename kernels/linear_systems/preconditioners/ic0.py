"""Incomplete Cholesky factorisation without fill, IC(0), with a diagonal shift where it breaks down."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numba import njit

from kernels.linear_systems.preconditioners.factors import FactorizationError, Positions, nonzero_diagonal
from kernels.linear_systems.types import Matrix, Vector
from kernels.linear_systems.validation import check_vector

FIRST_SHIFT = 1e-3
LARGEST_SHIFT = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class CholeskyFactor:
    """M = L L^T with a lower triangular L, stored by rows.

    Attributes
    ----------
    lower : csr_array, shape (n, n), float64
        L; the diagonal is the last entry of each row.
    shift : float
        alpha, where it is A + alpha diag(A) that was factorised; 0 if A itself.
    """

    lower: Matrix
    shift: float
    _inverse_pivots: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_inverse_pivots", 1.0 / self.lower.diagonal())

    def solve(self, vector: Vector) -> Vector:
        """L^-T L^-1 v for a vector of shape (n,)."""
        lower = self.lower
        check_vector("vector", vector, lower.shape[0])
        solution: Vector = _solve(lower.indptr, lower.indices, lower.data, self._inverse_pivots, vector)
        return solution

    def multiply(self, vector: Vector) -> Vector:
        """L L^T v for a vector of shape (n,)."""
        check_vector("vector", vector, self.lower.shape[0])
        product: Vector = _multiply(self.lower.indptr, self.lower.indices, self.lower.data, vector)
        return product


def ic0(matrix: Matrix) -> CholeskyFactor:
    """Factor with (L L^T)_ij = a_ij on the pattern of A's lower triangle and no entries outside it.

    Where a pivot is not positive, A + alpha diag(A) is factorised instead, alpha = 1e-3, 2e-3, 4e-3 ... until it
    succeeds (Manteuffel 1980, Math. Comp. 34; the doubling is Lin and Moré's, 1999). ``shift`` says which alpha it was.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric with a positive diagonal.

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR, float64 and symmetric, or a diagonal entry is not positive.
    """
    _, diagonal = nonzero_diagonal("ic0", matrix)
    if (diagonal < 0.0).any():
        raise FactorizationError(f"ic0: negative diagonal in row {int((diagonal < 0.0).argmax())}")
    asymmetry = abs(matrix - matrix.T).max()
    if asymmetry > 1e-12 * diagonal.max():
        raise ValueError(f"matrix must be symmetric; the largest |a_ij - a_ji| is {asymmetry:.1e}")

    triangle = sp.csr_array(sp.tril(matrix, format="csr"))
    last = triangle.indptr[1:] - 1
    shift = 0.0
    while shift <= LARGEST_SHIFT:
        values = triangle.data.copy()
        values[last] *= 1.0 + shift
        row = _factorize(triangle.indptr, triangle.indices, values)
        if row < 0:
            return CholeskyFactor(sp.csr_array((values, triangle.indices, triangle.indptr), matrix.shape), shift)
        shift = max(2.0 * shift, FIRST_SHIFT)
    raise FactorizationError(f"ic0: no positive pivot in row {row} with a diagonal shift of up to {LARGEST_SHIFT:g}")


@njit(cache=True, error_model="numpy")
def _factorize(indptr: Positions, indices: Positions, values: Vector) -> int:
    """Row-oriented Cholesky in place; the row of the first pivot that is not positive, or -1."""
    size = indptr.size - 1
    position = np.full(size, -1, dtype=indptr.dtype)
    for row in range(size):
        row_start, last = indptr[row], indptr[row + 1] - 1
        pivot = values[last]
        for entry in range(row_start, last):
            column = indices[entry]
            column_last = indptr[column + 1] - 1
            value = values[entry]
            for other in range(indptr[column], column_last):
                target = position[indices[other]]
                # Positions left from earlier rows lie before row_start: no reset is needed.
                if target >= row_start:
                    value -= values[target] * values[other]
            value /= values[column_last]
            values[entry] = value
            position[column] = entry
            pivot -= value * value
        if not (pivot > 0.0 and np.isfinite(pivot)):
            return row
        values[last] = np.sqrt(pivot)
    return -1


@njit(cache=True)
def _solve(indptr: Positions, indices: Positions, values: Vector, inverse_pivots: Vector, vector: Vector) -> Vector:
    size = inverse_pivots.size
    solution = np.empty(size)
    for row in range(size):
        remainder = vector[row]
        for entry in range(indptr[row], indptr[row + 1] - 1):
            remainder -= values[entry] * solution[indices[entry]]
        solution[row] = remainder * inverse_pivots[row]
    for row in range(size - 1, -1, -1):
        solved = solution[row] * inverse_pivots[row]
        solution[row] = solved
        for entry in range(indptr[row], indptr[row + 1] - 1):
            solution[indices[entry]] -= values[entry] * solved
    return solution


@njit(cache=True)
def _multiply(indptr: Positions, indices: Positions, values: Vector, vector: Vector) -> Vector:
    size = indptr.size - 1
    transposed = np.zeros(size)
    for row in range(size):
        for entry in range(indptr[row], indptr[row + 1]):
            transposed[indices[entry]] += values[entry] * vector[row]
    product = np.empty(size)
    for row in range(size):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            total += values[entry] * transposed[indices[entry]]
        product[row] = total
    return product
