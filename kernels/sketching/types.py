"""The types and checks that sketches of overdetermined problems share."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Regression(Protocol):
    """An overdetermined problem: find x such that ``matrix @ x`` is near ``rhs``."""

    @property
    def matrix(self) -> Matrix:
        """The design, shape (n, d), n >= d, float64."""
        ...

    @property
    def rhs(self) -> Vector:
        """What is approximated, shape (n,), float64."""
        ...


def check_tall(name: str, matrix: Matrix) -> tuple[int, int]:
    """Check that a matrix is float64, not empty and has no more columns than rows, and return its shape.

    Raises
    ------
    ValueError
        If it is not; the message names the argument.
    """
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or not 1 <= matrix.shape[1] <= matrix.shape[0]:
        raise ValueError(f"{name} must have shape (n, d), n >= d >= 1, not {np.shape(matrix)}")
    if matrix.dtype != np.float64:
        raise ValueError(f"{name} must be float64, not {matrix.dtype}")
    return matrix.shape[0], matrix.shape[1]


def check_regression(instance: Regression) -> tuple[int, int]:
    """Check the shapes and types of a regression problem and return the shape of its matrix.

    Raises
    ------
    ValueError
        If the matrix is not tall, or the right-hand side does not fit it.
    """
    rows, columns = check_tall("matrix", instance.matrix)
    rhs = instance.rhs
    if not isinstance(rhs, np.ndarray) or rhs.shape != (rows,):
        raise ValueError(f"rhs must be an array of shape ({rows},), not {np.shape(rhs)}")
    if rhs.dtype != np.float64:
        raise ValueError(f"rhs must be float64, not {rhs.dtype}")
    return rows, columns


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


def is_finite(instance: Regression) -> bool:
    """Whether neither the matrix nor the right-hand side holds NaN or infinity."""
    return bool(np.isfinite(instance.matrix).all() and np.isfinite(instance.rhs).all())
