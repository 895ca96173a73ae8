"""Between CSR matrices and the planes of the finest grid: detection, splitting, the network and scaling."""

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid.layout import (
    CENTRE,
    COEFFICIENTS,
    COLUMN_PARITY,
    COLUMNS,
    EAST,
    EAST_FACE,
    EAST_FLOW,
    NORTH,
    NORTH_FACE,
    NORTH_FLOW,
    OUTER_SCALE,
    PLANE,
    REACTION,
    RED_SUB_GRIDS,
    ROW_PARITY,
    ROWS,
    SCALE,
    SIZE,
    SOUTH,
    STRIDE,
    SUB_GRIDS,
    SYMMETRIC,
    WEST,
    Layout,
    Workspace,
    neighbour,
    reverse_coefficient,
    sub_grid_shape,
)
from kernels.linear_systems.types import Matrix, Vector

Indices = NDArray[np.int32]

_ROUNDING = 1e-12  # a column sum below this share of the diagonal is rounding


def find_grid(matrix: Matrix) -> tuple[int, int]:
    """The rows and columns of the grid whose five-point pattern a matrix has, points numbered row by row.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Canonical. All entries of the pattern must be stored, zeros too.

    Returns
    -------
    rows, columns : int
        A tridiagonal matrix is a grid of one row.

    Raises
    ------
    ValueError
        If the pattern is none of a rectangular grid.
    """
    size = matrix.shape[0]
    # the last entry of the first row is the northern neighbour, or in a single row the eastern one
    columns = int(matrix.indices[matrix.indptr[1] - 1]) if matrix.indptr[1] > 0 else 0
    columns = size if columns <= 1 else columns
    if size % columns == 0 and _has_pattern(matrix.indptr, matrix.indices, size // columns, columns):
        return size // columns, columns
    raise ValueError(
        "matrix must have the five-point pattern of a rectangular grid, points numbered row by row; "
        f"this one of shape {matrix.shape} with {matrix.nnz} entries has not"
    )


@entry_kernel
def _has_pattern(indptr: Indices, indices: Indices, rows: int, columns: int) -> bool:
    entries = 5 * rows * columns - 2 * rows - 2 * columns
    if indices.size != entries or indptr[rows * columns] != entries:
        return False
    differences = np.int64(0)
    begin = 0
    for i in range(rows):
        south, north = i > 0, i + 1 < rows
        step = 3 + int(south) + int(north)
        end = begin + columns * step - 2
        for j in range(columns):
            place = begin + j * step - int(j > 0)
            differences |= indptr[i * columns + j] - place
        for j in (0, 1, columns - 1):
            if j >= columns:
                continue
            point, place = i * columns + j, begin + j * step - int(j > 0)
            if south:
                differences |= indices[place] - (point - columns)
                place += 1
            if j > 0:
                differences |= indices[place] - (point - 1)
                place += 1
            differences |= indices[place] - point
            place += 1
            if j + 1 < columns:
                differences |= indices[place] - (point + 1)
                place += 1
            if north:
                differences |= indices[place] - (point + columns)
        # from the second point to the last but one, each entry is one more than that of the point before
        first = np.uint64(begin + step - 1)
        for k in range(np.uint64(max(step * (columns - 3), 0))):
            differences |= indices[first + np.uint64(step) + k] - indices[first + k] - 1
        begin = end
    return bool(differences == 0)


@entry_kernel
def split(data: Vector, w: Workspace, grid: Layout) -> None:
    """Write the entries of a matrix to CENTRE and, as they are, to COEFFICIENTS."""
    columns, plane = grid[COLUMNS], grid[PLANE]
    begin = 0
    for i in range(grid[ROWS]):
        south, north = int(i > 0), int(i + 1 < grid[ROWS])
        step = 3 + south + north
        for column_parity in range(2):
            sub_grid = _sub_grid(i, column_parity)
            target = (i // 2) * grid[STRIDE]
            centre = grid[CENTRE] + sub_grid * plane + target
            out = grid[COEFFICIENTS] + 4 * sub_grid * plane + target
            diagonal = begin + south + column_parity * step
            _, count = sub_grid_shape(grid, sub_grid)
            # points at the ends of a row lack neighbours; those between are alike
            ends = (0, count - 1)
            _split_points(data, w, plane, 1, count - 1, centre, out, diagonal, 2 * step, 1, 1, south, north)
            for j in ends:
                if 0 <= j < count:
                    west, east = int(2 * j + column_parity > 0), int(2 * j + column_parity + 1 < columns)
                    _split_points(data, w, plane, j, j + 1, centre, out, diagonal, 2 * step, west, east, south, north)
        begin += columns * step - 2


@kernel
def _sub_grid(i: int, j: int) -> int:
    """The sub-grid of the cell in row i and column j."""
    if i % 2 == 0:
        return 2 if j % 2 else 0
    return 1 if j % 2 else 3


@kernel
def _split_points(
    data: Vector,
    w: Workspace,
    plane: int,
    begin: int,
    end: int,
    centre: int,
    out: int,
    diagonal: int,
    step: int,
    west: int,
    east: int,
    south: int,
    north: int,
) -> None:
    """Copy the entries of points that have the same neighbours (1 or 0); a missing one gives 0."""
    c, o, p = np.uint64(centre), np.uint64(out), np.uint64(plane)
    d, s = np.uint64(diagonal), np.uint64(step)
    to_west, to_east = np.uint64(west), np.uint64(east)
    to_south, to_north = np.uint64((west + 1) * south), np.uint64((east + 1) * north)
    has_west, has_east, has_south, has_north = float(west), float(east), float(south), float(north)
    for j in range(np.uint64(max(begin, 0)), np.uint64(max(end, 0))):
        k = d + s * j
        w[c + j] = data[k]
        w[o + j] = has_west * data[k - to_west]
        w[o + p + j] = has_east * data[k + to_east]
        w[o + np.uint64(2) * p + j] = has_south * data[k - to_south]
        w[o + np.uint64(3) * p + j] = has_north * data[k + to_north]


@entry_kernel
def is_symmetric(w: Workspace, grid: Layout) -> bool:
    """Whether every coefficient in COEFFICIENTS equals the reverse one."""
    differs = False
    for sub_grid in range(RED_SUB_GRIDS):
        for direction in range(4):
            there = np.uint64(grid[COEFFICIENTS] + (4 * sub_grid + direction) * grid[PLANE])
            back = np.uint64(reverse_coefficient(grid, sub_grid, direction))
            for k in range(np.uint64(grid[SIZE])):
                differs |= w[there + k] != w[back + k]
    return not differs


@entry_kernel
def mean_diagonal(w: Workspace, grid: Layout) -> float:
    """The mean magnitude of CENTRE; 0 where an entry is 0 or, in a symmetric matrix, negative."""
    total, usable = 0.0, 0
    centre = np.uint64(grid[CENTRE])
    for k in range(np.uint64(SUB_GRIDS * grid[PLANE] - (grid[PLANE] - grid[SIZE]))):
        total += abs(w[centre + k])
        usable += w[centre + k] > 0.0 or (w[centre + k] < 0.0 and not grid[SYMMETRIC])
    cells = grid[ROWS] * grid[COLUMNS]
    return float(total / cells) if usable == cells else 0.0


@entry_kernel
def make_network(w: Workspace, grid: Layout, single: Workspace, level: Layout, unit: float) -> bool:
    """Write the conductances, flows and reaction terms of a matrix that was split; return whether all are finite.

    Parameters
    ----------
    w, grid : ndarray
        The workspace in double precision and its layout.
    single, level : ndarray
        The workspace in single precision and the layout of level 0.
    unit : float
        What becomes 1, so that single precision holds all numbers.
    """
    plane = grid[PLANE]
    factor = 1.0 / unit
    trace = 0.0
    for sub_grid in range(SUB_GRIDS):
        own = sub_grid * plane
        for direction, face, flow in ((EAST, EAST_FACE, EAST_FLOW), (NORTH, NORTH_FACE, NORTH_FLOW)):
            there = np.uint64(grid[COEFFICIENTS] + (4 * sub_grid + direction) * plane)
            back = np.uint64(reverse_coefficient(grid, sub_grid, direction))
            conductance, skew = np.uint64(level[face] + own), np.uint64(level[flow] + own)
            if level[SYMMETRIC]:
                for k in range(np.uint64(grid[SIZE])):
                    single[conductance + k] = max(-factor * w[there + k], 0.0)
            else:
                for k in range(np.uint64(grid[SIZE])):
                    passing = factor * (w[there + k] - w[back + k])
                    single[skew + k] = passing
                    # upwinding: what is preconditioned by must be an M-matrix
                    single[conductance + k] = max(-0.5 * factor * (w[there + k] + w[back + k]), 0.5 * abs(passing))
        centre, reaction = np.uint64(grid[CENTRE] + own), np.uint64(level[REACTION] + own)
        west = np.uint64(reverse_coefficient(grid, sub_grid, WEST))
        east = np.uint64(reverse_coefficient(grid, sub_grid, EAST))
        south = np.uint64(reverse_coefficient(grid, sub_grid, SOUTH))
        north = np.uint64(reverse_coefficient(grid, sub_grid, NORTH))
        for k in range(np.uint64(grid[SIZE])):
            # of the column, not the row: what a cell gives to none of its neighbours, whatever flows through it
            column_sum = w[centre + k] + ((w[west + k] + w[east + k]) + (w[south + k] + w[north + k]))
            trace += 0.0 * column_sum
            # what is negative has no place in a network
            single[reaction + k] = factor * column_sum if column_sum > _ROUNDING * abs(w[centre + k]) else 0.0
    _ground_boundary(single, level)
    return bool(trace == 0.0)


@kernel
def _ground_boundary(single: Workspace, level: Layout) -> None:
    """Take the column sums of cells at the boundary for the conductances of their boundary faces."""
    rows, columns = level[ROWS], level[COLUMNS]
    for i in range(rows):
        for j in range(0, columns, 1 if i in (0, rows - 1) else max(columns - 1, 1)):
            _ground_cell(single, level, i, j)


@kernel
def _ground_cell(single: Workspace, level: Layout, i: int, j: int) -> None:
    """Share the column sum among a cell's boundary faces; at a corner in proportion to the faces opposite."""
    sub_grid = _sub_grid(i, j)
    place = (i // 2) * level[STRIDE] + j // 2
    reaction = level[REACTION] + sub_grid * level[PLANE] + place
    east = level[EAST_FACE] + sub_grid * level[PLANE] + place
    north = level[NORTH_FACE] + sub_grid * level[PLANE] + place
    west = neighbour(level, level[EAST_FACE], sub_grid, WEST) + place
    south = neighbour(level, level[NORTH_FACE], sub_grid, SOUTH) + place
    at_west, at_east, at_south, at_north = j == 0, j + 1 == level[COLUMNS], i == 0, i + 1 == level[ROWS]
    share_x = 1.0 if at_west or at_east else 0.0
    share_y = 1.0 if at_south or at_north else 0.0
    if share_x and share_y and not (at_west and at_east) and not (at_south and at_north):
        share_x, share_y = float(single[east if at_west else west]), float(single[north if at_south else south])
    total = share_x * (int(at_west) + int(at_east)) + share_y * (int(at_south) + int(at_north))
    part = single[reaction] / total if total > 0.0 else 0.0
    single[reaction] = 0.0
    if at_west:
        single[west] = part * share_x
    if at_east:
        single[east] = part * share_x
    if at_south:
        single[south] = part * share_y
    if at_north:
        single[north] = part * share_y


@entry_kernel
def scale_matrix(w: Workspace, grid: Layout, single: Workspace, level: Layout, unit: float) -> None:
    """Scale the matrix that was split from both sides, in place: by its diagonal if symmetric, else as level 0 is.

    Of a symmetric one the diagonal is then 1 and only the coefficients of red cells are valid. Otherwise CENTRE has the
    diagonal, and the rows of black cells are divided by it.
    """
    plane = grid[PLANE]
    for sub_grid in range(SUB_GRIDS):
        own = sub_grid * plane
        centre, scale = np.uint64(grid[CENTRE] + own), np.uint64(grid[OUTER_SCALE] + own)
        if grid[SYMMETRIC]:
            for k in range(np.uint64(grid[SIZE])):
                # the mean is positive, so missing cells, of diagonal 0, get what is never used
                w[scale + k] = np.sqrt(unit / w[centre + k]) if w[centre + k] > 0.0 else 0.0
        else:
            level_scale = np.uint64(level[SCALE] + own)
            for k in range(np.uint64(grid[SIZE])):
                w[scale + k] = single[level_scale + k]
                w[centre + k] *= w[scale + k] * w[scale + k] / unit
    for sub_grid in range(RED_SUB_GRIDS if grid[SYMMETRIC] else SUB_GRIDS):
        own = sub_grid * plane
        centre, scale = np.uint64(grid[CENTRE] + own), np.uint64(grid[OUTER_SCALE] + own)
        for direction in range(4):
            entries = np.uint64(grid[COEFFICIENTS] + (4 * sub_grid + direction) * plane)
            other = np.uint64(neighbour(grid, grid[OUTER_SCALE], sub_grid, direction))
            for k in range(np.uint64(grid[SIZE])):
                w[entries + k] *= -w[scale + k] * w[other + k] / unit
            if sub_grid >= RED_SUB_GRIDS:
                for k in range(np.uint64(grid[SIZE])):
                    w[entries + k] = w[entries + k] / w[centre + k] if w[centre + k] != 0.0 else 0.0


@entry_kernel
def load(vector: Vector, w: Workspace, grid: Layout, family: int, factor: float) -> None:
    """Write the scaled right-hand side of a vector, times ``factor``, to a family."""
    for sub_grid in range(SUB_GRIDS):
        rows, columns = sub_grid_shape(grid, sub_grid)
        for i in range(rows):
            place = np.uint64(sub_grid * grid[PLANE] + i * grid[STRIDE])
            out, scale, centre = (
                np.uint64(family) + place,
                np.uint64(grid[OUTER_SCALE]) + place,
                np.uint64(grid[CENTRE]) + place,
            )
            first = np.uint64((2 * i + ROW_PARITY[sub_grid]) * grid[COLUMNS] + COLUMN_PARITY[sub_grid])
            for j in range(np.uint64(columns)):
                w[out + j] = factor * vector[first + np.uint64(2) * j] * w[scale + j]
            if sub_grid >= RED_SUB_GRIDS and not grid[SYMMETRIC]:
                for j in range(np.uint64(columns)):
                    w[out + j] /= w[centre + j]


@entry_kernel
def unload(w: Workspace, grid: Layout, family: int, factor: float, vector: Vector) -> None:
    """Add the scaled solution in a family, times ``factor``, to a vector."""
    for sub_grid in range(SUB_GRIDS):
        rows, columns = sub_grid_shape(grid, sub_grid)
        for i in range(rows):
            place = np.uint64(sub_grid * grid[PLANE] + i * grid[STRIDE])
            source, scale = np.uint64(family) + place, np.uint64(grid[OUTER_SCALE]) + place
            first = np.uint64((2 * i + ROW_PARITY[sub_grid]) * grid[COLUMNS] + COLUMN_PARITY[sub_grid])
            for j in range(np.uint64(columns)):
                vector[first + np.uint64(2) * j] += factor * w[source + j] * w[scale + j]
