"""The least-squares problems of one half-sweep, one for each row: exact, or approximate behind a sketch.

Row i of the new factor minimises ``||A x - b||``: b holds the observed entries of row i, A the rows of the fixed factor
at their columns. Both solvers are compiled, call BLAS for the products and count multiply-adds.
"""

import numpy as np
from numba import njit

from kernels.low_rank.observations import Array, Indices

# A pivot below this share of the largest is rounding: the row problem is underdetermined in that direction.
SMALLEST_PIVOT = 1e-13


@njit(cache=True)
def solve_rows_exactly(indptr: Indices, indices: Indices, values: Array, factor: Array) -> tuple[Array, float, float]:
    """Solve all row problems by Cholesky factorisation of their normal equations.

    Parameters
    ----------
    indptr, indices, values : ndarray
        The observed entries in CSR form, m rows.
    factor : ndarray, shape (n, k), float64
        The fixed factor.

    Returns
    -------
    solution : ndarray, shape (m, k), float64
        Where a problem is underdetermined, a basic solution.
    residual : float
        The sum of squared residuals.
    multiply_adds : float
    """
    height, rank = indptr.size - 1, factor.shape[1]
    solution = np.zeros((height, rank))
    design_buffer = np.empty((np.diff(indptr).max(), rank))
    gram, upper, lower = np.empty((rank, rank)), np.empty((rank, rank)), np.empty((rank, rank))
    residual, multiply_adds = 0.0, 0.0
    for row in range(height):
        entries = slice(indptr[row], indptr[row + 1])
        rhs = values[entries]
        design = _gather(factor, indices[entries], design_buffer)
        np.dot(design.T, design, gram)
        _cholesky(gram, upper, lower)
        np.dot(design.T, rhs, solution[row])
        _forward(upper, solution[row])
        _backward(lower, solution[row])
        error = rhs - np.dot(design, solution[row])
        residual += np.dot(error, error)
        multiply_adds += rhs.size * (rank * (rank + 1) / 2 + 2 * rank) + rank**3 / 6 + rank**2
    return solution, residual, multiply_adds


@njit(cache=True)
def solve_rows_approximately(
    indptr: Indices,
    indices: Indices,
    values: Array,
    factor: Array,
    start: Array,
    buckets: Indices,
    signs: Array,
    sketch_rows: int,
    start_from_sketch: bool,
    tolerance: float,
    max_steps: int,
) -> tuple[Array, float, float, int]:
    """Solve all row problems by conjugate gradients on the normal equations, preconditioned by a sketch.

    S is a CountSketch with one bucket and one sign for each row of the factor. R from ``(S A)^T S A = R^T R`` makes
    ``A R^-1`` well conditioned; a problem with no more rows than S has is its own sketch. CG stops where the gradient
    ``||R^-T A^T (b - A x)||`` is at most ``tolerance`` times that at x = 0.

    Parameters
    ----------
    indptr, indices, values : ndarray
        The observed entries in CSR form, m rows.
    factor : ndarray, shape (n, k), float64
        The fixed factor.
    start : ndarray, shape (m, k), float64
        The first iterates, where they do not come from the sketch.
    buckets, signs : ndarray, shape (n,)
        The CountSketch: a row number of S below ``sketch_rows``, and 1 or -1.
    sketch_rows : int
        The number of rows of S; 0 for no preconditioner.
    start_from_sketch : bool
        Whether the first iterate solves the sketched problem ``min ||S A x - S b||``.
    tolerance : float
    max_steps : int
        The limit on the steps of each row problem.

    Returns
    -------
    solution : ndarray, shape (m, k), float64
    residual : float
        The sum of squared residuals.
    multiply_adds : float
    steps : int
        CG steps of all rows together.
    """
    height, rank = indptr.size - 1, factor.shape[1]
    solution = start.copy()
    design_buffer = np.empty((np.diff(indptr).max(), rank))
    sketched, sketched_rhs = np.empty((sketch_rows, rank)), np.empty(sketch_rows)
    gram, upper, lower = np.empty((rank, rank)), np.eye(rank), np.eye(rank)
    gradient, conjugate, direction = np.empty(rank), np.empty(rank), np.empty(rank)
    residual, multiply_adds, steps = 0.0, 0.0, 0
    for row in range(height):
        entries = slice(indptr[row], indptr[row + 1])
        chosen, rhs, x = indices[entries], values[entries], solution[row]
        design = _gather(factor, chosen, design_buffer)
        # step 1: the preconditioner, and with it the first iterate
        if sketch_rows > 0:
            small, small_rhs = design, rhs
            if rhs.size > sketch_rows:
                _count_sketch(design, rhs, chosen, buckets, signs, sketched, sketched_rhs)
                small, small_rhs = sketched, sketched_rhs
                multiply_adds += rhs.size * (rank + 1)
            np.dot(small.T, small, gram)
            _cholesky(gram, upper, lower)
            multiply_adds += small_rhs.size * rank * (rank + 1) / 2 + rank**3 / 6
            if start_from_sketch:
                np.dot(small.T, small_rhs, x)
                _forward(upper, x)
                _backward(lower, x)
                multiply_adds += small_rhs.size * rank + rank**2
        np.dot(design.T, rhs, gradient)
        _forward(upper, gradient)
        goal = tolerance**2 * np.dot(gradient, gradient)
        # step 2: conjugate gradients in the variables R x
        error = rhs - np.dot(design, x)
        np.dot(design.T, error, gradient)
        _forward(upper, gradient)
        conjugate[:] = gradient
        squared = np.dot(gradient, gradient)
        multiply_adds += 3 * rhs.size * rank + rank**2
        for _ in range(max_steps):
            if not squared > goal:
                break
            direction[:] = conjugate
            _backward(lower, direction)
            image = np.dot(design, direction)
            curvature = np.dot(image, image)
            if curvature == 0.0:
                break
            step = squared / curvature
            x += step * direction
            error -= step * image
            np.dot(design.T, error, gradient)
            _forward(upper, gradient)
            previous, squared = squared, np.dot(gradient, gradient)
            conjugate *= squared / previous
            conjugate += gradient
            multiply_adds += 2 * rhs.size * rank + rank**2
            steps += 1
        residual += np.dot(error, error)
    return solution, residual, multiply_adds, steps


# Inner loops are written out below: compiled slices would allocate, and these rows are short.


@njit(cache=True)
def _gather(factor: Array, chosen: Indices, buffer: Array) -> Array:
    for position in range(chosen.size):
        for component in range(factor.shape[1]):
            buffer[position, component] = factor[chosen[position], component]
    return buffer[: chosen.size]


@njit(cache=True)
def _count_sketch(
    design: Array, rhs: Array, chosen: Indices, buckets: Indices, signs: Array, sketched: Array, sketched_rhs: Array
) -> None:
    """Add every row, with its sign, to its bucket."""
    sketched[:] = 0.0
    sketched_rhs[:] = 0.0
    for position in range(rhs.size):
        bucket, sign = buckets[chosen[position]], signs[chosen[position]]
        sketched_rhs[bucket] += sign * rhs[position]
        for component in range(design.shape[1]):
            sketched[bucket, component] += sign * design[position, component]


@njit(cache=True)
def _cholesky(gram: Array, upper: Array, lower: Array) -> None:
    """Fill R and R^T from a semidefinite matrix, which is overwritten; a pivot that is rounding leaves a zero row."""
    size = gram.shape[0]
    upper[:] = 0.0
    lower[:] = 0.0
    largest = 0.0
    for i in range(size):
        largest = max(largest, gram[i, i])
    for i in range(size):
        if gram[i, i] <= SMALLEST_PIVOT * largest:
            continue
        scale = 1.0 / np.sqrt(gram[i, i])
        for j in range(i, size):
            upper[i, j] = scale * gram[i, j]
            lower[j, i] = upper[i, j]
        for j in range(i + 1, size):
            for component in range(j, size):
                gram[j, component] -= upper[i, j] * upper[i, component]


@njit(cache=True)
def _forward(upper: Array, solution: Array) -> None:
    """Solve R^T y = rhs in place; components without a pivot are zero."""
    for i in range(solution.size):
        solution[i] = solution[i] / upper[i, i] if upper[i, i] > 0.0 else 0.0
        for j in range(i + 1, solution.size):
            solution[j] -= solution[i] * upper[i, j]


@njit(cache=True)
def _backward(lower: Array, solution: Array) -> None:
    """Solve R x = y in place, given R^T; components without a pivot are zero."""
    for i in range(solution.size - 1, -1, -1):
        solution[i] = solution[i] / lower[i, i] if lower[i, i] > 0.0 else 0.0
        for j in range(i):
            solution[j] -= solution[i] * lower[i, j]
