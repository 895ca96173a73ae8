"""Incomplete LU factorisation without fill, ILU(0)."""

import numpy as np
from numba import njit

from kernels.linear_systems.preconditioners.factors import (
    FactorizationError,
    Positions,
    TriangularFactors,
    diagonal_positions,
)
from kernels.linear_systems.types import Matrix, Vector


def ilu0(matrix: Matrix) -> TriangularFactors:
    """Factors with (L U)_ij = a_ij on the pattern of A and no entries outside it (Saad 2003, Alg. 10.4).

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR and float64, or a pivot is zero or not finite.
    """
    diagonal = diagonal_positions("ilu0", matrix)
    values = matrix.data.copy()
    row = _eliminate(matrix.indptr, matrix.indices, values, diagonal)
    if row >= 0:
        kind = "zero" if values[diagonal[row]] == 0.0 else "non-finite"
        raise FactorizationError(f"ilu0: {kind} pivot in row {row}")
    return TriangularFactors(matrix.indptr, matrix.indices, values, diagonal)


@njit(cache=True, error_model="numpy")
def _eliminate(indptr: Positions, indices: Positions, values: Vector, diagonal: Positions) -> int:
    """The IKJ variant in place; the row of the first unusable pivot, or -1."""
    position = np.full(diagonal.size, -1, dtype=indptr.dtype)
    for row in range(diagonal.size):
        row_start = indptr[row]
        for entry in range(row_start, indptr[row + 1]):
            position[indices[entry]] = entry
        for entry in range(row_start, diagonal[row]):
            pivot_row = indices[entry]
            multiplier = values[entry] / values[diagonal[pivot_row]]
            values[entry] = multiplier
            for above in range(diagonal[pivot_row] + 1, indptr[pivot_row + 1]):
                target = position[indices[above]]
                # Positions left from earlier rows lie before row_start: no reset is needed.
                if target >= row_start:
                    values[target] -= multiplier * values[above]
        pivot = values[diagonal[row]]
        if pivot == 0.0 or not np.isfinite(pivot):
            return row
    return -1
