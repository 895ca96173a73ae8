"""CG in double precision on the red cells, each iteration preconditioned by a V-cycle; no Python inside.

With the black cells eliminated, A x = b becomes S x_r = b_r + N_rb D_b^-1 b_b, S = D_r - N_rb D_b^-1 N_br, of half the
size; the residual of the black cells is zero throughout, so the norm is that of the whole system.
"""

import numpy as np

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid_3d.cycle import add_inflow, balance, v_cycle
from kernels.linear_systems.grid_multigrid_3d.layout import (
    BLACK,
    CELLS,
    CENTRE,
    DIRECTION,
    DOUBLE_RESIDUAL,
    FAMILY,
    ITERATE,
    PRODUCT,
    RED,
    RHS,
    SOLUTION,
    Layout,
    Workspace,
    Z,
    coloured,
    inflow,
    plane_size,
    row_start,
    stencil,
)
from kernels.linear_systems.types import Vector

# How a run ended.
CONVERGED, ITERATION_LIMIT, BREAKDOWN, NOT_FINITE = 0, 1, 2, 3


@entry_kernel
def conjugate_gradients(
    w: Workspace,
    grid: Layout,
    single: Workspace,
    layout: Layout,
    levels: int,
    target: float,
    history: Vector,
    begin: int,
) -> tuple[int, int, int]:
    """Solve for SOLUTION from DOUBLE_RESIDUAL by preconditioned conjugate gradients (Saad 2003, algorithm 9.1).

    Parameters
    ----------
    w, grid : ndarray
        The workspace in double precision, with a matrix and the right-hand side in DOUBLE_RESIDUAL.
    single, layout, levels
        The V-cycle.
    target : float
        Stop at this norm of the residual.
    history : ndarray, shape (most iterations + 1,), float64
        Receives the residual norm of iterations ``begin + 1``, ...; its length is the limit.
    begin : int
        The iterations done before.

    Returns
    -------
    iterations, cycles, status : int
        Iterations done in all, V-cycles of this run, and how it ended.
    """
    w[grid[SOLUTION] : grid[SOLUTION] + grid[FAMILY]] = 0.0
    w[grid[DIRECTION] : grid[DIRECTION] + grid[FAMILY]] = 0.0
    eliminate(w, grid)
    norm = advance(w, grid, single, layout[0], 0.0)
    iterations, cycles, previous, status = begin, 0, np.inf, CONVERGED
    while norm > target:
        if iterations + 1 >= history.size:
            status = ITERATION_LIMIT
            break
        # steps 6 to 8: the next direction, conjugate to those before
        v_cycle(single, layout, levels)
        cycles += 1
        inner = inner_with_iterate(w, grid, single, layout[0])
        if not inner > 0.0:
            status = NOT_FINITE if np.isnan(inner) else BREAKDOWN
            break
        new_direction(w, grid, single, layout[0], inner / previous)
        # steps 3 to 5: the step that minimises the error's energy norm along it
        curvature = multiply(w, grid)
        if not curvature > 0.0:
            status = NOT_FINITE if np.isnan(curvature) else BREAKDOWN
            break
        norm = advance(w, grid, single, layout[0], inner / curvature)
        iterations += 1
        history[iterations] = norm
        previous = inner
    back_substitute(w, grid)
    return iterations, cycles, status if np.isfinite(norm) else NOT_FINITE


@entry_kernel
def precondition(w: Workspace, grid: Layout, single: Workspace, layout: Layout, levels: int, factor: float) -> None:
    """Write to SOLUTION ``factor`` times what the V-cycle makes of DOUBLE_RESIDUAL, black cells eliminated first."""
    w[grid[SOLUTION] : grid[SOLUTION] + grid[FAMILY]] = 0.0
    w[grid[DIRECTION] : grid[DIRECTION] + grid[FAMILY]] = 0.0
    eliminate(w, grid)
    advance(w, grid, single, layout[0], 0.0)
    v_cycle(single, layout, levels)
    new_direction(w, grid, single, layout[0], 0.0)
    advance(w, grid, single, layout[0], factor)
    back_substitute(w, grid)


@kernel
def eliminate(w: Workspace, grid: Layout) -> None:
    """Eliminate the black cells from the residual of the red ones."""
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(BLACK, z, which)
            place = row_start(grid, z, y, x)
            out, inverse = np.uint64(grid[PRODUCT] + place), np.uint64(grid[CENTRE] + place)
            residual = np.uint64(grid[DOUBLE_RESIDUAL] + place)
            for k in range(np.uint64(plane_size(grid))):
                w[out + k] = w[inverse + k] * w[residual + k]
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(RED, z, which)
            place = row_start(grid, z, y, x)
            residual = grid[DOUBLE_RESIDUAL] + place
            add_inflow(w, plane_size(grid), residual, 1.0, residual, stencil(grid, grid[PRODUCT], place, y, x))


@kernel
def back_substitute(w: Workspace, grid: Layout) -> None:
    """Compute the solution of the black cells from that of the red ones."""
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(BLACK, z, which)
            place = row_start(grid, z, y, x)
            faces = stencil(grid, grid[SOLUTION], place, y, x)
            rhs, inverse = grid[DOUBLE_RESIDUAL] + place, grid[CENTRE] + place
            balance(w, plane_size(grid), grid[SOLUTION] + place, inverse, rhs, faces)


@kernel
def inner_with_iterate(w: Workspace, grid: Layout, single: Workspace, level: Layout) -> float:
    """The inner product of the red residual and the V-cycle's iterate."""
    total = 0.0
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(RED, z, which)
            place = row_start(grid, z, y, x)
            residual, iterate = np.uint64(grid[DOUBLE_RESIDUAL] + place), np.uint64(level[ITERATE] + place)
            for k in range(np.uint64(plane_size(grid))):
                total += w[residual + k] * single[iterate + k]
    return total


@kernel
def new_direction(w: Workspace, grid: Layout, single: Workspace, level: Layout, factor: float) -> None:
    """Write the V-cycle's iterate plus ``factor`` times the direction to the direction."""
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(RED, z, which)
            place = row_start(grid, z, y, x)
            direction, iterate = np.uint64(grid[DIRECTION] + place), np.uint64(level[ITERATE] + place)
            for k in range(np.uint64(plane_size(grid))):
                w[direction + k] = single[iterate + k] + factor * w[direction + k]


@kernel
def multiply(w: Workspace, grid: Layout) -> float:
    """Write S times the direction to PRODUCT; return the inner product of the two."""
    depth, size = grid[CELLS + Z], np.uint64(plane_size(grid))
    curvature = 0.0
    for z in range(depth + 1):
        for which in range(2):
            if z < depth:
                y, x = coloured(BLACK, z, which)
                place = row_start(grid, z, y, x)
                faces = stencil(grid, grid[DIRECTION], place, y, x)
                out, inverse = np.uint64(grid[DIRECTION] + place), np.uint64(grid[CENTRE] + place)
                for k in range(size):
                    w[out + k] = w[inverse + k] * inflow(w, faces, k)
        for which in range(2):
            # a plane behind: the black cells above must have their values
            if z > 0:
                y, x = coloured(RED, z - 1, which)
                place = row_start(grid, z - 1, y, x)
                faces = stencil(grid, grid[DIRECTION], place, y, x)
                out, diagonal = np.uint64(grid[PRODUCT] + place), np.uint64(grid[CENTRE] + place)
                direction = np.uint64(grid[DIRECTION] + place)
                for k in range(size):
                    product = w[diagonal + k] * w[direction + k] - inflow(w, faces, k)
                    w[out + k] = product
                    curvature += product * w[direction + k]
    return curvature


@kernel
def advance(w: Workspace, grid: Layout, single: Workspace, level: Layout, length: float) -> float:
    """Take a step along the direction, hand the residual to the V-cycle and return its norm."""
    squares = 0.0
    for z in range(grid[CELLS + Z]):
        for which in range(2):
            y, x = coloured(RED, z, which)
            place = row_start(grid, z, y, x)
            direction, product = np.uint64(grid[DIRECTION] + place), np.uint64(grid[PRODUCT] + place)
            solution, residual = np.uint64(grid[SOLUTION] + place), np.uint64(grid[DOUBLE_RESIDUAL] + place)
            rhs = np.uint64(level[RHS] + place)
            for k in range(np.uint64(plane_size(grid))):
                w[solution + k] += length * w[direction + k]
                left = w[residual + k] - length * w[product + k]
                w[residual + k] = left
                single[rhs + k] = left
                squares += left * left
    return float(np.sqrt(squares))
