"""Greedy on a stream of updates: from scratch after every one, or from the first pick that an update changes."""

from heapq import heappop, heappush

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.discrete.facility_location import FacilityLocation, add, facility_location, gain, values_alone
from kernels.discrete.update_stream import UpdateStream, check_stream, followed, is_finite, not_finite
from kernels.result import Result

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def lazy_greedy(stream: UpdateStream, *, cardinality: int, every: int = 1, incremental: bool = False) -> Result:
    """The greedy solution after every update of a stream, worth 1 - 1/e of the optimum.

    Its picks are found lazily: a gain of the past bounds that of now, so that few elements are evaluated. f of every
    element alone is computed once, on its first insertion. Ties go to the smaller index.

    Parameters
    ----------
    stream : UpdateStream
    cardinality : int
        k, between 1 and the number of elements.
    every : int
        The value of the solution is kept after every so many updates.
    incremental : bool
        Keep the picks that an update leaves as they are. Deleting what is not picked leaves all, deleting pick i those
        before it; so does inserting what gains more than pick i and no more than those before. The solution is the
        same.

    Returns
    -------
    Result
        As from :func:`~kernels.discrete.dynamic_submodular.dynamic_submodular`.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or the stream inserts what is present or deletes what
        is absent.

    References
    ----------
    .. [1] M. Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """
    check_stream(stream, cardinality, every)
    function = facility_location(stream.benefits)
    if not is_finite(stream):
        return not_finite(stream, every)
    single = values_alone(function)
    order = np.argsort(-single, kind="stable")
    clients = stream.benefits.shape[1]
    trace, calls = _follow(
        function, single, order, clients, cardinality, incremental, stream.elements, stream.insertions
    )
    return followed(trace[every - 1 :: every].copy(), trace.size, calls)


@njit(cache=True)
def _follow(
    function: FacilityLocation,
    single: Floats,
    order: Integers,
    clients: int,
    cardinality: int,
    incremental: bool,
    elements: Integers,
    insertions: NDArray[np.bool_],
) -> tuple[Floats, int]:
    size = single.size
    trace = np.empty(elements.size)
    live, evaluated = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    best = np.zeros((cardinality + 1, clients))
    pick, picked_gain = np.empty(cardinality, np.int64), np.zeros(cardinality)
    count, calls = 0, 0
    for update in range(elements.size):
        element = elements[update]
        live[element] = insertions[update]
        if not evaluated[element]:
            evaluated[element] = True
            calls += 1
        kept = 0
        if incremental and insertions[update]:
            while kept < count:
                bound = single[element]
                if kept > 0 and not _precedes(picked_gain[kept], pick[kept], bound, element):
                    calls += 1
                    bound = gain(function, best[kept], element)
                if not _precedes(picked_gain[kept], pick[kept], bound, element):
                    break
                kept += 1
        elif incremental:
            while kept < count and pick[kept] != element:
                kept += 1
        if not (incremental and kept == count and (count == cardinality or not insertions[update])):
            count, more = _pick_from(function, single, order, live, best, pick, picked_gain, kept)
            calls += more
        trace[update] = picked_gain[:count].sum()
    return trace, calls


@njit(cache=True)
def _precedes(first_gain: float, first: int, second_gain: float, second: int) -> bool:
    """The order of greedy: larger gains first, of equal ones the smaller index."""
    return first_gain > second_gain or (first_gain == second_gain and first < second)


@njit(cache=True)
def _pick_from(
    function: FacilityLocation,
    single: Floats,
    order: Integers,
    live: NDArray[np.bool_],
    best: Floats,
    pick: Integers,
    picked_gain: Floats,
    start: int,
) -> tuple[int, int]:
    """Replace the picks from one on; returns their number and the calls of the oracle.

    Elements wait in the order of f alone until it is their turn, then in a heap of (-bound, index, picks at which the
    bound was computed).
    """
    heap = [(0.0, 0, 0) for _ in range(0)]  # empty, of a type that numba can tell
    calls, waiting = 0, 0
    taken = np.zeros(single.size, np.bool_)
    for i in range(start):
        taken[pick[i]] = True
    count = start
    while count < pick.size:
        while True:  # until the best bound is exact
            while waiting < order.size and (not live[order[waiting]] or taken[order[waiting]]):
                waiting += 1
            if waiting < order.size:
                entry = (-single[order[waiting]], order[waiting], 0)
                if not heap or entry < heap[0]:
                    heappush(heap, entry)
                    waiting += 1
            if not heap:
                return count, calls
            bound, element, at = heappop(heap)
            if at == count:
                break
            calls += 1
            heappush(heap, (-gain(function, best[count], element), element, count))
        pick[count], picked_gain[count] = element, -bound
        best[count + 1] = best[count]
        add(function, best[count + 1], element)
        taken[element] = True
        count += 1
    return count, calls
