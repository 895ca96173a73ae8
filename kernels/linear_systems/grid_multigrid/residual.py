"""The true residual, of the matrix and the vectors as they were given."""

import numpy as np

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.types import Vector


@entry_kernel
def true_residual(
    data: Vector, rows: int, columns: int, solution: Vector, rhs: Vector, factor: float, residual: Vector
) -> float:
    """Write ``rhs - matrix @ solution`` and return its norm times ``factor``."""
    squares = 0.0
    begin = 0
    for i in range(rows):
        south, north = int(i > 0), int(i + 1 < rows)
        step = 3 + south + north
        point, diagonal = i * columns, begin + south
        across = (columns * south, columns * north)
        squares += _residual_points(
            data, 1, columns - 1, diagonal, step, point, 1, 1, across, solution, rhs, factor, residual
        )
        for j in range(0, columns, max(columns - 1, 1)):
            west, east = int(j > 0), int(j + 1 < columns)
            squares += _residual_points(
                data, j, j + 1, diagonal, step, point, west, east, across, solution, rhs, factor, residual
            )
        begin += columns * step - 2
    return float(np.sqrt(squares))


@kernel
def _residual_points(
    data: Vector,
    begin: int,
    end: int,
    diagonal: int,
    step: int,
    point: int,
    west: int,
    east: int,
    across: tuple[int, int],
    solution: Vector,
    rhs: Vector,
    factor: float,
    residual: Vector,
) -> float:
    """The residual of points of a row that have the same neighbours, and its scaled sum of squares.

    A missing neighbour is replaced by the point itself, with weight 0.
    """
    d, s, first = np.uint64(diagonal), np.uint64(step), np.uint64(point)
    to_west, to_east = np.uint64(west), np.uint64(east)
    south, north = np.uint64(across[0]), np.uint64(across[1])
    has_west, has_east, has_south, has_north = (
        float(west),
        float(east),
        float(min(across[0], 1)),
        float(min(across[1], 1)),
    )
    to_south, to_north = np.uint64((west + 1) * min(across[0], 1)), np.uint64((east + 1) * min(across[1], 1))
    squares = 0.0
    for j in range(np.uint64(max(begin, 0)), np.uint64(max(end, 0))):
        k, p = d + s * j, first + j
        along = data[k] * solution[p] + has_west * data[k - to_west] * solution[p - to_west]
        along += has_east * data[k + to_east] * solution[p + to_east]
        beside = has_south * data[k - to_south] * solution[p - south]
        beside += has_north * data[k + to_north] * solution[p + north]
        difference = rhs[p] - (along + beside)
        residual[p] = difference
        squares += (factor * difference) * (factor * difference)
    return squares
