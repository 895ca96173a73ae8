"""Least squares by sketch-and-solve, and exactly."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.linalg

from kernels.result import Result, Status
from kernels.sketching.leverage import is_full_rank, leverage_scores
from kernels.sketching.sketches import count_sketch, gaussian_sketch, sparse_sketch, srht_sketch
from kernels.sketching.types import Matrix, Regression, Vector, check_count, check_regression, is_finite

Sketch = Callable[[Matrix, int, np.random.Generator], Matrix]


def srht_least_squares(instance: Regression, *, rows: int, random: np.random.Generator) -> Result:
    """Minimise ``||S (A x - b)||`` for a subsampled randomised Hadamard transform S, in O(n d log n + m d^2).

    With m = O(eps^-2 d log^3(n / delta)) rows, every coordinate is near that of the least-squares solution x*: with
    probability at least 1 - delta, ``||x - x*||_inf <= eps / sqrt(d) ||A x* - b|| ||A^+||``.

    Parameters
    ----------
    instance : Regression
        A and b; n need not be a power of two.
    rows : int
        The rows m of the sketch, at least d.
    random : numpy.random.Generator
        Draws the sketch.

    Returns
    -------
    Result
        The solution of the sketched problem, shape (d,). Status is CONVERGED if the sketched matrix has full rank, else
        BREAKDOWN, with the solution of least norm. ``work`` counts ``sketch_operations``, the multiplications and
        additions of the sketch to leading order.

    Raises
    ------
    ValueError
        If the matrix is not tall, shapes or types are wrong, or ``rows`` is less than d.

    References
    ----------
    Z. Song, M. Ye, J. Yin, L. Zhang (2023), A nearly-optimal bound for fast regression with l_inf guarantee, ICML.
    """
    size, columns = check_regression(instance)
    padded = 1 << (size - 1).bit_length()
    return _sketch_and_solve(instance, srht_sketch, rows, random, padded * math.log2(padded) * (columns + 1))


def gaussian_least_squares(instance: Regression, *, rows: int, random: np.random.Generator) -> Result:
    """The same with a dense Gaussian sketch: the most accurate and the slowest; as :func:`srht_least_squares`."""
    return _sketch_and_solve(instance, gaussian_sketch, rows, random, 2.0 * rows * _numbers(instance))


def count_sketch_least_squares(instance: Regression, *, rows: int, random: np.random.Generator) -> Result:
    """The same with SciPy's CountSketch, one nonzero in a column; as :func:`srht_least_squares`."""
    return _sketch_and_solve(instance, count_sketch, rows, random, _numbers(instance))


def osnap_least_squares(instance: Regression, *, rows: int, nonzeros: int, random: np.random.Generator) -> Result:
    """The same with a sparse sketch of ``nonzeros`` entries in a column; as :func:`srht_least_squares`."""
    sketch = partial(sparse_sketch, nonzeros=nonzeros)
    return _sketch_and_solve(instance, sketch, rows, random, 2.0 * nonzeros * _numbers(instance))


def leverage_least_squares(instance: Regression, *, rows: int, random: np.random.Generator) -> Result:
    """The same with rows drawn by their leverage scores and scaled: a sketch that looks at the matrix.

    Arguments and errors as :func:`srht_least_squares`; a matrix without full column rank is a ValueError, too.
    """
    _, columns = check_regression(instance)

    def sample(block: Matrix, rows: int, random: np.random.Generator) -> Matrix:
        scores = leverage_scores(instance.matrix)
        probabilities = scores / scores.sum()
        drawn = random.choice(scores.size, rows, p=probabilities)
        scaled: Matrix = block[drawn] / np.sqrt(rows * probabilities[drawn])[:, None]
        return scaled

    return _sketch_and_solve(instance, sample, rows, random, 4.0 * columns * _numbers(instance))


def exact_least_squares(instance: Regression) -> Result:
    """The least-squares solution by Householder QR of [A b], in O(n d^2); work and errors as for the sketches."""
    check_regression(instance)
    if not is_finite(instance):
        return _not_finite(instance)
    return _solve(_augmented(instance), 0.0)


def normal_equations(instance: Regression) -> Result:
    """The least-squares solution by a Cholesky factorisation of A^T A, with half the digits; errors as the sketches.

    Status is BREAKDOWN, and the value NaN, where the Gram matrix is not positive definite to working precision.
    """
    _, columns = check_regression(instance)
    if not is_finite(instance):
        return _not_finite(instance)
    matrix = instance.matrix
    try:
        factor = scipy.linalg.cho_factor(matrix.T @ matrix, check_finite=False)
    except np.linalg.LinAlgError:
        return Result(np.full(columns, np.nan), Status.BREAKDOWN, np.empty(0), {"sketch_operations": 0.0})
    solution = scipy.linalg.cho_solve(factor, matrix.T @ instance.rhs, check_finite=False)
    return Result(solution, Status.CONVERGED, np.empty(0), {"sketch_operations": 0.0})


def _sketch_and_solve(
    instance: Regression, sketch: Sketch, rows: int, random: np.random.Generator, operations: float
) -> Result:
    check_regression(instance)
    check_count("rows", rows, instance.matrix.shape[1])
    if not is_finite(instance):
        return _not_finite(instance)
    return _solve(sketch(_augmented(instance), rows, random), operations)


def _solve(block: Matrix, operations: float) -> Result:
    """Least squares for the block [A b] from its triangular factor alone."""
    columns = block.shape[1] - 1
    triangle = np.asarray(scipy.linalg.qr(block, mode="r", check_finite=False)[0], np.float64)
    factor, target = triangle[:columns, :columns], triangle[:columns, columns]
    if is_full_rank(factor, block.shape[0]):
        solution = scipy.linalg.solve_triangular(factor, target, check_finite=False)
        status = Status.CONVERGED
    else:
        cutoff = block.shape[0] * np.finfo(np.float64).eps
        solution = scipy.linalg.lstsq(factor, target, cond=cutoff, check_finite=False)[0]
        status = Status.BREAKDOWN
    return Result(solution, status, np.empty(0), {"sketch_operations": operations})


def _augmented(instance: Regression) -> Matrix:
    block: Matrix = np.column_stack([instance.matrix, instance.rhs])
    return block


def _numbers(instance: Regression) -> float:
    rows, columns = check_regression(instance)
    return float(rows * (columns + 1))


def _not_finite(instance: Regression) -> Result:
    solution: Vector = np.full(instance.matrix.shape[1], np.nan)
    return Result(solution, Status.NOT_FINITE, np.empty(0), {"sketch_operations": 0.0})
