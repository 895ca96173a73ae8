"""One system of a sequence: made canonical, or refused with what is wrong with it."""

from enum import StrEnum
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import structural_rank

from data.linear_system import LinearSystem

REAL_KINDS = "fiub"


class Defect(StrEnum):
    """Why a system is not solved; a store holds the position in this list."""

    NONE = "none"
    UNREADABLE = "unreadable"
    NOT_REAL = "not of real numbers"
    NOT_SQUARE = "not square"
    RHS_LENGTH = "right-hand side of another length"
    NOT_FINITE = "NaN or infinity"
    SIZE_CHANGED = "size changed"
    PATTERN_CHANGED = "pattern changed"
    STRUCTURALLY_SINGULAR = "structurally singular"

    @property
    def code(self) -> int:
        """The integer that stores it."""
        return list(Defect).index(self)


class BadSystemError(ValueError):
    """A system that cannot be solved; the others of its sequence can."""

    def __init__(self, defect: Defect, detail: str) -> None:
        super().__init__(f"{defect}: {detail}")
        self.defect = defect


def linear_system(matrix: Any, rhs: Any) -> LinearSystem:
    """The canonical float64 system of a matrix and a right-hand side, which are left as they are.

    Parameters
    ----------
    matrix : sparse array or matrix of any format, or ndarray, shape (n, n), real numbers
    rhs : ndarray or sparse, n real numbers in any shape

    Returns
    -------
    LinearSystem
        Its parameters, by which sequences are sorted, are the entries of the matrix. Stored zeros stay.

    Raises
    ------
    BadSystemError
        If it is not real, square and finite, or the right-hand side does not fit.
    """
    if not sp.issparse(matrix):
        matrix = real_numbers("matrix", matrix)
    try:
        sparse = sp.csr_array(matrix, copy=True)
        sparse.check_format(full_check=True)
        dense_rhs = rhs.toarray() if hasattr(rhs, "toarray") else rhs
    except (TypeError, ValueError, MemoryError) as error:
        raise BadSystemError(Defect.UNREADABLE, one_line(error)) from error
    vector = real_numbers("right-hand side", dense_rhs).ravel()
    if sparse.ndim != 2 or sparse.shape[0] != sparse.shape[1] or sparse.shape[0] == 0:
        raise BadSystemError(Defect.NOT_SQUARE, f"matrix of shape {sparse.shape}")
    if len(vector) != sparse.shape[0]:
        raise BadSystemError(Defect.RHS_LENGTH, f"{len(vector)} numbers for {sparse.shape[0]} rows")
    sparse.data = real_numbers("matrix", sparse.data)
    with np.errstate(over="ignore", invalid="ignore"):
        sparse.sum_duplicates()
    for name, values in (("matrix", sparse.data), ("right-hand side", vector)):
        if not np.isfinite(values).all():
            raise BadSystemError(Defect.NOT_FINITE, f"{np.count_nonzero(~np.isfinite(values))} in the {name}")
    return LinearSystem(_with_short_indices(sparse), vector, sparse.data)


def real_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """An array as float64; what that cannot hold becomes infinite.

    Raises
    ------
    BadSystemError
        If it is no array of real numbers; ``name`` is what it says of whose numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise BadSystemError(Defect.UNREADABLE, f"{name}: {one_line(error)}") from error
    if array.dtype.kind not in REAL_KINDS:
        raise BadSystemError(Defect.NOT_REAL, f"{name} of type {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def require_structural_rank(system: LinearSystem) -> None:
    """Refuse a pattern that is singular whatever its entries are.

    Raises
    ------
    BadSystemError
        If its structural rank (the size of a maximum matching of rows and columns) is below its size.
    """
    size, rank = system.matrix.shape[0], int(structural_rank(system.matrix))
    if rank < size:
        raise BadSystemError(Defect.STRUCTURALLY_SINGULAR, f"rank at most {rank} of {size}")


def require_pattern(system: LinearSystem, first: LinearSystem) -> None:
    """Refuse a system whose sparsity pattern is not that of the first one.

    Raises
    ------
    BadSystemError
        If size or pattern differ; one that is structurally singular is called so.
    """
    matrix, expected = system.matrix, first.matrix
    if matrix.shape != expected.shape:
        raise BadSystemError(Defect.SIZE_CHANGED, f"{matrix.shape[0]} unknowns, not {expected.shape[0]}")
    if not (np.array_equal(matrix.indptr, expected.indptr) and np.array_equal(matrix.indices, expected.indices)):
        require_structural_rank(system)
        raise BadSystemError(Defect.PATTERN_CHANGED, f"{matrix.nnz} entries where the first has {expected.nnz}")


def _with_short_indices(matrix: sp.csr_array) -> sp.csr_array:
    """The matrix with 32-bit indices where they suffice: the type that every kernel is compiled for."""
    longest = max(matrix.shape[0], matrix.nnz)
    kind = np.int32 if longest <= np.iinfo(np.int32).max else np.int64
    parts = matrix.data, matrix.indices.astype(kind, copy=False), matrix.indptr.astype(kind, copy=False)
    return sp.csr_array(parts, shape=matrix.shape)


def one_line(error: Exception) -> str:
    """What an exception says, on one line and with its type."""
    return " ".join(f"{type(error).__name__}: {error}".split())
