"""The way between systems, each with arrays of its own, and lanes, where entry i of all systems is one vector."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.vectors import gather, store
from kernels.linear_systems.types import Vector

Lanes = NDArray[Any]
Indices = NDArray[np.int32]
Block = NDArray[np.float64]

# Arrays are transposed in pieces that stay in the first-level cache.
PIECE = 256


@njit(cache=True)
def interleave(columns: tuple[Vector, ...], lanes: Lanes) -> None:
    """Write array ``columns[lane]`` to column ``lane`` of ``lanes``."""
    for row in range(columns[0].size):
        store(lanes, row, gather(columns, row, lanes))


@njit(cache=True)
def take_residuals(residuals: Block, factors: Vector, position: Indices, lanes: Lanes) -> None:
    """Write the residuals, shape (systems, n), each times a factor, to the lanes, in the order of elimination."""
    for unknown in range(position.size):
        row = position[unknown]
        for lane in range(lanes.shape[1]):
            lanes[row, lane] = factors[lane] * residuals[lane, unknown]


@njit(cache=True)
def add_corrections(lanes: Lanes, scales: Vector, position: Indices, solutions: Block) -> None:
    """Add what the lanes hold, scaled, to the systems' solutions, shape (systems, n)."""
    for begin in range(0, position.size, PIECE):
        end = min(begin + PIECE, position.size)
        for lane in range(lanes.shape[1]):
            scale = scales[lane]
            for unknown in range(begin, end):
                solutions[lane, unknown] += scale * lanes[np.uint64(position[unknown]), lane]


@njit(cache=True)
def true_residual(
    data: Vector, indices: Indices, indptr: Indices, rhs: Vector, solution: Vector, residual: Vector, unit: float
) -> float:
    """Compute ``rhs - A solution`` in float64, and its norm in units of ``unit``.

    Unsigned indices spare numba's test for negative ones.
    """
    total, inverse_unit = 0.0, 1.0 / unit
    for row in range(rhs.size):
        remaining = rhs[row]
        for entry in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            remaining -= data[entry] * solution[np.uint64(indices[entry])]
        residual[row] = remaining
        total += (remaining * inverse_unit) ** 2
    return float(np.sqrt(total))


@njit(cache=True)
def mirrors(data: Vector, below: Indices, above: Indices) -> bool:
    """Whether entries ``below`` the diagonal equal those ``above`` it."""
    place = 0
    while place < below.size and data[np.uint64(below[place])] == data[np.uint64(above[place])]:
        place += 1
    return place == below.size
