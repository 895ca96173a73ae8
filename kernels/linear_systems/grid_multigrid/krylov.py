"""CG and BiCGStab in double precision on the red cells, each iteration preconditioned by a V-cycle; no Python inside.

With the black cells eliminated, A x = b becomes S x_r = b_r + N_rb b_b, S = D_r - N_rb N_br, of half the size, and the
residual of the black cells is zero throughout. Vectors are families of planes; their black planes hold what elimination
needs. The residual norm that is compared is that of the unscaled system.
"""

import numpy as np

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid.cycle import add_sum, v_cycle, weighted_sum
from kernels.linear_systems.grid_multigrid.layout import (
    BAND,
    CENTRE,
    DIRECTION,
    ITERATE,
    PLANE,
    PRECONDITIONED,
    PRODUCT,
    RED_SUB_GRIDS,
    RESIDUAL,
    RHS,
    ROOT,
    SECOND_PRODUCT,
    SHADOW,
    SIZE,
    SOLUTION,
    SUB_GRIDS,
    SYMMETRIC,
    Layout,
    Workspace,
    band,
    reach,
    stencil,
)
from kernels.linear_systems.types import Vector

# How a run ended.
CONVERGED, ITERATION_LIMIT, BREAKDOWN, NOT_FINITE = 0, 1, 2, 3

# a run is given up where even this many times its rate of convergence would not suffice; not before some iterations
PATIENCE, FEWEST_ITERATIONS = 3.0, 12

# inner products below this share of the product of the norms are rounding: dividing by them is a breakdown
_VANISHING = float(np.finfo(np.float64).eps) ** 2


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
    """Solve for SOLUTION from RESIDUAL by preconditioned conjugate gradients (Saad 2003, algorithm 9.1).

    Parameters
    ----------
    w, grid : ndarray
        The workspace in double precision, with a scaled symmetric matrix and the right-hand side in RESIDUAL.
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
    eliminate(w, grid)
    _clear(w, grid, SOLUTION)
    _clear(w, grid, DIRECTION)
    norm = _start(w, grid, single, layout[0])
    iterations, cycles, previous, status = begin, 0, np.inf, CONVERGED
    while norm > target:
        if is_out_of_reach(history, iterations, target):
            status = ITERATION_LIMIT
            break
        # steps 6 to 8: the next direction, conjugate to those before
        v_cycle(single, layout, levels)
        cycles += 1
        inner = _inner_with_iterate(w, grid, RESIDUAL, single, layout[0])
        if not inner > 0.0:
            status = NOT_FINITE if np.isnan(inner) else BREAKDOWN
            break
        _new_direction(w, grid, single, layout[0], inner / previous)
        # steps 3 to 5: the step that minimises the error's energy norm along it
        curvature = _multiply(w, grid, DIRECTION, PRODUCT)
        if not curvature > 0.0:
            status = NOT_FINITE if np.isnan(curvature) else BREAKDOWN
            break
        norm = _advance(w, grid, DIRECTION, PRODUCT, single, layout[0], inner / curvature)
        iterations += 1
        history[iterations] = norm
        previous = inner
    back_substitute(w, grid)
    return iterations, cycles, status if np.isfinite(norm) else NOT_FINITE


@entry_kernel
def bicgstab(
    w: Workspace,
    grid: Layout,
    single: Workspace,
    layout: Layout,
    levels: int,
    target: float,
    history: Vector,
    begin: int,
) -> tuple[int, int, int]:
    """Solve for SOLUTION from RESIDUAL by BiCGStab preconditioned on the right (Saad 2003, algorithm 7.7).

    As :func:`conjugate_gradients`, without symmetry. An iteration has two V-cycles; if it ends half-way, one.
    """
    eliminate(w, grid)
    _clear(w, grid, SOLUTION)
    level = layout[0]
    norm = shadow_norm = _start(w, grid, single, level)
    _copy(w, grid, RESIDUAL, SHADOW)
    _copy(w, grid, RESIDUAL, DIRECTION)
    inner = _inner(w, grid, SHADOW, RESIDUAL)
    iterations, cycles, status = begin, 0, CONVERGED
    while norm > target:
        if is_out_of_reach(history, iterations, target):
            status = ITERATION_LIMIT
            break
        # steps 4 and 5: the bi-conjugate gradient half
        _to_single(w, grid, DIRECTION, single, level)
        v_cycle(single, layout, levels)
        cycles += 1
        _from_single(w, grid, PRECONDITIONED, single, level)
        _multiply(w, grid, PRECONDITIONED, PRODUCT)
        shadow_product = _inner(w, grid, SHADOW, PRODUCT)
        if not abs(shadow_product) > _VANISHING * shadow_norm * norm:
            status = NOT_FINITE if np.isnan(shadow_product) else BREAKDOWN
            break
        alpha = inner / shadow_product
        norm = _advance(w, grid, PRECONDITIONED, PRODUCT, single, level, alpha)
        iterations += 1
        history[iterations] = norm
        if norm <= target:
            break
        # steps 6 to 8: the stabilising half, which minimises the residual along its own image
        v_cycle(single, layout, levels)
        cycles += 1
        _from_single(w, grid, PRECONDITIONED, single, level)
        _multiply(w, grid, PRECONDITIONED, SECOND_PRODUCT)
        squares = _inner(w, grid, SECOND_PRODUCT, SECOND_PRODUCT)
        omega = _inner(w, grid, SECOND_PRODUCT, RESIDUAL) / squares if squares > 0.0 else 0.0
        norm = _advance(w, grid, PRECONDITIONED, SECOND_PRODUCT, single, level, omega)
        history[iterations] = norm
        if not norm > target:
            break
        # steps 9 and 10: the next direction
        new_inner = _inner(w, grid, SHADOW, RESIDUAL)
        if omega == 0.0 or abs(new_inner) <= _VANISHING * shadow_norm * norm:
            status = BREAKDOWN
            break
        _new_biconjugate_direction(w, grid, new_inner / inner * (alpha / omega), omega)
        inner = new_inner
    back_substitute(w, grid)
    return iterations, cycles, status if np.isfinite(norm) else NOT_FINITE


@kernel
def is_out_of_reach(history: Vector, iterations: int, target: float) -> bool:
    """Whether the limit is reached, or will be at several times the rate of convergence up to now.

    The rate is that from the first half of the run, its geometric mean, to the lowest residual of the second half:
    the norms oscillate, and where coefficients jump they first increase.

    Parameters
    ----------
    history : ndarray, shape (most iterations + 1,), float64
        The residual norms up to now, above the target.
    iterations : int
        How many have been done.
    target : float
    """
    left = history.size - 1 - iterations
    if iterations < FEWEST_ITERATIONS or left == 0:
        return left == 0
    half = iterations // 2
    begun = np.log(history[: half + 1]).mean()
    lowest = np.log(history[half + 1 : iterations + 1].min())
    span = iterations - 0.5 * half
    return bool((lowest - np.log(target)) * span > PATIENCE * (begun - lowest) * left)


@kernel
def eliminate(w: Workspace, grid: Layout) -> None:
    """Eliminate the black cells from the right-hand side in RESIDUAL."""
    for sub_grid in range(RED_SUB_GRIDS):
        start = grid[RESIDUAL] + sub_grid * grid[PLANE]
        add_sum(w, grid[SIZE], start, 1.0, start, 1.0, stencil(grid, grid[RESIDUAL], sub_grid, 0))


@kernel
def back_substitute(w: Workspace, grid: Layout) -> None:
    """Compute the black cells of SOLUTION from the red ones and the black right-hand side in RESIDUAL."""
    for sub_grid in range(RED_SUB_GRIDS, SUB_GRIDS):
        shift = sub_grid * grid[PLANE]
        neighbours = stencil(grid, grid[SOLUTION], sub_grid, 0)
        add_sum(w, grid[SIZE], grid[SOLUTION] + shift, 1.0, grid[RESIDUAL] + shift, 1.0, neighbours)


@entry_kernel
def precondition(w: Workspace, grid: Layout, single: Workspace, layout: Layout, levels: int) -> None:
    """Compute SOLUTION, on all cells, from RESIDUAL by one V-cycle between elimination and back-substitution."""
    eliminate(w, grid)
    _to_single(w, grid, RESIDUAL, single, layout[0])
    v_cycle(single, layout, levels)
    _from_single(w, grid, SOLUTION, single, layout[0])
    back_substitute(w, grid)


@kernel
def _multiply(w: Workspace, grid: Layout, vector: int, product: int) -> float:
    """The product of S and a vector, and their inner product; the vector's black planes are overwritten."""
    curvature = 0.0
    for begin in range(0, grid[SIZE] + reach(grid), BAND):
        first, count = band(grid, begin, 0)
        for sub_grid in range(RED_SUB_GRIDS, SUB_GRIDS):
            out = grid[vector] + sub_grid * grid[PLANE] + first
            weighted_sum(w, count, out, 1.0, stencil(grid, grid[vector], sub_grid, first))
        first, count = band(grid, begin, 1)
        for sub_grid in range(RED_SUB_GRIDS):
            curvature += _subtract_sum(w, grid, vector, product, sub_grid, first, count)
    return curvature


@kernel
def _subtract_sum(
    w: Workspace, grid: Layout, vector: int, product: int, sub_grid: int, first: int, count: int
) -> float:
    """Write ``D v - N v`` of red cells; return the inner product with v."""
    shift = sub_grid * grid[PLANE] + first
    v, out, centre = np.uint64(grid[vector] + shift), np.uint64(grid[product] + shift), np.uint64(grid[CENTRE] + shift)
    cw, xw, ce, xe, cs, xs, cn, xn = stencil(grid, grid[vector], sub_grid, first)
    inner = 0.0
    if grid[SYMMETRIC]:
        for k in range(np.uint64(count)):
            total = (w[cw + k] * w[xw + k] + w[ce + k] * w[xe + k]) + (w[cs + k] * w[xs + k] + w[cn + k] * w[xn + k])
            value = w[v + k] - total
            w[out + k] = value
            inner += value * w[v + k]
    else:
        for k in range(np.uint64(count)):
            total = (w[cw + k] * w[xw + k] + w[ce + k] * w[xe + k]) + (w[cs + k] * w[xs + k] + w[cn + k] * w[xn + k])
            value = w[centre + k] * w[v + k] - total
            w[out + k] = value
            inner += value * w[v + k]
    return inner


@kernel
def _red_length(grid: Layout) -> np.uint64:
    """The length of both red planes, with the margins between them, which are zero."""
    return np.uint64(grid[PLANE] + grid[SIZE])


@kernel
def _clear(w: Workspace, grid: Layout, vector: int) -> None:
    v = np.uint64(grid[vector])
    for k in range(_red_length(grid)):
        w[v + k] = 0.0


@kernel
def _copy(w: Workspace, grid: Layout, vector: int, out: int) -> None:
    v, o = np.uint64(grid[vector]), np.uint64(grid[out])
    for k in range(_red_length(grid)):
        w[o + k] = w[v + k]


@kernel
def _to_single(w: Workspace, grid: Layout, vector: int, single: Workspace, level: Layout) -> None:
    """Write a vector to the V-cycle's right-hand side."""
    v, rhs = np.uint64(grid[vector]), np.uint64(level[RHS])
    for k in range(_red_length(grid)):
        single[rhs + k] = w[v + k]


@kernel
def _from_single(w: Workspace, grid: Layout, vector: int, single: Workspace, level: Layout) -> None:
    """Read a vector from the V-cycle's iterate."""
    v, iterate = np.uint64(grid[vector]), np.uint64(level[ITERATE])
    for k in range(_red_length(grid)):
        w[v + k] = single[iterate + k]


@kernel
def _start(w: Workspace, grid: Layout, single: Workspace, level: Layout) -> float:
    """Write RESIDUAL to the V-cycle's right-hand side; return its norm in the unscaled system."""
    r, rhs, root = np.uint64(grid[RESIDUAL]), np.uint64(level[RHS]), np.uint64(level[ROOT])
    squares = 0.0
    for k in range(_red_length(grid)):
        single[rhs + k] = w[r + k]
        unscaled = w[r + k] * single[root + k]
        squares += unscaled * unscaled
    return float(np.sqrt(squares))


@kernel
def _inner(w: Workspace, grid: Layout, first: int, second: int) -> float:
    a, b = np.uint64(grid[first]), np.uint64(grid[second])
    total = 0.0
    for k in range(_red_length(grid)):
        total += w[a + k] * w[b + k]
    return total


@kernel
def _inner_with_iterate(w: Workspace, grid: Layout, vector: int, single: Workspace, level: Layout) -> float:
    v, iterate = np.uint64(grid[vector]), np.uint64(level[ITERATE])
    total = 0.0
    for k in range(_red_length(grid)):
        total += w[v + k] * single[iterate + k]
    return total


@kernel
def _new_direction(w: Workspace, grid: Layout, single: Workspace, level: Layout, factor: float) -> None:
    d, iterate = np.uint64(grid[DIRECTION]), np.uint64(level[ITERATE])
    for k in range(_red_length(grid)):
        w[d + k] = single[iterate + k] + factor * w[d + k]


@kernel
def _new_biconjugate_direction(w: Workspace, grid: Layout, beta: float, omega: float) -> None:
    d, r, p = np.uint64(grid[DIRECTION]), np.uint64(grid[RESIDUAL]), np.uint64(grid[PRODUCT])
    for k in range(_red_length(grid)):
        w[d + k] = w[r + k] + beta * (w[d + k] - omega * w[p + k])


@kernel
def _advance(
    w: Workspace, grid: Layout, direction: int, product: int, single: Workspace, level: Layout, length: float
) -> float:
    """Move SOLUTION along a direction and RESIDUAL with it, and hand it to the V-cycle; return its unscaled norm."""
    d, p = np.uint64(grid[direction]), np.uint64(grid[product])
    x, r = np.uint64(grid[SOLUTION]), np.uint64(grid[RESIDUAL])
    rhs, root = np.uint64(level[RHS]), np.uint64(level[ROOT])
    for k in range(_red_length(grid)):
        w[x + k] += length * w[d + k]
    squares = 0.0
    for k in range(_red_length(grid)):
        value = w[r + k] - length * w[p + k]
        w[r + k] = value
        single[rhs + k] = value
        unscaled = value * single[root + k]
        squares += unscaled * unscaled
    return float(np.sqrt(squares))
