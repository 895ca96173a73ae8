"""Symmetric successive over-relaxation: one forward and one backward sweep."""

import numpy as np

from kernels.linear_systems.preconditioners.factors import TriangularFactors, nonzero_diagonal
from kernels.linear_systems.types import Matrix, Preconditioner


def ssor(matrix: Matrix, *, omega: float = 1.0) -> Preconditioner:
    """M = omega / (2 - omega) (D / omega + L) D^-1 (D / omega + U) for A = L + D + U.

    M^-1 v is what a forward and then a backward SOR sweep make of a zero start (Saad 2003, eqs. 10.11-10.14); M is
    symmetric where A is. It is stored as (I + omega L D^-1) times (D / omega + U) / (2 - omega), in A's own pattern.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    omega : float
        Relaxation, between 0 and 2 (excluded); 1 is symmetric Gauss-Seidel.

    Raises
    ------
    ValueError
        If an argument is not as described, or a diagonal entry is zero or not finite.
    """
    if not 0.0 < omega < 2.0:
        raise ValueError(f"omega must lie strictly between 0 and 2, not {omega}")
    positions, diagonal = nonzero_diagonal("ssor", matrix)
    rows = np.repeat(np.arange(diagonal.size), np.diff(matrix.indptr))
    scale = np.where(matrix.indices < rows, omega / diagonal[matrix.indices], 1.0 / (2.0 - omega))
    scale[positions] /= omega
    factors = TriangularFactors(matrix.indptr, matrix.indices, matrix.data * scale, positions)
    return Preconditioner("ssor", factors.solve, factors.multiply)
