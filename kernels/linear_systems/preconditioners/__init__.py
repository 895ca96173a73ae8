"""Preconditioners M of a sparse matrix A, all built by name and all with M^-1 v and M v."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.linear_systems.preconditioners.factors import FactorizationError, TriangularFactors
from kernels.linear_systems.preconditioners.ic0 import CholeskyFactor, ic0
from kernels.linear_systems.preconditioners.ilu0 import ilu0
from kernels.linear_systems.preconditioners.ilut import ilut
from kernels.linear_systems.preconditioners.jacobi import block_jacobi, jacobi
from kernels.linear_systems.preconditioners.ssor import ssor
from kernels.linear_systems.types import Matrix, Preconditioner
from kernels.linear_systems.validation import check_matrix

__all__ = [
    "PRECONDITIONERS",
    "CholeskyFactor",
    "FactorizationError",
    "TriangularFactors",
    "block_jacobi",
    "build_preconditioner",
    "ic0",
    "ilu0",
    "ilut",
    "jacobi",
    "ssor",
]


def build_preconditioner(name: str, matrix: Matrix, **options: Any) -> Preconditioner:
    """Build a preconditioner of a matrix by its name.

    Parameters
    ----------
    name : str
        ``"none"``, ``"jacobi"``, ``"ssor"`` (option ``omega``), ``"block-jacobi"`` (``blocks``, ``inner``),
        ``"ilu0"``, ``"ilut"`` (``drop_tolerance``, ``fill_factor``) or ``"ic0"``.
    matrix : csr_array, shape (n, n), float64
        Canonical.
    **options
        The options of the function of that name.

    Raises
    ------
    ValueError
        If the name is unknown, or the matrix or an option is not as described.
    FactorizationError
        If M does not exist for the numbers in this matrix; it is a ValueError too.
    """
    if name not in PRECONDITIONERS:
        raise ValueError(f"name must be one of {', '.join(PRECONDITIONERS)}, not {name!r}")
    return PRECONDITIONERS[name](matrix, **options)


def _none(matrix: Matrix) -> Preconditioner:
    check_matrix(matrix)
    return Preconditioner("none", np.copy, np.copy)


def _from_factors(
    name: str, factorize: Callable[..., TriangularFactors | CholeskyFactor]
) -> Callable[..., Preconditioner]:
    def build(matrix: Matrix, **options: Any) -> Preconditioner:
        factors = factorize(matrix, **options)
        return Preconditioner(name, factors.solve, factors.multiply)

    return build


PRECONDITIONERS: dict[str, Callable[..., Preconditioner]] = {
    "none": _none,
    "jacobi": jacobi,
    "ssor": ssor,
    "block-jacobi": block_jacobi,
    "ilu0": _from_factors("ilu0", ilu0),
    "ilut": _from_factors("ilut", ilut),
    "ic0": _from_factors("ic0", ic0),
}
