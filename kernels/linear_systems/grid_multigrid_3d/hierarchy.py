"""The coarse operators and the interpolation, from a network of conductances: what a seven-point operator is.

Two neighbours are joined by a face with a conductance, minus their coupling; a boundary face leads to the ground, and
what remains of a row's sum is a reaction. An axis is halved at a time. Along it, the faces between the centres of two
pairs of cells are resistances in series: the coarse conductance is a harmonic mean. The potential falls along them in
proportion, which gives every cell its weight: the part of its value that comes from the neighbouring pair. Faces across
the axis are parallel; each belongs to the coarse cells in the parts in which these make up the values at its two ends,
as in the Galerkin product with the terms beyond seven points lumped. (Compare Alcouffe, Brandt, Dendy and Painter, "The
multi-grid method for the diffusion equation with strongly discontinuous coefficients", SIAM J. Sci. Stat. Comput. 2(4),
1981, and Wesseling, "An Introduction to Multigrid Methods", 1992, chapter 5.)

A level halves the axes along which conductances are large: point relaxation smooths errors there and nowhere else.
"""

import numpy as np

from kernels.linear_systems.compiled import entry_kernel, kernel
from kernels.linear_systems.grid_multigrid_3d.cycle import exchange
from kernels.linear_systems.grid_multigrid_3d.layout import (
    CELLS,
    CENTRE,
    END,
    FACE,
    FAMILY,
    HALVED,
    LEVEL_FAMILIES,
    NETWORK,
    PLANE,
    REACTION,
    STRIDE,
    TRANSFER,
    WEIGHT,
    Layout,
    Scalar,
    Workspace,
    X,
    Y,
    Z,
    conductance,
    lay_out,
    next_along,
    pair_ranges,
    pairs,
    plane_size,
    row_start,
    stencil,
)

FEWEST_CELLS = 16
ANISOTROPY = 3.0  # an axis is halved unless the conductances along another are larger by this factor

_HALF, _ONE = np.float32(0.5), np.float32(1.0)
_LEAST_CONDUCTANCE = np.float32(1e-18)


@kernel
def place_level(w: Workspace, layout: Layout, level: int, depth: int, rows: int, columns: int) -> None:
    """Lay out a level behind the one before; where it is new, clear it and forget those behind it."""
    grid = layout[level]
    first = layout[level - 1, END] if level > 0 else 0
    if lay_out(grid, depth, rows, columns, first, LEVEL_FAMILIES):
        layout[level + 1 :] = 0
        w[first : grid[END]] = 0.0


@entry_kernel
def build_hierarchy(w: Workspace, layout: Layout, scratch: int) -> int:
    """Build all levels on the network of level 0; return how many there are.

    Parameters
    ----------
    w : ndarray, float32
        Holds the network of level 0.
    layout : ndarray, shape (most levels, FIELDS), int64
        With level 0 placed; receives the other levels.
    scratch : int
        Where the workspace has room for two networks.
    """
    level = 0
    while True:
        grid = layout[level]
        invert_diagonal(w, grid)
        choose_axes(w, grid)
        if not (grid[HALVED + Z] or grid[HALVED + Y] or grid[HALVED + X]):
            return level + 1
        set_last_faces_apart(w, grid)
        depth, rows, columns = cells_left(grid, Z), cells_left(grid, Y), cells_left(grid, X)
        place_level(w, layout, level + 1, depth, rows, columns)
        # another choice of axes may have left something in what are margins now
        w[grid[TRANSFER] : grid[WEIGHT] + 3 * grid[FAMILY]] = 0.0
        coarsen(w, grid, layout[level + 1], scratch)
        level += 1


@kernel
def invert_diagonal(w: Workspace, grid: Layout) -> None:
    """Write the inverse diagonal."""
    for z in range(grid[CELLS + Z]):
        for y in range(grid[CELLS + Y]):
            for x in range(2):
                place = row_start(grid, z, y, x)
                faces = stencil(grid, 0, place, y % 2, x)
                out, reaction = np.uint64(grid[CENTRE] + place), np.uint64(grid[REACTION] + place)
                for k in range(np.uint64((grid[CELLS + X] + 1 - x) // 2)):
                    w[out + k] = _ONE / max(conductance(w, faces, k) + w[reaction + k], _LEAST_CONDUCTANCE)


@kernel
def choose_axes(w: Workspace, grid: Layout) -> None:
    """Decide which axes to halve: none on the coarsest level."""
    totals = np.zeros(3)
    for axis in range(3):
        if grid[CELLS + axis] > 1:
            first = np.uint64(grid[FACE + axis])
            total = np.float32(0.0)
            for k in range(np.uint64(grid[FAMILY])):
                total += w[first + k]
            totals[axis] = total
    few = grid[CELLS + Z] * grid[CELLS + Y] * grid[CELLS + X] <= FEWEST_CELLS
    for axis in range(3):
        strong = ANISOTROPY * totals[axis] >= totals.max()
        grid[HALVED + axis] = grid[CELLS + axis] > 1 and strong and not few


@kernel
def cells_left(grid: Layout, axis: int) -> int:
    """The cells of the next level along an axis."""
    cells = grid[CELLS + axis]
    return int((cells + 1) // 2 if grid[HALVED + axis] else cells)


@kernel
def set_last_faces_apart(w: Workspace, grid: Layout) -> None:
    """Move the last faces of odd axes that are halved to the cells missing in the last pairs.

    Where they were, they would let what is interpolated to the missing cells flow back.
    """
    cell = np.empty(3, dtype=np.int64)
    for axis in range(3):
        if grid[HALVED + axis] and grid[CELLS + axis] % 2:
            cell[axis] = grid[CELLS + axis] - 1
            across, along = (axis + 1) % 3, (axis + 2) % 3
            for i in range(grid[CELLS + across]):
                for j in range(grid[CELLS + along]):
                    cell[across], cell[along] = i, j
                    last = grid[FACE + axis] + row_start(grid, cell[Z], cell[Y], cell[X])
                    missing = last + next_along(grid, axis, cell[Y] % 2, cell[X] % 2)
                    w[missing] = w[last]
                    w[last] = 0.0


@kernel
def coarsen(w: Workspace, grid: Layout, coarse: Layout, scratch: int) -> None:
    """Halve the network along the axes chosen, one after the other, and write it to the next level."""
    network, size = grid[FACE], NETWORK * grid[FAMILY] + 2 * grid[PLANE]
    other = scratch + size
    for axis in range(3):
        if grid[HALVED + axis]:
            w[scratch : scratch + size] = 0.0
            halve(w, grid, coarse[CELLS + Z], axis, network, scratch + grid[PLANE])
            network = scratch + grid[PLANE]
            scratch, other = other, scratch
    for axis in range(3):
        first = (-int(axis == Z), -int(axis == Y), -int(axis == X))
        exchange(w, grid, coarse, network + axis * grid[FAMILY], coarse[FACE + axis], first, True)
    exchange(w, grid, coarse, network + 3 * grid[FAMILY], coarse[REACTION], (0, 0, 0), True)


@kernel
def halve(w: Workspace, grid: Layout, depth: int, axis: int, network: int, halved: int) -> None:
    """Join the pairs of cells along an axis, of a network that begins at ``network``, to one at ``halved``."""
    size, weights = plane_size(grid), grid[WEIGHT + axis]
    faces, coarse_faces = network + axis * grid[FAMILY], halved + axis * grid[FAMILY]
    for z in range(-int(axis == Z), depth):
        for which in range(pair_ranges(grid, axis)):
            out, even, odd, _, step = pairs(grid, axis, z, which)
            lead = boundary_width(grid, axis)
            series(w, size + lead, coarse_faces + out - lead, faces + even - lead, faces + odd - lead, step)
    for z in range(depth):
        for which in range(pair_ranges(grid, axis)):
            out, even, odd, out_step, _ = pairs(grid, axis, z, which)
            lean(w, size, weights + even, faces + even, coarse_faces + out - out_step)
            lean(w, size, weights + odd, faces + even, coarse_faces + out)
            reaction = network + 3 * grid[FAMILY]
            add_pair(w, size, halved + 3 * grid[FAMILY] + out, reaction + even, reaction + odd)
    for across in range(3):
        if across != axis:
            faces, coarse_faces = network + across * grid[FAMILY], halved + across * grid[FAMILY]
            lead = boundary_width(grid, across)
            for z in range(-int(across == Z), depth):
                for which in range(pair_ranges(grid, axis)):
                    out, even, odd, _, step = pairs(grid, axis, z, which)
                    beyond = next_across(grid, across, axis, which)
                    even, odd = even - lead, odd - lead
                    share(w, size + lead, coarse_faces + out - lead, faces, weights, even, odd, step, beyond)


@kernel
def boundary_width(grid: Layout, axis: int) -> int:
    """How far before a plane's first cell the boundary faces along an axis begin."""
    if axis == Z:
        return 0
    return int(grid[STRIDE] if axis == Y else 1)


@kernel
def next_across(grid: Layout, across: int, axis: int, which: int) -> int:
    """How far the next cell across the axis is that is being halved, for range ``which`` of its pairs."""
    if across < axis and grid[HALVED + across]:
        return int(grid[PLANE] if across == Z else grid[STRIDE])
    y, x = (which // 2, which % 2) if axis == Z else (which, which)
    return next_along(grid, across, y, x)


@kernel
def series(w: Workspace, size: int, out: int, even: int, odd: int, step: int) -> None:
    """The conductance between the centres of pairs: of the face between them and half of the one inside each."""
    o, between = np.uint64(out), np.uint64(odd)
    inside, inside_next = np.uint64(even), np.uint64(even + step)
    for k in range(np.uint64(size)):
        halves = half_resistance(w[inside + k]) + half_resistance(w[inside_next + k])
        w[o + k] = w[between + k] / (_ONE + w[between + k] * halves)


@kernel
def half_resistance(conductance: Scalar) -> Scalar:
    """Half the resistance of a face inside a pair; none where there is no second cell."""
    return _HALF / conductance if conductance > _LEAST_CONDUCTANCE else np.float32(0.0)


@kernel
def lean(w: Workspace, size: int, out: int, inside: int, path: int) -> None:
    """The weight of the neighbouring pair: the part of the path to it that is inside the own pair."""
    o, i, p = np.uint64(out), np.uint64(inside), np.uint64(path)
    for k in range(np.uint64(size)):
        w[o + k] = half_resistance(w[i + k]) * w[p + k]


@kernel
def add_pair(w: Workspace, size: int, out: int, even: int, odd: int) -> None:
    """Add up two fields."""
    o, e, d = np.uint64(out), np.uint64(even), np.uint64(odd)
    for k in range(np.uint64(size)):
        w[o + k] = w[e + k] + w[d + k]


@kernel
def share(
    w: Workspace, size: int, out: int, faces: int, weights: int, even: int, odd: int, step: int, beyond: int
) -> None:
    """Add up the faces across a halved axis, in the parts in which the values at their ends are those of the pair.

    Parameters
    ----------
    w : ndarray
    size, out : int
    faces, weights : int
        The starts of families.
    even, odd, step : int
        As from :func:`~kernels.linear_systems.grid_multigrid_3d.layout.pairs`.
    beyond : int
        How far the cells at the other end of the faces are.
    """
    o = np.uint64(out)
    even_f, odd_f = np.uint64(faces + even), np.uint64(faces + odd)
    next_f, last_f = np.uint64(faces + even + step), np.uint64(faces + odd - step)
    even_u, odd_u = np.uint64(weights + even), np.uint64(weights + odd)
    next_u, last_u = np.uint64(weights + even + step), np.uint64(weights + odd - step)
    other = np.uint64(beyond)  # may be negative: unsigned sums wrap around
    for k in range(np.uint64(size)):
        given = w[even_f + k] * (w[even_u + k] + w[even_u + other + k])
        given += w[odd_f + k] * (w[odd_u + k] + w[odd_u + other + k])
        taken = w[next_f + k] * (w[next_u + k] + w[next_u + other + k])
        taken += w[last_f + k] * (w[last_u + k] + w[last_u + other + k])
        w[o + k] = w[even_f + k] + w[odd_f + k] + _HALF * (taken - given)
