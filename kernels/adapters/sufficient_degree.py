"""The degree of Taylor's polynomial that would have sufficed, known only to those who have the exact gradient."""

import numpy as np

from kernels.adapters.chained import chained_gradient
from kernels.adapters.exact import blocked_gradient
from kernels.adapters.layer import AdaptedLayer, Array, project
from kernels.adapters.polynomial import points_in_unit_ball, polynomial_weights
from kernels.compression.tensor_attention.exponentials import exponential_coefficients
from kernels.compression.tensor_attention.types import check_count, check_positive
from kernels.result import Result, Status


def sufficient_degree(layer: AdaptedLayer, *, tolerance: float = 1e-2, max_degree: int = 40) -> Result:
    """The gradient of the adapter with the least degree of Taylor's polynomial that has the accuracy asked for.

    Parameters
    ----------
    layer : AdaptedLayer
        L tokens of d entries, adapter of rank r.
    tolerance : float
        Largest relative error allowed of the gradients of B and of A, in the Frobenius norm.
    max_degree : int

    Returns
    -------
    Result
        ``value`` of shape (2, d, r): the gradient of B, and that of A transposed. CONVERGED if a degree sufficed, else
        ITERATION_LIMIT. ``history`` holds the errors of degrees 0, 1 ...; ``work`` the ``degree``, its ``features`` and
        the ``multiplications`` it takes alone.

    Raises
    ------
    ValueError
        If an option is out of range or the arrays do not fit together.
    """
    check_positive("tolerance", tolerance)
    check_count("max_degree", max_degree, 0)
    exact = blocked_gradient(layer)
    if not exact.converged:
        return exact
    projected = project(layer)
    queries, keys, radius = points_in_unit_ball(projected)
    errors: list[float] = []
    for degree in range(max_degree + 1):
        weights = polynomial_weights(queries, keys, exponential_coefficients("taylor", radius, degree))
        gradient = chained_gradient(layer, projected, weights)
        errors.append(np.inf if gradient.failure else gradient_error(gradient.value, exact.value))
        if errors[-1] <= tolerance:
            break
    status = Status.CONVERGED if errors[-1] <= tolerance else Status.ITERATION_LIMIT
    work = {"degree": degree, "features": weights.rank, "multiplications": gradient.multiplications}
    return Result(gradient.value, status, np.array(errors), work)


def gradient_error(value: Array, reference: Array) -> float:
    """The larger of the relative errors of the gradients of B and A, in the Frobenius norm; absolute where one is zero.

    Parameters
    ----------
    value, reference : ndarray, shape (2, d, r), float64
    """
    errors = np.linalg.norm(value - reference, axis=(1, 2))
    norms = np.linalg.norm(reference, axis=(1, 2))
    return float((errors / np.where(norms > 0, norms, 1.0)).max())
