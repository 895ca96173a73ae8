"""The V-cycle: one red-black sweep before and, in reverse order, after the correction of every level.

The relaxation of the black cells eliminates them, so a sweep is an over-relaxed Jacobi step on the Schur complement of
the red ones. For a constant coefficient its scaled eigenvalues are 1 - m^2, m the mean of three cosines: between 5/9
and 1 for errors that the next level cannot represent, hence the factor near 2 / (1 + 5/9). Residuals at black cells
vanish, so only red cells take part in the transfers between levels.

The interpolation is a product of three, along x, y and z; a cell takes its weight's part from the next coarse cell on
its side, the rest from its own. The restriction is the transpose. What is halved along an axis keeps the finer level's
places: the sub-grids, or planes, of even parity.
"""

import numpy as np

from kernels.linear_systems.compiled import kernel
from kernels.linear_systems.grid_multigrid_3d.layout import (
    BLACK,
    CELLS,
    CENTRE,
    HALVED,
    ITERATE,
    OTHER_TRANSFER,
    PLANE,
    RED,
    RESIDUAL,
    RHS,
    STRIDE,
    SUB_GRID,
    TRANSFER,
    WEIGHT,
    Layout,
    Scalar,
    Starts,
    Workspace,
    X,
    Y,
    Z,
    coloured,
    inflow,
    pair_ranges,
    pairs,
    plane_size,
    row_start,
    stencil,
)

OVER_RELAXATION = np.float32(1.2)
COARSEST_SWEEPS = 8

_ONE = np.float32(1.0)


@kernel
def v_cycle(w: Workspace, layout: Layout, levels: int) -> None:
    """Apply the preconditioner: the red ITERATE from the RHS of level 0, whose black cells are zero.

    Parameters
    ----------
    w : ndarray, float32
        As :func:`~kernels.linear_systems.grid_multigrid_3d.hierarchy.build_hierarchy` left it.
    layout : ndarray, shape (at least levels, FIELDS), int64
    levels : int
    """
    for level in range(levels - 1):
        descend(w, layout[level])
        restrict(w, layout[level], layout[level + 1])
    solve_coarsest(w, layout[levels - 1])
    for level in range(levels - 2, -1, -1):
        interpolate(w, layout[level], layout[level + 1])
        ascend(w, layout[level])


@kernel
def descend(w: Workspace, grid: Layout) -> None:
    """Relax from zero, red cells and then black ones, and write the residual of the red ones."""
    depth = grid[CELLS + Z]
    # each step is a plane behind the one whose results it reads
    for z in range(depth + 2):
        if z < depth:
            start_red(w, grid, z)
        if 1 <= z <= depth:
            relax_black(w, grid, z - 1)
        if z >= 2:
            red_residual(w, grid, z - 2)


@kernel
def ascend(w: Workspace, grid: Layout) -> None:
    """Relax, black cells and then red ones."""
    depth = grid[CELLS + Z]
    for z in range(depth + 1):
        if z < depth:
            relax_black(w, grid, z)
        if z >= 1:
            relax_red(w, grid, z - 1, OVER_RELAXATION)


@kernel
def solve_coarsest(w: Workspace, grid: Layout) -> None:
    """Relax the coarsest level, of a few cells, without over-relaxation: symmetric as the levels above are."""
    for z in range(grid[CELLS + Z]):
        start_red(w, grid, z)
    for _ in range(COARSEST_SWEEPS):
        for z in range(grid[CELLS + Z]):
            relax_black(w, grid, z)
        for z in range(grid[CELLS + Z]):
            relax_red(w, grid, z, _ONE)


@kernel
def start_red(w: Workspace, grid: Layout, z: int) -> None:
    """Relax the red cells of plane z from zero."""
    for which in range(2):
        y, x = coloured(RED, z, which)
        place = row_start(grid, z, y, x)
        out, rhs, inverse = (
            np.uint64(grid[ITERATE] + place),
            np.uint64(grid[RHS] + place),
            np.uint64(grid[CENTRE] + place),
        )
        for k in range(np.uint64(plane_size(grid))):
            w[out + k] = OVER_RELAXATION * w[inverse + k] * w[rhs + k]


@kernel
def relax_black(w: Workspace, grid: Layout, z: int) -> None:
    """Set the black iterate of plane z so that its residual vanishes."""
    for which in range(2):
        y, x = coloured(BLACK, z, which)
        place = row_start(grid, z, y, x)
        faces = stencil(grid, grid[ITERATE], place, y, x)
        balance(w, plane_size(grid), grid[ITERATE] + place, grid[CENTRE] + place, grid[RHS] + place, faces)


@kernel
def red_residual(w: Workspace, grid: Layout, z: int) -> None:
    """Write the residual of the red cells of plane z, whose own part is what over-relaxation added."""
    for which in range(2):
        y, x = coloured(RED, z, which)
        place = row_start(grid, z, y, x)
        faces = stencil(grid, grid[ITERATE], place, y, x)
        add_inflow(w, plane_size(grid), grid[RESIDUAL] + place, _ONE - OVER_RELAXATION, grid[RHS] + place, faces)


@kernel
def relax_red(w: Workspace, grid: Layout, z: int, omega: Scalar) -> None:
    """Relax the red iterate of plane z."""
    for which in range(2):
        y, x = coloured(RED, z, which)
        place = row_start(grid, z, y, x)
        faces = stencil(grid, grid[ITERATE], place, y, x)
        out, rhs, inverse = (
            np.uint64(grid[ITERATE] + place),
            np.uint64(grid[RHS] + place),
            np.uint64(grid[CENTRE] + place),
        )
        for k in range(np.uint64(plane_size(grid))):
            relaxed = w[inverse + k] * (w[rhs + k] + inflow(w, faces, k))
            w[out + k] = (_ONE - omega) * w[out + k] + omega * relaxed


@kernel
def balance(w: Workspace, size: int, out: int, inverse: int, rhs: int, faces: Starts) -> None:
    """Write the values for which outflow equals ``rhs`` and inflow."""
    o, c, r = np.uint64(out), np.uint64(inverse), np.uint64(rhs)
    for k in range(np.uint64(size)):
        w[o + k] = w[c + k] * (w[r + k] + inflow(w, faces, k))


@kernel
def add_inflow(w: Workspace, size: int, out: int, factor: Scalar, rhs: int, faces: Starts) -> None:
    """Write ``factor * rhs`` plus the inflow."""
    o, r = np.uint64(out), np.uint64(rhs)
    for k in range(np.uint64(size)):
        w[o + k] = factor * w[r + k] + inflow(w, faces, k)


@kernel
def other_transfer(grid: Layout, field: int) -> int:
    """Of the two families for intermediate values, the one that ``field`` is not."""
    return int(grid[OTHER_TRANSFER] if field == grid[TRANSFER] else grid[TRANSFER])


@kernel
def restrict(w: Workspace, grid: Layout, coarse: Layout) -> None:
    """Sum up the red residual to the RHS of the next level, along z, y and x."""
    field, size = grid[RESIDUAL], plane_size(grid)
    for axis in range(3):
        if grid[HALVED + axis]:
            target, weights = other_transfer(grid, field), grid[WEIGHT + axis]
            for z in range(coarse[CELLS + Z]):
                for which in range(pair_ranges(grid, axis)):
                    out, even, odd, _, step = pairs(grid, axis, z, which)
                    if axis != Z:
                        gather(w, size, target + out, field, weights, even, odd, step)
                    elif which in (1, 2):  # the odd cell is the red one
                        gather_red(w, size, target + out, field, weights, odd, odd - step)
                    else:
                        gather_red(w, size, target + out, field, weights, even, even + step)
            field = target
    exchange(w, grid, coarse, field, coarse[RHS], (0, 0, 0), True)


@kernel
def interpolate(w: Workspace, grid: Layout, coarse: Layout) -> None:
    """Add the interpolated iterate of the next level to that of the red cells, along x, y and z."""
    field, size = grid[TRANSFER], plane_size(grid)
    exchange(w, grid, coarse, field, coarse[ITERATE], (0, 0, 0), False)
    for axis in (X, Y):
        if grid[HALVED + axis]:
            target, weights = other_transfer(grid, field), grid[WEIGHT + axis]
            for z in range(coarse[CELLS + Z]):
                for which in range(pair_ranges(grid, axis)):
                    own, even, odd, step, _ = pairs(grid, axis, z, which)
                    spread(w, size, target + even, field + own, field + own - step, weights + even)
                    spread(w, size, target + odd, field + own, field + own + step, weights + odd)
            field = target
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(RED, z, which)
            place = row_start(grid, z, y, x)
            if grid[HALVED + Z]:
                values = field + row_start(grid, z // 2, y, x)
                far = values + (grid[PLANE] if z % 2 else -grid[PLANE])
                add_spread(w, size, grid[ITERATE] + place, values, far, grid[WEIGHT + Z] + place)
            else:
                add(w, size, grid[ITERATE] + place, field + place)


@kernel
def gather_red(w: Workspace, size: int, out: int, values: int, weights: int, near: int, far: int) -> None:
    """A coarse cell's sum over two red cells: one of its own and one that leans on it."""
    o, v, u = np.uint64(out), np.uint64(values + near), np.uint64(weights + near)
    far_v, far_u = np.uint64(values + far), np.uint64(weights + far)
    for k in range(np.uint64(size)):
        w[o + k] = (_ONE - w[u + k]) * w[v + k] + w[far_u + k] * w[far_v + k]


@kernel
def gather(w: Workspace, size: int, out: int, values: int, weights: int, even: int, odd: int, step: int) -> None:
    """A coarse cell's sum over its own two cells and the two that lean on it from both sides."""
    o = np.uint64(out)
    even_v, odd_v = np.uint64(values + even), np.uint64(values + odd)
    even_u, odd_u = np.uint64(weights + even), np.uint64(weights + odd)
    next_v, next_u = np.uint64(values + even + step), np.uint64(weights + even + step)
    last_v, last_u = np.uint64(values + odd - step), np.uint64(weights + odd - step)
    for k in range(np.uint64(size)):
        own = (w[even_v + k] - w[even_u + k] * w[even_v + k]) + (w[odd_v + k] - w[odd_u + k] * w[odd_v + k])
        w[o + k] = own + (w[next_u + k] * w[next_v + k] + w[last_u + k] * w[last_v + k])


@kernel
def spread(w: Workspace, size: int, out: int, near: int, far: int, weights: int) -> None:
    """Interpolate between a cell's own coarse cell and the one it leans on."""
    o, n, f, u = np.uint64(out), np.uint64(near), np.uint64(far), np.uint64(weights)
    for k in range(np.uint64(size)):
        w[o + k] = w[n + k] + w[u + k] * (w[f + k] - w[n + k])


@kernel
def add_spread(w: Workspace, size: int, out: int, near: int, far: int, weights: int) -> None:
    """As :func:`spread`, added."""
    o, n, f, u = np.uint64(out), np.uint64(near), np.uint64(far), np.uint64(weights)
    for k in range(np.uint64(size)):
        w[o + k] += w[n + k] + w[u + k] * (w[f + k] - w[n + k])


@kernel
def add(w: Workspace, size: int, out: int, values: int) -> None:
    """Add values to others."""
    o, v = np.uint64(out), np.uint64(values)
    for k in range(np.uint64(size)):
        w[o + k] += w[v + k]


@kernel
def exchange(
    w: Workspace,
    grid: Layout,
    coarse: Layout,
    halved: int,
    family: int,
    first: tuple[int, int, int],
    to_coarse: bool,
) -> None:
    """Copy a field between the places that the halvings of a level leave it at and those of the next level.

    Parameters
    ----------
    w : ndarray
    grid, coarse : ndarray, shape (FIELDS,), int64
    halved, family : int
        The starts of the families: of ``grid``, and of ``coarse``.
    first : tuple of int
        The first cell to copy, 0 or -1 along each axis.
    to_coarse : bool
        The direction.
    """
    columns = coarse[CELLS + X]
    step = np.uint64(2 if grid[HALVED + X] else 1)
    for z in range(first[Z], coarse[CELLS + Z]):
        for y in range(first[Y], coarse[CELLS + Y]):
            place = row_start(grid, z, 2 * y if grid[HALVED + Y] else y, 0)
            if not to_coarse:
                # the margin, which the restriction may have written to
                w[halved + place + grid[STRIDE] - 1] = w[halved + place + grid[SUB_GRID] + grid[STRIDE] - 1] = 0.0
            for x in range(2):
                begin = -1 if x == 1 and first[X] < 0 else 0
                count = np.uint64(max((columns + 1 - x) // 2 - begin, 0))
                inner = np.uint64(family + row_start(coarse, z, y, x) + begin)
                outer = np.uint64(halved + place + (x + 2 * begin if grid[HALVED + X] else x * grid[SUB_GRID] + begin))
                if to_coarse:
                    for k in range(count):
                        w[inner + k] = w[outer + step * k]
                else:
                    for k in range(count):
                        w[outer + step * k] = w[inner + k]
