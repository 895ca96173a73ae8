"""Incomplete LU factorisation with a drop tolerance and a bound on the fill, ILUT."""

import heapq
import math

import numpy as np
from numba import njit

from kernels.linear_systems.preconditioners.factors import (
    FactorizationError,
    Positions,
    TriangularFactors,
    check_finite,
)
from kernels.linear_systems.types import Matrix, Vector


def ilut(matrix: Matrix, *, drop_tolerance: float = 1e-3, fill_factor: float = 5.0) -> TriangularFactors:
    """Dual-threshold incomplete LU factors, ILUT(p, tau) (Saad 2003, Alg. 10.6), without pivoting.

    M is not symmetric even where A is: it preconditions GMRES, not CG.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    drop_tolerance : float
        tau: an entry smaller than tau times the 2-norm of its row of A is dropped. At least 0.
    fill_factor : float
        L and U together keep at most about this many times the entries of A: p = ceil(fill_factor nnz / (2 n)) in each
        row of L and in each row of U beside the diagonal. Positive; infinity for no bound.

    Raises
    ------
    ValueError
        If an argument is not as described, or a pivot is zero or not finite.
    """
    if not (drop_tolerance >= 0.0 and math.isfinite(drop_tolerance)):
        raise ValueError(f"drop_tolerance must be at least 0 and finite, not {drop_tolerance}")
    if not fill_factor > 0.0:
        raise ValueError(f"fill_factor must be positive, not {fill_factor}")
    check_finite("ilut", matrix)
    size = matrix.shape[0]
    kept = math.ceil(min(fill_factor * matrix.nnz / (2 * size), size))
    row, indptr, indices, values, diagonal = _factorize(
        matrix.indptr, matrix.indices, matrix.data, drop_tolerance, kept
    )
    if row >= 0:
        raise FactorizationError(f"ilut: zero or non-finite pivot in row {row}")
    return TriangularFactors(indptr, indices, values, diagonal)


@njit(cache=True, error_model="numpy")
def _factorize(
    indptr: Positions, indices: Positions, data: Vector, drop_tolerance: float, kept: int
) -> tuple[int, Positions, Positions, Vector, Positions]:
    """The row of the first unusable pivot or -1, then the pattern, values and diagonal of the factors."""
    size = indptr.size - 1
    factor_indptr = np.zeros(size + 1, dtype=np.int64)
    factor_indices = np.empty(2 * data.size, dtype=indices.dtype)
    factor_values = np.empty(2 * data.size)
    diagonal = np.zeros(size, dtype=np.int64)
    row_values = np.zeros(size)
    in_row = np.full(size, -1)
    lower = np.empty(size, dtype=np.int64)
    upper = np.empty(size, dtype=np.int64)
    to_eliminate = [np.int64(0)]
    to_eliminate.clear()

    for row in range(size):
        # step 2
        in_row[row] = row
        row_values[row] = 0.0
        lower_count = upper_count = 0
        square = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            column = np.int64(indices[entry])
            in_row[column] = row
            row_values[column] = data[entry]
            square += data[entry] ** 2
            if column < row:
                heapq.heappush(to_eliminate, column)
            elif column > row:
                upper[upper_count] = column
                upper_count += 1
        threshold = drop_tolerance * np.sqrt(square)

        # steps 3-9; a heap, because fill adds columns that are still to be eliminated in increasing order
        while len(to_eliminate) > 0:
            pivot_row = heapq.heappop(to_eliminate)
            multiplier = row_values[pivot_row] / factor_values[diagonal[pivot_row]]
            if abs(multiplier) <= threshold:
                continue
            row_values[pivot_row] = multiplier
            lower[lower_count] = pivot_row
            lower_count += 1
            for above in range(diagonal[pivot_row] + 1, factor_indptr[pivot_row + 1]):
                column = np.int64(factor_indices[above])
                if in_row[column] != row:
                    in_row[column] = row
                    row_values[column] = 0.0
                    if column < row:
                        heapq.heappush(to_eliminate, column)
                    else:
                        upper[upper_count] = column
                        upper_count += 1
                row_values[column] -= multiplier * factor_values[above]
        pivot = row_values[row]
        if pivot == 0.0 or not np.isfinite(pivot):
            return row, factor_indptr, factor_indices, factor_values, diagonal

        # steps 10-12
        lower_kept = _largest(lower[:lower_count], row_values, 0.0, kept)
        upper_kept = _largest(upper[:upper_count], row_values, threshold, kept)
        start = factor_indptr[row]
        end = start + lower_kept.size + 1 + upper_kept.size
        if end > factor_indices.size:
            factor_indices = np.concatenate((factor_indices, np.empty(end, dtype=indices.dtype)))
            factor_values = np.concatenate((factor_values, np.empty(end)))
        diagonal[row] = start + lower_kept.size
        factor_indptr[row + 1] = end
        factor_indices[start : diagonal[row]] = lower_kept
        factor_indices[diagonal[row]] = row
        factor_indices[diagonal[row] + 1 : end] = upper_kept
        for entry in range(start, end):
            factor_values[entry] = row_values[factor_indices[entry]]
    entries = factor_indptr[size]
    return -1, factor_indptr, factor_indices[:entries].copy(), factor_values[:entries].copy(), diagonal


@njit(cache=True)
def _largest(columns: Positions, row_values: Vector, threshold: float, kept: int) -> Positions:
    """The columns of the largest values above the threshold, at most ``kept``, in increasing order."""
    columns = columns[np.abs(row_values[columns]) > threshold]
    if columns.size > kept:
        columns = columns[np.argsort(-np.abs(row_values[columns]), kind="mergesort")[:kept]]
    return np.sort(columns)
