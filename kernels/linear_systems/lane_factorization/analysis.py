"""What is found out once about a sparsity pattern and serves all matrices that have it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from kernels.linear_systems.lane_factorization.exchange import is_same
from kernels.linear_systems.lane_factorization.ordering import nested_dissection
from kernels.linear_systems.lane_factorization.symbolic import (
    Panels,
    Sources,
    Structure,
    analyse_order,
    elimination_cost,
)
from kernels.linear_systems.types import Matrix
from kernels.linear_systems.validation import check_matrix

Indices = NDArray[np.int32]
Offsets = NDArray[np.int64]

KEPT_ANALYSES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """The order and structure of the factors of a pattern, and where the matrix's entries go.

    Attributes
    ----------
    indptr, indices : ndarray, int32
        The pattern, canonical CSR.
    structure : Structure
        The factors'.
    position : ndarray, shape (n,), int32
        Where in the order of elimination each unknown comes.
    sources : Sources
        Where the matrix's entries go.
    """

    indptr: Indices
    indices: Indices
    structure: Structure
    position: Indices
    sources: Sources

    @property
    def size(self) -> int:
        """The number of unknowns."""
        return len(self.position)

    def fits(self, matrix: Matrix) -> bool:
        """Whether a matrix is float64 CSR of this pattern."""
        return (
            isinstance(matrix, sp.csr_array)
            and matrix.dtype == np.float64
            and matrix.shape == (self.size, self.size)
            and is_same(matrix.indptr, self.indptr)
            and is_same(matrix.indices, self.indices)
        )


_kept: list[Analysis] = []


def analyse(matrix: Matrix) -> Analysis:
    """Analyse the pattern of a matrix; the last few analyses are kept and found again by their pattern.

    The unknowns are ordered by nested dissection and by SuperLU's multiple minimum degree, and the order that takes
    fewer multiplications is chosen.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Any pattern, symmetric or not; the factors get that of A + A^T.

    Raises
    ------
    ValueError
        If the matrix has a wrong type, shape, dtype or format.
    """
    for analysis in _kept:
        if analysis.fits(matrix):
            return analysis
    size = check_matrix(matrix)
    ones = sp.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    pattern = sp.csr_array(ones + ones.T)
    indptr, indices = pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32)
    orders = nested_dissection(indptr, indices), minimum_degree(pattern)
    structure = analyse_order(indptr, indices, min(orders, key=lambda o: elimination_cost(indptr, indices, o)))
    position = np.empty(size, dtype=np.int32)
    position[structure.order] = np.arange(size, dtype=np.int32)
    analysis = Analysis(
        matrix.indptr.astype(np.int32),
        matrix.indices.astype(np.int32),
        structure,
        position,
        _sources(matrix, pattern, structure.panels, position),
    )
    _kept.insert(0, analysis)
    del _kept[KEPT_ANALYSES:]
    return analysis


def minimum_degree(pattern: sp.csr_array) -> Indices:
    """SuperLU's order of multiple minimum degree (Liu 1985) of a symmetric pattern."""
    size = pattern.shape[0]
    # dominant diagonals: SuperLU gives its order only with a factorisation, which must not fail
    dominant = sp.csc_array(pattern + sp.diags_array(pattern.sum(axis=1) + 1.0))
    options = {"SymmetricMode": True}
    factors = splu(dominant, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    order = np.empty(size, dtype=np.int32)
    order[factors.perm_c] = np.arange(size, dtype=np.int32)
    return order


def _sources(matrix: Matrix, pattern: sp.csr_array, panels: Panels, position: Indices) -> Sources:
    """Where the entries of a matrix go, from its pattern and that of A + A^T."""
    size, count = len(position), len(panels.first_column) - 1
    row, column = (part.astype(np.int64) for part in pattern.tocoo().coords)
    below = position[row] >= position[column]
    row, column = row[below], column[below]

    widths, heights = np.diff(panels.first_column), np.diff(panels.row_start)
    panel = np.repeat(np.arange(count), widths)[position[column]]
    panel_rows = np.repeat(np.arange(count), heights) * size + panels.rows
    place = np.searchsorted(panel_rows, panel * size + position[row]) - panels.row_start[panel]
    entry = panels.entry_start[panel] + place * widths[panel] + position[column] - panels.first_column[panel]

    keys = np.repeat(np.arange(size), np.diff(matrix.indptr)) * size + matrix.indices
    by_entry = np.argsort(entry)
    start = np.searchsorted(panel[by_entry], np.arange(count + 1))
    lower, upper = _find(keys, row * size + column), _find(keys, column * size + row)
    return Sources(start, entry[by_entry], lower[by_entry], upper[by_entry])


def _find(keys: Offsets, wanted: Offsets) -> Indices:
    """The places of keys among ascending keys; the number of these for a key that is not there."""
    places = np.searchsorted(keys, wanted)
    there = np.append(keys, -1)[places] == wanted
    return np.where(there, places, len(keys)).astype(np.int32)
