"""The method of manufactured solutions: the order at which a discretisation converges, observed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve

Array = NDArray[np.float64]


class Manufactured(NamedTuple):
    """A discretised equation whose exact solution is known.

    Attributes
    ----------
    spacing : float
        The mesh width.
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    exact : ndarray, shape (n,), float64
        The solution of the differential equation at the unknowns' points.
    """

    spacing: float
    matrix: sp.csr_array
    rhs: Array
    exact: Array


def observed_order(discretise: Callable[[int], Manufactured], grids: Sequence[int] = (16, 32, 64)) -> float:
    """Fit p in error = C h^p to the root-mean-square errors of a manufactured solution on several grids.

    Parameters
    ----------
    discretise : callable
        Resolution -> the discretised equation and its exact solution; it must go through the assembly under test.
    grids : sequence of int
        At least three resolutions.

    Returns
    -------
    float
        The slope, by least squares, of the logarithm of the error against the logarithm of the mesh width.

    Raises
    ------
    ValueError
        If there are fewer than three grids, or an error is zero or not finite.
    """
    if len(grids) < 3:
        raise ValueError(f"grids = {tuple(grids)}: at least three are needed to observe an order")
    spacings, errors = [], []
    for grid in grids:
        spacing, matrix, rhs, exact = discretise(grid)
        solution = spsolve(matrix.tocsc(), rhs)
        spacings.append(spacing)
        errors.append(float(np.linalg.norm(solution - exact)) / np.sqrt(exact.size))
    if not all(np.isfinite(error) and error > 0.0 for error in errors):
        raise ValueError(f"errors = {errors}: an order needs errors that are finite and not zero")
    return float(np.polyfit(np.log(spacings), np.log(errors), 1)[0])
