"""Between the natural order of a coarse grid, in planes of the finer one, and the coarse grid's own sub-grids.

Where both directions are halved, a coarse cell is a 2 x 2 block and its natural order is that of the finer planes: one
plane has all coarse cells. Where only the columns are halved, a plane has the even coarse rows, the next one the odd
rows. Where only the rows are, the first plane has the even coarse columns, the second the odd ones.
"""

import numpy as np

from kernels.linear_systems.compiled import kernel
from kernels.linear_systems.grid_multigrid.layout import (
    ALONG_COLUMNS,
    ALONG_ROWS,
    COARSENING,
    COLUMN_PARITY,
    PLANE,
    ROW_PARITY,
    STRIDE,
    SUB_GRIDS,
    Layout,
    Workspace,
    sub_grid_shape,
)


@kernel
def _origin(grid: Layout, sub_grid: int, even: int, odd: int) -> tuple[int, int, int]:
    """Where the first cell of a coarse sub-grid is in natural order, and the steps to its next row and column."""
    row, column = ROW_PARITY[sub_grid], COLUMN_PARITY[sub_grid]
    if grid[COARSENING] == ALONG_ROWS:
        return (odd if row else even) + column, grid[STRIDE], 2
    if grid[COARSENING] == ALONG_COLUMNS:
        return (odd if column else even) + row * grid[STRIDE], 2 * grid[STRIDE], 1
    return even + row * grid[STRIDE] + column, 2 * grid[STRIDE], 2


@kernel
def deal(w: Workspace, grid: Layout, coarse: Layout, even: int, odd: int, family: int, with_margin: bool) -> None:
    """Copy a family of the coarse grid from natural order; with the row and column before the first, if told."""
    for sub_grid in range(SUB_GRIDS):
        origin, row_step, column_step = _origin(grid, sub_grid, even, odd)
        rows, columns = sub_grid_shape(coarse, sub_grid)
        first_row = -ROW_PARITY[sub_grid] if with_margin else 0
        first_column = -COLUMN_PARITY[sub_grid] if with_margin else 0
        for i in range(first_row, rows):
            source = np.uint64(origin + i * row_step + first_column * column_step)
            target = np.uint64(family + sub_grid * coarse[PLANE] + i * coarse[STRIDE] + first_column)
            if column_step == 1:
                for j in range(np.uint64(columns - first_column)):
                    w[target + j] = w[source + j]
            else:
                for j in range(np.uint64(columns - first_column)):
                    w[target + j] = w[source + np.uint64(2) * j]


@kernel
def collect(w: Workspace, grid: Layout, coarse: Layout, family: int, even: int, odd: int) -> None:
    """Copy a family of the coarse grid to natural order."""
    for sub_grid in range(SUB_GRIDS):
        origin, row_step, column_step = _origin(grid, sub_grid, even, odd)
        rows, columns = sub_grid_shape(coarse, sub_grid)
        for i in range(rows):
            source = np.uint64(family + sub_grid * coarse[PLANE] + i * coarse[STRIDE])
            target = np.uint64(origin + i * row_step)
            if column_step == 1:
                for j in range(np.uint64(columns)):
                    w[target + j] = w[source + j]
            else:
                for j in range(np.uint64(columns)):
                    w[target + np.uint64(2) * j] = w[source + j]
