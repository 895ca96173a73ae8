"""Small symmetric positive semidefinite systems: those of one block."""

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dpotrf, dpotrs, dsyevr

from kernels.optimization.block_coordinate_descent.objectives import Array

# below this ratio of pivots a Cholesky factor solves with noise
SMALLEST_PIVOT = 1e-12


def largest_eigenvalue(matrix: Array) -> float:
    """The largest eigenvalue of a symmetric positive semidefinite matrix; 1 for a matrix of zeros."""
    size = len(matrix)
    eigenvalues = dsyevr(matrix, compute_v=0, range="I", il=size, iu=size)[0]
    return float(eigenvalues[0]) or 1.0


def solve_semidefinite(matrix: Array, rhs: Array) -> Array:
    """The least-norm solution of a symmetric positive semidefinite system, by Cholesky where that is safe.

    Parameters
    ----------
    matrix : ndarray, shape (t, t), float64
    rhs : ndarray, shape (t,) or (t, m), float64
    """
    factor, failed = dpotrf(matrix, lower=1)
    pivots = np.diag(factor)
    if not failed and pivots.min() ** 2 > SMALLEST_PIVOT * pivots.max() ** 2:
        return np.asarray(dpotrs(factor, rhs, lower=1)[0])
    eigenvalues, vectors = eigh(matrix)
    kept = eigenvalues > SMALLEST_PIVOT * eigenvalues[-1]
    basis = vectors[:, kept]
    return np.asarray((basis / eigenvalues[kept]) @ (basis.T @ rhs))


def damped(matrix: Array) -> Array:
    """A symmetric positive semidefinite matrix made safely definite: its diagonal raised by 1e-12 of its greatest."""
    raised = matrix.copy()
    raised.flat[:: len(matrix) + 1] += SMALLEST_PIVOT * max(float(np.diag(matrix).max()), np.finfo(np.float64).tiny)
    return raised
