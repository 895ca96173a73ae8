"""Blocks whose variables depend on each other as a forest, and their systems solved by message passing in linear time.

The graph of a symmetric matrix has an edge for every entry off the diagonal. A block induces a forest if its edges
close no cycle; eliminating leaves first then fills nothing in.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.types import Matrix, Vector
from kernels.linear_systems.validation import check_matrix, check_vector
from kernels.optimization.block_coordinate_descent.objectives import Block

Positions = NDArray[np.integer[Any]]


def greedy_forest(matrix: Matrix, order: Block) -> Block:
    """The nodes of a maximal induced forest, taken greedily.

    A node is taken unless two of its neighbours taken already lie in one tree (union-find), which takes time
    proportional to the entries of the matrix but for the inverse Ackermann function.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Structurally symmetric (not checked).
    order : ndarray, shape (m,), intp
        The nodes that may be taken, the first to be taken first.

    Returns
    -------
    ndarray of intp
        The nodes taken, in that order.
    """
    return np.asarray(order[_taken(matrix.indptr, matrix.indices, order)])


def tree_partition(matrix: Matrix, order: Block) -> list[Block]:
    """Greedy forests, each of the nodes that the ones before left, until there are none left."""
    forests, rest = [], order
    while rest.size:
        taken = _taken(matrix.indptr, matrix.indices, rest)
        forests.append(rest[taken])
        rest = rest[~taken]
    return forests


def colour_classes(matrix: Matrix) -> list[Block]:
    """Blocks without edges: the two colours of a bipartite graph, otherwise those of a greedy colouring.

    Nodes are coloured breadth first, each with the least colour that no neighbour has, which finds the two colours of
    any bipartite graph.
    """
    colours = _coloured(matrix.indptr, matrix.indices)
    return [np.flatnonzero(colours == colour) for colour in range(int(colours.max()) + 1)]


def solve_forest(matrix: Matrix, rhs: Vector, block: Block) -> Vector:
    """Solve ``matrix[block][:, block] @ z = rhs[block]`` for a block that induces a forest, in linear time.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric positive definite (not checked).
    rhs : ndarray, shape (n,), float64
    block : ndarray of intp
        Different nodes.

    Returns
    -------
    ndarray, float64
        One number for each node of the block.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or dtype, or the block has a cycle.
    """
    check_vector("rhs", rhs, check_matrix(matrix))
    solution, acyclic = message_passing(matrix.indptr, matrix.indices, matrix.data, rhs, block)
    if not acyclic:
        raise ValueError(f"block must induce a forest: the edges among its {block.size} nodes close a cycle")
    return np.asarray(solution)


@njit(cache=True)
def message_passing(
    indptr: Positions, indices: Positions, values: Vector, rhs: Vector, block: Block
) -> tuple[Vector, bool]:
    """The solution of the block's system for each of its nodes, and whether the block is a forest.

    Every tree is ordered from a root; messages go from the leaves to the root (elimination), then back (substitution).
    """
    outside, unseen = -2, -1
    size = block.size
    position = np.full(indptr.size - 1, outside)  # in the order of elimination, reversed
    position[block] = unseen
    order = np.empty(size, np.int64)
    parent = np.full(size, -1)
    coupling = np.zeros(size)  # with the parent
    pivots, messages = np.empty(size), np.empty(size)
    found = 0
    for root in block:
        if position[root] != unseen:
            continue
        position[root] = found
        order[found] = root
        head = found
        found += 1
        while head < found:
            node = order[head]
            messages[head] = rhs[node]
            for entry in range(indptr[node], indptr[node + 1]):
                neighbour = indices[entry]
                if neighbour == node:
                    pivots[head] = values[entry]
                elif position[neighbour] == unseen:
                    position[neighbour] = found
                    order[found] = neighbour
                    parent[found] = head
                    coupling[found] = values[entry]
                    found += 1
                elif (
                    position[neighbour] >= 0
                    and position[neighbour] != parent[head]
                    and parent[position[neighbour]] != head
                ):
                    return np.empty(0), False  # neither parent nor child: the edge closes a cycle
            head += 1
    for child in range(size - 1, -1, -1):
        if parent[child] >= 0:
            factor = coupling[child] / pivots[child]
            pivots[parent[child]] -= factor * coupling[child]
            messages[parent[child]] -= factor * messages[child]
    for child in range(size):
        if parent[child] >= 0:
            messages[child] -= coupling[child] * messages[parent[child]]
        messages[child] /= pivots[child]
    return messages[position[block]], True


@njit(cache=True)
def add_rows(
    indptr: Positions, indices: Positions, values: Vector, block: Block, step: Vector, gradient: Vector
) -> None:
    """Add the rows of a block, each times its step, to the gradient in place."""
    for row in range(block.size):
        for entry in range(indptr[block[row]], indptr[block[row] + 1]):
            gradient[indices[entry]] += values[entry] * step[row]


@njit(cache=True)
def _root(trees: NDArray[np.int64], node: int) -> int:
    while trees[node] != node:
        trees[node] = trees[trees[node]]  # path halving
        node = trees[node]
    return node


@njit(cache=True)
def _taken(indptr: Positions, indices: Positions, order: Block) -> NDArray[np.bool_]:
    """Whether each node of the order is taken."""
    nodes = indptr.size - 1
    trees = np.full(nodes, -1)  # -1 where a node is not taken
    met_by = np.full(nodes, -1)  # the last node that met a tree, by the tree's root
    taken = np.zeros(order.size, np.bool_)
    for position in range(order.size):
        node = order[position]
        closes_cycle = False
        for entry in range(indptr[node], indptr[node + 1]):
            neighbour = indices[entry]
            if neighbour != node and trees[neighbour] >= 0:
                root = _root(trees, neighbour)
                if met_by[root] == node:
                    closes_cycle = True
                    break
                met_by[root] = node
        if closes_cycle:
            continue
        taken[position] = True
        trees[node] = node
        for entry in range(indptr[node], indptr[node + 1]):
            neighbour = indices[entry]
            if neighbour != node and trees[neighbour] >= 0:
                trees[_root(trees, neighbour)] = node
    return taken


@njit(cache=True)
def _coloured(indptr: Positions, indices: Positions) -> NDArray[np.int64]:
    nodes = indptr.size - 1
    colours = np.full(nodes, -1)
    queued = np.zeros(nodes, np.bool_)
    queue = np.empty(nodes, np.int64)
    used_by = np.full(nodes + 1, -1)  # the last node with a neighbour of a colour
    found = 0
    for start in range(nodes):
        if queued[start]:
            continue
        queued[start] = True
        queue[found] = start
        head = found
        found += 1
        while head < found:
            node = queue[head]
            head += 1
            for entry in range(indptr[node], indptr[node + 1]):
                neighbour = indices[entry]
                if colours[neighbour] >= 0:
                    used_by[colours[neighbour]] = node
                if not queued[neighbour]:
                    queued[neighbour] = True
                    queue[found] = neighbour
                    found += 1
            colour = 0
            while used_by[colour] == node:
                colour += 1
            colours[node] = colour
    return colours
