"""Triangular factors L U stored in one CSR pattern, with numba sweeps for M^-1 v and M v."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.types import Matrix, Vector
from kernels.linear_systems.validation import check_matrix, check_vector

Positions = NDArray[np.signedinteger[Any]]


class FactorizationError(ValueError):
    """A preconditioner does not exist for this matrix: a zero, non-positive or non-finite pivot."""


@dataclass(frozen=True, slots=True, eq=False)
class TriangularFactors:
    """M = L U with a unit lower L and an upper U, rows of both in one CSR structure.

    Attributes
    ----------
    indptr, indices : ndarray of int
        The CSR pattern; the diagonal is stored in every row.
    values : ndarray, shape (nnz,), float64
        Below the diagonal those of L, from the diagonal on those of U.
    diagonal : ndarray of int, shape (n,)
        Where the diagonal entry of each row is stored.
    """

    indptr: Positions
    indices: Positions
    values: Vector
    diagonal: Positions
    _inverse_pivots: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_inverse_pivots", 1.0 / self.values[self.diagonal])

    def solve(self, vector: Vector) -> Vector:
        """U^-1 L^-1 v for a vector of shape (n,)."""
        check_vector("vector", vector, self.diagonal.size)
        solution: Vector = _solve(self.indptr, self.indices, self.values, self.diagonal, self._inverse_pivots, vector)
        return solution

    def multiply(self, vector: Vector) -> Vector:
        """L U v for a vector of shape (n,)."""
        check_vector("vector", vector, self.diagonal.size)
        product: Vector = _multiply(self.indptr, self.indices, self.values, self.diagonal, vector)
        return product


def check_finite(name: str, matrix: Matrix) -> None:
    """Check a matrix that is to be factorised.

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR and float64.
    FactorizationError
        If it holds NaN or infinity.
    """
    check_matrix(matrix)
    if not np.isfinite(matrix.data).all():
        raise FactorizationError(f"{name}: NaN or infinity in the matrix")


def diagonal_positions(name: str, matrix: Matrix) -> Positions:
    """Where in ``matrix.data`` the diagonal entry of each row is stored; shape (n,).

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR and float64.
    FactorizationError
        If it holds NaN or infinity, or has a row without a diagonal entry.
    """
    check_finite(name, matrix)
    positions: Positions = _find_diagonal(matrix.indptr, matrix.indices)
    if (positions < 0).any():
        raise FactorizationError(f"{name}: no diagonal entry in row {int((positions < 0).argmax())}")
    return positions


def nonzero_diagonal(name: str, matrix: Matrix) -> tuple[Positions, Vector]:
    """Where the diagonal entries are stored, and their values, none of them zero.

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR and float64.
    FactorizationError
        If it holds NaN or infinity, or a diagonal entry is missing or zero.
    """
    positions = diagonal_positions(name, matrix)
    diagonal: Vector = matrix.data[positions]
    if (diagonal == 0.0).any():
        raise FactorizationError(f"{name}: zero diagonal in row {int((diagonal == 0.0).argmax())}")
    return positions, diagonal


@njit(cache=True)
def _find_diagonal(indptr: Positions, indices: Positions) -> Positions:
    positions = np.full(indptr.size - 1, -1, dtype=indptr.dtype)
    for row in range(positions.size):
        for entry in range(indptr[row], indptr[row + 1]):
            if indices[entry] == row:
                positions[row] = entry
    return positions


@njit(cache=True)
def _solve(
    indptr: Positions,
    indices: Positions,
    values: Vector,
    diagonal: Positions,
    inverse_pivots: Vector,
    vector: Vector,
) -> Vector:
    solution = np.empty(diagonal.size)
    for row in range(diagonal.size):
        remainder = vector[row]
        for entry in range(indptr[row], diagonal[row]):
            remainder -= values[entry] * solution[indices[entry]]
        solution[row] = remainder
    for row in range(diagonal.size - 1, -1, -1):
        remainder = solution[row]
        for entry in range(diagonal[row] + 1, indptr[row + 1]):
            remainder -= values[entry] * solution[indices[entry]]
        solution[row] = remainder * inverse_pivots[row]
    return solution


@njit(cache=True)
def _multiply(indptr: Positions, indices: Positions, values: Vector, diagonal: Positions, vector: Vector) -> Vector:
    product = np.empty(diagonal.size)
    for row in range(diagonal.size):
        total = 0.0
        for entry in range(diagonal[row], indptr[row + 1]):
            total += values[entry] * vector[indices[entry]]
        product[row] = total
    # L reads only rows above, so that going upwards it can overwrite U v.
    for row in range(diagonal.size - 1, -1, -1):
        total = product[row]
        for entry in range(indptr[row], diagonal[row]):
            total += values[entry] * product[indices[entry]]
        product[row] = total
    return product
