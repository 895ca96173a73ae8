"""What solutions of a stream are held against: the optimum, by enumeration, and a random subset."""

import math
from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.discrete.facility_location import FacilityLocation, add, facility_location
from kernels.discrete.update_stream import UpdateStream, check_stream, followed, is_finite, not_finite
from kernels.result import Result, Status

MOST_SUBSETS = 10**6


def enumerated_optimum(stream: UpdateStream, *, cardinality: int, every: int = 1) -> Result:
    """The best k live elements after every update, found among all subsets of that size.

    Parameters
    ----------
    stream : UpdateStream
    cardinality : int
        k; of all elements there must be at most a million subsets of that size.
    every : int
        The value of the solution is kept after every so many updates.

    Returns
    -------
    Result
        As from :func:`~kernels.discrete.dynamic_submodular.dynamic_submodular`; every subset is a call of the oracle.

    Raises
    ------
    ValueError
        If there are too many subsets, an argument has a wrong type, shape, dtype or range, or the stream inserts what
        is present or deletes what is absent.
    """
    check_stream(stream, cardinality, every)
    function = facility_location(stream.benefits)
    if math.comb(stream.benefits.shape[0], cardinality) > MOST_SUBSETS:
        raise ValueError(f"cardinality={cardinality}: at most {MOST_SUBSETS} subsets can be enumerated")
    if not is_finite(stream):
        return not_finite(stream, every)
    grounds = list(_live_after(stream, every))
    clients = stream.benefits.shape[1]
    value = np.array([_best_subset(function, live, min(cardinality, live.size), clients) for live in grounds])
    calls = sum(math.comb(live.size, min(cardinality, live.size)) for live in grounds)
    return followed(value, stream.elements.size, calls)


def random_subset(stream: UpdateStream, *, cardinality: int, every: int = 1, random: np.random.Generator) -> Result:
    """Take k live elements at random, drawn anew after every so many updates; between them the value stays.

    Parameters
    ----------
    stream : UpdateStream
    cardinality : int
        k, between 1 and the number of elements.
    every : int
        The value of the solution is kept after every so many updates.
    random : numpy.random.Generator

    Returns
    -------
    Result
        As from :func:`~kernels.discrete.dynamic_submodular.dynamic_submodular`. Status is STAGNATED: nothing is
        promised.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or the stream inserts what is present or deletes what
        is absent.
    """
    check_stream(stream, cardinality, every)
    function = facility_location(stream.benefits)
    if not is_finite(stream):
        return not_finite(stream, every)
    clients = stream.benefits.shape[1]
    drawn = (random.permutation(live)[:cardinality] for live in _live_after(stream, every))
    value = np.array([_value_of(function, subset, clients) for subset in drawn])
    return followed(value, stream.elements.size, value.size, Status.STAGNATED)


def _live_after(stream: UpdateStream, every: int) -> Iterator[NDArray[np.int64]]:
    """The live elements after every so many updates."""
    live = np.zeros(stream.benefits.shape[0], np.bool_)
    for begin in range(0, stream.elements.size - every + 1, every):
        block = slice(begin, begin + every)
        for element, inserted in zip(stream.elements[block], stream.insertions[block], strict=True):
            live[element] = inserted
        yield np.flatnonzero(live)


@njit(cache=True)
def _value_of(function: FacilityLocation, subset: NDArray[np.int64], clients: int) -> float:
    best = np.zeros(clients)
    total = 0.0
    for element in subset:
        total += add(function, best, element)
    return total


@njit(cache=True)
def _best_subset(function: FacilityLocation, live: NDArray[np.int64], size: int, clients: int) -> float:
    """The greatest value of a subset of this size, in lexicographic order; prefixes are kept."""
    best = np.zeros((size + 1, clients))
    values = np.zeros(size + 1)
    position = np.full(size, -1)  # in ``live``, of each member
    greatest, depth = 0.0, 0
    while depth >= 0:
        if depth == size:
            greatest = max(greatest, values[size])
            depth -= 1
            continue
        position[depth] += 1
        if position[depth] > live.size - (size - depth):
            depth -= 1
            continue
        best[depth + 1] = best[depth]
        values[depth + 1] = values[depth] + add(function, best[depth + 1], live[position[depth]])
        if depth + 1 < size:
            position[depth + 1] = position[depth]
        depth += 1
    return greatest
