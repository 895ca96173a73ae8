"""Linear systems of many lower-level problems, solved side by side."""

from collections.abc import Callable

import numpy as np

from kernels.optimization.bilevel.problem import Matrix, Vector


def conjugate_gradients(
    product: Callable[[Matrix], Matrix],
    right_hand_sides: Matrix,
    start: Matrix,
    iterations: int,
    tolerance: float = 0.0,
) -> Matrix:
    """Solve independent positive definite systems side by side, each row with step lengths of its own.

    Parameters
    ----------
    product : callable
        Rows v_i -> rows H_i v_i, shape (b, q).
    right_hand_sides, start : ndarray, shape (b, q), float64
    iterations : int
        The most iterations.
    tolerance : float
        It ends where every residual is at most this share of its right-hand side; where one vanishes, its row rests.

    Returns
    -------
    ndarray, shape (b, q), float64
    """
    solution = start.copy()
    residual = right_hand_sides - product(solution)
    direction = residual.copy()
    squared = _row_products(residual, residual)
    allowed = tolerance**2 * _row_products(right_hand_sides, right_hand_sides)
    for _ in range(iterations):
        if (squared <= allowed).all():
            break
        image = product(direction)
        curvature = _row_products(direction, image)
        length = np.divide(squared, curvature, out=np.zeros_like(squared), where=curvature > 0.0)
        solution += length[:, None] * direction
        residual -= length[:, None] * image
        previous, squared = squared, _row_products(residual, residual)
        share = np.divide(squared, previous, out=np.zeros_like(squared), where=previous > 0.0)
        direction = residual + share[:, None] * direction
    return solution


def _row_products(a: Matrix, b: Matrix) -> Vector:
    return np.asarray(np.einsum("ij,ij->i", a, b))
