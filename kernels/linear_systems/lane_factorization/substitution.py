"""Solves with the factors of :mod:`~kernels.linear_systems.lane_factorization.numeric`, all lanes at once.

Factors have shape (entries, lanes), or (entries,) where all lanes share them; the operations on a lane are the same.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.lane_factorization.symbolic import Panels
from kernels.linear_systems.lane_factorization.vectors import load, minus_product, store, times

Lanes = NDArray[Any]
Indices = NDArray[np.int32]

TILE = 4


@njit(cache=True)
def substitute_forward(panels: Panels, lower: Lanes, solution: Lanes) -> None:
    """Solve L y = b; ``solution`` is b before and y after."""
    for panel in range(panels.first_column.size - 1):
        substitute_panel(panels, panel, lower, solution)


@njit(forceinline=True)
def substitute_panel(panels: Panels, panel: int, lower: Lanes, solution: Lanes) -> None:
    """Solve with one panel of L: its own rows in turn, then those below."""
    first, width = panels.first_column[panel], panels.first_column[panel + 1] - panels.first_column[panel]
    entry = panels.entry_start[panel]
    for row in range(1, width):
        value = load(solution, first + row)
        for column in range(row):
            product = load(lower, entry + row * width + column)
            value = minus_product(value, product, load(solution, first + column))
        store(solution, first + row, value)
    rows_below = panels.rows[panels.row_start[panel] + width : panels.row_start[panel + 1]]
    _subtract_columns(lower, entry + width * width, rows_below, solution, first, width)


@njit(forceinline=True)
def _subtract_columns(lower: Lanes, begin: int, rows_below: Indices, solution: Lanes, first: int, width: int) -> None:
    """Subtract what a panel's columns contribute to the rows below, four rows at a time."""
    whole = rows_below.size - rows_below.size % TILE
    for place in range(0, whole, TILE):
        row0, row1 = rows_below[place], rows_below[place + 1]
        row2, row3 = rows_below[place + 2], rows_below[place + 3]
        value0, value1 = load(solution, row0), load(solution, row1)
        value2, value3 = load(solution, row2), load(solution, row3)
        entry = begin + place * width
        for column in range(width):
            known = load(solution, first + column)
            value0 = minus_product(value0, load(lower, entry + column), known)
            value1 = minus_product(value1, load(lower, entry + width + column), known)
            value2 = minus_product(value2, load(lower, entry + 2 * width + column), known)
            value3 = minus_product(value3, load(lower, entry + 3 * width + column), known)
        store(solution, row0, value0)
        store(solution, row1, value1)
        store(solution, row2, value2)
        store(solution, row3, value3)
    for place in range(whole, rows_below.size):
        value = load(solution, rows_below[place])
        entry = begin + place * width
        for column in range(width):
            value = minus_product(value, load(lower, entry + column), load(solution, first + column))
        store(solution, rows_below[place], value)


@njit(cache=True)
def substitute_backward(panels: Panels, upper: Lanes, inverse_pivots: Lanes, solution: Lanes) -> None:
    """Solve D U x = y; ``solution`` is y before and x after."""
    for panel in range(panels.first_column.size - 2, -1, -1):
        first, end = panels.first_column[panel], panels.first_column[panel + 1]
        width, entry = end - first, panels.entry_start[panel]
        for column in range(first, end):
            store(solution, column, times(load(solution, column), load(inverse_pivots, column)))
        rows_below = panels.rows[panels.row_start[panel] + width : panels.row_start[panel + 1]]
        _subtract_rows_below(upper, entry + width * width, rows_below, solution, first, width)
        for row in range(width - 1, 0, -1):
            value = load(solution, first + row)
            for column in range(row):
                product = load(upper, entry + row * width + column)
                store(solution, first + column, minus_product(load(solution, first + column), product, value))


@njit(forceinline=True)
def _subtract_rows_below(
    upper: Lanes, begin: int, rows_below: Indices, solution: Lanes, first: int, width: int
) -> None:
    """Subtract what the solution in the rows below contributes to a panel's columns, four columns at a time."""
    whole = width - width % TILE
    for column in range(0, whole, TILE):
        value0, value1 = load(solution, first + column), load(solution, first + column + 1)
        value2, value3 = load(solution, first + column + 2), load(solution, first + column + 3)
        entry = begin + column
        for row in rows_below:
            known = load(solution, row)
            value0 = minus_product(value0, load(upper, entry), known)
            value1 = minus_product(value1, load(upper, entry + 1), known)
            value2 = minus_product(value2, load(upper, entry + 2), known)
            value3 = minus_product(value3, load(upper, entry + 3), known)
            entry += width
        store(solution, first + column, value0)
        store(solution, first + column + 1, value1)
        store(solution, first + column + 2, value2)
        store(solution, first + column + 3, value3)
    for column in range(whole, width):
        value = load(solution, first + column)
        entry = begin + column
        for row in rows_below:
            value = minus_product(value, load(upper, entry), load(solution, row))
            entry += width
        store(solution, first + column, value)
