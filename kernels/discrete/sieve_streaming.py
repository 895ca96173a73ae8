"""Sieve-streaming, which only knows insertions, restarted where a deletion hits a solution of its."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.discrete.facility_location import FacilityLocation, add, facility_location, gain, values_alone
from kernels.discrete.update_stream import UpdateStream, check_epsilon, check_stream, followed, is_finite, not_finite
from kernels.result import Result

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def sieve_streaming(stream: UpdateStream, *, cardinality: int, epsilon: float = 0.2, every: int = 1) -> Result:
    """Follow a stream with one sieve a guess of the optimum; each is worth (1/2 - epsilon) where its guess is right.

    A sieve takes an element that gains at least (guess / 2 - f(S)) / (k - |S|). Deleting an element of S sends all
    that is live through that sieve again, in the order of insertion. As in the dynamic method, a sieve ignores elements
    whose f alone its guess rules out: below guess / (2 k) or above the guess.

    Parameters
    ----------
    stream : UpdateStream
    cardinality : int
        k, between 1 and the number of elements.
    epsilon : float
        Between 0 and 1/2 (excluded); guesses are powers of 1 + epsilon.
    every : int
        The value of the solution is kept after every so many updates.

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
    .. [1] A. Badanidiyuru, B. Mirzasoleiman, A. Karbasi, A. Krause, "Streaming submodular maximization", KDD 2014.
    """
    check_stream(stream, cardinality, every)
    check_epsilon(epsilon)
    function = facility_location(stream.benefits)
    if not is_finite(stream):
        return not_finite(stream, every)
    single = values_alone(function)
    trace = np.zeros(stream.elements.size)
    calls = int(stream.insertions.sum())  # each element's f alone
    seen = single[stream.elements]
    if (seen := seen[seen > 0.0]).size:
        width = math.log1p(epsilon)
        for exponent in range(
            math.floor(math.log(seen.min()) / width), math.ceil(math.log(2.0 * cardinality * seen.max()) / width) + 1
        ):
            guess = (1.0 + epsilon) ** exponent
            calls += _sieve(
                function,
                single,
                stream.benefits.shape[1],
                cardinality,
                guess,
                stream.elements,
                stream.insertions,
                trace,
            )
    return followed(trace[every - 1 :: every].copy(), trace.size, calls)


@njit(cache=True)
def _sieve(
    function: FacilityLocation,
    single: Floats,
    clients: int,
    cardinality: int,
    guess: float,
    elements: Integers,
    insertions: NDArray[np.bool_],
    trace: Floats,
) -> int:
    """Follow a stream with one sieve; raises ``trace`` to its values and returns the calls of the oracle."""
    best = np.zeros(clients)
    chosen = np.zeros(single.size, np.bool_)
    inserted_at = np.full(single.size, -1)  # the update that inserted a live element
    count, value, calls = 0, 0.0, 0
    for update in range(elements.size):
        element = elements[update]
        if guess <= 2.0 * cardinality * single[element] and single[element] <= guess:
            begin = update
            inserted_at[element] = update if insertions[update] else -1
            if chosen[element]:
                best[:] = 0.0
                chosen[:] = False
                count, value, begin = 0, 0.0, 0
            for passed in range(begin, update + 1):
                candidate = elements[passed]
                if count == cardinality:
                    break
                if inserted_at[candidate] != passed:
                    continue
                needed = (0.5 * guess - value) / (cardinality - count)
                if count > 0:
                    calls += 1
                if gain(function, best, candidate) >= needed:
                    value += add(function, best, candidate)
                    chosen[candidate] = True
                    count += 1
        trace[update] = max(trace[update], value)
    return calls
