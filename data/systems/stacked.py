"""Systems of one sparsity pattern as stacked CSR arrays, whatever file they are rows of."""

from collections.abc import Mapping
from typing import Any

import scipy.sparse as sp

from data.linear_system import LinearSystem
from data.systems.system import REAL_KINDS, linear_system, real_numbers
from data.validation import InputError

STACKED = ("data", "indices", "indptr", "rhs")


class StackedSystems:
    """Systems whose matrices share ``indices`` and ``indptr``.

    Parameters
    ----------
    place : str
        Where the arrays come from, for messages.
    arrays : mapping
        ``data`` of shape (count, nnz), ``indices`` (nnz,), ``indptr`` (n + 1,) and ``rhs`` (count, n), or (n,) where
        all systems share one. The first and the last are read row by row, so they may be mapped or chunked arrays.

    Raises
    ------
    InputError
        If an array is missing, or their types and shapes do not make square matrices of real numbers.
    """

    def __init__(self, place: str, arrays: Mapping[str, Any]) -> None:
        if missing := [name for name in STACKED if name not in arrays]:
            raise InputError(f"{place} has no array {missing[0]!r}: stacked systems are made of {', '.join(STACKED)}")
        self._place = place
        self._data, indices, indptr, rhs = (arrays[name] for name in STACKED)
        self._require("data", self._data, REAL_KINDS, "real numbers", 2, "(count, nnz)")
        self._require("indices", indices, "iu", "integers", 1, "(nnz,)")
        self._require("indptr", indptr, "iu", "integers", 1, "(n + 1,)")
        shared = rhs.ndim == 1
        self._require("rhs", rhs, REAL_KINDS, "real numbers", 1 if shared else 2, "(count, n) or (n,)")
        self._rhs = rhs[:] if shared else rhs
        self._indices, self._indptr = indices[:], indptr[:]
        self._require_csr()
        self.count = int(self._data.shape[0])
        expected = (self._size,) if shared else (self.count, self._size)
        if self._rhs.shape != expected:
            raise InputError(f"{place}: rhs has shape {self._rhs.shape}, not {expected} as data and indptr make it")
        if self.count == 0:
            raise InputError(f"{place} holds no systems: data has shape {self._data.shape}")

    def read(self, index: int) -> LinearSystem:
        """The system of one row."""
        rhs = self._rhs if self._rhs.ndim == 1 else self._rhs[index]
        parts = real_numbers("matrix", self._data[index]), self._indices, self._indptr
        return linear_system(sp.csr_array(parts, shape=(self._size, self._size)), rhs)

    @property
    def _size(self) -> int:
        return len(self._indptr) - 1

    def _require(self, name: str, array: Any, kinds: str, what: str, ndim: int, shape: str) -> None:
        if array.dtype.kind not in kinds:
            raise InputError(f"{self._place}: {name} holds {array.dtype}, it must hold {what}")
        if array.ndim != ndim:
            raise InputError(f"{self._place}: {name} has shape {array.shape}, it must be of shape {shape}")

    def _require_csr(self) -> None:
        """Refuse arrays that are no square CSR pattern; all systems have it, so none could be solved."""
        entries = int(self._data.shape[1])
        indices, indptr = self._indices, self._indptr
        if len(indices) != entries:
            raise InputError(f"{self._place}: indices has {len(indices)} entries, data has {entries} a system")
        if self._size < 1 or indptr[0] != 0 or indptr[-1] != entries or (indptr[1:] < indptr[:-1]).any():
            raise InputError(f"{self._place}: indptr must begin with 0, never decrease and end with {entries}")
        if entries and (indices.min() < 0 or indices.max() >= self._size):
            raise InputError(
                f"{self._place}: the matrices are not square: indices from {indices.min()} to {indices.max()} "
                f"for {self._size} rows"
            )
