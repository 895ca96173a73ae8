"""How much each row of a matrix can matter to ||A x||_p: sensitivities and Lewis weights."""

import math

import numpy as np

from kernels.sketching.leverage import leverage_scores, orthonormal_basis
from kernels.sketching.types import Matrix, Vector

BATCH_NUMBERS = 2**21  # 16 MiB of residuals at a time
FLOOR = 1e-8  # of a residual, relative to the one that is held at 1: keeps the weights finite


def lp_sensitivities(matrix: Matrix, p: float, *, iterations: int = 60, tolerance: float = 1e-3) -> Vector:
    """The l_p sensitivities ``sigma_i = max_x |a_i^T x|^p / ||A x||_p^p``, from below.

    ``1 / sigma_i`` is the minimum of ``||A x||_p^p`` subject to ``a_i^T x = 1``: a convex problem for each row. They
    are solved side by side by iteratively reweighted least squares in an orthonormal basis; for p > 2 the step is
    divided by p - 1, which makes it Newton's. Every iterate is feasible, so that the best one is a bound from below.

    Parameters
    ----------
    matrix : ndarray, shape (n, d), float64, finite
        n >= d, of full column rank.
    p : float
        At least 1 and finite.
    iterations : int
        At most so many reweightings.
    tolerance : float
        A row is done when its value improves by no more than this relative amount.

    Returns
    -------
    ndarray, shape (n,), float64
        In [0, 1].

    Raises
    ------
    ValueError
        If the matrix is not tall or its columns are dependent, or p is less than 1.

    References
    ----------
    D. P. Woodruff, T. Yasuda (2023), Sharper bounds for l_p sensitivity sampling, ICML, definition of sensitivities.
    """
    check_exponent(p)
    if p == 2.0:
        return leverage_scores(matrix)
    basis = orthonormal_basis(matrix)
    sensitivities = np.zeros(basis.shape[0])
    present = np.flatnonzero(np.einsum("ij,ij->i", basis, basis) > np.finfo(np.float64).tiny)
    upper = np.triu_indices(basis.shape[1])
    products = basis[:, upper[0]] * basis[:, upper[1]]
    size = max(1, BATCH_NUMBERS // basis.shape[0])
    for start in range(0, present.size, size):
        batch = present[start : start + size]
        least = _least_norms(basis, products, basis[batch], p, iterations, tolerance)
        sensitivities[batch] = np.minimum(1.0, 1.0 / least)
    return sensitivities


def _least_norms(
    basis: Matrix, products: Matrix, targets: Matrix, p: float, iterations: int, tolerance: float
) -> Vector:
    """The minima of ``||basis @ x||_p^p`` subject to ``target @ x = 1`` for each target, shape (targets,).

    ``products`` are the products of pairs of columns, so that all weighted Gram matrices are one matrix product.
    """
    columns = basis.shape[1]
    rows, partners = np.triu_indices(columns)
    least = np.full(targets.shape[0], np.inf)
    active = np.arange(targets.shape[0])
    directions = targets / np.einsum("ij,ij->i", targets, targets)[:, None]
    for _ in range(iterations):
        residuals = np.abs(directions @ basis.T)
        norms = (residuals**p).sum(axis=1)
        improves = norms < (1.0 - tolerance) * least[active]
        least[active] = np.minimum(least[active], norms)
        active, directions, residuals = active[improves], directions[improves], residuals[improves]
        if active.size == 0:
            break
        packed = np.maximum(residuals, FLOOR) ** (p - 2.0) @ products
        grams = np.empty((active.size, columns, columns))
        grams[:, rows, partners] = packed
        grams[:, partners, rows] = packed
        solved = np.linalg.solve(grams, targets[active, :, None])[:, :, 0]
        solved /= np.einsum("ij,ij->i", solved, targets[active])[:, None]
        directions += (solved - directions) / max(1.0, p - 1.0)
    return least


def lewis_weights(matrix: Matrix, p: float, *, iterations: int = 100, tolerance: float = 1e-8) -> Vector:
    """The l_p Lewis weights: the leverage scores, to themselves, of the rows scaled by ``w_i^(1/2 - 1/p)``.

    The fixed-point map ``w_i <- (a_i^T (A^T W^(1 - 2/p) A)^-1 a_i)^(p/2)`` contracts for p < 2. For p > 2 it is taken
    to the power 2/p, times the complementary power of w: the map to the leverage scores of the scaled rows.

    Parameters
    ----------
    matrix : ndarray, shape (n, d), float64, finite
        n >= d, of full column rank.
    p : float
        At least 1 and finite.
    iterations : int
        At most so many steps.
    tolerance : float
        Stop when no weight changes by more than this relative amount.

    Returns
    -------
    ndarray, shape (n,), float64
        In [0, 1]; their sum is d.

    Raises
    ------
    ValueError
        As from :func:`lp_sensitivities`.

    References
    ----------
    M. B. Cohen, R. Peng (2015), L_p row sampling by Lewis weights, STOC.
    """
    check_exponent(p)
    basis = orthonormal_basis(matrix)
    leverage = np.einsum("ij,ij->i", basis, basis)
    present = leverage > np.finfo(np.float64).tiny
    kept, weights = basis[present], leverage[present]
    power = min(1.0, 2.0 / p)
    for _ in range(iterations):
        gram = (weights ** (1.0 - 2.0 / p) * kept.T) @ kept
        forms = np.einsum("ij,ij->i", kept, np.linalg.solve(gram, kept.T).T)
        updated = weights ** (1.0 - power) * forms ** (power * p / 2.0)
        change = np.abs(updated / weights - 1.0).max()
        weights = updated
        if change <= tolerance:
            break
    lewis = np.zeros(leverage.size)
    lewis[present] = weights
    return lewis


def check_exponent(p: float) -> None:
    """Check that p is an exponent of a norm.

    Raises
    ------
    ValueError
        If it is less than 1 or not finite.
    """
    if not (p >= 1.0 and math.isfinite(p)):
        raise ValueError(f"p must be finite and at least 1, not {p}")
