"""Symbolic analysis: what elimination does to a sparsity pattern, whatever its values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Indices = NDArray[np.int32]
Offsets = NDArray[np.int64]

# Panels are cut at so many columns: 4 rows of one times 4 columns of another then fit the first-level cache.
MOST_COLUMNS = 32
# Supernodes of at most so many columns may store at most such a share of zeros.
RELAXED = ((4, 0.5), (16, 0.3), (1 << 30, 0.1))


class Panels(NamedTuple):
    """The factors' panels: columns with common rows.

    Panel p has the columns ``first_column[p]`` to ``first_column[p + 1]`` and the rows
    ``rows[row_start[p] : row_start[p + 1]]``, its own columns first; they ascend. Its entries are stored by rows from
    ``entry_start[p]`` on; those above the diagonal are not used.
    """

    first_column: Indices
    row_start: Offsets
    rows: Indices
    entry_start: Offsets


class Updates(NamedTuple):
    """Which panels update which.

    Group g of panel p (``group_start[p] <= g < group_start[p + 1]``) is a run of its rows below the diagonal block,
    from ``group_begin[g]`` on, that are columns of one later panel, ``group_panel[g]``, which elimination updates.
    ``relative[relative_start[g] + i]`` is the place of row ``group_begin[g] + i`` of p among the rows of that panel.
    ``opening[opening_start[p] : opening_start[p + 1]]`` are the panels that p is the first to change.
    """

    group_start: Offsets
    group_begin: Indices
    group_panel: Indices
    relative_start: Offsets
    relative: Indices
    opening_start: Offsets
    opening: Indices


class Sources(NamedTuple):
    """Where the entries of a matrix go in the factors.

    Panel p receives the entries ``start[p]`` to ``start[p + 1]`` of the other arrays: ``entry`` is an entry of the
    panels, ``lower`` the entry of the matrix that belongs there in L, ``upper`` its mirror image, which belongs there
    in the transpose of U. Where the matrix has no such entry, they are the number of its entries.
    """

    start: Offsets
    entry: Offsets
    lower: Indices
    upper: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What elimination in an order comes to: the order, the panels of the factors and how they depend on each other."""

    order: Indices
    panels: Panels
    updates: Updates

    @property
    def entries(self) -> int:
        """How many entries one factor is stored with, explicit zeros included."""
        return int(self.panels.entry_start[-1])


def analyse_order(indptr: Indices, indices: Indices, order: Indices, *, relaxed: bool = True) -> Structure:
    """The structure of the factors of a matrix of a symmetric pattern, eliminated in (about) the given order.

    The order is replaced by an equivalent one, a postorder of its elimination tree (Liu 1990), in which the columns of
    a supernode are neighbours.

    Parameters
    ----------
    indptr, indices : ndarray, int32
        A symmetric pattern in CSR form.
    order : ndarray, shape (n,), int32
        A permutation: the node to eliminate at each position.
    relaxed : bool
        Whether supernodes may hold zeros that elimination does not fill, so that there are fewer of them.
    """
    parent = elimination_tree(indptr, indices, order)
    postorder = _postorder(parent)
    order = order[postorder]
    parent = _relabel(parent, postorder)
    counts = column_counts(indptr, indices, order, parent)
    first = supernodes(parent, counts, relaxed)
    panels = _cut(first, *_rows_below(indptr, indices, order, first))
    groups = _groups(panels)
    return Structure(order, panels, Updates(*groups, *_opening(groups[0], groups[2])))


def elimination_cost(indptr: Indices, indices: Indices, order: Indices) -> float:
    """The multiplications that elimination in this order takes, about the sum of squared column counts."""
    parent = elimination_tree(indptr, indices, order)
    counts = column_counts(indptr, indices, order, parent).astype(np.float64)
    return float(counts @ counts)


@njit(cache=True)
def elimination_tree(indptr: Indices, indices: Indices, order: Indices) -> Indices:
    """The parent of each position, -1 for roots: the first row below the diagonal of its column in the factor.

    Liu's algorithm with path compression (1990).
    """
    size = order.size
    position = _inverse(order)
    parent = np.full(size, -1, np.int32)
    ancestor = np.full(size, -1, np.int32)
    for row in range(size):
        for edge in range(indptr[order[row]], indptr[order[row] + 1]):
            node = position[indices[edge]]
            while node != -1 and node < row:
                following = ancestor[node]
                ancestor[node] = row
                if following == -1:
                    parent[node] = row
                node = following
    return parent


@njit(cache=True)
def column_counts(indptr: Indices, indices: Indices, order: Indices, parent: Indices) -> Indices:
    """The entries of each column of the factor, the diagonal included: row i is in the columns of its row subtree."""
    size = order.size
    position = _inverse(order)
    counts = np.ones(size, np.int32)
    seen = np.full(size, -1, np.int32)
    for row in range(size):
        seen[row] = row
        for edge in range(indptr[order[row]], indptr[order[row] + 1]):
            node = position[indices[edge]]
            while node < row and seen[node] != row:
                counts[node] += 1
                seen[node] = row
                node = parent[node]
    return counts


@njit(cache=True)
def _inverse(order: Indices) -> Indices:
    position = np.empty(order.size, np.int32)
    for place in range(order.size):
        position[order[place]] = place
    return position


@njit(cache=True)
def _postorder(parent: Indices) -> Indices:
    """The nodes of a forest, children before parents, each subtree without a gap; the largest subtree last."""
    size = parent.size
    weight = np.ones(size, np.int32)
    for node in range(size):
        if parent[node] >= 0:
            weight[parent[node]] += weight[node]
    first_child = np.full(size + 1, -1, np.int32)
    sibling = np.full(size, -1, np.int32)
    # the heaviest child is entered first, so it heads the list last in time: visited first, written last
    by_weight = np.argsort(-weight, kind="mergesort")
    for place in range(size):
        node = by_weight[place]
        above = parent[node] if parent[node] >= 0 else size
        sibling[node] = first_child[above]
        first_child[above] = node
    postorder = np.empty(size, np.int32)
    stack = np.empty(size + 1, np.int32)
    stack[0] = size
    depth, count = 1, 0
    while depth:
        node = stack[depth - 1]
        child = first_child[node]
        if child >= 0:
            first_child[node] = sibling[child]
            stack[depth] = child
            depth += 1
        else:
            depth -= 1
            if node < size:
                postorder[count] = node
                count += 1
    return postorder


@njit(cache=True)
def _relabel(parent: Indices, postorder: Indices) -> Indices:
    position = _inverse(postorder)
    relabelled = np.full(parent.size, -1, np.int32)
    for place in range(parent.size):
        above = parent[postorder[place]]
        if above >= 0:
            relabelled[place] = position[above]
    return relabelled


@njit(cache=True)
def supernodes(parent: Indices, counts: Indices, relaxed: bool) -> Indices:
    """The first column of each supernode, and n: columns that are stored as if their structures were nested.

    A supernode is a run of columns that end below one node, all of them its descendants: their rows are among its own.
    It holds explicit zeros where the columns are not truly nested; ``RELAXED`` says how many.
    """
    size = parent.size
    descendants = np.zeros(size, np.int32)
    total = np.zeros(size + 1, np.int64)
    first = np.empty(size + 1, np.int32)
    found = 0
    for node in range(size):
        if parent[node] >= 0:
            descendants[parent[node]] += descendants[node] + 1
        total[node + 1] = total[node] + counts[node]
        begin = node
        while found and first[found - 1] >= node - descendants[node]:
            width = node + 1 - first[found - 1]
            entries = width * counts[node] + width * (width - 1) // 2
            zeros = entries - (total[node + 1] - total[first[found - 1]])
            if zeros > (_allowed_share(width) * entries if relaxed else 0.0):
                break
            found -= 1
            begin = first[found]
        first[found] = begin
        found += 1
    first[found] = size
    return first[: found + 1].copy()


@njit(cache=True)
def _allowed_share(width: int) -> float:
    for columns, share in RELAXED:
        if width <= columns:
            return share
    return 0.0


@njit(cache=True)
def _rows_below(indptr: Indices, indices: Indices, order: Indices, first: Indices) -> tuple[Offsets, Indices]:
    """The rows of each supernode below its columns, ascending: those of its matrix columns and of its children."""
    size, count = order.size, first.size - 1
    position = _inverse(order)
    owner = _owners(first)
    first_child = np.full(count, -1, np.int32)
    sibling = np.full(count, -1, np.int32)
    start = np.zeros(count + 1, np.int64)
    rows = np.empty(max(4 * indices.size, 1024), np.int32)
    seen = np.full(size, -1, np.int32)
    for node in range(count):
        if start[node] + size > rows.size:
            rows = np.concatenate((rows, np.empty(rows.size + size, np.int32)))
        last = first[node + 1] - 1
        end = start[node]
        for column in range(first[node], last + 1):
            for edge in range(indptr[order[column]], indptr[order[column] + 1]):
                row = position[indices[edge]]
                if row > last and seen[row] != node:
                    seen[row] = node
                    rows[end] = row
                    end += 1
        child = first_child[node]
        while child >= 0:
            for place in range(start[child], start[child + 1]):
                row = rows[place]
                if row > last and seen[row] != node:
                    seen[row] = node
                    rows[end] = row
                    end += 1
            child = sibling[child]
        rows[start[node] : end].sort()
        start[node + 1] = end
        if end > start[node]:
            above = owner[rows[start[node]]]
            sibling[node] = first_child[above]
            first_child[above] = node
    return start, rows[: start[count]].copy()


@njit(cache=True)
def _owners(first: Indices) -> Indices:
    owner = np.empty(first[-1], np.int32)
    for block in range(first.size - 1):
        owner[first[block] : first[block + 1]] = block
    return owner


def _cut(first: Indices, below_start: Offsets, below: Indices) -> Panels:
    """Cut supernodes into panels of at most MOST_COLUMNS columns, each with all rows from its first on."""
    first_column, row_start, rows = _cut_rows(first, below_start, below)
    entries = np.diff(first_column) * np.diff(row_start)
    return Panels(first_column, row_start, rows, np.concatenate([[0], np.cumsum(entries)]))


@njit(cache=True)
def _cut_rows(first: Indices, below_start: Offsets, below: Indices) -> tuple[Indices, Offsets, Indices]:
    panels = 0
    entries = 0
    for node in range(first.size - 1):
        width = first[node + 1] - first[node]
        pieces = (width + MOST_COLUMNS - 1) // MOST_COLUMNS
        panels += pieces
        entries += pieces * (width + below_start[node + 1] - below_start[node])
    first_column = np.empty(panels + 1, np.int32)
    row_start = np.zeros(panels + 1, np.int64)
    rows = np.empty(entries, np.int32)
    panel = end = 0
    for node in range(first.size - 1):
        for begin in range(first[node], first[node + 1], MOST_COLUMNS):
            first_column[panel] = begin
            for column in range(begin, first[node + 1]):
                rows[end] = column
                end += 1
            for place in range(below_start[node], below_start[node + 1]):
                rows[end] = below[place]
                end += 1
            panel += 1
            row_start[panel] = end
    first_column[panels] = first[-1]
    return first_column, row_start, rows[:end].copy()


@njit(cache=True)
def _groups(panels: Panels) -> tuple[Offsets, Indices, Indices, Offsets, Indices]:
    """The runs of each panel's rows by the panel they update, and where its rows lie in that panel."""
    first_column, row_start, rows = panels.first_column, panels.row_start, panels.rows
    count = first_column.size - 1
    owner = _owners(first_column)
    groups = places = 0
    for panel in range(count):
        begin = row_start[panel] + first_column[panel + 1] - first_column[panel]
        for place in range(begin, row_start[panel + 1]):
            if place == begin or owner[rows[place]] != owner[rows[place - 1]]:
                groups += 1
                places += row_start[panel + 1] - place
    group_start = np.zeros(count + 1, np.int64)
    group_begin, group_panel = np.empty(groups, np.int32), np.empty(groups, np.int32)
    relative_start = np.empty(groups, np.int64)
    relative = np.empty(places, np.int32)
    group = end = 0
    for panel in range(count):
        begin = row_start[panel] + first_column[panel + 1] - first_column[panel]
        for place in range(begin, row_start[panel + 1]):
            target = owner[rows[place]]
            if place > begin and target == owner[rows[place - 1]]:
                continue
            group_begin[group], group_panel[group], relative_start[group] = place - row_start[panel], target, end
            group += 1
            target_place = row_start[target]
            for row_place in range(place, row_start[panel + 1]):
                while rows[target_place] != rows[row_place]:
                    target_place += 1
                relative[end] = target_place - row_start[target]
                end += 1
        group_start[panel + 1] = group
    return group_start, group_begin, group_panel, relative_start, relative


def _opening(group_start: Offsets, group_panel: Indices) -> tuple[Offsets, Indices]:
    """For each panel the panels that it is the first to update, and itself where no panel before it does."""
    panels = len(group_start) - 1
    opener = np.arange(panels)
    np.minimum.at(opener, group_panel, np.repeat(np.arange(panels), np.diff(group_start)))
    start = np.concatenate([[0], np.cumsum(np.bincount(opener, minlength=panels))])
    return start, np.argsort(opener, kind="stable").astype(np.int32)
