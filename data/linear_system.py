"""The instance that the PDE problems assemble: one sparse linear system."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LinearSystem:
    """One system ``matrix @ x = rhs`` and what it was made from.

    Attributes
    ----------
    matrix : csr_array, shape (n, n), float64
        Canonical: indices sorted, no duplicates.
    rhs : ndarray, shape (n,), float64
    parameters : ndarray, shape (p,), float64
        The parameter array of the instance, flattened: the key by which sequences are sorted.
    symmetric, positive_definite : bool
        Properties of ``matrix`` that hold for every instance of the problem.
    """

    matrix: sp.csr_array
    rhs: NDArray[np.float64]
    parameters: NDArray[np.float64]
    symmetric: bool = False
    positive_definite: bool = False
