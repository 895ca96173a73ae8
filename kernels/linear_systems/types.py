"""The types shared by the linear solvers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = sp.csr_array


class System(Protocol):
    """One system ``matrix @ x = rhs`` of a parametrised family."""

    @property
    def matrix(self) -> Matrix:
        """The n x n operator, float64, canonical CSR."""
        ...

    @property
    def rhs(self) -> Vector:
        """The right-hand side, shape (n,)."""
        ...

    @property
    def parameters(self) -> Vector:
        """What the system was made from, as a flat array: the key by which sequences are sorted."""
        ...


@dataclass(frozen=True, slots=True)
class Preconditioner:
    """An approximation M of a matrix A.

    Attributes
    ----------
    name : str
        The name it was built by.
    solve : callable
        v -> M^-1 v for a vector of shape (n,).
    multiply : callable or None
        v -> M v for a vector of shape (n,), where that is available.
    """

    name: str
    solve: Callable[[Vector], Vector]
    multiply: Callable[[Vector], Vector] | None
