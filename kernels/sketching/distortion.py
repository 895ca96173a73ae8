"""How far a weighted sample of rows is from keeping ||A x||_p for all x."""

import numpy as np
import scipy.linalg

from kernels.sketching.sensitivities import check_exponent
from kernels.sketching.types import Matrix, Vector, check_tall

STARTS = 3  # of each of four kinds
FIRST_STEP, LONGER, SHORTER = 0.3, 1.5, 0.4


def lp_distortion(basis: Matrix, weights: Vector, p: float, *, iterations: int = 30) -> float:
    """The largest ``| sum_i w_i |a_i^T x|^p / ||A x||_p^p - 1 |`` that a local search over x finds, a lower bound.

    Gradient ascent, or descent, of the quotient from several directions side by side, with steps that are taken only
    where they improve: from the extreme eigenvectors of the pencil of Gram matrices, which are the exact answer for
    p = 2, and from the rows that are weighted most and the largest that are missing.

    Parameters
    ----------
    basis : ndarray, shape (n, d), float64, finite
        An orthonormal basis of the columns of A.
    weights : ndarray, shape (n,), float64
        Nonnegative.
    p : float
        At least 1 and finite.
    iterations : int
        Steps of each search.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the basis is not tall, the weights do not fit, or p is less than 1.
    """
    size, columns = check_tall("basis", basis)
    check_exponent(p)
    if weights.shape != (size,):
        raise ValueError(f"weights must have shape ({size},), not {weights.shape}")
    eigenvectors = scipy.linalg.eigh((weights[:, None] * basis).T @ basis, check_finite=False)[1]
    starts, count = min(STARTS, columns), min(STARTS, size)
    norms = np.einsum("ij,ij->i", basis, basis)
    rising = np.hstack([eigenvectors[:, -starts:], basis[np.argsort(weights * norms)[-count:]].T])
    falling = np.hstack([eigenvectors[:, :starts], basis[np.argsort(np.where(weights > 0, 0, norms))[-count:]].T])
    signs = np.repeat([1.0, -1.0], starts + count)
    return _search(basis, weights, p, np.hstack([rising, falling]), signs, iterations)


def _search(basis: Matrix, weights: Vector, p: float, directions: Matrix, signs: Vector, iterations: int) -> float:
    """The largest deviation of the quotient from 1, each column of directions moved along or against its gradient."""
    directions = directions / np.maximum(np.linalg.norm(directions, axis=0), np.finfo(np.float64).tiny)
    quotients, gradients = _quotients(basis, weights, p, directions)
    steps = np.full(signs.size, FIRST_STEP)
    for _ in range(iterations):
        moved = directions + steps * signs * gradients
        moved /= np.linalg.norm(moved, axis=0)
        reached, uphill = _quotients(basis, weights, p, moved)
        better = signs * reached > signs * quotients
        directions, gradients = np.where(better, moved, directions), np.where(better, uphill, gradients)
        quotients = np.where(better, reached, quotients)
        steps = np.where(better, LONGER * steps, SHORTER * steps)
    return float(np.abs(quotients - 1.0).max())


def _quotients(basis: Matrix, weights: Vector, p: float, directions: Matrix) -> tuple[Vector, Matrix]:
    """The quotients of all directions and the unit vectors along their gradients."""
    values = basis @ directions
    magnitudes = np.abs(values)
    derivatives = np.sign(values) if p == 1.0 else np.copysign(magnitudes ** (p - 1.0), values)
    powers = derivatives * values
    totals = powers.sum(axis=0)
    quotients = weights @ powers / totals
    gradients = basis.T @ ((weights[:, None] - quotients) * derivatives)
    return quotients, gradients / np.maximum(np.linalg.norm(gradients, axis=0), np.finfo(np.float64).tiny)
