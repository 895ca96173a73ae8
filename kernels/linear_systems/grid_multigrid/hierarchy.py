"""The coarse operators and the interpolation, from a network of resistances: what a five-point operator is.

Two neighbours are joined by a face with a conductance (minus the symmetric part of their coupling) and a flow (its skew
part); a boundary face leads to the ground. Along a line, the faces between the centres of two coarse cells are
resistances in series; the potential varies along them in proportion, which gives the interpolation: harmonic means
and weights that know where the coefficient jumps. Lines side by side are parallel. A line's conductance goes to the
coarse cells in the shares in which their values make up the line's, as in the Galerkin product with lumped cross
terms, so that the coarse operator has five points again. (Compare the operator-dependent interpolation of Alcouffe,
Brandt, Dendy and Painter, "The multi-grid method for the diffusion equation with strongly discontinuous coefficients",
SIAM J. Sci. Stat. Comput. 2(4), 1981, and the cell-centred ones of Wesseling, "An Introduction to Multigrid Methods",
1992, chapter 5.)

Levels halve both directions, or only the one in which conductances are larger by far: point relaxation smooths errors
there and nowhere else.
"""

import numpy as np

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid.layout import (
    ALONG_COLUMNS,
    ALONG_ROWS,
    BOTH,
    COARSENING,
    COARSEST,
    COEFFICIENTS,
    COLUMNS,
    EAST,
    EAST_FACE,
    EAST_FLOW,
    EAST_RESISTANCE,
    END,
    INSIDE,
    INTERPOLATION,
    LEVEL_FAMILIES,
    NORTH,
    NORTH_FACE,
    NORTH_FLOW,
    NORTH_RESISTANCE,
    PLANE,
    REACTION,
    RED_SUB_GRIDS,
    ROOT,
    ROWS,
    SCALE,
    SCRATCH,
    SIZE,
    SOUTH,
    STRIDE,
    SUB_GRIDS,
    SYMMETRIC,
    TRANSFER,
    WEST,
    Layout,
    Scalar,
    Workspace,
    neighbour,
    place,
    sub_grid_shape,
)
from kernels.linear_systems.grid_multigrid.network import add, add_pair, parallel, series, share, upwind
from kernels.linear_systems.grid_multigrid.transfer import collect, deal

FEWEST_CELLS = 16
# of the flow through a coarse face: 1/2 is full upwinding, whose viscosity slows down the correction of what is carried
# along; much less, and relaxation diverges
UPWINDING = np.float32(0.4)
LEAST_DIAGONAL = np.float32(0.9)  # where a flow converges, of the diagonal that the cell has without it
ANISOTROPY = 3.0  # halve one direction alone where its conductances are larger by this factor

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_LEAST_CONDUCTANCE = np.float32(1e-18)  # of what is not joined at all; finite, so that series and sums stay finite


@kernel
def place_level(workspace: Workspace, layout: Layout, level: int, rows: int, columns: int, symmetric: bool) -> None:
    """Lay out a level behind the one before; where it is new, clear it and all behind it and mark its cells."""
    first = layout[level - 1, END] if level > 0 else 0
    grid = layout[level]
    if place(grid, rows, columns, first, symmetric, LEVEL_FAMILIES):
        workspace[first:] = 0.0
        layout[level + 1 :] = 0  # where these were, nothing is left of them
        for sub_grid in range(SUB_GRIDS):
            inside_rows, inside_columns = sub_grid_shape(grid, sub_grid)
            for i in range(inside_rows):
                start = grid[INSIDE] + sub_grid * grid[PLANE] + i * grid[STRIDE]
                workspace[start : start + inside_columns] = 1.0


@entry_kernel
def build_hierarchy(workspace: Workspace, layout: Layout) -> int:
    """Build all levels on the faces of level 0; return how many there are.

    Parameters
    ----------
    workspace : ndarray, float32
        Holds the conductances, flows and reaction terms of level 0.
    layout : ndarray, shape (most levels, FIELDS), int64
        With level 0 placed; receives the other levels.
    """
    level = 0
    while True:
        grid = layout[level]
        _assemble(workspace, grid)
        if level > 0:
            _interpolation(workspace, layout[level - 1], grid)
        grid[COARSENING] = _choose_coarsening(workspace, grid)
        if grid[COARSENING] == COARSEST:
            return level + 1
        level += 1
        rows = grid[ROWS] if grid[COARSENING] == ALONG_ROWS else (grid[ROWS] + 1) // 2
        columns = grid[COLUMNS] if grid[COARSENING] == ALONG_COLUMNS else (grid[COLUMNS] + 1) // 2
        place_level(workspace, layout, level, rows, columns, grid[SYMMETRIC])
        _coarsen(workspace, grid, layout[level])


@kernel
def _choose_coarsening(w: Workspace, grid: Layout) -> int:
    if grid[ROWS] * grid[COLUMNS] <= FEWEST_CELLS:
        return COARSEST
    along_rows, along_columns = np.float32(0.0), np.float32(0.0)
    east, north = np.uint64(grid[EAST_FACE]), np.uint64(grid[NORTH_FACE])
    for k in range(np.uint64(SUB_GRIDS * grid[PLANE] - (grid[PLANE] - grid[SIZE]))):
        along_rows += w[east + k]
        along_columns += w[north + k]
    if grid[ROWS] == 1 or (grid[COLUMNS] > 1 and along_rows > ANISOTROPY * along_columns):
        return ALONG_ROWS
    if grid[COLUMNS] == 1 or along_columns > ANISOTROPY * along_rows:
        return ALONG_COLUMNS
    return BOTH


@kernel
def _assemble(w: Workspace, grid: Layout) -> None:
    """Balance the faces of every cell, and scale the operator to a unit diagonal from both sides."""
    plane = grid[PLANE]
    for sub_grid in range(SUB_GRIDS):
        own = sub_grid * plane
        root, scale, inside = np.uint64(grid[ROOT] + own), np.uint64(grid[SCALE] + own), np.uint64(grid[INSIDE] + own)
        reaction = np.uint64(grid[REACTION] + own)
        east, north = np.uint64(grid[EAST_FACE] + own), np.uint64(grid[NORTH_FACE] + own)
        west = np.uint64(neighbour(grid, grid[EAST_FACE], sub_grid, WEST))
        south = np.uint64(neighbour(grid, grid[NORTH_FACE], sub_grid, SOUTH))
        for k in range(np.uint64(grid[SIZE])):
            w[root + k] = (w[east + k] + w[west + k]) + (w[north + k] + w[south + k]) + w[reaction + k]
        if not grid[SYMMETRIC]:
            flows = np.uint64(grid[EAST_FLOW] - grid[EAST_FACE])
            for k in range(np.uint64(grid[SIZE])):
                outflow = w[east + flows + k] - w[west + flows + k] + w[north + flows + k] - w[south + flows + k]
                # more flows in than out where faces are missing or the boundary is not in the network
                w[root + k] = max(w[root + k] + _HALF * outflow, LEAST_DIAGONAL * w[root + k])
        for k in range(np.uint64(grid[SIZE])):
            diagonal = max(w[root + k], _LEAST_CONDUCTANCE)
            w[root + k] = w[inside + k] * np.sqrt(diagonal)
            w[scale + k] = w[inside + k] / np.sqrt(diagonal)
    for sub_grid in range(RED_SUB_GRIDS if grid[SYMMETRIC] else SUB_GRIDS):
        for direction in range(4):
            _couple(w, grid, sub_grid, direction)


@kernel
def _couple(w: Workspace, grid: Layout, sub_grid: int, direction: int) -> None:
    family = EAST_FACE if direction in (WEST, EAST) else NORTH_FACE
    outward = direction in (EAST, NORTH)
    face = np.uint64(
        grid[family] + sub_grid * grid[PLANE] if outward else neighbour(grid, grid[family], sub_grid, direction)
    )
    out = np.uint64(grid[COEFFICIENTS] + (4 * sub_grid + direction) * grid[PLANE])
    own = np.uint64(grid[SCALE] + sub_grid * grid[PLANE])
    other = np.uint64(neighbour(grid, grid[SCALE], sub_grid, direction))
    if grid[SYMMETRIC]:
        for k in range(np.uint64(grid[SIZE])):
            w[out + k] = w[face + k] * w[own + k] * w[other + k]
    else:
        flow = face + np.uint64(grid[EAST_FLOW] - grid[EAST_FACE])
        sign = -_HALF if outward else _HALF
        for k in range(np.uint64(grid[SIZE])):
            w[out + k] = (w[face + k] + sign * w[flow + k]) * w[own + k] * w[other + k]


@kernel
def _coarsen(w: Workspace, grid: Layout, coarse: Layout) -> None:
    """Join the faces of a grid to those of the next level."""
    plane, stride, kind = grid[PLANE], grid[STRIDE], grid[COARSENING]
    _resistances(w, grid)
    # in natural order of the coarse cells, with the row and column before the first, whose faces are boundary faces
    begin = -stride - 1
    size = grid[SIZE] + 2 * stride + 2
    scratch = grid[SCRATCH] + begin
    south_row, north_row, west_column, east_column = scratch, scratch + plane, scratch + 2 * plane, scratch + 3 * plane
    east, east_odd, north, north_odd = (
        scratch + 4 * plane,
        scratch + 5 * plane,
        scratch + 6 * plane,
        scratch + 7 * plane,
    )
    reaction, reaction_odd = scratch + 8 * plane, scratch + 9 * plane
    across_east, across_north = grid[EAST_RESISTANCE] + begin, grid[NORTH_RESISTANCE] + begin
    sources = grid[REACTION] + begin
    # steps in memory between the sub-grids of a block: south-west 0, north-east 1, south-east 2, north-west 3
    if kind != ALONG_COLUMNS:
        series(w, size, south_row, across_east + 2 * plane, across_east, 1)
        series(w, size, north_row, across_east + plane, across_east + 3 * plane, 1)
    if kind != ALONG_ROWS:
        series(w, size, west_column, across_north + 3 * plane, across_north, stride)
        series(w, size, east_column, across_north + plane, across_north + 2 * plane, stride)
    if kind == BOTH:
        west_share, east_share = scratch + 10 * plane, scratch + 11 * plane
        share(
            w, size, west_share, west_column, south_row - 1, north_row - 1, across_east, across_east + 3 * plane, stride
        )
        share(w, size, east_share, east_column, south_row, north_row, across_east, across_east + 3 * plane, stride)
        parallel(w, size, north, west_column, east_column, west_share, east_share, 1)
        south_share, north_share = scratch + 12 * plane, scratch + 13 * plane
        share(
            w,
            size,
            south_share,
            south_row,
            west_column - stride,
            east_column - stride,
            across_north,
            across_north + 2 * plane,
            1,
        )
        share(w, size, north_share, north_row, west_column, east_column, across_north, across_north + 2 * plane, 1)
        parallel(w, size, east, south_row, north_row, south_share, north_share, stride)
        add(w, size, reaction, sources, sources + plane, sources + 2 * plane, sources + 3 * plane)
    elif kind == ALONG_ROWS:
        east, east_odd = south_row, north_row
        faces = grid[NORTH_FACE] + begin
        add_pair(w, size, north, faces, faces + 2 * plane)
        add_pair(w, size, north_odd, faces + 3 * plane, faces + plane)
        add_pair(w, size, reaction, sources, sources + 2 * plane)
        add_pair(w, size, reaction_odd, sources + plane, sources + 3 * plane)
    else:
        north, north_odd = west_column, east_column
        faces = grid[EAST_FACE] + begin
        add_pair(w, size, east, faces, faces + 3 * plane)
        add_pair(w, size, east_odd, faces + 2 * plane, faces + plane)
        add_pair(w, size, reaction, sources, sources + 3 * plane)
        add_pair(w, size, reaction_odd, sources + 2 * plane, sources + plane)
    deal(w, grid, coarse, reaction - begin, reaction_odd - begin, coarse[REACTION], False)
    if not grid[SYMMETRIC]:
        _coarsen_flow(w, grid, coarse, size, begin, east, east_odd, north, north_odd)
    deal(w, grid, coarse, east - begin, east_odd - begin, coarse[EAST_FACE], True)
    deal(w, grid, coarse, north - begin, north_odd - begin, coarse[NORTH_FACE], True)


@kernel
def _coarsen_flow(
    w: Workspace,
    grid: Layout,
    coarse: Layout,
    size: int,
    begin: int,
    east: int,
    east_odd: int,
    north: int,
    north_odd: int,
) -> None:
    """Add up the flows through the faces of the coarse cells; raise the conductances that they exceed (upwinding)."""
    plane, kind = grid[PLANE], grid[COARSENING]
    x, y = grid[EAST_FLOW] + begin, grid[NORTH_FLOW] + begin
    flow_x = grid[SCRATCH] + begin + 8 * plane
    flow_x_odd, flow_y, flow_y_odd = flow_x + plane, flow_x + 2 * plane, flow_x + 3 * plane
    if kind == BOTH:
        add_pair(w, size, flow_x, x + 2 * plane, x + plane)
        add_pair(w, size, flow_y, y + 3 * plane, y + plane)
    elif kind == ALONG_ROWS:
        flow_x, flow_x_odd = x + 2 * plane, x + plane
        add_pair(w, size, flow_y, y, y + 2 * plane)
        add_pair(w, size, flow_y_odd, y + 3 * plane, y + plane)
    else:
        flow_y, flow_y_odd = y + 3 * plane, y + plane
        add_pair(w, size, flow_x, x, x + 3 * plane)
        add_pair(w, size, flow_x_odd, x + 2 * plane, x + plane)
    upwind(w, size, east, flow_x, UPWINDING)
    upwind(w, size, north, flow_y, UPWINDING)
    if kind != BOTH:
        upwind(w, size, east_odd, flow_x_odd, UPWINDING)
        upwind(w, size, north_odd, flow_y_odd, UPWINDING)
    deal(w, grid, coarse, flow_x - begin, flow_x_odd - begin, coarse[EAST_FLOW], True)
    deal(w, grid, coarse, flow_y - begin, flow_y_odd - begin, coarse[NORTH_FLOW], True)


@kernel
def _resistances(w: Workspace, grid: Layout) -> None:
    """Invert the conductances; a boundary face lies between blocks, and beyond it nothing resists."""
    plane, stride = grid[PLANE], grid[STRIDE]
    margin = (plane - grid[SIZE]) // 2
    for face, resistance in ((EAST_FACE, EAST_RESISTANCE), (NORTH_FACE, NORTH_RESISTANCE)):
        conductances, out = np.uint64(grid[face] - margin), np.uint64(grid[resistance] - margin)
        for k in range(np.uint64(SUB_GRIDS * plane)):
            w[out + k] = _ONE / max(w[conductances + k], _LEAST_CONDUCTANCE)
    rows, columns = (grid[ROWS] + 1) // 2, (grid[COLUMNS] + 1) // 2
    if grid[COARSENING] != ALONG_COLUMNS:
        for inside, between in ((0, 2), (3, 1)):
            first = grid[EAST_RESISTANCE] + inside * plane
            step = (between - inside) * plane
            for i in range(rows):
                last = first + i * stride + columns - 1
                if grid[COLUMNS] % 2:
                    w[last + step] = w[last]
                    w[last] = _ZERO
                w[last + 1] = w[last + 1 - stride] = _ZERO
    if grid[COARSENING] != ALONG_ROWS:
        for inside, between in ((0, 3), (2, 1)):
            first = grid[NORTH_RESISTANCE] + inside * plane
            step = (between - inside) * plane
            for j in range(columns):
                last = first + (rows - 1) * stride + j
                if grid[ROWS] % 2:
                    w[last + step] = w[last]
                    w[last] = _ZERO
                w[last + stride] = w[first + j - stride] = _ZERO


@kernel
def _interpolation(w: Workspace, grid: Layout, coarse: Layout) -> None:
    """The weights with which the red cells of a grid take the scaled values of the four coarse cells around them."""
    plane, stride, kind = grid[PLANE], grid[STRIDE], grid[COARSENING]
    scale, scale_odd = grid[TRANSFER], grid[TRANSFER] + plane
    collect(w, grid, coarse, coarse[SCALE], scale, scale_odd)
    if kind == BOTH:
        scale_odd = scale
    halved_x = _HALF if kind != ALONG_COLUMNS else _ZERO
    halved_y = _HALF if kind != ALONG_ROWS else _ZERO
    south_row = grid[SCRATCH]
    north_row, west_column, east_column = south_row + plane, south_row + 2 * plane, south_row + 3 * plane
    inside_x, inside_y = grid[EAST_RESISTANCE], grid[NORTH_RESISTANCE]
    _weights(
        w, grid, 0, halved_x, inside_x, south_row - 1, halved_y, inside_y, west_column - stride, scale, -1, -stride
    )
    inside_x, inside_y = inside_x + 3 * plane, inside_y + 2 * plane
    _weights(w, grid, 1, halved_x, inside_x, north_row, halved_y, inside_y, east_column, scale_odd, 1, stride)


@kernel
def _weights(
    w: Workspace,
    grid: Layout,
    sub_grid: int,
    half_x: Scalar,
    inside_x: int,
    path_x: int,
    half_y: Scalar,
    inside_y: int,
    path_y: int,
    scale: int,
    column: int,
    row: int,
) -> None:
    rx, px, ry, py = np.uint64(inside_x), np.uint64(path_x), np.uint64(inside_y), np.uint64(path_y)
    root = np.uint64(grid[ROOT] + sub_grid * grid[PLANE])
    first = grid[INTERPOLATION] + 4 * sub_grid * grid[PLANE]
    for corner in range(4):
        out = np.uint64(first + corner * grid[PLANE])
        s = np.uint64(scale + (corner % 2) * column + (corner // 2) * row)
        # the weight of the coarse cell beyond the face is u, that of the own one 1 - u
        base_x, sign_x = (_ZERO, half_x) if corner % 2 else (_ONE, -half_x)
        base_y, sign_y = (_ZERO, half_y) if corner // 2 else (_ONE, -half_y)
        for k in range(np.uint64(grid[SIZE])):
            weight_x = base_x + sign_x * w[rx + k] * w[px + k]
            weight_y = base_y + sign_y * w[ry + k] * w[py + k]
            w[out + k] = w[root + k] * w[s + k] * weight_x * weight_y
