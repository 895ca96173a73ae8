"""Checks of the arguments that the linear solvers and preconditioners share."""

import math

import numpy as np
import scipy.sparse as sp

from kernels.linear_systems.types import Matrix, Vector

SHARE_OF_ROUNDING = 0.2


def check_matrix(matrix: Matrix) -> int:
    """Check that a matrix is square, canonical CSR and float64, and return its size.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(matrix, sp.csr_array):
        raise ValueError(f"matrix must be a scipy.sparse.csr_array, not {type(matrix).__name__}")  # noqa: TRY004
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"matrix must be square and not empty, not of shape {matrix.shape}")
    if matrix.dtype != np.float64:
        raise ValueError(f"matrix must be float64, not {matrix.dtype}")
    if not matrix.has_canonical_format:
        raise ValueError("matrix must have sorted column indices without duplicates (call sum_duplicates)")
    return matrix.shape[0]


def check_vector(name: str, vector: Vector, size: int) -> None:
    """Check that a vector is float64 of shape (size,).

    Raises
    ------
    ValueError
        If it is not; the message names the argument.
    """
    if not isinstance(vector, np.ndarray) or vector.shape != (size,):
        raise ValueError(f"{name} must be an array of shape ({size},), not {np.shape(vector)}")
    if vector.dtype != np.float64:
        raise ValueError(f"{name} must be float64, not {vector.dtype}")


def check_tolerance(tolerance: float) -> None:
    """Check that a relative tolerance is positive and finite.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ValueError(f"tolerance must be positive and finite, not {tolerance}")


def check_count(name: str, count: int, least: int, most: int | None = None) -> None:
    """Check that an integer option lies between two bounds.

    Raises
    ------
    ValueError
        If it does not; the message names the option, its value and the bounds.
    """
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or count < least or (most is not None and count > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be an integer {allowed}, not {count!r}")


def is_finite(matrix: Matrix, rhs: Vector) -> bool:
    """Whether neither the matrix nor the right-hand side holds NaN or infinity."""
    return bool(np.isfinite(rhs).all() and np.isfinite(matrix.data).all())


def is_beyond_rounding(matrix: Matrix, rhs: Vector, solution: Vector, tolerance: float) -> bool:
    """Whether rounding alone keeps the residual of a solution above a tolerance, so that no solver can do better.

    Stable solvers reach about a quarter of eps ``|| |A| |x| ||``, the rounding of the product with the matrix; a
    tolerance below a fifth of that is out of reach, and a solution whose residual is no larger than it is as good as
    can be. (Higham, "Accuracy and stability of numerical algorithms", 2nd ed. 2002, chapter 12.)

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs, solution : ndarray, shape (n,), float64
    tolerance : float
        On the relative residual.
    """
    rounding = np.finfo(np.float64).eps * np.linalg.norm(abs(matrix) @ np.abs(solution))
    reached = np.linalg.norm(rhs - matrix @ solution) <= rounding
    return bool(reached and tolerance * np.linalg.norm(rhs) < SHARE_OF_ROUNDING * rounding)
