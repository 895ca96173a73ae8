"""Where in the space of its random numbers an instance lies: Monte Carlo or low-discrepancy points, in three splits.

Low-discrepancy points fill the unit cube more evenly than random ones, so that few instances cover the parameters well.
A point has :data:`DIMENSIONS` coordinates. They feed the first numbers that an instance draws, uniform or normal, and
a random stream of the instance's own feeds all that follow. Random fields draw their modes from the longest wave on, so
the coordinates go to the longest waves. (The constant mode comes first; in a field without mean its coordinate is
lost.) Where a problem spawns generators for several fields, these share the coordinates in turn.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

if TYPE_CHECKING:
    from scipy.stats.qmc import Sobol

Array = NDArray[np.float64]
Size = int | Sequence[int] | None


class Split(StrEnum):
    """What the instances are for; no two splits share a random stream or a randomisation of points."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Sampling(StrEnum):
    """How the instances cover the space of their random numbers."""

    MONTE_CARLO = "monte-carlo"
    SOBOL = "sobol"
    LATTICE = "lattice"


DIMENSIONS = 64
"""Coordinates of a low-discrepancy point."""

MOST_POINTS = 2**24
"""Length of a low-discrepancy sequence, so that no point takes a second to make; Monte Carlo has no end."""

_LAST_KEY = 2**32 - 1  # generators number those they spawn from 0, so keys counted down from here are never theirs
_RANDOMISATION_KEY = _LAST_KEY - 100

# The generating vector of the lattice: component j minimises, over 2048 random odd numbers below 2^15, given those
# before it, the largest ratio to the best of these candidates, over the numbers of points 2^6, 2^7 ... 2^16, of the
# squared worst-case error sum_i prod_j (1 + 2 pi^2 B_2(x_ij) / j^2) / N - 1 in the Korobov space of smoothness 2 with
# weights 1 / j^2 (Cools, Kuo and Nuyens, "Constructing embedded lattice rules for multivariate integration", SIAM J.
# Sci. Comput. 28(6), 2006).
# fmt: off
_GENERATING_VECTOR = np.array([
    1, 7471, 18041, 12943, 20819, 29107, 4857, 19899, 6763, 11815, 4229, 5741, 7909, 13971, 23313, 16247,
    18985, 30451, 24417, 14301, 11251, 10737, 5545, 2827, 4553, 26821, 5193, 17987, 25115, 30507, 15301, 2981,
    12263, 32315, 27831, 7795, 11221, 23373, 20553, 14173, 30647, 25911, 9737, 3363, 32593, 26103, 28051, 4963,
    15631, 18161, 27691, 32197, 13367, 25139, 26597, 24627, 11465, 4047, 7179, 3773, 11555, 16221, 12075, 477,
])
# fmt: on


def sample_generator(sampling: Sampling, seed: int, split: Split, index: int) -> np.random.Generator:
    """The random generator of instance ``index`` of a split: the same on any worker, in any order.

    Parameters
    ----------
    sampling : Sampling
    seed : int
        Not negative.
    split : Split
    index : int
        Not negative; below :data:`MOST_POINTS` unless ``sampling`` is Monte Carlo.

    Returns
    -------
    Generator
        For Monte Carlo a PCG64 stream with a ``SeedSequence`` spawn key of its own, (index,) for the training split;
        otherwise a :class:`PointGenerator` of the point number ``index`` of a Sobol' sequence (scrambled) or of a
        rank-1 lattice sequence (in base 2, shifted), randomised by the seed for each split.

    Raises
    ------
    ValueError
        If the index is out of range.
    """
    if index < 0 or (sampling is not Sampling.MONTE_CARLO and index >= MOST_POINTS):
        limit = "" if sampling is Sampling.MONTE_CARLO else f" and less than {MOST_POINTS}"
        raise ValueError(f"index={index} is not allowed: it must be at least 0{limit}")
    kind = len(Split) * list(Sampling).index(sampling) + list(Split).index(split)
    stream = _stream(seed, (index,) if kind == 0 else (index, _LAST_KEY - kind))
    if sampling is Sampling.MONTE_CARLO:
        return np.random.Generator(stream)
    point = _sobol_point if sampling is Sampling.SOBOL else _lattice_point
    return PointGenerator(stream, point(seed, kind, index))


def _stream(seed: int, key: tuple[int, ...]) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))


def _randomisation(seed: int, kind: int) -> np.random.Generator:
    return np.random.Generator(_stream(seed, (kind, _RANDOMISATION_KEY)))


@lru_cache(maxsize=8)
def _sobol_sequence(seed: int, kind: int) -> "Sobol":
    """A scrambled sequence at its beginning; scrambling takes long, so copy it and leave it there."""
    from scipy.stats.qmc import Sobol  # here, because importing it takes longer than all of a problem's other imports

    return Sobol(DIMENSIONS, scramble=True, bits=30, rng=_randomisation(seed, kind))


def _sobol_point(seed: int, kind: int, index: int) -> Array:
    sequence = deepcopy(_sobol_sequence(seed, kind))
    if index > 0:
        sequence.fast_forward(index)
    point = sequence.random(1)[0]
    return np.asarray(point + 2.0**-31)  # the middle of an interval, not its left end: 0 has no normal quantile


def _lattice_point(seed: int, kind: int, index: int) -> Array:
    radical_inverse = int(f"{index:030b}"[::-1], 2) / 2**30  # of base 2
    shift = (_randomisation(seed, kind).integers(2**30, size=DIMENSIONS) + 0.5) / 2**30
    return np.asarray((radical_inverse * _GENERATING_VECTOR + shift) % 1.0)


class PointGenerator(np.random.Generator):
    """A generator whose first numbers are the coordinates of a point.

    ``random``, ``uniform``, ``standard_normal`` and ``normal`` consume the coordinates, normal numbers as quantiles of
    the normal distribution; what they need beyond, and every other method, comes from the stream.

    Parameters
    ----------
    stream : BitGenerator
    point : ndarray, shape (d,), float64
        Between 0 and 1, both excluded.
    """

    def __init__(self, stream: np.random.BitGenerator, point: Array) -> None:
        super().__init__(stream)
        self._coordinates = point

    def spawn(self, n_children: int) -> list[np.random.Generator]:
        """Independent generators, between which the coordinates left are dealt in turn."""
        left, self._coordinates = self._coordinates, self._coordinates[:0]
        streams = self.bit_generator.spawn(n_children)
        return [PointGenerator(stream, left[child::n_children]) for child, stream in enumerate(streams)]

    def random(self, size: Size = None) -> Any:  # type: ignore[override]
        """Uniform numbers between 0 and 1."""
        return self._begun(size, np.positive, super().random)

    def standard_normal(self, size: Size = None) -> Any:  # type: ignore[override]
        """Standard normal numbers."""
        return self._begun(size, ndtri, super().standard_normal)

    def uniform(self, low: ArrayLike = 0.0, high: ArrayLike = 1.0, size: Size = None) -> Any:  # type: ignore[override]
        """Uniform numbers between bounds, which broadcast."""
        start, end = np.asarray(low), np.asarray(high)
        return start + (end - start) * self.random(_shape(size, start, end))

    def normal(self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, size: Size = None) -> Any:  # type: ignore[override]
        """Normal numbers of given means and deviations, which broadcast."""
        mean, deviation = np.asarray(loc), np.asarray(scale)
        return mean + deviation * self.standard_normal(_shape(size, mean, deviation))

    def _begun(self, size: Size, quantile: Callable[[Array], Array], draw: Callable[[int], Array]) -> Any:
        """The numbers asked for: as many as there are from the coordinates left, then from the stream."""
        count = int(np.prod(() if size is None else size))
        head, self._coordinates = self._coordinates[:count], self._coordinates[count:]
        values = np.concatenate((quantile(head), draw(count - len(head))))
        return values[0] if size is None else values.reshape(size)


def _shape(size: Size, *arguments: NDArray[Any]) -> Size:
    """The size asked for; without one that of the arguments, and None (one number) if they are numbers."""
    return size if size is not None else np.broadcast_shapes(*(a.shape for a in arguments)) or None
