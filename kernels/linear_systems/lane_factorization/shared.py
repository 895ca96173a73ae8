"""The factors of one matrix, kept for the systems that have it: one factor, a right-hand side in each lane."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.analysis import Analysis
from kernels.linear_systems.lane_factorization.exchange import (
    LANES,
    add_lanes,
    has_same_bits,
    interleave,
    separate,
    take_lanes,
    true_residuals,
)
from kernels.linear_systems.lane_factorization.numeric import Factors
from kernels.linear_systems.lane_factorization.substitution import substitute_backward, substitute_forward
from kernels.linear_systems.lane_factorization.vectors import lane_array
from kernels.linear_systems.types import Vector

Block = NDArray[np.float64]


class SharedFactors:
    """The factors of one lane, and solutions that are refined with them side by side.

    What is computed for a system is, bit for bit, what a factorisation in a lane of its own comes to: the same
    operations in the same order.

    Parameters
    ----------
    analysis : Analysis
        Of the pattern.
    data : ndarray, float64
        The entries of the matrix; kept, not copied.
    factors : Factors
        Of matrices in lanes.
    lane : int
        Whose factors are copied.
    """

    def __init__(self, analysis: Analysis, data: Vector, factors: Factors, lane: int) -> None:
        self.lanes = factors.lower.shape[1]
        self._analysis, self._data = analysis, data
        self._lower = factors.lower[:, lane].copy()
        self._upper = self._lower if factors.upper is factors.lower else factors.upper[:, lane].copy()
        self._inverse_pivots = factors.inverse_pivots[:, lane].copy()
        self._unknowns = lane_array(analysis.size, factors.lower.dtype)
        # blocks of as many systems as there are lanes in double precision
        self._blocks = [slice(first, first + LANES) for first in range(0, self.lanes, LANES)]
        self._rhs, self._solutions, self._residuals = (
            [lane_array(analysis.size, np.float64) for _ in self._blocks] for _ in range(3)
        )
        self._right_hand_sides = self._rhs
        self._columns = np.empty((self.lanes, analysis.size))

    def are_of(self, data: Vector) -> bool:
        """Whether these are the factors of the matrix with these entries."""
        return has_same_bits(self._data, data)

    def start(self, right_hand_sides: Sequence[Vector]) -> None:
        """Take new systems, with solutions of zero; lanes that are left get right-hand sides of zero."""
        for lane, rhs in enumerate(right_hand_sides):
            self._columns[lane] = rhs
        self._columns[len(right_hand_sides) :] = 0.0
        for lanes, rhs_lanes, solution in zip(self._blocks, self._rhs, self._solutions, strict=True):
            interleave(tuple(self._columns[lanes]), rhs_lanes)
            solution[:] = 0.0
        self._right_hand_sides = self._rhs

    def correct(self, scales: Vector, units: Vector) -> Vector:
        """Correct the solutions by those for their residuals, and return the norms of the residuals that are left.

        Parameters
        ----------
        scales : ndarray, shape (lanes,), float64
            About the norms of the residuals, lest these underflow in float32.
        units : ndarray, shape (lanes,), float64
            Of the norms that are returned.
        """
        # as for factors in lanes, the scale of a lane may be subnormal
        with np.errstate(over="ignore", divide="ignore"):
            inverse_scales = 1.0 / scales
        panels, position = self._analysis.structure.panels, self._analysis.position
        norms = np.empty(self.lanes)
        for lanes, rhs in zip(self._blocks, self._right_hand_sides, strict=True):
            take_lanes(rhs, inverse_scales[lanes], position, lanes.start, self._unknowns)
        substitute_forward(panels, self._lower, self._unknowns)
        substitute_backward(panels, self._upper, self._inverse_pivots, self._unknowns)
        matrix = self._data, self._analysis.indices, self._analysis.indptr
        for lanes, rhs, solution, residual in zip(
            self._blocks, self._rhs, self._solutions, self._residuals, strict=True
        ):
            add_lanes(self._unknowns, lanes.start, scales[lanes], position, solution)
            true_residuals(*matrix, rhs, solution, residual, units[lanes], norms[lanes])
        self._right_hand_sides = self._residuals
        return norms

    def rest(self, lanes: Iterable[int], scales: Vector) -> None:
        """Leave the solutions in these lanes as they are from now on."""
        for lane in lanes:
            self._residuals[lane // LANES][:, lane % LANES], scales[lane] = 0.0, 1.0

    def solutions(self) -> Block:
        """The solutions, shape (lanes, n)."""
        columns = np.empty((self.lanes, self._analysis.size))
        for lanes, solution in zip(self._blocks, self._solutions, strict=True):
            separate(solution, columns[lanes])
        return columns
