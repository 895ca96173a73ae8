"""The factors of one batch of matrices, one matrix in each lane, and the memory that they and their solves need."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.analysis import Analysis
from kernels.linear_systems.lane_factorization.exchange import (
    add_corrections,
    has_same_bits,
    interleave,
    take_residuals,
)
from kernels.linear_systems.lane_factorization.numeric import TILE, Factors, factorize
from kernels.linear_systems.lane_factorization.shared import SharedFactors
from kernels.linear_systems.lane_factorization.substitution import substitute_backward, substitute_forward
from kernels.linear_systems.lane_factorization.symbolic import MOST_COLUMNS
from kernels.linear_systems.lane_factorization.vectors import VECTOR_BYTES, lane_array
from kernels.linear_systems.types import Vector

Block = NDArray[np.float64]


class LaneFactors:
    """Memory for the factors of matrices of one pattern; every factorisation overwrites the last.

    Parameters
    ----------
    analysis : Analysis
        Of the pattern.
    dtype : type
        ``np.float32`` (16 lanes) or ``np.float64`` (8 lanes).
    symmetric : bool
        Whether all matrices are symmetric, so that one factor is enough.
    """

    def __init__(self, analysis: Analysis, dtype: Any, symmetric: bool) -> None:
        structure = analysis.structure
        self.lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
        self._analysis, self._symmetric = analysis, symmetric
        self._last: tuple[int, Vector] | None = None
        self._shared: SharedFactors | None = None
        # the last entry stays zero: the value of entries that the matrix has not
        self._values = lane_array(len(analysis.indices) + 1, dtype)
        self._values[-1] = 0.0
        lower = lane_array(structure.entries, dtype)
        upper = lower if symmetric else lane_array(structure.entries, dtype)
        pivots, inverse_pivots, self._unknowns = (lane_array(analysis.size, dtype) for _ in range(3))
        packed = lane_array(MOST_COLUMNS * max(MOST_COLUMNS, 2 * TILE), dtype)
        self._factors = Factors(lower, upper, pivots, inverse_pivots, packed)

    def factorize(self, data: Sequence[Vector], residuals: Block, scales: Vector, solutions: Block) -> None:
        """Factorise matrices, given by their CSR data, and correct solutions as :meth:`correct` does.

        The first system fills the lanes that are left.
        """
        # a copy: the caller may change the matrix
        self._last = len(data) - 1, data[-1].copy()
        padding = [data[0]] * (self.lanes - len(data))
        interleave((*data, *padding), self._values)
        self._take(residuals, scales)
        structure = self._analysis.structure
        analysed = structure.panels, structure.updates, self._analysis.sources
        factorize(*analysed, self._values, self._symmetric, self._factors, self._unknowns)
        self._finish(scales, solutions)

    def shared(self, data: Vector) -> SharedFactors | None:
        """The factors of a matrix, given by its CSR data, if it was the last of a batch; they are then kept."""
        if self._shared is not None and self._shared.are_of(data):
            return self._shared
        if self._last is not None and has_same_bits(self._last[1], data):
            lane, kept = self._last
            self._shared = SharedFactors(self._analysis, kept, self._factors, lane)
            return self._shared
        return None

    def correct(self, residuals: Block, scales: Vector, solutions: Block) -> None:
        """Solve for residuals, shape (lanes, n), with the factors and add the corrections to the solutions.

        ``scales``, shape (lanes,), are about the norms of the residuals, lest these underflow in float32.
        """
        self._take(residuals, scales)
        substitute_forward(self._analysis.structure.panels, self._factors.lower, self._unknowns)
        self._finish(scales, solutions)

    def _take(self, residuals: Block, scales: Vector) -> None:
        # the scale of a lane may be subnormal: its residual becomes infinite, and the lane fails
        with np.errstate(over="ignore", divide="ignore"):
            inverse_scales = 1.0 / scales
        take_residuals(residuals, inverse_scales, self._analysis.position, self._unknowns)

    def _finish(self, scales: Vector, solutions: Block) -> None:
        panels, factors = self._analysis.structure.panels, self._factors
        substitute_backward(panels, factors.upper, factors.inverse_pivots, self._unknowns)
        add_corrections(self._unknowns, scales, self._analysis.position, solutions)
