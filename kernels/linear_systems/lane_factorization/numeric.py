"""Numeric factorisation A = L D U of many matrices of one structure, one in each lane, and the solves with the factors.

L and U are unit triangular; for symmetric matrices U is the transpose of L. No pivots are exchanged: a lane that meets
a zero pivot is filled with NaN or infinity.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.substitution import substitute_panel
from kernels.linear_systems.lane_factorization.symbolic import Panels, Sources, Updates
from kernels.linear_systems.lane_factorization.vectors import load, minus_product, reciprocal, store, times

Lanes = NDArray[Any]
Indices = NDArray[np.int32]
Offsets = NDArray[np.int64]

TILE = 4


class Factors(NamedTuple):
    """Memory for the factors, entries by the places that ``symbolic.Panels`` gives them, one row per entry.

    ``lower`` holds L, ``upper`` the transpose of U, ``pivots`` the diagonal of D and ``inverse_pivots`` that of its
    inverse. ``packed`` is room for the rows that a tile reads.
    """

    lower: Lanes
    upper: Lanes
    pivots: Lanes
    inverse_pivots: Lanes
    packed: Lanes


@njit(cache=True)
def factorize(
    panels: Panels,
    updates: Updates,
    sources: Sources,
    values: Lanes,
    symmetric: bool,
    factors: Factors,
    solution: Lanes,
) -> None:
    """Factorise panel by panel, each updating the panels after it as soon as it is finished (right-looking).

    Panels are cleared and filled when the first update comes, and ``solution`` is substituted forward as panels are
    finished: they are in the cache then.

    Parameters
    ----------
    panels, updates, sources
        The analysis of the pattern.
    values : ndarray, shape (entries of the matrices + 1, lanes)
        The entries of the matrices; the last row is zero.
    symmetric : bool
        Whether all matrices are; ``factors.upper`` is then not used, ``factors.lower`` stands for it.
    factors : Factors
        Overwritten.
    solution : ndarray, shape (n, lanes)
        Right-hand sides in the order of elimination; solved with L.
    """
    lower, upper = factors.lower, factors.lower if symmetric else factors.upper
    identity = np.arange(np.diff(panels.row_start).max()).astype(np.int32)
    for panel in range(panels.first_column.size - 1):
        for place in range(updates.opening_start[panel], updates.opening_start[panel + 1]):
            opened = updates.opening[place]
            _fill(lower, panels, opened, sources.start, sources.entry, sources.lower, values)
            if not symmetric:
                _fill(upper, panels, opened, sources.start, sources.entry, sources.upper, values)
        begin, end = panels.first_column[panel], panels.first_column[panel + 1]
        width, height = end - begin, panels.row_start[panel + 1] - panels.row_start[panel]
        panel_lower = lower[panels.entry_start[panel] : panels.entry_start[panel + 1]]
        panel_upper = upper[panels.entry_start[panel] : panels.entry_start[panel + 1]]
        pivots, inverse_pivots = factors.pivots[begin:end], factors.inverse_pivots[begin:end]
        packed = factors.packed
        _factorize_panel(panel_lower, panel_upper, pivots, inverse_pivots, width, identity[:height], symmetric, packed)
        substitute_panel(panels, panel, lower, solution)
        for group in range(updates.group_start[panel], updates.group_start[panel + 1]):
            begin = updates.group_begin[group]
            end = updates.group_begin[group + 1] if group + 1 < updates.group_start[panel + 1] else height
            columns, relative_start = end - begin, updates.relative_start[group]
            places = updates.relative[relative_start : relative_start + height - begin]
            target = updates.group_panel[group]
            target_width = panels.first_column[target + 1] - panels.first_column[target]
            entries = slice(panels.entry_start[target], panels.entry_start[target + 1])
            left, right = panel_lower[begin * width :], panel_upper[begin * width :]
            _update(left, right, pivots, width, width, columns, lower[entries], target_width, places, packed)
            if not symmetric:
                _update(right, left, pivots, width, width, columns, upper[entries], target_width, places, packed)


@njit(forceinline=True)
def _fill(
    factor: Lanes,
    panels: Panels,
    panel: int,
    start: Offsets,
    entry: Offsets,
    source: Indices,
    values: Lanes,
) -> None:
    """Clear one panel and copy the entries of the matrices to their places in it."""
    factor[panels.entry_start[panel] : panels.entry_start[panel + 1]] = 0
    for place in range(start[panel], start[panel + 1]):
        store(factor, entry[place], load(values, source[place]))


@njit(forceinline=True)
def _factorize_panel(
    lower: Lanes,
    upper: Lanes,
    pivots: Lanes,
    inverse_pivots: Lanes,
    width: int,
    identity: Indices,
    symmetric: bool,
    packed: Lanes,
) -> None:
    """Factorise the columns of one panel, four at a time: update them by those before, then eliminate within."""
    for column in range(0, width, TILE):
        count = min(TILE, width - column)
        places, rows_lower, rows_upper = identity[column:], lower[column * width :], upper[column * width :]
        if column > 0:
            _update(rows_lower, rows_upper, pivots, width, column, count, lower, width, places, packed)
            if not symmetric:
                _update(rows_upper, rows_lower, pivots, width, column, count, upper, width, places, packed)
        _eliminate(
            rows_lower[column:],
            rows_upper[column:],
            pivots[column:],
            inverse_pivots[column:],
            width,
            count,
            places.size,
            symmetric,
            packed,
        )


@njit(forceinline=True)
def _eliminate(
    lower: Lanes,
    upper: Lanes,
    pivots: Lanes,
    inverse_pivots: Lanes,
    width: int,
    count: int,
    height: int,
    symmetric: bool,
    packed: Lanes,
) -> None:
    """Factorise up to four columns, row by row; ``packed`` holds D U and D L^T of the diagonal block."""
    scaled_upper, scaled_lower = packed[: TILE * TILE], packed[TILE * TILE :]
    for row in range(height):
        known = min(row, count)
        _eliminate_row(lower, row * width, scaled_upper, inverse_pivots, known)
        if not symmetric:
            _eliminate_row(upper, row * width, scaled_lower, inverse_pivots, known)
        if row < count:
            pivot = load(lower, row * width + row)
            for step in range(row):
                lower_entry, upper_entry = load(lower, row * width + step), load(upper, row * width + step)
                scaled = times(upper_entry, load(pivots, step))
                pivot = minus_product(pivot, lower_entry, scaled)
                store(scaled_upper, TILE * step + row, scaled)
                store(scaled_lower, TILE * step + row, times(lower_entry, load(pivots, step)))
            store(pivots, row, pivot)
            store(inverse_pivots, row, reciprocal(pivot))


@njit(forceinline=True)
def _eliminate_row(factor: Lanes, begin: int, packed: Lanes, inverse_pivots: Lanes, count: int) -> None:
    """Turn ``count`` entries of a row from those of the Schur complement to those of the factor."""
    for column in range(count):
        entry = load(factor, begin + column)
        for step in range(column):
            entry = minus_product(entry, load(factor, begin + step), load(packed, TILE * step + column))
        store(factor, begin + column, times(entry, load(inverse_pivots, column)))


@njit(forceinline=True)
def _update(
    left: Lanes,
    right: Lanes,
    pivots: Lanes,
    width: int,
    depth: int,
    columns: int,
    target: Lanes,
    target_width: int,
    places: Indices,
    packed: Lanes,
) -> None:
    """Subtract (rows of left) D (the first rows of right)^T from the target panel.

    ``left`` and ``right`` begin with the row that is column ``places[0]`` of the target and have ``width`` columns, of
    which ``depth`` count; row i goes to row ``places[i]`` of the target, which for its own columns is the column too.
    """
    for column in range(0, columns, TILE):
        count = min(TILE, columns - column)
        for place in range(count):
            for step in range(depth):
                entry = load(right, (column + place) * width + step)
                store(packed, column * depth + count * step + place, times(entry, load(pivots, step)))
    # rows outside: those of a tall panel come from memory once
    for row in range(0, places.size, TILE):
        for column in range(0, min(columns, row + 1), TILE):
            tile_packed, count = packed[column * depth :], min(TILE, columns - column)
            if count == TILE:
                _update_tile(left, width, depth, row, column, tile_packed, target, target_width, places)
            else:
                for place in range(count):
                    _update_strip(
                        left, width, depth, row, column + place, tile_packed, place, count, target, target_width, places
                    )


@njit(forceinline=True)
def _update_tile(
    left: Lanes,
    width: int,
    depth: int,
    row: int,
    column: int,
    packed: Lanes,
    target: Lanes,
    target_width: int,
    places: Indices,
) -> None:
    """Update 4 rows times 4 columns, held in registers. Rows beyond the last are computed as copies of it."""
    last = places.size - 1
    row1, row2, row3 = min(row + 1, last), min(row + 2, last), min(row + 3, last)
    place0, place1 = places[row] * target_width, places[row1] * target_width
    place2, place3 = places[row2] * target_width, places[row3] * target_width
    column0, column1, column2, column3 = places[column], places[column + 1], places[column + 2], places[column + 3]
    t00, t01 = load(target, place0 + column0), load(target, place0 + column1)
    t02, t03 = load(target, place0 + column2), load(target, place0 + column3)
    t10, t11 = load(target, place1 + column0), load(target, place1 + column1)
    t12, t13 = load(target, place1 + column2), load(target, place1 + column3)
    t20, t21 = load(target, place2 + column0), load(target, place2 + column1)
    t22, t23 = load(target, place2 + column2), load(target, place2 + column3)
    t30, t31 = load(target, place3 + column0), load(target, place3 + column1)
    t32, t33 = load(target, place3 + column2), load(target, place3 + column3)
    left0, left1, left2, left3 = row * width, row1 * width, row2 * width, row3 * width
    for step in range(depth):
        l0, l1 = load(left, left0 + step), load(left, left1 + step)
        l2, l3 = load(left, left2 + step), load(left, left3 + step)
        r = load(packed, TILE * step)
        t00, t10 = minus_product(t00, l0, r), minus_product(t10, l1, r)
        t20, t30 = minus_product(t20, l2, r), minus_product(t30, l3, r)
        r = load(packed, TILE * step + 1)
        t01, t11 = minus_product(t01, l0, r), minus_product(t11, l1, r)
        t21, t31 = minus_product(t21, l2, r), minus_product(t31, l3, r)
        r = load(packed, TILE * step + 2)
        t02, t12 = minus_product(t02, l0, r), minus_product(t12, l1, r)
        t22, t32 = minus_product(t22, l2, r), minus_product(t32, l3, r)
        r = load(packed, TILE * step + 3)
        t03, t13 = minus_product(t03, l0, r), minus_product(t13, l1, r)
        t23, t33 = minus_product(t23, l2, r), minus_product(t33, l3, r)
    store(target, place0 + column0, t00)
    store(target, place0 + column1, t01)
    store(target, place0 + column2, t02)
    store(target, place0 + column3, t03)
    store(target, place1 + column0, t10)
    store(target, place1 + column1, t11)
    store(target, place1 + column2, t12)
    store(target, place1 + column3, t13)
    store(target, place2 + column0, t20)
    store(target, place2 + column1, t21)
    store(target, place2 + column2, t22)
    store(target, place2 + column3, t23)
    store(target, place3 + column0, t30)
    store(target, place3 + column1, t31)
    store(target, place3 + column2, t32)
    store(target, place3 + column3, t33)


@njit(forceinline=True)
def _update_strip(
    left: Lanes,
    width: int,
    depth: int,
    row: int,
    column: int,
    packed: Lanes,
    first: int,
    stride: int,
    target: Lanes,
    target_width: int,
    places: Indices,
) -> None:
    """Update 4 rows of one column, which is every ``stride``-th packed vector from ``first`` on."""
    last = places.size - 1
    row1, row2, row3 = min(row + 1, last), min(row + 2, last), min(row + 3, last)
    place0, place1 = places[row] * target_width + places[column], places[row1] * target_width + places[column]
    place2, place3 = places[row2] * target_width + places[column], places[row3] * target_width + places[column]
    t0, t1, t2, t3 = load(target, place0), load(target, place1), load(target, place2), load(target, place3)
    left0, left1, left2, left3 = row * width, row1 * width, row2 * width, row3 * width
    for step in range(depth):
        r = load(packed, stride * step + first)
        t0, t1 = minus_product(t0, load(left, left0 + step), r), minus_product(t1, load(left, left1 + step), r)
        t2, t3 = minus_product(t2, load(left, left2 + step), r), minus_product(t3, load(left, left3 + step), r)
    store(target, place0, t0)
    store(target, place1, t1)
    store(target, place2, t2)
    store(target, place3, t3)
