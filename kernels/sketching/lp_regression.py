"""Regression in l_p by reweighted least squares, on all rows or on a weighted sample, and by libraries for p = 1."""

import warnings

import numpy as np
import scipy.linalg

from kernels.result import Result, Status
from kernels.sketching.distortion import lp_distortion
from kernels.sketching.leverage import orthonormal_basis
from kernels.sketching.row_sampling import RowSampler
from kernels.sketching.sensitivities import check_exponent
from kernels.sketching.types import Regression, Vector, check_count, check_regression, is_finite

FLOOR = 1e-9
LADDER = 2.0**0.25


def lp_regression(instance: Regression, *, p: float, iterations: int = 100, tolerance: float = 1e-9) -> Result:
    """Minimise ``||A x - b||_p`` by iteratively reweighted least squares.

    For p < 2 residuals are kept away from zero by a floor that halves in every step; for p > 2 the step is divided by
    p - 1, which makes it Newton's.

    Parameters
    ----------
    instance : Regression
        A and b.
    p : float
        At least 1 and finite.
    iterations : int
        At most so many reweightings.
    tolerance : float
        Stop when the p-th power of the norm changes by less than this relative amount.

    Returns
    -------
    Result
        The best solution, shape (d,); that of least norm and BREAKDOWN where the columns are dependent. ``work`` counts
        ``rows``.

    Raises
    ------
    ValueError
        If the matrix is not tall, shapes or types are wrong, or p is less than 1.
    """
    rows, _ = check_regression(instance)
    check_exponent(p)
    if not is_finite(instance):
        return _not_finite(instance)
    return _weighted_regression(instance, np.ones(rows), p, iterations, tolerance)


def sampled_lp_regression(
    instance: Regression, *, p: float, rows: int, scheme: str, random: np.random.Generator
) -> Result:
    """Minimise ``||A x - b||_p`` on a sample of so many rows in expectation; b is read at these rows alone.

    Parameters
    ----------
    instance : Regression
        A, of full column rank, and b.
    p : float
        At least 1 and finite.
    rows : int
        The expected size of the sample, between d and n.
    scheme : str
        How rows are drawn, a name that :class:`~kernels.sketching.row_sampling.RowSampler` knows.
    random : numpy.random.Generator

    Returns
    -------
    Result
        As from :func:`lp_regression`; BREAKDOWN where the sample lacks rank. ``work`` counts ``rows``, those drawn, and
        ``total_score``, the sum of the scores.

    Raises
    ------
    ValueError
        As from :func:`lp_regression`, and if ``rows``, the scheme or the rank of A is not as it must be.
    """
    size, columns = check_regression(instance)
    check_count("rows", rows, columns, size)
    check_exponent(p)
    if not is_finite(instance):
        return _not_finite(instance)
    sampler = RowSampler(instance.matrix, p, scheme=scheme, random=random)
    return _on_sample(instance, sampler.weights(rows), p, float(sampler.scores.sum()))


def lp_regression_at_distortion(
    instance: Regression, *, p: float, distortion: float, scheme: str, random: np.random.Generator
) -> Result:
    """The same on the smallest sample that keeps ``||A x||_p^p`` up to a relative error for every x that is found.

    Sizes grow by a fourth root of two from d to n. The smallest that serves is found by bisection: samples are nested.

    Parameters
    ----------
    instance, p, scheme, random
        As for :func:`sampled_lp_regression`.
    distortion : float
        Positive: the relative error, as :func:`~kernels.sketching.distortion.lp_distortion` measures it.

    Returns
    -------
    Result
        As from :func:`sampled_lp_regression`; ``history`` is the distortion of the sample.

    Raises
    ------
    ValueError
        As from :func:`sampled_lp_regression`, and if the distortion is not positive.
    """
    size, columns = check_regression(instance)
    check_exponent(p)
    if not distortion > 0.0:
        raise ValueError(f"distortion must be positive, not {distortion}")
    if not is_finite(instance):
        return _not_finite(instance)
    sampler = RowSampler(instance.matrix, p, scheme=scheme, random=random)
    basis = orthonormal_basis(instance.matrix)
    steps = np.arange(np.ceil(np.log(size / columns) / np.log(LADDER)))
    sizes = [*np.unique((columns * LADDER**steps).astype(int)).tolist(), size]
    too_small, enough = -1, len(sizes) - 1
    weights = sampler.weights(size)
    reached = lp_distortion(basis, weights, p)
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        candidate = sampler.weights(sizes[middle])
        measured = lp_distortion(basis, candidate, p)
        if measured <= distortion:
            enough, weights, reached = middle, candidate, measured
        else:
            too_small = middle
    result = _on_sample(instance, weights, p, float(sampler.scores.sum()))
    return Result(result.value, result.status, np.array([reached]), result.work)


def median_regression_highs(instance: Regression) -> Result:
    """Minimise ``||A x - b||_1`` as a linear program, by SciPy's HiGHS; errors as :func:`lp_regression`."""
    rows, columns = check_regression(instance)
    if not is_finite(instance):
        return _not_finite(instance)
    from scipy.optimize import linprog

    # the dual has d equations in bounded variables: max b^T y subject to A^T y = 0, |y| <= 1
    solved = linprog(-instance.rhs, A_eq=instance.matrix.T, b_eq=np.zeros(columns), bounds=(-1.0, 1.0), method="highs")
    if solved.status != 0:
        return Result(np.full(columns, np.nan), Status.BREAKDOWN, np.empty(0), {"rows": float(rows)})
    return Result(-solved.eqlin.marginals, Status.CONVERGED, np.empty(0), {"rows": float(rows)})


def median_regression_statsmodels(instance: Regression) -> Result:
    """Minimise ``||A x - b||_1`` by the quantile regression of statsmodels; errors as :func:`lp_regression`."""
    rows, _ = check_regression(instance)
    if not is_finite(instance):
        return _not_finite(instance)
    from statsmodels.regression.quantile_regression import QuantReg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the covariance that it estimates besides
        solution = np.asarray(QuantReg(instance.rhs, instance.matrix).fit(q=0.5).params, np.float64)
    return Result(solution, Status.CONVERGED, np.empty(0), {"rows": float(rows)})


def _on_sample(instance: Regression, weights: Vector, p: float, total_score: float) -> Result:
    result = _weighted_regression(instance, weights, p, iterations=100, tolerance=1e-9)
    return Result(result.value, result.status, np.empty(0), {**result.work, "total_score": total_score})


def _weighted_regression(instance: Regression, weights: Vector, p: float, iterations: int, tolerance: float) -> Result:
    """Minimise ``sum_i w_i |a_i^T x - b_i|^p`` over the rows of positive weight."""
    kept = np.flatnonzero(weights)
    scale = weights[kept] ** (1.0 / p)
    matrix, rhs = scale[:, None] * instance.matrix[kept], scale * instance.rhs[kept]
    left, singular_values, right = scipy.linalg.svd(matrix, full_matrices=False, check_finite=False)
    rank = int(np.count_nonzero(singular_values > kept.size * np.finfo(np.float64).eps * singular_values[0]))
    solution = _minimise(left[:, :rank], rhs, p, iterations, tolerance)
    value = right[:rank].T @ (solution / singular_values[:rank])
    status = Status.CONVERGED if rank == instance.matrix.shape[1] else Status.BREAKDOWN
    return Result(value, status, np.empty(0), {"rows": float(kept.size)})


def _minimise(basis: Vector, rhs: Vector, p: float, iterations: int, tolerance: float) -> Vector:
    """The best of the reweighted least-squares solutions in an orthonormal basis."""
    solution = basis.T @ rhs
    best, least = solution, np.inf
    for step in range(iterations):
        residual = np.abs(basis @ solution - rhs)
        objective = float((residual**p).sum())
        change, least = least - objective, min(least, objective)
        if objective == least:
            best = solution.copy()
        largest = residual.max()
        settled = abs(change) <= tolerance * least and (p >= 2.0 or 0.5**step <= FLOOR)
        if largest == 0.0 or settled:
            break
        weights = np.maximum(residual, max(0.5**step, FLOOR) * largest if p < 2.0 else FLOOR * largest) ** (p - 2.0)
        gram = (weights[:, None] * basis).T @ basis
        reweighted = scipy.linalg.solve(gram, basis.T @ (weights * rhs), assume_a="pos", check_finite=False)
        solution = solution + (reweighted - solution) / max(1.0, p - 1.0)
    return best


def _not_finite(instance: Regression) -> Result:
    value: Vector = np.full(instance.matrix.shape[1], np.nan)
    return Result(value, Status.NOT_FINITE, np.empty(0), {"rows": 0.0})
