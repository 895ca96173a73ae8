"""Facility location, the monotone submodular function that the dynamic methods are compiled for."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray


class FacilityLocation(NamedTuple):
    """f(S) = the sum over clients of the largest benefit that an element of S brings them, 0 where none does.

    Benefits of 0 and 1 make it set coverage. The benefits of element e are ``benefit[first[e]:first[e + 1]]``, those
    to the clients ``client[first[e]:first[e + 1]]``. A set is represented by what each client has from it: ``best``,
    shape (clients,), float64. Every :func:`gain` of an element over a set is one call of the oracle.
    """

    first: NDArray[np.int64]
    client: NDArray[np.int64]
    benefit: NDArray[np.float64]


def facility_location(benefits: sp.csr_array) -> FacilityLocation:
    """The function of a matrix of benefits, elements x clients.

    Parameters
    ----------
    benefits : csr_array, shape (elements, clients), float64
        Not negative; NaN is left to the caller.

    Raises
    ------
    ValueError
        If it is empty, not of this type, holds duplicates or a negative number.
    """
    if not isinstance(benefits, sp.csr_array) or benefits.ndim != 2 or benefits.dtype != np.float64:
        raise ValueError(f"benefits must be a two-dimensional csr_array of float64, not {type(benefits).__name__}")
    if 0 in benefits.shape:
        raise ValueError(f"benefits must have elements and clients, not shape {benefits.shape}")
    if not benefits.has_canonical_format:
        raise ValueError("benefits must have sorted column indices without duplicates (call sum_duplicates)")
    if benefits.nnz and np.nanmin(np.append(benefits.data, 0.0)) < 0.0:
        raise ValueError(f"benefits must be at least 0, not {np.nanmin(benefits.data)}")
    return FacilityLocation(benefits.indptr.astype(np.int64), benefits.indices.astype(np.int64), benefits.data)


@njit(cache=True)
def values_alone(function: FacilityLocation) -> NDArray[np.float64]:
    """What every element is worth alone, f(e), shape (elements,), float64."""
    values = np.zeros(function.first.size - 1)
    for element in range(values.size):
        for at in range(function.first[element], function.first[element + 1]):
            values[element] += function.benefit[at]
    return values


@njit(cache=True)
def gain(function: FacilityLocation, best: NDArray[np.float64], element: int) -> float:
    """f(S + element) - f(S), one call of the oracle."""
    total = 0.0
    for at in range(function.first[element], function.first[element + 1]):
        total += max(0.0, function.benefit[at] - best[function.client[at]])
    return total


@njit(cache=True)
def add(function: FacilityLocation, best: NDArray[np.float64], element: int) -> float:
    """S becomes S + element; what f gains by it."""
    total = 0.0
    for at in range(function.first[element], function.first[element + 1]):
        client = function.client[at]
        more = function.benefit[at] - best[client]
        if more > 0.0:
            best[client] = function.benefit[at]
            total += more
    return total


@njit(cache=True)
def restore(function: FacilityLocation, best: NDArray[np.float64], earlier: NDArray[np.float64], element: int) -> None:
    """Take back what an element changed, to what was there ``earlier``."""
    for at in range(function.first[element], function.first[element + 1]):
        client = function.client[at]
        best[client] = earlier[client]
