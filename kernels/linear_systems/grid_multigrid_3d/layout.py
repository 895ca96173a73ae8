"""Where things lie: every plane of a box as four sub-grids, by the parity of row and column, in one flat workspace.

Sub-grid ``2 * (y % 2) + x % 2`` has the cell (z, y, x) at ``(y // 2) * STRIDE + x // 2`` of its plane z. Its neighbours
along x, y and z are at the same place or one column, row or plane further, so that a sweep over the cells of one
colour is two loops per plane, without gaps, branches or strides. Cells of even z + y + x are red, the others black.

Rows have one column more than cells, planes one row more, sub-grids two planes more on either side. These margins are
the neighbours that cells at the boundary do not have, and stay zero, but for the boundary faces before the first cells.
Kernels take a workspace and the starts of ranges, not slices: numba counts references to slices; unsigned starts spare
its test for negative indices.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.compiled import kernel

Layout = NDArray[np.int64]
Workspace = NDArray[Any]
Starts = tuple[np.uint64, ...]
Scalar = float | np.floating[Any]

Z, Y, X = 0, 1, 2
SUB_GRIDS = 4
RED, BLACK = 0, 1
MARGIN = 2  # planes

# The columns of a layout, one row a level: the cells along Z, Y and X, whether each is halved to get the next level ...
CELLS = 0
HALVED = 3
# ... the sizes of rows, planes, sub-grids and families of four sub-grids, ...
STRIDE, PLANE, SUB_GRID, FAMILY = range(6, 10)
# ... and the starts of families. FACE + axis has the conductance of the face to the next cell along an axis, CENTRE the
# inverse diagonal, in double precision only at black cells: at red ones the diagonal itself.
FACE = 10
# single precision, all levels; a network is the faces and the reaction
REACTION, CENTRE, ITERATE, RHS, RESIDUAL, TRANSFER, OTHER_TRANSFER, WEIGHT = range(13, 21)
NETWORK = 4
LEVEL_FAMILIES = WEIGHT + 3 - FACE
# double precision, the finest level
PRODUCT, _, SOLUTION, DOUBLE_RESIDUAL, DIRECTION = range(13, 18)
DOUBLE_FAMILIES = DIRECTION + 1 - FACE
END = WEIGHT + 3
FIELDS = END + 1


@kernel
def lay_out(grid: Layout, depth: int, rows: int, columns: int, first: int, families: int) -> bool:
    """Write the layout of a box that begins at ``first`` of a workspace; return whether it differs from before."""
    same = grid[CELLS + Z] == depth and grid[CELLS + Y] == rows and grid[CELLS + X] == columns
    grid[CELLS + Z], grid[CELLS + Y], grid[CELLS + X] = depth, rows, columns
    grid[STRIDE] = (columns + 1) // 2 + 1
    grid[PLANE] = ((rows + 1) // 2 + 1) * grid[STRIDE]
    grid[SUB_GRID] = (depth + 2 * MARGIN) * grid[PLANE]
    grid[FAMILY] = SUB_GRIDS * grid[SUB_GRID]
    start = first + grid[PLANE]
    same = same and grid[FACE] == start
    for family in range(families):
        grid[FACE + family] = start + family * grid[FAMILY]
    grid[END] = start + families * grid[FAMILY] + grid[PLANE]
    return not same


@kernel
def row_start(grid: Layout, z: int, y: int, x: int) -> int:
    """The place in a family of the cell (z, y, x); -1 is the cell before the first."""
    sub_grid = 2 * (y % 2) + x % 2
    return int(sub_grid * grid[SUB_GRID] + (z + MARGIN) * grid[PLANE] + (y // 2) * grid[STRIDE] + x // 2)


@kernel
def plane_size(grid: Layout) -> int:
    """The length of the range that has all cells of a sub-grid's plane."""
    return int(grid[PLANE] - grid[STRIDE])


@kernel
def pairs(grid: Layout, axis: int, z: int, which: int) -> tuple[int, int, int, int, int]:
    """Where the pairs of cells are that an axis' halving joins, after those of the axes before it.

    Parameters
    ----------
    grid : ndarray, shape (FIELDS,), int64
    axis : int
    z : int
        The plane, of the cells that come out.
    which : int
        Below :func:`pair_ranges`.

    Returns
    -------
    out, even, odd : int
        The places of what comes out and of the two that are joined, the first of a range.
    out_step, step : int
        How far the next one along the axis is, and the next pair.
    """
    if axis == Z:
        out, even = row_start(grid, z, which // 2, which % 2), row_start(grid, 2 * z, which // 2, which % 2)
        return out, even, int(even + grid[PLANE]), int(grid[PLANE]), int(2 * grid[PLANE])
    if axis == Y:
        out = row_start(grid, z, 0, which)
        return out, out, int(out + 2 * grid[SUB_GRID]), int(grid[STRIDE]), int(grid[STRIDE])
    out = row_start(grid, z, which, 0)
    return out, out, int(out + grid[SUB_GRID]), 1, 1


@kernel
def pair_ranges(grid: Layout, axis: int) -> int:
    """How many ranges of pairs a plane has: along X, one of them is empty where Y has been halved."""
    if axis == Z:
        return SUB_GRIDS
    return 1 if axis == X and grid[HALVED + Y] else 2


@kernel
def coloured(colour: int, z: int, which: int) -> tuple[int, int]:
    """The parities of y and x of the two sub-grids (``which`` is 0 or 1) that have a colour in plane z."""
    return which, (which + z + colour) % 2


@kernel
def next_along(grid: Layout, axis: int, y: int, x: int) -> int:
    """How far the next cell along an axis is from one of row and column parities y and x."""
    if axis == Z:
        return int(grid[PLANE])
    if axis == Y:
        return int(grid[STRIDE] - 2 * grid[SUB_GRID] if y else 2 * grid[SUB_GRID])
    return int(1 - grid[SUB_GRID] if x else grid[SUB_GRID])


@kernel
def previous_along(grid: Layout, axis: int, y: int, x: int) -> int:
    """As :func:`next_along`, for the cell before."""
    return -next_along(grid, axis, 1 - y, 1 - x)


@kernel
def stencil(grid: Layout, values: int, place: int, y: int, x: int) -> Starts:
    """Where the faces around a cell and the ``values`` beyond them are, in pairs."""
    west, east = previous_along(grid, X, y, x), next_along(grid, X, y, x)
    south, north = previous_along(grid, Y, y, x), next_along(grid, Y, y, x)
    below, above = -grid[PLANE], grid[PLANE]
    return (
        np.uint64(grid[FACE + X] + place + west),
        np.uint64(values + place + west),
        np.uint64(grid[FACE + X] + place),
        np.uint64(values + place + east),
        np.uint64(grid[FACE + Y] + place + south),
        np.uint64(values + place + south),
        np.uint64(grid[FACE + Y] + place),
        np.uint64(values + place + north),
        np.uint64(grid[FACE + Z] + place + below),
        np.uint64(values + place + below),
        np.uint64(grid[FACE + Z] + place),
        np.uint64(values + place + above),
    )


@kernel
def inflow(w: Workspace, s: Starts, k: int) -> Any:
    """The sum over the six faces of conductance times value beyond, k places after those of :func:`stencil`."""
    along_x = w[s[0] + k] * w[s[1] + k] + w[s[2] + k] * w[s[3] + k]
    along_y = w[s[4] + k] * w[s[5] + k] + w[s[6] + k] * w[s[7] + k]
    along_z = w[s[8] + k] * w[s[9] + k] + w[s[10] + k] * w[s[11] + k]
    return along_x + along_y + along_z


@kernel
def conductance(w: Workspace, s: Starts, k: int) -> Any:
    """The sum over the six faces of conductance, k places after those of :func:`stencil`."""
    return (w[s[0] + k] + w[s[2] + k]) + (w[s[4] + k] + w[s[6] + k]) + (w[s[8] + k] + w[s[10] + k])
