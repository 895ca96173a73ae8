"""Nested dissection of a sparsity pattern: small vertex separators by a multilevel method."""

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

Indices = NDArray[np.int32]
Words = NDArray[np.uint64]

# Parts of at most so many nodes are ordered by minimum fill, which takes so many of their neighbours into account.
LEAF_NODES = 256
MOST_LEAF_NEIGHBOURS = 2048
# A graph is coarsened until it has so many nodes, and grown into halves from so many of them.
COARSEST_NODES = 60
STARTS = 6
# Neither side of a separator may weigh more than this share of the graph.
MOST_OF_WEIGHT = 0.6
# Separators are sought so many times, from other matchings, and the best is taken.
TRIALS = 4
REFINEMENT_PASSES = 8
# A pass of the refinement ends after so many moves without improvement.
PATIENCE = 60
# Refinement scans the separator at every move: it is left out where that would be too dear.
MOST_REFINED = 4000

FIRST, SECOND, SEPARATOR = 0, 1, 2


def nested_dissection(indptr: Indices, indices: Indices) -> Indices:
    """Order the nodes of a graph so that elimination in this order fills in little.

    A separator splits the graph into two parts without an edge between them; the parts come first, each ordered the
    same way, the separator last (George 1973). Separators are found on a graph coarsened by heavy-edge matching,
    projected back and refined on every level by vertex moves (Karypis and Kumar 1998; Hendrickson and Rothberg 1998).
    The result depends on the pattern only.

    Parameters
    ----------
    indptr, indices : ndarray, int32
        Adjacency of a symmetric pattern in CSR form; entries on the diagonal are ignored.

    Returns
    -------
    ndarray, shape (n,), int32
        The node to eliminate at each position: a permutation.
    """
    nodes = len(indptr) - 1
    rows = np.repeat(np.arange(nodes, dtype=np.int32), np.diff(indptr))
    off_diagonal = rows != indices
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[off_diagonal], minlength=nodes))]).astype(np.int32)
    order = np.empty(nodes, dtype=np.int32)
    number = np.full(nodes, -1, dtype=np.int32)
    _dissect(starts, indices[off_diagonal].astype(np.int32), np.arange(nodes, dtype=np.int32), number, order)
    return order


@njit(cache=True)
def _dissect(indptr: Indices, indices: Indices, part: Indices, number: Indices, order: Indices) -> None:
    """Write the nodes ``part`` of a graph to ``order``: first half, second half, separator."""
    size = part.size
    if size <= LEAF_NODES:
        leaf = _with_neighbours(indptr, indices, part, number)
        leaf_indptr, leaf_indices = _subgraph(indptr, indices, leaf[: size + MOST_LEAF_NEIGHBOURS], number)
        order[:] = part[_minimum_fill(leaf_indptr, leaf_indices, size)]
        return
    part_indptr, part_indices = _subgraph(indptr, indices, part, number)
    edge_weights, weights = np.ones(part_indices.size, np.int32), np.ones(size, np.int32)
    sides, least = np.zeros(size, np.int32), np.inf
    for trial in range(TRIALS):
        candidate = _separate(part_indptr, part_indices, edge_weights, weights, trial)
        cost = _cost(weights, candidate)
        if cost < least:
            sides, least = candidate, cost
    begin = 0
    for side in (FIRST, SECOND):
        half = part[sides == side]
        if half.size == size:  # nothing was split off, as in a complete graph
            order[:] = part
            return
        _dissect(indptr, indices, half, number, order[begin : begin + half.size])
        begin += half.size
    order[begin:] = part[sides == SEPARATOR]


@njit(cache=True)
def _with_neighbours(indptr: Indices, indices: Indices, part: Indices, number: Indices) -> Indices:
    """The nodes of a part, then those outside it that they have edges to: all of them eliminated later."""
    size = part.size
    nodes = np.empty(number.size, np.int32)
    nodes[:size] = part
    for position in range(size):
        number[part[position]] = position
    for position in range(part.size):
        for edge in range(indptr[part[position]], indptr[part[position] + 1]):
            if number[indices[edge]] < 0:
                number[indices[edge]] = size
                nodes[size] = indices[edge]
                size += 1
    number[nodes[:size]] = -1
    return nodes[:size].copy()


@njit(cache=True)
def _subgraph(indptr: Indices, indices: Indices, part: Indices, number: Indices) -> tuple[Indices, Indices]:
    """The edges among the nodes ``part``, numbered in its order; ``number`` is -1 everywhere, before and after."""
    most = 0
    for position in range(part.size):
        number[part[position]] = position
        most += indptr[part[position] + 1] - indptr[part[position]]
    part_indptr = np.zeros(part.size + 1, np.int32)
    part_indices = np.empty(most, np.int32)
    count = 0
    for position in range(part.size):
        for edge in range(indptr[part[position]], indptr[part[position] + 1]):
            if number[indices[edge]] >= 0:
                part_indices[count] = number[indices[edge]]
                count += 1
        part_indptr[position + 1] = count
    number[part] = -1
    return part_indptr, part_indices[:count].copy()


@njit(cache=True)
def _minimum_fill(indptr: Indices, indices: Indices, size: int) -> Indices:
    """Eliminate the first ``size`` nodes of a graph, next always the one that adds the fewest edges.

    Adjacency is held in bit sets. Of nodes that add equally many, the one of least degree is taken.
    """
    nodes = indptr.size - 1
    words = (nodes + 63) // 64
    adjacency = np.zeros((nodes, words), np.uint64)
    for node in range(nodes):
        for edge in range(indptr[node], indptr[node + 1]):
            _insert(adjacency[node], indices[edge])
    price = np.empty(size, np.int64)
    for node in range(size):
        price[node] = _price(adjacency, node)
    order = np.empty(size, np.int32)
    changed = np.empty(words, np.uint64)
    for position in range(size):
        chosen = int(np.argmin(price))
        order[position] = chosen
        price[chosen] = np.iinfo(np.int64).max
        neighbours = adjacency[chosen].copy()
        changed[:] = neighbours
        for node in range(nodes):
            if _holds(neighbours, node):
                adjacency[node] |= neighbours
                _remove(adjacency[node], node)
                _remove(adjacency[node], chosen)
                changed |= adjacency[node]
        for node in range(size):
            if _holds(changed, node) and price[node] != np.iinfo(np.int64).max:
                price[node] = _price(adjacency, node)
    return order


@njit(cache=True)
def _price(adjacency: Words, node: int) -> int:
    """Twice the edges that eliminating a node would add, then its degree."""
    degree = 0
    for word in range(adjacency.shape[1]):
        degree += _bits(adjacency[node, word])
    present = 0
    for word in range(adjacency.shape[1]):
        left = adjacency[node, word]
        while left:
            lowest = left & (~left + uint64(1))
            neighbour = 64 * word + _bits(lowest - uint64(1))
            left ^= lowest
            for other in range(adjacency.shape[1]):
                present += _bits(adjacency[neighbour, other] & adjacency[node, other])
    return (degree * (degree - 1) - present) * 4096 + degree


@njit(cache=True)
def _bits(word: int) -> int:
    """How many bits of a word are set."""
    pairs = word - (word >> uint64(1) & uint64(0x5555555555555555))
    fours = (pairs & uint64(0x3333333333333333)) + (pairs >> uint64(2) & uint64(0x3333333333333333))
    eights = fours + (fours >> uint64(4)) & uint64(0x0F0F0F0F0F0F0F0F)
    return int(eights * uint64(0x0101010101010101) >> uint64(56))


@njit(cache=True)
def _insert(words: Words, member: int) -> None:
    words[member // 64] |= uint64(1) << uint64(member % 64)


@njit(cache=True)
def _remove(words: Words, member: int) -> None:
    words[member // 64] &= ~(uint64(1) << uint64(member % 64))


@njit(cache=True)
def _holds(words: Words, member: int) -> bool:
    return bool(words[member // 64] >> uint64(member % 64) & uint64(1))


@njit(cache=True)
def _separate(indptr: Indices, indices: Indices, edge_weights: Indices, weights: Indices, trial: int) -> Indices:
    """The side of every node: FIRST, SECOND or SEPARATOR; no edge joins FIRST and SECOND."""
    if weights.size > COARSEST_NODES:
        coarse_of, coarse_size = _match(indptr, indices, edge_weights, weights, trial)
        if coarse_size < 0.9 * weights.size:
            coarse = _contract(indptr, indices, edge_weights, weights, coarse_of, coarse_size)
            sides = _separate(coarse[0], coarse[1], coarse[2], coarse[3], trial)[coarse_of]
            _refine(indptr, indices, weights, sides)
            return sides
    best_sides = np.full(weights.size, FIRST, np.int32)
    best_cost = np.inf
    for start in range(STARTS):
        sides = _grow(indptr, indices, weights, start * weights.size // STARTS)
        _refine(indptr, indices, weights, sides)
        cost = _cost(weights, sides)
        if cost < best_cost:
            best_sides, best_cost = sides, cost
    return best_sides


@njit(cache=True)
def _match(
    indptr: Indices, indices: Indices, edge_weights: Indices, weights: Indices, trial: int
) -> tuple[Indices, int]:
    """Pair every node with the unpaired neighbour of the heaviest edge, in an order that depends on the trial."""
    size = weights.size
    coarse_of = np.full(size, -1, np.int32)
    most = max(2, 3 * weights.sum() // (2 * COARSEST_NODES))
    step = _stride(size, trial)
    count = node = 0
    for _ in range(size):
        node = (node + step) % size
        if coarse_of[node] >= 0:
            continue
        partner, heaviest = node, -1
        for edge in range(indptr[node], indptr[node + 1]):
            neighbour = indices[edge]
            if coarse_of[neighbour] < 0 and weights[node] + weights[neighbour] <= most:
                # among edges of one weight the lighter neighbour keeps the pairs even
                preference = edge_weights[edge] * 4096 // weights[neighbour]
                if preference > heaviest:
                    partner, heaviest = neighbour, preference
        coarse_of[node] = coarse_of[partner] = count
        count += 1
    return coarse_of, count


@njit(cache=True)
def _stride(size: int, trial: int) -> int:
    """A step with which a walk around a circle of ``size`` places meets all of them."""
    step = 1 + int(size * (0.6180339887498949 * trial % 1.0))
    while np.gcd(step, size) != 1:
        step += 1
    return step


@njit(cache=True)
def _contract(
    indptr: Indices, indices: Indices, edge_weights: Indices, weights: Indices, coarse_of: Indices, coarse_size: int
) -> tuple[Indices, Indices, Indices, Indices]:
    """The graph whose nodes are the pairs; weights of nodes and of parallel edges add up."""
    members = np.argsort(coarse_of, kind="mergesort")
    coarse_weights = np.zeros(coarse_size, np.int32)
    coarse_indptr = np.zeros(coarse_size + 1, np.int32)
    coarse_indices = np.empty(indices.size, np.int32)
    coarse_edge_weights = np.empty(indices.size, np.int32)
    edge_to = np.full(coarse_size, -1, np.int32)
    count = 0
    position = 0
    for coarse in range(coarse_size):
        begin = count
        while position < members.size and coarse_of[members[position]] == coarse:
            node = members[position]
            coarse_weights[coarse] += weights[node]
            for edge in range(indptr[node], indptr[node + 1]):
                other = coarse_of[indices[edge]]
                if other == coarse:
                    continue
                if edge_to[other] < begin:
                    edge_to[other] = count
                    coarse_indices[count] = other
                    coarse_edge_weights[count] = 0
                    count += 1
                coarse_edge_weights[edge_to[other]] += edge_weights[edge]
            position += 1
        coarse_indptr[coarse + 1] = count
    return coarse_indptr, coarse_indices[:count].copy(), coarse_edge_weights[:count].copy(), coarse_weights


@njit(cache=True)
def _grow(indptr: Indices, indices: Indices, weights: Indices, start: int) -> Indices:
    """Grow FIRST breadth-first from a node to half of the weight; its border becomes the separator."""
    size = weights.size
    sides = np.full(size, SECOND, np.int32)
    half = weights.sum() // 2
    queue = np.empty(size, np.int32)
    queued = np.zeros(size, np.bool_)
    head = tail = grown = unseen = 0
    root = start
    while grown < half:
        if head == tail:
            if not queued[start]:
                root = start
            else:  # the component is exhausted
                while queued[unseen]:
                    unseen += 1
                root = unseen
            queue[tail] = root
            queued[root] = True
            tail += 1
        node = queue[head]
        head += 1
        sides[node] = FIRST
        grown += weights[node]
        for edge in range(indptr[node], indptr[node + 1]):
            if not queued[indices[edge]]:
                queued[indices[edge]] = True
                queue[tail] = indices[edge]
                tail += 1
    for node in range(size):
        if sides[node] == SECOND:
            for edge in range(indptr[node], indptr[node + 1]):
                if sides[indices[edge]] == FIRST:
                    sides[node] = SEPARATOR
                    break
    return sides


@njit(cache=True)
def _cost(weights: Indices, sides: Indices) -> float:
    """The separator's weight, dearer where the sides are uneven."""
    totals = np.zeros(3)
    for node in range(weights.size):
        totals[sides[node]] += weights[node]
    return _balanced_cost(totals)


@njit(cache=True)
def _balanced_cost(totals: NDArray[np.float64]) -> float:
    heavier = max(totals[FIRST], totals[SECOND]) / totals.sum()
    penalty = 1.0 + max(0.0, heavier - 0.5) + 100.0 * max(0.0, heavier - MOST_OF_WEIGHT)
    return float((totals[SEPARATOR] + 1e-3) * penalty)


@njit(cache=True)
def _refine(indptr: Indices, indices: Indices, weights: Indices, sides: Indices) -> None:
    """Shrink a separator by moving its nodes to a side, each pulling its neighbours of the other side in.

    A pass moves the node of greatest gain, also where that is a loss, never the same node twice, and returns to the
    best separator it has seen (Fiduccia and Mattheyses 1982, for vertices as in Hendrickson and Rothberg 1998).
    """
    size = weights.size
    totals = np.zeros(3)
    for node in range(size):
        totals[sides[node]] += weights[node]
    separator = np.empty(size, np.int32)
    place = np.full(size, -1, np.int32)
    # what moving a separator node to a side would pull in
    pulled = np.zeros((size, 2), np.int32)
    locked = np.empty(size, np.bool_)
    moved_nodes = np.empty(4 * size + 4, np.int32)
    moved_from = np.empty(4 * size + 4, np.int32)
    for _ in range(REFINEMENT_PASSES):
        count = 0
        place[:] = -1
        locked[:] = False
        for node in range(size):
            if sides[node] == SEPARATOR:
                count = _enter(indptr, indices, weights, sides, pulled, separator, place, count, node)
        if count > MOST_REFINED:
            return
        start_cost = best_cost = _balanced_cost(totals)
        moves = best_moves = idle = 0
        while idle < PATIENCE:
            chosen, target, best_gain = -1, FIRST, -(1 << 30)
            lighter = FIRST if totals[FIRST] <= totals[SECOND] else SECOND
            for position in range(count):
                node = separator[position]
                if locked[node]:
                    continue
                for side in (lighter, 1 - lighter):
                    gain = weights[node] - pulled[node, side]
                    if gain > best_gain and totals[side] + weights[node] <= MOST_OF_WEIGHT * totals.sum():
                        chosen, target, best_gain = node, side, gain
            if chosen < 0 or moves + indptr[chosen + 1] - indptr[chosen] + 1 > moved_nodes.size:
                break
            # the node leaves the separator
            count -= 1
            last = separator[count]
            separator[place[chosen]] = last
            place[last] = place[chosen]
            place[chosen] = -1
            locked[chosen] = True
            sides[chosen] = target
            totals[target] += weights[chosen]
            totals[SEPARATOR] -= weights[chosen]
            moved_nodes[moves], moved_from[moves] = chosen, SEPARATOR
            moves += 1
            for edge in range(indptr[chosen], indptr[chosen + 1]):
                neighbour = indices[edge]
                if sides[neighbour] == SEPARATOR:
                    pulled[neighbour, 1 - target] += weights[chosen]
                elif sides[neighbour] == 1 - target:
                    sides[neighbour] = SEPARATOR
                    totals[1 - target] -= weights[neighbour]
                    totals[SEPARATOR] += weights[neighbour]
                    moved_nodes[moves], moved_from[moves] = neighbour, 1 - target
                    moves += 1
                    for second in range(indptr[neighbour], indptr[neighbour + 1]):
                        pulled[indices[second], target] -= weights[neighbour]
                    count = _enter(indptr, indices, weights, sides, pulled, separator, place, count, neighbour)
            cost = _balanced_cost(totals)
            idle += 1
            if cost < best_cost:
                best_cost, best_moves, idle = cost, moves, 0
        while moves > best_moves:
            moves -= 1
            node = moved_nodes[moves]
            totals[sides[node]] -= weights[node]
            sides[node] = moved_from[moves]
            totals[sides[node]] += weights[node]
        if best_cost >= start_cost:
            return


@njit(cache=True)
def _enter(
    indptr: Indices,
    indices: Indices,
    weights: Indices,
    sides: Indices,
    pulled: Indices,
    separator: Indices,
    place: Indices,
    count: int,
    node: int,
) -> int:
    """Append a node to the list of the separator and count what its moves would pull in."""
    pulled[node, FIRST] = pulled[node, SECOND] = 0
    for edge in range(indptr[node], indptr[node + 1]):
        side = sides[indices[edge]]
        if side != SEPARATOR:
            pulled[node, 1 - side] += weights[indices[edge]]
    separator[count] = node
    place[node] = count
    return count + 1
