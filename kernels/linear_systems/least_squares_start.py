"""A start from earlier solutions: the combination of them whose residual is smallest."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpstrf

from kernels.linear_systems.types import Matrix, Vector
from kernels.linear_systems.validation import check_matrix, check_vector

# Pivots of the scaled Gram matrix below this may be rounding: an image so near the span of others (3e-7) is left out.
_RANK_TOLERANCE = 1e-13


def least_squares_start(matrix: Matrix, rhs: Vector, solutions: NDArray[np.float64]) -> Vector:
    """The initial guess ``solutions @ c`` that minimises ``||rhs - matrix @ solutions @ c||``.

    Where a family has few parameters, its solutions lie near a space of small dimension, and those of other members
    span it: whatever the order, and however strong the preconditioner. Where the matrix is constant and the right-hand
    sides span a space of dimension d, any d solutions hold all others. The cost is k products with the matrix and n k^2
    multiplications.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    solutions : ndarray, shape (n, k), float64
        Of other systems of the family; C-ordered for speed. They may depend on each other.

    Returns
    -------
    ndarray, shape (n,), float64
        Zero where there is nothing to combine: k = 0, a zero right-hand side, or images that are zero or not finite.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or dtype.

    References
    ----------
    .. [1] P. F. Fischer, "Projection techniques for iterative solution of Ax = b with successive right-hand sides",
       Comput. Methods Appl. Mech. Eng. 163, 1998: the same idea where the matrix is constant.
    .. [2] A. Bjorck, "Stability analysis of the method of seminormal equations for linear least squares problems",
       Linear Algebra Appl. 88/89, 1987: one step of refinement makes up for the Gram matrix.
    """
    size = check_matrix(matrix)
    check_vector("rhs", rhs, size)
    if not isinstance(solutions, np.ndarray) or solutions.ndim != 2 or solutions.shape[0] != size:
        raise ValueError(f"solutions must be an array of shape ({size}, k), not {np.shape(solutions)}")
    if solutions.dtype != np.float64:
        raise ValueError(f"solutions must be float64, not {solutions.dtype}")
    if solutions.shape[1] == 0:
        return np.zeros(size)
    with np.errstate(over="ignore", invalid="ignore"):
        images = matrix @ solutions
        gram = dsyrk(1.0, images.T)
    lengths = np.sqrt(gram.diagonal())
    if not (np.isfinite(lengths).all() and np.isfinite(rhs).all() and lengths.any()):
        return np.zeros(size)
    # images of one length, so that a solution's magnitude says nothing of its rank
    inverse_lengths = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
    gram *= inverse_lengths[:, None] * inverse_lengths
    triangle, order, rank, _ = dpstrf(gram, tol=_RANK_TOLERANCE)
    kept = order[:rank] - 1
    triangle = triangle[:rank, :rank]

    combination = np.zeros(solutions.shape[1])
    residual = rhs
    for _ in range(2):
        moments = (residual @ images)[kept] * inverse_lengths[kept]
        moments = solve_triangular(triangle, solve_triangular(triangle, moments, trans="T"))
        combination[kept] += moments * inverse_lengths[kept]
        residual = rhs - images @ combination
    start: Vector = solutions @ combination
    return start
