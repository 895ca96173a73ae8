"""Matrix completion by the nuclear norm: SoftImpute along a path of penalties, and singular value thresholding.

Both are dense, since a matrix that fits in memory completed fits there dense; their partial decompositions start from
the singular vectors of the iteration before.
"""

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.low_rank.observations import Array, PartialMatrix, check_partial_matrix, observe
from kernels.result import Result, Status

SUBSPACE_ITERATIONS = 2
WIDENING = 5
LARGEST_RESIDUAL = 2.0


def soft_impute(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    penalties: int = 8,
    least_penalty: float = 1e-3,
    held_out: float = 0.1,
    rank_limit: int | None = None,
    tolerance: float = 1e-8,
    stall_tolerance: float = 1e-4,
    max_iterations: int = 200,
) -> Result:
    """Complete a matrix by SoftImpute, the penalty chosen on entries held out of the observed ones.

    Parameters
    ----------
    matrix : PartialMatrix
        The observed entries; their rank is the first guess of the number of singular values to compute.
    random : Generator
        Draws the entries held out and the first singular vectors.
    penalties : int
        Length of the path of penalties; every solution starts at that of the penalty before.
    least_penalty : float
        The last penalty of the path over the largest singular value of the observed entries.
    held_out : float
        The share of the observed entries that chooses the penalty.
    rank_limit : int, optional
        The most singular values that a completion keeps, twice the rank if not given.
    tolerance : float
        CONVERGED where the relative residual on the observed entries is at most this.
    stall_tolerance : float
        A penalty's iteration ends where the completion changes by at most this, relatively; the last one STAGNATED, for
        a penalised completion does not reproduce the entries.
    max_iterations : int
        The limit for each penalty.

    Returns
    -------
    Result
        ``value`` is the completed matrix; ``history`` the relative residual on the observed entries after each
        iteration at the chosen penalty; ``work`` counts ``sweeps`` (iterations of all penalties).

    Raises
    ------
    ValueError
        If the matrix is refused (see :func:`~kernels.low_rank.observations.check_partial_matrix`) or an option is out
        of its range.

    References
    ----------
    R. Mazumder, T. Hastie and R. Tibshirani (2010), Spectral Regularization Algorithms for Learning Large Incomplete
    Matrices, JMLR 11, algorithm 1.
    """
    _check(matrix, tolerance, max_iterations)
    check_tolerance(stall_tolerance)
    check_count("penalties", penalties, 1)
    rank_limit = 2 * matrix.rank if rank_limit is None else rank_limit
    check_count("rank_limit", rank_limit, 1)
    for name, share in (("least_penalty", least_penalty), ("held_out", held_out)):
        if not 0.0 < share < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, not {share}")
    if not np.isfinite(matrix.values).all():
        return _not_finite(matrix)
    entries, observed = _dense(matrix)
    validation = np.zeros(matrix.shape, dtype=bool)
    chosen = random.random(matrix.values.size) < held_out
    validation[matrix.rows[chosen], matrix.columns[chosen]] = True
    training = observed & ~validation
    # step 1: the path, on the training entries
    completion, basis = np.zeros(matrix.shape), random.standard_normal((matrix.shape[1], matrix.rank + WIDENING))
    largest = float(np.linalg.norm(entries, 2))
    best, least_error, iterations = largest, np.inf, 0
    path = largest * np.geomspace(0.5, least_penalty, penalties)
    for penalty in path:
        completion, basis, history = _soft_impute_at(
            entries,
            training,
            penalty,
            rank_limit,
            completion,
            basis,
            tolerance,
            stall_tolerance,
            max_iterations,
            random,
        )
        iterations += len(history)
        error = float(np.linalg.norm((completion - entries)[validation]))
        if error < least_error:
            best, least_error = penalty, error
    # step 2: the penalty that predicts best, on all observed entries
    completion, basis, history = _soft_impute_at(
        entries, observed, best, rank_limit, completion, basis, tolerance, stall_tolerance, max_iterations, random
    )
    iterations += len(history)
    if history[-1] <= tolerance:
        status = Status.CONVERGED
    else:
        status = Status.STAGNATED if len(history) < max_iterations else Status.ITERATION_LIMIT
    return Result(completion, status, np.array([1.0, *history]), {"sweeps": iterations})


def singular_value_thresholding(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    threshold_factor: float = 5.0,
    step: float = 1.2,
    tolerance: float = 1e-4,
    max_iterations: int = 500,
) -> Result:
    """Complete a matrix by singular value thresholding (SVT).

    Parameters
    ----------
    matrix : PartialMatrix
    random : Generator
        Draws the first singular vectors.
    threshold_factor : float
        The threshold over the expected largest singular value, ``||P_Omega M|| / sqrt(p k)`` for observed share p.
    step : float
        The step length times p. Convergence is proved for step lengths below 2 and this exceeds it where p is small;
        should the residual double that of zero, the iteration starts again with half the step.
    tolerance : float
        CONVERGED where the relative residual on the observed entries is at most this; 1e-4 is the authors'.
    max_iterations : int

    Returns
    -------
    Result
        ``value`` is the completed matrix; ``history`` the relative residual on the observed entries; ``work`` counts
        ``sweeps`` (iterations).

    Raises
    ------
    ValueError
        As :func:`soft_impute`.

    References
    ----------
    J.-F. Cai, E. J. Candes and Z. Shen (2010), A Singular Value Thresholding Algorithm for Matrix Completion, SIAM J.
    Optim. 20, sections 5.1.1 to 5.1.4.
    """
    _check(matrix, tolerance, max_iterations)
    check_tolerance(threshold_factor)
    check_tolerance(step)
    if not np.isfinite(matrix.values).all():
        return _not_finite(matrix)
    entries, observed = _dense(matrix)
    norm = float(np.linalg.norm(matrix.values)) or 1.0
    share = matrix.values.size / entries.size
    threshold = threshold_factor * norm / np.sqrt(share * matrix.rank)
    largest = float(np.linalg.norm(entries, 2)) or 1.0
    step /= share
    dual = _kicked(entries, threshold, step, largest)
    basis = random.standard_normal((matrix.shape[1], matrix.rank + WIDENING))
    history, status = [1.0], Status.ITERATION_LIMIT
    completion = np.zeros_like(entries)
    for _ in range(max_iterations):
        completion, basis = thresholded(dual, threshold, basis, random)
        residual = np.where(observed, entries - completion, 0.0)
        history.append(float(np.linalg.norm(residual)) / norm)
        if history[-1] <= tolerance:
            status = Status.CONVERGED
            break
        if history[-1] > LARGEST_RESIDUAL:
            step /= 2.0
            dual = _kicked(entries, threshold, step, largest)
        else:
            dual += step * residual
    return Result(completion, status, np.array(history), {"sweeps": len(history) - 1})


def _kicked(entries: Array, threshold: float, step: float, largest: float) -> Array:
    """The dual variable after the first steps, which only lengthen it until its norm reaches the threshold."""
    return np.asarray(np.ceil(threshold / (step * largest)) * step * entries)


def thresholded(
    matrix: Array, threshold: float, basis: Array, random: np.random.Generator, limit: int | None = None
) -> tuple[Array, Array]:
    """Soft-threshold the singular values of a matrix, from approximate right singular vectors.

    Parameters
    ----------
    matrix : ndarray, shape (m, n), float64
    threshold : float
        What is taken from every singular value; those below vanish.
    basis : ndarray, shape (n, r), float64
        Approximate leading right singular vectors; widened until the least value found is below the threshold.
    random : Generator
    limit : int, optional
        The most singular values to keep; all of them if not given.

    Returns
    -------
    shrunk : ndarray, shape (m, n), float64
    basis : ndarray
        Leading right singular vectors, a few more than there are values above the threshold.
    """
    limit = limit or min(matrix.shape)
    most = min(limit + WIDENING, *matrix.shape)
    basis = basis[:, :most]
    while True:
        for _ in range(SUBSPACE_ITERATIONS):
            range_basis = np.linalg.qr(matrix @ basis)[0]
            basis = matrix.T @ range_basis
        right, values, rotation = np.linalg.svd(basis, full_matrices=False)
        if values[-1] <= threshold or values.size >= most:
            break
        extra = random.standard_normal((matrix.shape[1], min(WIDENING, most - values.size)))
        basis = np.hstack([right, extra])
    kept = min(int((values > threshold).sum()), limit)
    left = range_basis @ rotation[:kept].T
    shrunk = (left * (values[:kept] - threshold)) @ right[:, :kept].T
    return shrunk, right[:, : max(kept + WIDENING, 1)]


def _soft_impute_at(
    entries: Array,
    observed: np.ndarray,
    penalty: float,
    rank_limit: int,
    completion: Array,
    basis: Array,
    tolerance: float,
    stall_tolerance: float,
    max_iterations: int,
    random: np.random.Generator,
) -> tuple[Array, Array, list[float]]:
    norm = float(np.linalg.norm(entries[observed])) or 1.0
    history: list[float] = []
    for _ in range(max_iterations):
        before = completion
        completion, basis = thresholded(np.where(observed, entries, before), penalty, basis, random, rank_limit)
        history.append(float(np.linalg.norm((entries - completion)[observed])) / norm)
        change = float(np.linalg.norm(completion - before))
        if history[-1] <= tolerance or change <= stall_tolerance * float(np.linalg.norm(before)):
            break
    return completion, basis, history


def _check(matrix: PartialMatrix, tolerance: float, max_iterations: int) -> None:
    check_partial_matrix(matrix)
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)


def _dense(matrix: PartialMatrix) -> tuple[Array, np.ndarray]:
    """The observed entries, zero elsewhere, and where they are."""
    entries = observe(matrix).by_row
    observed = np.zeros(matrix.shape, dtype=bool)
    observed[matrix.rows, matrix.columns] = True
    return entries.toarray(), observed


def _not_finite(matrix: PartialMatrix) -> Result:
    return Result(np.full(matrix.shape, np.nan), Status.NOT_FINITE, np.array([np.nan]))
