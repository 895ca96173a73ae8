"""Between CSR matrices and vectors and the families of the finest level: detection, splitting, loading."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid_3d.layout import (
    BLACK,
    CELLS,
    CENTRE,
    FACE,
    FAMILY,
    PLANE,
    REACTION,
    Layout,
    Workspace,
    X,
    Y,
    Z,
    conductance,
    previous_along,
    row_start,
    stencil,
)
from kernels.linear_systems.types import Matrix, Vector

Indices = NDArray[np.int32]

_ROUNDING = 1e-12  # a row sum below this share of the diagonal is rounding


def find_box(matrix: Matrix) -> tuple[int, int, int]:
    """The cells along z, y and x of the box whose seven-point pattern a matrix has, points numbered with x fastest.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Canonical. All entries of the pattern must be stored, zeros too.

    Returns
    -------
    depth, rows, columns : int
        A five-point pattern is a box of one plane, a tridiagonal one of one row.

    Raises
    ------
    ValueError
        If the pattern is none of a box.
    """
    size = matrix.shape[0]
    # the first row has the diagonal and the next cells along x, y and z, as far as there are any
    steps = [int(step) for step in matrix.indices[1 : matrix.indptr[1]]] if matrix.indptr[1] > 0 else []
    if len(steps) <= 3 and (size == 1 or steps[:1] == [1]):
        widths = [1, *steps[1:], size]
        if all(wide % narrow == 0 for narrow, wide in pairwise(widths)):
            columns, rows, depth = ([b // a for a, b in pairwise(widths)] + [1, 1])[:3]
            if _has_pattern(matrix.indptr, matrix.indices, depth, rows, columns):
                return depth, rows, columns
    raise ValueError(
        "matrix must have the seven-point pattern of a box, points numbered with x fastest; "
        f"this one of shape {matrix.shape} with {matrix.nnz} entries has not"
    )


@entry_kernel
def _has_pattern(indptr: Indices, indices: Indices, depth: int, rows: int, columns: int) -> bool:
    plane, size = rows * columns, depth * rows * columns
    entries = 7 * size - 2 * (plane + depth * columns + depth * rows)
    if indices.size != entries or indptr[size] != entries:
        return False
    differences = np.int64(0)
    begin = 0
    for z in range(depth):
        for y in range(rows):
            lower, upper = int(z > 0) + int(y > 0), int(y + 1 < rows) + int(z + 1 < depth)
            step, first = 3 + lower + upper, (z * rows + y) * columns
            for x in range(columns):
                differences |= indptr[first + x] - (begin + x * step - int(x > 0))
            for x in range(columns):
                # from the second point to the last but one, each entry is one more than that of the point before
                if 2 <= x < columns - 1:
                    continue
                place, point = begin + x * step - int(x > 0), first + x
                for beside in (-plane * int(z > 0), -columns * int(y > 0), -int(x > 0), 0):
                    if beside < 0:
                        differences |= indices[place] - (point + beside)
                        place += 1
                differences |= indices[place] - point
                place += 1
                for beside in (int(x + 1 < columns), columns * int(y + 1 < rows), plane * int(z + 1 < depth)):
                    if beside > 0:
                        differences |= indices[place] - (point + beside)
                        place += 1
            inner = np.uint64(begin + step - 1)
            for k in range(np.uint64(max(step * (columns - 3), 0))):
                differences |= indices[inner + np.uint64(step) + k] - indices[inner + k] - 1
            begin += columns * step - 2
    return bool(differences == 0)


@entry_kernel
def split(data: Vector, w: Workspace, grid: Layout) -> bool:
    """Write the entries of a matrix to the faces and, as it is, the diagonal to CENTRE; return if it is symmetric."""
    depth, rows, columns = grid[CELLS + Z], grid[CELLS + Y], grid[CELLS + X]
    asymmetry = 0.0
    begin = 0
    for z in range(depth):
        for y in range(rows):
            lower, upper = int(z > 0) + int(y > 0), int(y + 1 < rows) + int(z + 1 < depth)
            step = 3 + lower + upper
            for x in range(2):
                place, count = row_start(grid, z, y, x), (columns + 1 - x) // 2
                diagonal = begin + lower + x * step
                # points at the ends of a row lack neighbours; those between are alike
                for first, last in ((0, min(1, count)), (1, count - 1), (max(1, count - 1), count)):
                    west, east = int(2 * first + x > 0), int(2 * last + x - 1 < columns)
                    asymmetry += _split_points(data, w, grid, first, last, place, diagonal, step, (z, y, x), west, east)
            begin += columns * step - 2
    return asymmetry == 0.0


@kernel
def _split_points(
    data: Vector,
    w: Workspace,
    grid: Layout,
    begin: int,
    end: int,
    place: int,
    diagonal: int,
    step: int,
    row: tuple[int, int, int],
    west: int,
    east: int,
) -> float:
    """Copy the entries of points that have the same neighbours (1 or 0); return how far from symmetric they are."""
    z, y, x = row
    south, north = int(y > 0), int(y + 1 < grid[CELLS + Y])
    below, above = int(z > 0), int(z + 1 < grid[CELLS + Z])
    d, s, centre = np.uint64(diagonal), np.uint64(2 * step), np.uint64(grid[CENTRE] + place)
    face_x, face_y = np.uint64(grid[FACE + X] + place), np.uint64(grid[FACE + Y] + place)
    face_z = np.uint64(grid[FACE + Z] + place)
    from_south = np.uint64(grid[FACE + Y] + place + previous_along(grid, Y, y % 2, x))
    from_below = np.uint64(grid[FACE + Z] + place - grid[PLANE])
    to_north, to_above = np.uint64((east + 1) * north), np.uint64((east + north + 1) * above)
    to_south, to_below = np.uint64((west + 1) * south), np.uint64((west + south + 1) * below)
    to_east, and_back = np.uint64(east), np.uint64((step - 1) * east)
    asymmetry = 0.0
    for j in range(np.uint64(begin), np.uint64(max(begin, end))):
        k = d + s * j
        w[centre + j] = data[k]
        w[face_x + j] = -data[k + to_east] * east
        w[face_y + j] = -data[k + to_north] * north
        w[face_z + j] = -data[k + to_above] * above
        asymmetry += abs(data[k + to_east] - data[k + and_back])
        asymmetry += abs(data[k - to_south] * south + w[from_south + j])
        asymmetry += abs(data[k - to_below] * below + w[from_below + j])
    return asymmetry


@entry_kernel
def mean_diagonal(w: Workspace, grid: Layout) -> float:
    """The mean of CENTRE."""
    first = np.uint64(grid[CENTRE])
    total = 0.0
    for k in range(np.uint64(grid[FAMILY])):
        total += w[first + k]
    return float(total / (grid[CELLS + Z] * grid[CELLS + Y] * grid[CELLS + X]))


@entry_kernel
def make_network(w: Workspace, grid: Layout, single: Workspace, level: Layout, unit: float) -> float:
    """Write the matrix, in terms of ``unit``, as a network in single precision; return the smallest diagonal entry.

    What the sum of a row leaves belongs to the boundary faces of the cell, in equal parts, where it has any.
    """
    depth, rows, columns = grid[CELLS + Z], grid[CELLS + Y], grid[CELLS + X]
    faces, single_faces = np.uint64(grid[FACE]), np.uint64(level[FACE])
    for k in range(np.uint64(3 * grid[FAMILY])):
        single[single_faces + k] = max(w[faces + k], 0.0) / unit
    smallest = np.inf
    for z in range(depth):
        for y in range(rows):
            for x in range(2):
                count = np.uint64((columns + 1 - x) // 2)
                lowest = _row_sums(w, grid, single, level, row_start(grid, z, y, x), count, y % 2, x, unit)
                smallest = min(smallest, lowest)
            inner = 0 < z < depth - 1 and 0 < y < rows - 1
            for x in range(0, columns, max(columns - 1, 1) if inner else 1):
                _ground(single, level, (z, y, x))
    return smallest


@kernel
def _row_sums(
    w: Workspace,
    grid: Layout,
    single: Workspace,
    level: Layout,
    place: int,
    count: np.uint64,
    y: int,
    x: int,
    unit: float,
) -> float:
    """Write the row sums to REACTION; return the smallest diagonal entry."""
    out, centre = np.uint64(level[REACTION] + place), np.uint64(grid[CENTRE] + place)
    faces = stencil(grid, 0, place, y, x)
    smallest = np.inf
    for k in range(count):
        left = w[centre + k] - conductance(w, faces, k)
        single[out + k] = left / unit if left > _ROUNDING * w[centre + k] else 0.0
        smallest = min(smallest, w[centre + k])
    return smallest


@kernel
def _ground(single: Workspace, level: Layout, cell: tuple[int, int, int]) -> None:
    """Hand the reaction of a cell at the boundary to its boundary faces."""
    y, x = cell[Y] % 2, cell[X] % 2
    place = row_start(level, cell[Z], cell[Y], cell[X])
    ends = 0
    for axis in range(3):
        ends += int(cell[axis] == 0) + int(cell[axis] == level[CELLS + axis] - 1)
    reaction = single[level[REACTION] + place] / np.float32(ends)
    single[level[REACTION] + place] = 0.0
    for axis in range(3):
        if cell[axis] == 0:
            single[level[FACE + axis] + place + previous_along(level, axis, y, x)] = reaction
        if cell[axis] == level[CELLS + axis] - 1:
            single[level[FACE + axis] + place] = reaction


@entry_kernel
def invert_black(w: Workspace, grid: Layout) -> None:
    """Replace the diagonal entries of black cells by their inverses."""
    for z in range(grid[CELLS + Z]):
        for y in range(grid[CELLS + Y]):
            x = (z + y + BLACK) % 2
            centre = np.uint64(grid[CENTRE] + row_start(grid, z, y, x))
            for k in range(np.uint64((grid[CELLS + X] + 1 - x) // 2)):
                w[centre + k] = 1.0 / w[centre + k]


@entry_kernel
def load(vector: Vector, w: Workspace, grid: Layout, family: int, factor: float) -> None:
    """Write a vector times ``factor`` to a family."""
    rows, columns = grid[CELLS + Y], grid[CELLS + X]
    for z in range(grid[CELLS + Z]):
        for y in range(rows):
            first = np.uint64((z * rows + y) * columns)
            for x in range(2):
                out = np.uint64(family + row_start(grid, z, y, x))
                for k in range(np.uint64((columns + 1 - x) // 2)):
                    w[out + k] = factor * vector[first + np.uint64(x) + np.uint64(2) * k]


@entry_kernel
def unload(w: Workspace, grid: Layout, family: int, factor: float, vector: Vector) -> None:
    """Add a family times ``factor`` to a vector."""
    rows, columns = grid[CELLS + Y], grid[CELLS + X]
    for z in range(grid[CELLS + Z]):
        for y in range(rows):
            first = np.uint64((z * rows + y) * columns)
            for x in range(2):
                source = np.uint64(family + row_start(grid, z, y, x))
                for k in range(np.uint64((columns + 1 - x) // 2)):
                    vector[first + np.uint64(x) + np.uint64(2) * k] += factor * w[source + k]
