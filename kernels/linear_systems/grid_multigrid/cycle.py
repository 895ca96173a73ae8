"""The V-cycle: one red-black sweep before and, in reverse order, after the correction of every level.

All operators have a unit diagonal, A = I - N, and N couples red cells with black ones only. Each relaxation of the
black cells eliminates them, so a sweep is a Richardson step on the Schur complement S = I - N_rb N_br of the red ones:
its eigenvalues lie in (0, 1], those of oscillating errors of a smooth operator at 3/4 and above, hence the
over-relaxation. Residuals at black cells vanish, so only red cells take part in the transfers between levels.
"""

import numpy as np

from kernels.linear_systems.compiled import kernel
from kernels.linear_systems.grid_multigrid.layout import (
    ALONG_ROWS,
    BAND,
    BOTH,
    COARSENING,
    INTERPOLATION,
    ITERATE,
    PLANE,
    RED_SUB_GRIDS,
    RHS,
    SIZE,
    STRIDE,
    SUB_GRIDS,
    SYMMETRIC,
    TRANSFER,
    Layout,
    Scalar,
    Starts,
    Workspace,
    band,
    reach,
    stencil,
)
from kernels.linear_systems.grid_multigrid.transfer import collect, deal

OVER_RELAXATION, UNDER_RELAXATION = np.float32(1.15), np.float32(0.9)
COARSEST_SWEEPS = 8

_ONE = np.float32(1.0)


@kernel
def v_cycle(workspace: Workspace, layout: Layout, levels: int) -> None:
    """Apply the preconditioner: the red ITERATE from the red RHS of level 0, whose black RHS counts as zero.

    Parameters
    ----------
    workspace : ndarray, float32
        As :func:`~kernels.linear_systems.grid_multigrid.hierarchy.build_hierarchy` left it.
    layout : ndarray, shape (at least levels, FIELDS), int64
    levels : int
    """
    for level in range(levels - 1):
        descend(workspace, layout[level], layout[level + 1], level > 0)
    solve_coarsest(workspace, layout[levels - 1], levels > 1)
    for level in range(levels - 2, -1, -1):
        ascend(workspace, layout[level], layout[level + 1], level > 0)


@kernel
def relaxation(grid: Layout) -> Scalar:
    """Over-relaxation suits the real spectrum of a symmetric operator; a flow makes it complex."""
    return OVER_RELAXATION if grid[SYMMETRIC] else UNDER_RELAXATION


@kernel
def descend(workspace: Workspace, grid: Layout, coarse: Layout, has_black_rhs: bool) -> None:
    """Relax from zero, red cells and then black ones, and hand the residual to the next level.

    The first relaxation gives ``relaxation * rhs``, which is nowhere stored; ITERATE receives the residual instead.
    """
    omega = relaxation(grid)
    for begin in range(0, grid[SIZE] + 2 * reach(grid), BAND):
        first, count = band(grid, begin, 0)
        relax_black(workspace, grid, has_black_rhs, omega, grid[RHS], first, count)
        first, count = band(grid, begin, 1)
        for sub_grid in range(RED_SUB_GRIDS):
            shift = sub_grid * grid[PLANE] + first
            neighbours = stencil(grid, grid[ITERATE], sub_grid, first)
            add_sum(workspace, count, grid[ITERATE] + shift, _ONE - omega, grid[RHS] + shift, _ONE, neighbours)
        first, count = band(grid, begin, 2)
        restrict(workspace, grid, first, count)
    deal(workspace, grid, coarse, grid[TRANSFER], grid[TRANSFER] + grid[PLANE], coarse[RHS], False)


@kernel
def ascend(workspace: Workspace, grid: Layout, coarse: Layout, has_black_rhs: bool) -> None:
    """Correct the red cells by the next level and relax, black cells and then red ones."""
    collect(workspace, grid, coarse, coarse[ITERATE], grid[TRANSFER], grid[TRANSFER] + grid[PLANE])
    for begin in range(0, grid[SIZE] + 2 * reach(grid), BAND):
        first, count = band(grid, begin, 0)
        correct(workspace, grid, first, count)
        first, count = band(grid, begin, 1)
        relax_black(workspace, grid, has_black_rhs, _ONE, grid[ITERATE], first, count)
        first, count = band(grid, begin, 2)
        relax_red(workspace, grid, relaxation(grid), first, count)


@kernel
def solve_coarsest(workspace: Workspace, grid: Layout, has_black_rhs: bool) -> None:
    """Relax the coarsest level, of a few cells, to a sum of powers of I - S: symmetric as the levels above are."""
    for k in range(np.uint64(RED_SUB_GRIDS * grid[PLANE])):
        workspace[np.uint64(grid[ITERATE]) + k] = workspace[np.uint64(grid[RHS]) + k]
    for _ in range(COARSEST_SWEEPS):
        relax_black(workspace, grid, has_black_rhs, _ONE, grid[ITERATE], 0, grid[SIZE])
        relax_red(workspace, grid, _ONE, 0, grid[SIZE])


@kernel
def relax_black(
    workspace: Workspace, grid: Layout, has_rhs: bool, factor: Scalar, red: int, first: int, count: int
) -> None:
    """Set the black iterate so that its residual vanishes where the red iterate is ``factor`` times ``red``."""
    for sub_grid in range(RED_SUB_GRIDS, SUB_GRIDS):
        shift = sub_grid * grid[PLANE] + first
        neighbours = stencil(grid, red, sub_grid, first)
        if has_rhs:
            add_sum(workspace, count, grid[ITERATE] + shift, _ONE, grid[RHS] + shift, factor, neighbours)
        else:
            weighted_sum(workspace, count, grid[ITERATE] + shift, factor, neighbours)


@kernel
def relax_red(w: Workspace, grid: Layout, omega: Scalar, first: int, count: int) -> None:
    """Relax the red iterate."""
    for sub_grid in range(RED_SUB_GRIDS):
        shift = sub_grid * grid[PLANE] + first
        out, rhs = np.uint64(grid[ITERATE] + shift), np.uint64(grid[RHS] + shift)
        cw, xw, ce, xe, cs, xs, cn, xn = stencil(grid, grid[ITERATE], sub_grid, first)
        for k in range(np.uint64(count)):
            total = (w[cw + k] * w[xw + k] + w[ce + k] * w[xe + k]) + (w[cs + k] * w[xs + k] + w[cn + k] * w[xn + k])
            w[out + k] = (_ONE - omega) * w[out + k] + omega * (w[rhs + k] + total)


@kernel
def add_sum(w: Workspace, size: int, out: int, alpha: Scalar, rhs: int, beta: Scalar, neighbours: Starts) -> None:
    """Write ``alpha * rhs + beta * N x``, x the neighbours' values."""
    o, r = np.uint64(out), np.uint64(rhs)
    cw, xw, ce, xe, cs, xs, cn, xn = neighbours
    for k in range(np.uint64(size)):
        total = (w[cw + k] * w[xw + k] + w[ce + k] * w[xe + k]) + (w[cs + k] * w[xs + k] + w[cn + k] * w[xn + k])
        w[o + k] = alpha * w[r + k] + beta * total


@kernel
def weighted_sum(w: Workspace, size: int, out: int, beta: Scalar, neighbours: Starts) -> None:
    """Write ``beta * N x``, x the neighbours' values."""
    o = np.uint64(out)
    cw, xw, ce, xe, cs, xs, cn, xn = neighbours
    for k in range(np.uint64(size)):
        total = (w[cw + k] * w[xw + k] + w[ce + k] * w[xe + k]) + (w[cs + k] * w[xs + k] + w[cn + k] * w[xn + k])
        w[o + k] = beta * total


@kernel
def restrict(workspace: Workspace, grid: Layout, first: int, count: int) -> None:
    """Write the red residual, which is in ITERATE, to TRANSFER by the transpose of the interpolation."""
    plane, stride = grid[PLANE], grid[STRIDE]
    even, weights, residual = grid[TRANSFER] + first, grid[INTERPOLATION] + first, grid[ITERATE] + first
    odd = even + plane
    if grid[COARSENING] == BOTH:
        gather(workspace, count, even, weights, residual, plane, 1, stride, False)
        gather(workspace, count, even, weights + 4 * plane, residual + plane, plane, -1, -stride, True)
    else:
        corner, step = (1, 1) if grid[COARSENING] == ALONG_ROWS else (2, stride)
        gather_pair(workspace, count, even, weights, weights + corner * plane, residual, step)
        gather_pair(workspace, count, odd, weights + 4 * plane, weights + (4 + corner) * plane, residual + plane, -step)


@kernel
def gather(
    w: Workspace, size: int, out: int, weights: int, values: int, plane: int, column: int, row: int, add: bool
) -> None:
    """Sum over the four cells that interpolate from a coarse cell; ``column`` and ``row`` lead to the far ones."""
    o = np.uint64(out)
    w0, v0 = np.uint64(weights), np.uint64(values)
    w1, v1 = np.uint64(weights + plane + column), np.uint64(values + column)
    w2, v2 = np.uint64(weights + 2 * plane + row), np.uint64(values + row)
    w3, v3 = np.uint64(weights + 3 * plane + row + column), np.uint64(values + row + column)
    if add:
        for k in range(np.uint64(size)):
            total = (w[w0 + k] * w[v0 + k] + w[w1 + k] * w[v1 + k]) + (w[w2 + k] * w[v2 + k] + w[w3 + k] * w[v3 + k])
            w[o + k] += total
    else:
        for k in range(np.uint64(size)):
            total = (w[w0 + k] * w[v0 + k] + w[w1 + k] * w[v1 + k]) + (w[w2 + k] * w[v2 + k] + w[w3 + k] * w[v3 + k])
            w[o + k] = total


@kernel
def gather_pair(w: Workspace, size: int, out: int, near: int, far: int, values: int, step: int) -> None:
    """As :func:`gather` where one direction is halved: from the cell itself and the one ``step`` further."""
    o, n, f = np.uint64(out), np.uint64(near), np.uint64(far + step)
    v, u = np.uint64(values), np.uint64(values + step)
    for k in range(np.uint64(size)):
        w[o + k] = w[n + k] * w[v + k] + w[f + k] * w[u + k]


@kernel
def correct(w: Workspace, grid: Layout, first: int, count: int) -> None:
    """Restore the red iterate and add the interpolated values of the next level, which are in TRANSFER."""
    plane, omega = grid[PLANE], relaxation(grid)
    for sub_grid in range(RED_SUB_GRIDS):
        shift = sub_grid * plane + first
        o, r = np.uint64(grid[ITERATE] + shift), np.uint64(grid[RHS] + shift)
        coarse = grid[TRANSFER] + (first if grid[COARSENING] == BOTH else shift)
        column, row = (1, grid[STRIDE]) if sub_grid else (-1, -grid[STRIDE])
        weights = grid[INTERPOLATION] + 4 * sub_grid * plane + first
        w0, v0 = np.uint64(weights), np.uint64(coarse)
        w1, v1 = np.uint64(weights + plane), np.uint64(coarse + column)
        w2, v2 = np.uint64(weights + 2 * plane), np.uint64(coarse + row)
        w3, v3 = np.uint64(weights + 3 * plane), np.uint64(coarse + row + column)
        for k in range(np.uint64(count)):
            total = (w[w0 + k] * w[v0 + k] + w[w1 + k] * w[v1 + k]) + (w[w2 + k] * w[v2 + k] + w[w3 + k] * w[v3 + k])
            w[o + k] = omega * w[r + k] + total
