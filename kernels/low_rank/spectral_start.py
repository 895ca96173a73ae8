"""The first factor of alternating minimisation: leading singular vectors of the observed entries, clipped."""

import numpy as np
import scipy.sparse as sp

from kernels.low_rank.observations import Array

POWER_ITERATIONS = 4
OVERSAMPLING = 10


def leading_left_vectors(matrix: sp.csr_array, rank: int, random: np.random.Generator) -> Array:
    """The leading left singular vectors of a sparse matrix by randomised subspace iteration.

    Parameters
    ----------
    matrix : csr_array, shape (m, n), float64
    rank : int
    random : Generator

    Returns
    -------
    ndarray, shape (m, rank), float64
        Orthonormal columns.

    References
    ----------
    N. Halko, P. G. Martinsson and J. A. Tropp (2011), Finding Structure with Randomness, SIAM Review 53, algorithm 4.4.
    """
    width = min(rank + OVERSAMPLING, *matrix.shape)
    basis = np.linalg.qr(matrix @ random.standard_normal((matrix.shape[1], width)))[0]
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    rotation = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)[0]
    return np.ascontiguousarray(basis @ rotation[:, :rank])


def clipped(factor: Array, incoherence: float) -> Array:
    """An orthonormal basis of the factor without its entries beyond ``2 incoherence sqrt(k / m)``.

    References
    ----------
    P. Jain, P. Netrapalli and S. Sanghavi (2013), Low-rank Matrix Completion using Alternating Minimization, STOC,
    algorithm 2, step 4.
    """
    height, rank = factor.shape
    bound = 2.0 * incoherence * np.sqrt(rank / height)
    return np.ascontiguousarray(np.linalg.qr(np.where(np.abs(factor) > bound, 0.0, factor))[0])
