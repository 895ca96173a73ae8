"""Matrix completion by scaled gradient descent on two factors."""

import numpy as np
import scipy.sparse as sp
from numba import njit

from kernels.linear_systems.validation import check_tolerance
from kernels.low_rank.alternating_minimization import Stopping
from kernels.low_rank.observations import Array, Indices, PartialMatrix, check_partial_matrix, observe
from kernels.low_rank.spectral_start import leading_left_vectors
from kernels.result import Result, Status


@np.errstate(over="ignore", invalid="ignore")
def scaled_gradient_descent(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    step: float = 0.5,
    tolerance: float = 1e-8,
    stall_tolerance: float = 1e-4,
    max_sweeps: int = 500,
) -> Result:
    """Complete a matrix by gradient descent on L R^T, each gradient preconditioned by the other factor's Gram matrix.

    Parameters
    ----------
    matrix : PartialMatrix
        The observed entries of an m x n matrix, and the rank of the completion.
    random : Generator
        Draws the start of the spectral initialisation.
    step : float
        The step length; the theory wants at most 2/3.
    tolerance, stall_tolerance, max_sweeps
        See :class:`~kernels.low_rank.alternating_minimization.Stopping`; a sweep is one step of both factors.

    Returns
    -------
    Result
        ``value`` is the completed matrix, shape (m, n); ``history`` the relative residual on the observed entries;
        ``work`` counts ``sweeps``, ``multiply_adds`` and ``multiply_adds_per_entry`` (of one sweep).

    Raises
    ------
    ValueError
        If the matrix is refused (see :func:`~kernels.low_rank.observations.check_partial_matrix`) or an option is out
        of its range.

    References
    ----------
    T. Tong, C. Ma and Y. Chi (2021), Accelerating Ill-Conditioned Low-Rank Matrix Estimation via Scaled Gradient
    Descent, JMLR 22, algorithm 3 without its projection.
    """
    check_tolerance(step)
    stopping = Stopping(tolerance, stall_tolerance, max_sweeps)
    check_partial_matrix(matrix)
    if not np.isfinite(matrix.values).all():
        return Result(np.full(matrix.shape, np.nan), Status.NOT_FINITE, np.array([np.nan]))
    entries = observe(matrix).by_row
    share = matrix.values.size / (matrix.shape[0] * matrix.shape[1])
    norm = float(np.linalg.norm(matrix.values)) or 1.0
    # step 1: spectral start, balanced factors
    basis = leading_left_vectors(entries, matrix.rank, random)
    right, values, rotation = np.linalg.svd(entries.T @ basis / share, full_matrices=False)
    left = basis @ rotation.T * np.sqrt(values)
    right = right * np.sqrt(values)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(entries.indptr))
    history, status = [1.0], Status.ITERATION_LIMIT
    for _ in range(stopping.max_sweeps):
        # step 2: the residual on the observed entries
        residual = sp.csr_array(
            (_sampled_product(rows, entries.indices, left, right) - entries.data, entries.indices, entries.indptr),
            shape=matrix.shape,
        )
        history.append(float(np.linalg.norm(residual.data)) / norm)
        if not np.isfinite(history[-1]):
            status = Status.NOT_FINITE
            break
        if stopping.reached(history):
            status = Status.CONVERGED
            break
        # step 3: both factors from the old ones
        left, right = (
            left - step / share * (residual @ right) @ np.linalg.pinv(right.T @ right, hermitian=True),
            right - step / share * (residual.T @ left) @ np.linalg.pinv(left.T @ left, hermitian=True),
        )
    sweeps = len(history) - 1
    per_sweep = 3.0 * matrix.values.size * matrix.rank + 2.0 * sum(matrix.shape) * matrix.rank**2
    work = {
        "sweeps": sweeps,
        "multiply_adds": sweeps * per_sweep,
        "multiply_adds_per_entry": per_sweep / matrix.values.size,
    }
    value = np.full(matrix.shape, np.nan) if status is Status.NOT_FINITE else left @ right.T
    return Result(value, status, np.array(history), work)


@njit(cache=True)
def _sampled_product(rows: Indices, columns: Indices, left: Array, right: Array) -> Array:
    """The entries of ``left @ right.T`` at some positions."""
    values = np.zeros(rows.size)
    for entry in range(rows.size):
        for component in range(left.shape[1]):
            values[entry] += left[rows[entry], component] * right[columns[entry], component]
    return values
