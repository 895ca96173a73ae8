"""Dynamic submodular maximisation: k elements worth nearly half the optimum, kept so while elements come and go."""

import math

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kernels.discrete.facility_location import facility_location, values_alone
from kernels.discrete.threshold_levels import Levels, empty_levels, follow
from kernels.discrete.update_stream import (
    UpdateStream,
    check_between,
    check_epsilon,
    check_stream,
    check_updates,
    followed,
    is_finite,
    not_finite,
)
from kernels.result import Result

_OFFSET = 2**31  # makes the exponents of guesses seeds, which must not be negative


class DynamicSubmodular:
    """A solution of at most k live elements that follows insertions and deletions.

    For an oblivious adversary, who fixes the updates without seeing the solution, it is worth (1/2 - O(epsilon)) of the
    optimum at any time, and the calls of the oracle per update are polylogarithmic in n. Powers of 1 + epsilon guess
    the optimum. Each guess has a level structure of the elements that it does not rule out, log(2 k) / epsilon guesses
    an element, and the best of their solutions is the answer.

    Parameters
    ----------
    benefits : csr_array, shape (elements, clients), float64
        Of a facility location f; finite and not negative.
    cardinality : int
        k, between 1 and the number of elements.
    epsilon : float
        Between 0 and 1/2 (excluded).
    single_pivot : bool
        Sample one element a level, as in the simpler form, whose calls grow with k.
    random : numpy.random.Generator
        What the samples are drawn with.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] K. Banihashem, L. Biabani, S. Goudarzi, M. Hajiaghayi, P. Jabbarzade, M. Monemizadeh, "Dynamic constrained
       submodular optimization with polylogarithmic update time", ICML 2023.
    """

    def __init__(
        self,
        benefits: sp.csr_array,
        *,
        cardinality: int,
        epsilon: float = 0.2,
        single_pivot: bool = False,
        random: np.random.Generator,
    ) -> None:
        self._function = facility_location(benefits)
        check_between("cardinality", cardinality, 1, benefits.shape[0])
        check_epsilon(epsilon)
        if not np.isfinite(benefits.data).all():
            raise ValueError("benefits must be finite")
        self._single = values_alone(self._function)
        self._clients = benefits.shape[1]
        self._cardinality, self._epsilon, self._single_pivot = cardinality, epsilon, single_pivot
        self._seed = int(random.integers(2**63))
        self._levels: dict[int, tuple[Levels, np.random.Generator]] = {}
        self._live = np.zeros(benefits.shape[0], np.bool_)
        self._insertions = 0
        self._best = 0

    @property
    def oracle_calls(self) -> int:
        """All evaluations of f so far; one an insertion is of the element alone."""
        return self._insertions + sum(int(levels.calls[0]) for levels, _ in self._levels.values())

    @property
    def solution(self) -> NDArray[np.int64]:
        """The elements of the best guess, at most k, ascending."""
        if self._best not in self._levels:
            return np.empty(0, np.int64)
        levels, _ = self._levels[self._best]
        picked = levels.pick[: levels.prefix[levels.top[0]]]
        return np.sort(picked[levels.live[picked]])

    def apply(self, elements: NDArray[np.int64], insertions: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Follow updates in order; splitting them over several calls changes nothing.

        Parameters
        ----------
        elements : ndarray, shape (updates,), int64
        insertions : ndarray, shape (updates,), bool
            Whether an element is inserted or deleted.

        Returns
        -------
        ndarray, shape (updates,), float64
            f of the solution after every update.

        Raises
        ------
        ValueError
            If one is inserted that is present or deleted that is absent, or the arrays do not fit.
        """
        check_updates(elements, insertions, self._live)
        values = np.zeros(elements.size)
        best = np.zeros(elements.size, np.int64)
        for guess in self._guesses(elements):
            levels, random = self._levels_of(guess)
            follow(levels, self._function, elements, insertions, random, values, best, guess)
        if elements.size:
            last = np.unique(elements[::-1], return_index=True)
            self._live[last[0]] = insertions[::-1][last[1]]
            self._best = int(best[-1])
        self._insertions += int(insertions.sum())
        return values

    def _guesses(self, elements: NDArray[np.int64]) -> range:
        """The exponents j of all thresholds (1 + epsilon)^j that some element seen so far does not rule out."""
        single = self._single[elements]
        single = single[single > 0.0]
        known = list(self._levels)
        if single.size:
            width = math.log1p(self._epsilon)
            known.append(math.floor(math.log(single.min() / (2.0 * self._cardinality)) / width))
            known.append(math.ceil(math.log(single.max()) / width))
        return range(min(known), max(known) + 1) if known else range(0)

    def _levels_of(self, guess: int) -> tuple[Levels, np.random.Generator]:
        if guess not in self._levels:
            levels = empty_levels(
                self._single,
                self._clients,
                threshold=(1.0 + self._epsilon) ** guess,
                cardinality=self._cardinality,
                epsilon=self._epsilon,
                single_pivot=self._single_pivot,
            )
            self._levels[guess] = levels, np.random.default_rng((self._seed, guess + _OFFSET))
        return self._levels[guess]


def dynamic_submodular(
    stream: UpdateStream,
    *,
    cardinality: int,
    epsilon: float = 0.2,
    single_pivot: bool = False,
    every: int = 1,
    random: np.random.Generator,
) -> Result:
    """Follow a stream of updates with :class:`DynamicSubmodular`.

    Parameters
    ----------
    stream : UpdateStream
    cardinality, epsilon, single_pivot, random
        As for the class.
    every : int
        The value of the solution is kept after every so many updates.

    Returns
    -------
    Result
        ``value`` is what was kept, shape (updates // every,), ``history`` the same after a 0 for the empty set;
        ``work`` counts ``oracle_calls`` and ``oracle_calls_per_update``. Status is NOT_FINITE for NaN or infinity in
        the benefits.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or the stream inserts what is present or deletes what
        is absent.
    """
    check_stream(stream, cardinality, every)
    check_epsilon(epsilon)
    if not is_finite(stream):
        return not_finite(stream, every)
    maximiser = DynamicSubmodular(
        stream.benefits, cardinality=cardinality, epsilon=epsilon, single_pivot=single_pivot, random=random
    )
    trace = maximiser.apply(stream.elements, stream.insertions)
    return followed(trace[every - 1 :: every].copy(), trace.size, maximiser.oracle_calls)
