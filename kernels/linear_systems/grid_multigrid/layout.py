"""Where things lie: a grid as four sub-grids, by the parity of row and column, all in planes of one flat workspace.

Cells are coloured like a chess board. Red are those of even row and even column (sub-grid 0) and of odd row and odd
column (1), black those of even row and odd column (2) and of odd row and even column (3). The four cells of a 2 x 2
block (I, J) lie at the same place ``I * stride + J`` of their planes, so the neighbours of all cells of a sub-grid are
shifted planes too: a sweep over a colour is one loop without gaps, branches or strides.

A plane has one column more than its sub-grid has, and a margin before and after. Their values stay zero: they are the
neighbours that cells at the boundary do not have. In a grid with an odd number of rows or columns, so are the missing
cells of the last blocks. Kernels take a workspace and the starts of planes, not slices: numba counts references to
slices, which costs more than a small grid's whole sweep; unsigned starts spare its test for negative indices.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.compiled import kernel

Layout = NDArray[np.int64]
Workspace = NDArray[Any]
Starts = tuple[np.uint64, ...]
Scalar = float | np.floating[Any]

SUB_GRIDS, RED_SUB_GRIDS = 4, 2
ROW_PARITY, COLUMN_PARITY = (0, 1, 0, 1), (0, 1, 1, 0)
WEST, EAST, SOUTH, NORTH = 0, 1, 2, 3
OPPOSITE = (EAST, WEST, NORTH, SOUTH)
# The neighbours of a cell, [sub-grid, direction]: their sub-grid, and how many columns and rows of its plane further.
NEIGHBOUR = np.array([[2, 2, 3, 3], [3, 3, 2, 2], [0, 0, 1, 1], [1, 1, 0, 0]])
COLUMN_SHIFT = np.array([[-1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [-1, 0, 0, 0]])
ROW_SHIFT = np.array([[0, 0, -1, 0], [0, 0, 0, 1], [0, 0, -1, 0], [0, 0, 0, 1]])

# The columns of a layout, one row a grid. Its geometry ...
ROWS, COLUMNS, STRIDE, SIZE, PLANE, FIRST, COARSENING, SYMMETRIC = range(8)
# ... and the starts of families of planes: four planes, one a sub-grid, unless noted. The first is in every workspace:
COEFFICIENTS = 8  # 16 planes, [sub-grid, direction]: minus the off-diagonal entries; if symmetric, of red cells only
# single precision, all levels
(
    INTERPOLATION,  # 8, [red sub-grid, corner]
    ITERATE,
    RHS,
    TRANSFER,  # 2, a vector of the next level in natural order
    EAST_FACE,
    NORTH_FACE,
    EAST_FLOW,
    NORTH_FLOW,
    REACTION,
    SCALE,
    ROOT,
    INSIDE,
    EAST_RESISTANCE,
    NORTH_RESISTANCE,
    SCRATCH,  # 14
    END,
) = range(9, 25)
LEVEL_FAMILIES = (16, 8, 4, 4, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 14)
# double precision, the finest grid
(
    CENTRE,
    OUTER_SCALE,
    SOLUTION,
    RESIDUAL,
    DIRECTION,
    PRODUCT,
    SHADOW,
    PRECONDITIONED,
    SECOND_PRODUCT,
    OUTER_END,
) = range(9, 19)
OUTER_FAMILIES = (16, 4, 4, 4, 4, 4, 4, 4, 4, 4)
# Behind these, [sub-grid, direction]: how far the neighbours' plane is from the start of a family, and where the plane
# of coefficients is.
NEIGHBOURS = END + 1
COUPLINGS = NEIGHBOURS + 16
FIELDS = COUPLINGS + 16

# How the next level comes from this one: there is none, both directions are halved, or one is.
COARSEST, BOTH, ALONG_ROWS, ALONG_COLUMNS = 0, 1, 2, 3

LANES = 16  # of single precision in the widest vector registers
BAND = 4096


@kernel
def place(grid: Layout, rows: int, columns: int, first: int, symmetric: bool, families: tuple[int, ...]) -> bool:
    """Write the layout of a grid whose planes begin at ``first`` of a workspace.

    Parameters
    ----------
    grid : ndarray, shape (FIELDS,), int64
        One row of a layout.
    rows, columns, first : int
    symmetric : bool
        Whether the operator is.
    families : tuple of int
        The planes of every family.

    Returns
    -------
    bool
        Whether it differs from what was there: then the planes must be cleared.
    """
    changed = grid[ROWS] != rows or grid[COLUMNS] != columns or grid[FIRST] != first or grid[SYMMETRIC] != symmetric
    grid[ROWS], grid[COLUMNS], grid[FIRST], grid[SYMMETRIC] = rows, columns, first, symmetric
    grid[STRIDE] = (columns + 1) // 2 + 1
    grid[SIZE] = _whole_registers((rows + 1) // 2 * grid[STRIDE])
    margin = _whole_registers(2 * grid[STRIDE] + 2)
    grid[PLANE] = grid[SIZE] + 2 * margin
    start = first + margin
    for family, planes in enumerate(families):
        grid[COEFFICIENTS + family] = start
        start += planes * grid[PLANE]
    grid[COEFFICIENTS + len(families)] = start - margin
    for sub_grid in range(SUB_GRIDS):
        for direction in range(4):
            shift = COLUMN_SHIFT[sub_grid, direction] + ROW_SHIFT[sub_grid, direction] * grid[STRIDE]
            grid[NEIGHBOURS + 4 * sub_grid + direction] = NEIGHBOUR[sub_grid, direction] * grid[PLANE] + shift
    set_symmetry(grid, symmetric)
    return bool(changed)


@kernel
def set_symmetry(grid: Layout, symmetric: bool) -> None:
    """Say whether the operator is symmetric: then black cells' coefficients are red ones seen from the other end."""
    grid[SYMMETRIC] = symmetric
    for sub_grid in range(SUB_GRIDS):
        for direction in range(4):
            own = grid[COEFFICIENTS] + (4 * sub_grid + direction) * grid[PLANE]
            shared = symmetric and sub_grid >= RED_SUB_GRIDS
            start = reverse_coefficient(grid, sub_grid, direction) if shared else own
            grid[COUPLINGS + 4 * sub_grid + direction] = start


@kernel
def _whole_registers(count: int) -> int:
    return (count + LANES - 1) // LANES * LANES


@kernel
def sub_grid_shape(grid: Layout, sub_grid: int) -> tuple[int, int]:
    """The rows and columns of a sub-grid."""
    rows = (grid[ROWS] + 1 - ROW_PARITY[sub_grid]) // 2
    return rows, (grid[COLUMNS] + 1 - COLUMN_PARITY[sub_grid]) // 2


@kernel
def neighbour(grid: Layout, family: int, sub_grid: int, direction: int) -> int:
    """The start of the plane that has, at the place of each cell, the value of a family at its neighbour."""
    return int(family + grid[NEIGHBOURS + 4 * sub_grid + direction])


@kernel
def reverse_coefficient(grid: Layout, sub_grid: int, direction: int) -> int:
    """The start of the plane that has, at the place of each cell, the coefficient of it at its neighbour."""
    planes = 3 * NEIGHBOUR[sub_grid, direction] + OPPOSITE[direction]
    return neighbour(grid, grid[COEFFICIENTS] + planes * grid[PLANE], sub_grid, direction)


@kernel
def stencil(grid: Layout, values: int, sub_grid: int, place: int) -> Starts:
    """Where the coefficients and the neighbours' ``values`` of a cell are, in pairs by direction.

    Parameters
    ----------
    grid : ndarray, shape (FIELDS,), int64
    values : int
        The start of a family.
    sub_grid, place : int
        The cell: its sub-grid, and its place in the planes.
    """
    start, couplings, neighbours = values + place, COUPLINGS + 4 * sub_grid, NEIGHBOURS + 4 * sub_grid
    return (
        np.uint64(grid[couplings + WEST] + place),
        np.uint64(start + grid[neighbours + WEST]),
        np.uint64(grid[couplings + EAST] + place),
        np.uint64(start + grid[neighbours + EAST]),
        np.uint64(grid[couplings + SOUTH] + place),
        np.uint64(start + grid[neighbours + SOUTH]),
        np.uint64(grid[couplings + NORTH] + place),
        np.uint64(start + grid[neighbours + NORTH]),
    )


@kernel
def band(grid: Layout, begin: int, steps_behind: int) -> tuple[int, int]:
    """The part of the planes that a step of a fused sweep works on: its first place and its length.

    A sweep of several steps goes through the planes in bands of ``BAND`` places, so that what one step has read or
    written is still in the cache for the next one. Each step is behind the one before it by the reach of the stencil.
    """
    lag = steps_behind * reach(grid)
    first = min(max(begin - lag, 0), grid[SIZE])
    return first, min(max(begin + BAND - lag, 0), grid[SIZE]) - first


@kernel
def reach(grid: Layout) -> int:
    """How far in the planes a cell's neighbours are at most, in whole registers."""
    return _whole_registers(grid[STRIDE] + 1)
