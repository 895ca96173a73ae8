"""What the network learns from: random combinations of a matrix's Ritz vectors."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOW_WEIGHT = 9.0
# The heavier part reaches beyond the lower half by one in so many Ritz vectors: the authors' 500 of 10,000.
BEYOND_HALF = 20
# A remainder smaller than this is rounding: the Krylov space is invariant.
_EXHAUSTED = 1e-10


def ritz_vectors(matrix: sp.csr_array, count: int, random: np.random.Generator) -> Array:
    """The Ritz vectors of a symmetric matrix in a Krylov space, by the Lanczos process.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric.
    count : int
        Steps of the process. An invariant space ends it earlier: of a multiple eigenvalue it finds one vector.
    random : Generator
        Draws the vector whose product with the matrix the process starts from.

    Returns
    -------
    ndarray, shape (at most count, n), float64
        Orthonormal rows, by ascending Ritz value.
    """
    size = matrix.shape[0]
    basis = np.empty((min(count, size), size))
    start = matrix @ random.standard_normal(size)
    basis[0] = start / np.linalg.norm(start)
    diagonal: list[float] = []
    beside: list[float] = []
    for step in range(len(basis)):
        following = matrix @ basis[step]
        diagonal.append(float(following @ basis[step]))
        for _ in range(2):  # against all vectors before, or those that have converged come again
            following -= (basis[: step + 1] @ following) @ basis[: step + 1]
        length = float(np.linalg.norm(following))
        if step + 1 == len(basis) or length <= _EXHAUSTED * max(diagonal):
            break
        beside.append(length)
        basis[step + 1] = following / length
    steps = len(diagonal)
    tridiagonal = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    return np.asarray(np.linalg.eigh(tridiagonal)[1].T @ basis[:steps])


def ritz_mixtures(vectors: Array, count: int, random: np.random.Generator) -> Array:
    """Unit vectors with random components along Ritz vectors, nine times as large in the lower half as above.

    Parameters
    ----------
    vectors : ndarray, shape (m, n), float64
        By ascending Ritz value.
    count : int
    random : Generator

    Returns
    -------
    ndarray, shape (count, n), float64
    """
    m = len(vectors)
    weights = np.ones(m)
    weights[: m // 2 + m // BEYOND_HALF] = LOW_WEIGHT
    mixtures = (weights * random.standard_normal((count, m))) @ vectors
    return np.asarray(mixtures / np.linalg.norm(mixtures, axis=1, keepdims=True))
