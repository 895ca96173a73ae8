"""Compensated summation: a sum whose error does not grow with the number of terms."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.result import Result, Status


def compensated_sum(terms: NDArray[np.float64]) -> Result:
    """Sum by Neumaier's improvement of Kahan's algorithm.

    Parameters
    ----------
    terms : ndarray, shape (n,), float64

    Returns
    -------
    Result
        The sum; ``work`` counts ``additions``.

    Raises
    ------
    ValueError
        If ``terms`` is not one-dimensional.

    References
    ----------
    A. Neumaier (1974), Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen, ZAMM 54, algorithm IV.
    """
    return _result(_neumaier(_checked(terms)), 4 * terms.size)


def recursive_sum(terms: NDArray[np.float64]) -> Result:
    """Sum one term after another, the loop everybody writes first; raises as :func:`compensated_sum`."""
    return _result(_recursive(_checked(terms)), terms.size)


def pairwise_sum(terms: NDArray[np.float64]) -> Result:
    """Sum in pairs, as ``numpy.sum`` does; raises as :func:`compensated_sum`."""
    return _result(float(np.sum(_checked(terms))), terms.size)


def exact_sum(terms: NDArray[np.float64]) -> Result:
    """The correctly rounded sum (Shewchuk's expansions, ``math.fsum``); raises as :func:`compensated_sum`."""
    total = math.fsum(_checked(terms)) if np.isfinite(terms).all() else math.nan
    return _result(total, terms.size)


def _checked(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    if terms.ndim != 1:
        raise ValueError(f"terms must have shape (n,), not {terms.shape}")
    return terms


def _result(total: float, additions: int) -> Result:
    status = Status.CONVERGED if np.isfinite(total) else Status.NOT_FINITE
    return Result(np.array([total]), status, np.empty(0), {"additions": additions})


@njit(cache=True)
def _neumaier(terms: NDArray[np.float64]) -> float:
    total = 0.0
    compensation = 0.0
    for term in terms:
        updated = total + term
        # The smaller operand loses its low digits in the sum; they are recovered exactly.
        if abs(total) >= abs(term):
            compensation += (total - updated) + term
        else:
            compensation += (term - updated) + total
        total = updated
    return total + compensation


@njit(cache=True)
def _recursive(terms: NDArray[np.float64]) -> float:
    total = 0.0
    for term in terms:
        total += term
    return total
