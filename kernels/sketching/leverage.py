"""Leverage scores: how much each row of a matrix matters to its column space."""

import numpy as np
import scipy.linalg

from kernels.sketching.types import Matrix, Vector, check_tall


def orthonormal_basis(matrix: Matrix) -> Matrix:
    """An orthonormal basis of the columns by Householder QR.

    Parameters
    ----------
    matrix : ndarray, shape (n, d), float64, finite
        n >= d, of full column rank.

    Returns
    -------
    ndarray, shape (n, d), float64

    Raises
    ------
    ValueError
        If the matrix is not tall, or its columns are linearly dependent.
    """
    check_tall("matrix", matrix)
    basis, triangle = scipy.linalg.qr(matrix, mode="economic", check_finite=False)
    if not is_full_rank(np.asarray(triangle, np.float64), matrix.shape[0]):
        raise ValueError(f"matrix must have linearly independent columns; its shape is {matrix.shape}")
    return np.asarray(basis, np.float64)


def is_full_rank(triangle: Matrix, rows: int) -> bool:
    """Whether no diagonal entry of the triangular factor of a matrix of so many rows vanishes but for rounding."""
    pivots = np.abs(np.diagonal(triangle))
    return bool(pivots.min() > rows * np.finfo(np.float64).eps * pivots.max())


def leverage_scores(matrix: Matrix) -> Vector:
    """The squared row norms of an orthonormal basis; they lie in [0, 1] and their sum is d.

    Arguments and errors as for :func:`orthonormal_basis`; returns shape (n,), float64.
    """
    basis = orthonormal_basis(matrix)
    scores: Vector = np.einsum("ij,ij->i", basis, basis)
    return scores
