"""The way between systems, each with arrays of its own, and lanes, where entry i of all systems is one vector."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.vectors import VECTOR_BYTES, gather, load, minus, store, times
from kernels.linear_systems.types import Vector

Lanes = NDArray[Any]
Indices = NDArray[np.int32]
Block = NDArray[np.float64]
Integers = NDArray[np.int32] | NDArray[np.int64]

# Of float64.
LANES = VECTOR_BYTES // 8
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
def true_residuals(
    data: Vector,
    indices: Indices,
    indptr: Indices,
    rhs: Lanes,
    solution: Lanes,
    residual: Lanes,
    units: Vector,
    norms: Vector,
) -> None:
    """Do as :func:`true_residual` for systems of one matrix, one in each lane, float64, shape (n, LANES)."""
    totals, inverse_units = np.zeros(LANES), 1.0 / units
    for row in range(indptr.size - 1):
        remaining = load(rhs, row)
        for entry in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            remaining = minus(remaining, times(load(data, entry), load(solution, np.uint64(indices[entry]))))
        store(residual, row, remaining)
        for lane in range(LANES):
            totals[lane] += (residual[row, lane] * inverse_units[lane]) ** 2
    norms[:] = np.sqrt(totals)


@njit(cache=True)
def take_lanes(residual: Lanes, factors: Vector, position: Indices, first: int, lanes: Lanes) -> None:
    """Do as :func:`take_residuals` for residuals of shape (n, LANES) that go to the lanes from ``first`` on."""
    for unknown in range(position.size):
        row = np.uint64(position[unknown])
        for lane in range(LANES):
            lanes[row, first + lane] = factors[lane] * residual[unknown, lane]


@njit(cache=True)
def add_lanes(lanes: Lanes, first: int, scales: Vector, position: Indices, solution: Lanes) -> None:
    """Do as :func:`add_corrections` for solutions of shape (n, LANES) in the lanes from ``first`` on."""
    for unknown in range(position.size):
        row = np.uint64(position[unknown])
        for lane in range(LANES):
            solution[unknown, lane] += scales[lane] * lanes[row, first + lane]


@njit(cache=True)
def separate(lanes: Lanes, columns: Block) -> None:
    """Write column ``lane`` of ``lanes`` to row ``lane`` of ``columns``: the way back from :func:`interleave`."""
    for begin in range(0, lanes.shape[0], PIECE):
        end = min(begin + PIECE, lanes.shape[0])
        for lane in range(LANES):
            for row in range(begin, end):
                columns[lane, row] = lanes[row, lane]


@njit(cache=True)
def is_same(first: Integers, second: Integers) -> bool:
    """Whether two arrays of integers are the same; most that are not differ in their first piece."""
    if first.size != second.size:
        return False
    for begin in range(0, first.size, PIECE):
        piece, other = first[begin : begin + PIECE], second[begin : begin + PIECE]
        difference = 0
        for place in range(piece.size):
            difference |= piece[place] ^ other[place]
        if difference != 0:
            return False
    return True


def has_same_bits(first: Vector, second: Vector) -> bool:
    """Whether two arrays of float64 are the same bit by bit."""
    return is_same(first.view(np.int64), second.view(np.int64))


@njit(cache=True)
def mirrors(data: Vector, below: Indices, above: Indices) -> bool:
    """Whether entries ``below`` the diagonal equal those ``above`` it."""
    place = 0
    while place < below.size and data[np.uint64(below[place])] == data[np.uint64(above[place])]:
        place += 1
    return place == below.size
