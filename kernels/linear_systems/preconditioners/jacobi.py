"""The diagonal (Jacobi) preconditioner and its contiguous-block form."""

from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from kernels.linear_systems.preconditioners.factors import FactorizationError, nonzero_diagonal
from kernels.linear_systems.preconditioners.ilu0 import ilu0
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_vector


def jacobi(matrix: Matrix) -> Preconditioner:
    """M = diag(A).

    Raises
    ------
    ValueError
        If the matrix is not square, canonical CSR and float64, or a diagonal entry is zero or not finite.
    """
    _, diagonal = nonzero_diagonal("jacobi", matrix)
    inverse = 1.0 / diagonal

    def solve(vector: Vector) -> Vector:
        check_vector("vector", vector, diagonal.size)
        return inverse * vector

    def multiply(vector: Vector) -> Vector:
        check_vector("vector", vector, diagonal.size)
        return diagonal * vector

    return Preconditioner("jacobi", solve, multiply)


def block_jacobi(matrix: Matrix, *, blocks: int = 8, inner: Literal["ilu0", "lu"] = "ilu0") -> Preconditioner:
    """M = the diagonal blocks of A, each replaced by its ILU(0) factors or inverted exactly.

    The rows are cut into contiguous blocks whose sizes differ by at most one. ILU(0) inside is PETSc's default, which
    has one block a process.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    blocks : int
        Number of blocks, 1 to n.
    inner : {"ilu0", "lu"}
        How a block is solved.

    Raises
    ------
    ValueError
        If an argument is not as described, or a block is singular or has a zero pivot.
    """
    size = check_matrix(matrix)
    check_count("blocks", blocks, 1, size)
    if inner not in ("ilu0", "lu"):
        raise ValueError(f"inner must be 'ilu0' or 'lu', not {inner!r}")
    block_diagonal = _block_diagonal_part(matrix, blocks)
    if inner == "ilu0":
        factors = ilu0(block_diagonal)
        return Preconditioner("block-jacobi", factors.solve, factors.multiply)

    try:
        # The blocks do not couple, so that one sparse LU of all is the LU of each.
        factorization = splu(block_diagonal.tocsc(), permc_spec="MMD_AT_PLUS_A")
    except RuntimeError as error:
        raise FactorizationError(f"block-jacobi: {error}") from error
    return Preconditioner("block-jacobi", factorization.solve, block_diagonal.__matmul__)


def _block_diagonal_part(matrix: Matrix, blocks: int) -> Matrix:
    size = matrix.shape[0]
    block_of = np.arange(size) * blocks // size
    rows = np.repeat(np.arange(size), np.diff(matrix.indptr))
    inside = block_of[rows] == block_of[matrix.indices]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[inside], minlength=size)))).astype(matrix.indptr.dtype)
    return sp.csr_array((matrix.data[inside], matrix.indices[inside], indptr), shape=matrix.shape)
