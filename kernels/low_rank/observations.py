"""What is observed of a matrix that is to be completed: its entries, by rows and by columns."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.integer]


class PartialMatrix(Protocol):
    """Some entries of a matrix and the rank to complete it with."""

    @property
    def rows(self) -> Indices:
        """The row of every observed entry, shape (entries,)."""
        ...

    @property
    def columns(self) -> Indices:
        """The column of every observed entry, shape (entries,)."""
        ...

    @property
    def values(self) -> Array:
        """The observed entries, shape (entries,), float64."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the matrix."""
        ...

    @property
    def rank(self) -> int:
        """The rank of the completion."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """The observed entries P_Omega(M) as a sparse matrix by rows and by columns; observed zeros are stored.

    Attributes
    ----------
    by_row : csr_array, shape (m, n), float64
    by_column : csr_array, shape (n, m), float64
        The transpose.
    """

    by_row: sp.csr_array
    by_column: sp.csr_array


def check_partial_matrix(matrix: PartialMatrix) -> None:
    """Check the shapes, types and ranges of what is observed.

    Raises
    ------
    ValueError
        If the arrays have no entry, differ in shape or type from what is declared, an index lies outside the matrix,
        or the rank is not between 1 and the smaller side.
    """
    height, width = matrix.shape
    if matrix.values.ndim != 1 or matrix.values.size == 0:
        raise ValueError(f"values must have shape (entries,) with at least one entry, not {matrix.values.shape}")
    if matrix.values.dtype != np.float64:
        raise ValueError(f"values must be float64, not {matrix.values.dtype}")
    for name, indices, side in (("rows", matrix.rows, height), ("columns", matrix.columns, width)):
        if indices.shape != matrix.values.shape or not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(f"{name} must be {matrix.values.size} integers, not {indices.dtype}{indices.shape}")
        if indices.min() < 0 or indices.max() >= side:
            raise ValueError(f"{name} must lie in 0..{side - 1}, not {indices.min()}..{indices.max()}")
    if not 1 <= matrix.rank <= min(height, width):
        raise ValueError(f"rank must be between 1 and {min(height, width)}, not {matrix.rank}")


def observe(matrix: PartialMatrix) -> Observations:
    """Sort the observed entries by rows and by columns.

    Raises
    ------
    ValueError
        If an entry is given twice.
    """
    by_row = sp.csr_array((matrix.values, (matrix.rows, matrix.columns)), shape=matrix.shape)
    if by_row.nnz != matrix.values.size:
        raise ValueError(f"entries must be given once; {matrix.values.size - by_row.nnz} of them are repeated")
    return Observations(by_row, sp.csr_array(by_row.T))


def split_observations(matrix: PartialMatrix, parts: int, random: np.random.Generator) -> list[Observations]:
    """Observations dealt at random into parts of equal size (up to one entry)."""
    part = random.permutation(matrix.values.size) % parts
    return [_select(matrix, part == number) for number in range(parts)]


def _select(matrix: PartialMatrix, chosen: NDArray[np.bool_]) -> Observations:
    entries = matrix.values[chosen], (matrix.rows[chosen], matrix.columns[chosen])
    by_row = sp.csr_array(entries, shape=matrix.shape)
    return Observations(by_row, sp.csr_array(by_row.T))
