"""What can be known of a system at a small share of what it costs to solve it."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.grid_multigrid.stencil import find_grid
from kernels.linear_systems.grid_multigrid_3d import find_box
from kernels.linear_systems.lane_factorization.analysis import analyse
from kernels.linear_systems.lane_factorization.exchange import is_same
from kernels.linear_systems.lane_factorization.symbolic import elimination_cost
from kernels.linear_systems.types import Matrix, Vector

ROWS_LOOKED_AT = 100

Context = tuple[int, int, bool, int, int, int, bool, bool]
Indices = NDArray[np.int32]


class Pattern:
    """A sparsity pattern: the dimensions of its grid, if it is one, and what elimination in it costs."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self.dimensions = _dimensions(matrix)

    def fits(self, matrix: Matrix) -> bool:
        """Whether a matrix has this pattern."""
        return (
            matrix.shape == self._matrix.shape
            and is_same(matrix.indptr, self._matrix.indptr)
            and is_same(matrix.indices, self._matrix.indices)
        )

    @cached_property
    def multiplications(self) -> float:
        """What eliminating all unknowns takes: estimated for grids, found by the analysis of other patterns."""
        size = float(self._matrix.shape[0])
        if self.dimensions == 2:
            return 10.0 * math.pow(size, 1.5)
        if self.dimensions == 3:
            return 2.5 * size * size
        analysis = analyse(self._matrix)
        return elimination_cost(analysis.indptr, analysis.indices, analysis.structure.order)


def _dimensions(matrix: Matrix) -> int:
    """2 for the five-point pattern of a grid, 3 for the seven-point pattern of a box, 0 for any other."""
    for dimensions, find in ((2, find_grid), (3, find_box)):
        try:
            find(matrix)
        except ValueError:
            continue
        return dimensions
    return 0


@dataclass(frozen=True, slots=True)
class Features:
    """Features of a matrix: of its pattern, and of its numbers in a sample of its rows.

    Attributes
    ----------
    pattern : Pattern
    size, entries : int
    symmetric : bool
        Whether every sampled entry equals its mirror image.
    skewness : float
        Mean of ``|a_ij - a_ji| / |a_ij + a_ji|``: half the cell Peclet number where fluxes are central.
    anisotropy : float
        Median over rows of the largest over the smallest coupling.
    contrast : float
        The largest over the smallest diagonal entry.
    dominant : bool
        Whether no row's couplings outweigh its diagonal, as in an M-matrix; not so for waves.
    repeated : bool
        Whether the matrix before it was the same.
    """

    pattern: Pattern
    size: int
    entries: int
    symmetric: bool
    skewness: float
    anisotropy: float
    contrast: float
    dominant: bool
    repeated: bool = False

    @property
    def dimensions(self) -> int:
        """Of the grid whose pattern it is, 0 for none."""
        return self.pattern.dimensions

    @property
    def multiplications(self) -> float:
        """Of elimination."""
        return self.pattern.multiplications

    @property
    def context(self) -> Context:
        """The kind of system: its features, rounded until systems alike fall together."""
        return (
            self.size,
            self.entries,
            self.symmetric,
            _rounded_logarithm(self.skewness, 2.0, -4, 6),
            _rounded_logarithm(self.anisotropy, 10.0, 0, 6),
            _rounded_logarithm(self.contrast, 100.0, 0, 5),
            self.dominant,
            self.repeated,
        )


def look_at(matrix: Matrix, pattern: Pattern) -> Features:
    """The features of a canonical CSR matrix, from about ROWS_LOOKED_AT rows at equal distances."""
    size = matrix.shape[0]
    step = -(-size // ROWS_LOOKED_AT) | 1  # odd: even steps would look at the same columns of a grid in each row
    skewness, anisotropy, contrast, dominance = _look_at_rows(matrix.data, matrix.indices, matrix.indptr, step)
    dominant = dominance >= -1e-10  # rounding
    return Features(pattern, size, matrix.nnz, skewness == 0.0, skewness, anisotropy, contrast, dominant)


def _rounded_logarithm(value: float, base: float, least: int, most: int) -> int:
    if not value > 0.0:
        return least - 1
    return most if value == math.inf else min(max(round(math.log(value, base)), least), most)


@njit(cache=True)
def _look_at_rows(data: Vector, indices: Indices, indptr: Indices, step: int) -> tuple[float, float, float, float]:
    """Mean skewness, median anisotropy, contrast, and the least ``1 - sum |a_ij| / a_ii`` of every ``step``-th row."""
    size = indptr.size - 1
    anisotropies = np.ones((size + step - 1) // step)
    skewness, pairs, dominance = 0.0, 0, np.inf
    largest_diagonal, smallest_diagonal = 0.0, np.inf
    for at in range(anisotropies.size):
        row = at * step
        diagonal, largest, smallest, couplings = 0.0, 0.0, np.inf, 0.0
        for k in range(indptr[row], indptr[row + 1]):
            column, value = indices[k], data[k]
            if column == row:
                diagonal = value
                continue
            mirrored = 0.0
            for mirror in range(indptr[column], indptr[column + 1]):
                if indices[mirror] == row:
                    mirrored = data[mirror]
            if value != mirrored:
                skewness += min(abs(value - mirrored) / max(abs(value + mirrored), 1e-300), 1e6)
            pairs += 1
            strength = 0.5 * abs(value + mirrored)
            couplings += abs(value)
            largest = max(largest, strength)
            if strength > 0.0:
                smallest = min(smallest, strength)
        if largest > 0.0:
            anisotropies[at] = largest / smallest
        largest_diagonal = max(largest_diagonal, abs(diagonal))
        smallest_diagonal = min(smallest_diagonal, abs(diagonal))
        dominance = min(dominance, 1.0 - couplings / diagonal if diagonal > 0.0 else -np.inf)
    contrast = largest_diagonal / smallest_diagonal if smallest_diagonal > 0.0 else np.inf
    return skewness / max(pairs, 1), np.median(anisotropies), contrast, dominance
