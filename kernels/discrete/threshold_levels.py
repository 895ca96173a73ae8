"""The level structure of one guess of the optimum: a threshold, random samples, and rebuilding where they wear out."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.discrete.facility_location import FacilityLocation, add, gain, restore

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE = -1
GROWTH = 0.5  # a level is rebuilt once the insertions since it was built exceed this share of it


class Levels(NamedTuple):
    """Nested solutions I_0 = {} < I_1 < ... < I_T and candidates R_0 > R_1 > ..., R_i = {e : f(e | I_i) >= threshold}.

    I_{i+1} is I_i and a random sample of R_i. The candidates are nested, so that the depth of an element, the last
    level whose candidates hold it, tells all. |I_T| = k, or R_T is empty. Deleted elements stay in the I_i until they
    are rebuilt, for the gains are over them; the solution is what is live of I_T.
    """

    threshold: float
    cardinality: int
    epsilon: float
    single_pivot: bool
    best: Floats  # (k + 1, clients): what each client has from I_i
    pick: Integers  # (k,): I_T in the order of sampling
    prefix: Integers  # (k + 1,): |I_i|
    built: Integers  # (k + 1,): |R_i| when I_{i+1} was sampled
    added: Integers  # (k + 1,): insertions into R_i since
    lost: Integers  # (k + 1,): deletions from the sample that made I_i
    live: NDArray[np.bool_]  # (n,)
    depth: Integers  # (n,)
    sampled: Integers  # (n,): the level i that e was sampled for, 0 for none
    head: Integers  # (k + 1,): a doubly linked list of the live elements of each depth
    after: Integers  # (n,)
    before: Integers  # (n,)
    single: Floats  # (n,): f(e)
    trial: Floats  # (clients,): scratch
    top: Integers  # (1,): T
    calls: Integers  # (1,): of the oracle
    value: Floats  # (1,): f of the solution


def empty_levels(
    single: Floats, clients: int, *, threshold: float, cardinality: int, epsilon: float, single_pivot: bool
) -> Levels:
    """The structure of an empty ground set.

    Parameters
    ----------
    single : ndarray, shape (n,), float64
        f of every element alone.
    clients : int
    threshold : float
        The guess of the optimum over 2 k.
    cardinality : int
        k.
    epsilon : float
    single_pivot : bool
        Sample one element a level.
    """
    size = single.size

    def per_level() -> Integers:
        return np.zeros(cardinality + 1, np.int64)

    def per_element() -> Integers:
        return np.full(size, NONE)

    return Levels(
        threshold=threshold,
        cardinality=cardinality,
        epsilon=epsilon,
        single_pivot=single_pivot,
        best=np.zeros((cardinality + 1, clients)),
        pick=np.empty(cardinality, np.int64),
        prefix=per_level(),
        built=per_level(),
        added=per_level(),
        lost=per_level(),
        live=np.zeros(size, np.bool_),
        depth=per_element(),
        sampled=np.zeros(size, np.int64),
        head=np.full(cardinality + 1, NONE),
        after=per_element(),
        before=per_element(),
        single=single,
        trial=np.zeros(clients),
        top=np.zeros(1, np.int64),
        calls=np.zeros(1, np.int64),
        value=np.zeros(1),
    )


@njit(cache=True)
def follow(
    levels: Levels,
    function: FacilityLocation,
    elements: Integers,
    insertions: NDArray[np.bool_],
    random: np.random.Generator,
    best_values: Floats,
    best_guess: Integers,
    guess: int,
) -> None:
    """Apply updates in order; where the solution is worth more than ``best_values``, put in its value and the guess.

    An element whose f(e) the guess rules out, below the threshold or above the optimum, is none of its candidates.
    """
    optimum = 2.0 * levels.cardinality * levels.threshold
    for update in range(elements.size):
        element = elements[update]
        if levels.threshold <= levels.single[element] <= optimum:
            if insertions[update]:
                insert(levels, function, element, random)
            else:
                delete(levels, function, element, random)
        if levels.value[0] > best_values[update]:
            best_values[update] = levels.value[0]
            best_guess[update] = guess


@njit(cache=True)
def insert(levels: Levels, function: FacilityLocation, element: int, random: np.random.Generator) -> None:
    """Add a live element to the candidates, and rebuild the lowest level that has grown too much."""
    levels.live[element] = True
    level = levels.sampled[element]
    if level > 0:  # deleted and back before its level was rebuilt
        levels.lost[level] -= 1
        _link(levels, element, level - 1)
        _evaluate(levels, function)
        return
    depth = _depth_of(levels, function, element)
    _link(levels, element, depth)
    for i in range(depth + 1):
        levels.added[i] += 1
    for i in range(depth + 1):
        if levels.added[i] > GROWTH * levels.built[i]:
            _rebuild(levels, function, i, random)
            return


@njit(cache=True)
def delete(levels: Levels, function: FacilityLocation, element: int, random: np.random.Generator) -> None:
    """Remove an element, and rebuild its level where too many of the sample are lost."""
    levels.live[element] = False
    _unlink(levels, element)
    level = levels.sampled[element]
    if level == 0:
        return
    levels.lost[level] += 1
    if levels.lost[level] >= levels.epsilon * (levels.prefix[level] - levels.prefix[level - 1]):
        _rebuild(levels, function, level - 1, random)
    else:
        _evaluate(levels, function)


@njit(cache=True)
def _depth_of(levels: Levels, function: FacilityLocation, element: int) -> int:
    """The last level whose candidates an element belongs to, by bisection: gains fall from level to level."""
    top = levels.top[0]
    full = levels.prefix[top] == levels.cardinality  # then nothing is sampled at the top
    low, high = 0, top - 1 if full else top
    while low < high:
        middle = (low + high + 1) // 2
        levels.calls[0] += 1
        if gain(function, levels.best[middle], element) >= levels.threshold:
            low = middle
        else:
            high = middle - 1
    return low


@njit(cache=True)
def _rebuild(levels: Levels, function: FacilityLocation, level: int, random: np.random.Generator) -> None:
    """Sample and filter anew from the candidates of a level on."""
    for i in range(levels.prefix[level], levels.prefix[levels.top[0]]):
        levels.sampled[levels.pick[i]] = 0
    candidates = _candidates_from(levels, level)
    gains = levels.single[candidates]
    if level > 0:
        for i in range(candidates.size):
            gains[i] = gain(function, levels.best[level], candidates[i])
        levels.calls[0] += candidates.size
    while True:
        levels.built[level] = candidates.size
        levels.added[level] = 0
        if candidates.size == 0:
            break
        _sample(levels, function, level, candidates, gains, random)
        level += 1
        if levels.prefix[level] == levels.cardinality:
            for i in range(candidates.size):
                if levels.sampled[candidates[i]] == 0:
                    _link(levels, candidates[i], level - 1)
            break
        candidates, gains = _filter(levels, function, level, candidates)
    levels.top[0] = level
    _evaluate(levels, function)


@njit(cache=True)
def _candidates_from(levels: Levels, level: int) -> Integers:
    """The live candidates of a level, taken out of the lists."""
    found = np.empty(levels.live.size, np.int64)
    count = 0
    for depth in range(level, levels.top[0] + 1):
        element = levels.head[depth]
        while element != NONE:
            found[count] = element
            count += 1
            element = levels.after[element]
        levels.head[depth] = NONE
    return found[:count]


@njit(cache=True)
def _sample(
    levels: Levels,
    function: FacilityLocation,
    level: int,
    candidates: Integers,
    gains: Floats,
    random: np.random.Generator,
) -> None:
    """Make I_{i+1} of I_i and a random batch from the largest bucket of equal gains, up to a factor 1 + epsilon."""
    width = math.log(1.0 + levels.epsilon)
    bucket = np.floor(np.log(gains / levels.threshold) / width).astype(np.int64)
    bucket = np.maximum(bucket, 0)  # a gain that is the threshold can round below it
    largest = np.argmax(np.bincount(bucket))
    pool = candidates[bucket == largest]
    floor = levels.threshold * (1.0 + levels.epsilon) ** largest
    batch = _batch_size(levels, function, level, pool, floor, candidates.size, random)
    _draw(pool, batch, random)
    levels.best[level + 1] = levels.best[level]
    for i in range(batch):
        add(function, levels.best[level + 1], pool[i])
        levels.pick[levels.prefix[level] + i] = pool[i]
        levels.sampled[pool[i]] = level + 1
        _link(levels, pool[i], level)
    levels.prefix[level + 1] = levels.prefix[level] + batch
    levels.lost[level + 1] = 0


@njit(cache=True)
def _batch_size(
    levels: Levels,
    function: FacilityLocation,
    level: int,
    pool: Integers,
    floor: float,
    candidates: int,
    random: np.random.Generator,
) -> int:
    """The largest batch after which a random next element still gains (1 - epsilon) floor with probability 1 - epsilon.

    A search that costs more calls than the passes over the candidates that it could save is not worth it.
    """
    most = min(pool.size, levels.cardinality - levels.prefix[level])
    # Hoeffding: an estimate is off by epsilon with probability at most 1 / n
    trials = math.ceil(math.log(levels.live.size) / (2.0 * levels.epsilon**2))
    search = 2.0 * trials * math.log2(most)
    if levels.single_pivot or search >= (most - 1) * candidates:
        return 1
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if _keeps_its_gain(levels, function, level, pool, floor, middle, trials, random):
            low = middle
        else:
            high = middle - 1
    return low


@njit(cache=True)
def _keeps_its_gain(
    levels: Levels,
    function: FacilityLocation,
    level: int,
    pool: Integers,
    floor: float,
    batch: int,
    trials: int,
    random: np.random.Generator,
) -> bool:
    """Whether the last of a random batch mostly gains what it must; two calls of the oracle a trial."""
    base, trial = levels.best[level], levels.trial
    trial[:] = base
    failures = 0
    for _ in range(trials):
        _draw(pool, batch, random)
        for i in range(batch - 1):
            add(function, trial, pool[i])
        failures += gain(function, trial, pool[batch - 1]) < (1.0 - levels.epsilon) * floor
        levels.calls[0] += 2
        for i in range(batch - 1):
            restore(function, trial, base, pool[i])
        if failures > levels.epsilon * trials:
            return False
    return True


@njit(cache=True)
def _draw(pool: Integers, count: int, random: np.random.Generator) -> None:
    """Bring a uniform sample without replacement to the front."""
    for i in range(count):
        j = random.integers(i, pool.size)
        pool[i], pool[j] = pool[j], pool[i]


@njit(cache=True)
def _filter(levels: Levels, function: FacilityLocation, level: int, candidates: Integers) -> tuple[Integers, Floats]:
    """The candidates that still gain the threshold, with their gains; the others stay at the depth before."""
    kept = np.empty(candidates.size, np.int64)
    gains = np.empty(candidates.size)
    count = 0
    for i in range(candidates.size):
        element = candidates[i]
        if levels.sampled[element] > 0:
            continue
        levels.calls[0] += 1
        gains[count] = gain(function, levels.best[level], element)
        if gains[count] >= levels.threshold:
            kept[count] = element
            count += 1
        else:
            _link(levels, element, level - 1)
    return kept[:count], gains[:count]


@njit(cache=True)
def _evaluate(levels: Levels, function: FacilityLocation) -> None:
    """Compute f of the solution from scratch, one call of the oracle."""
    levels.trial[:] = 0.0
    total = 0.0
    for i in range(levels.prefix[levels.top[0]]):
        if levels.live[levels.pick[i]]:
            total += add(function, levels.trial, levels.pick[i])
    levels.value[0] = total
    levels.calls[0] += 1


@njit(cache=True)
def _link(levels: Levels, element: int, depth: int) -> None:
    head = levels.head[depth]
    levels.depth[element] = depth
    levels.before[element] = NONE
    levels.after[element] = head
    if head != NONE:
        levels.before[head] = element
    levels.head[depth] = element


@njit(cache=True)
def _unlink(levels: Levels, element: int) -> None:
    before, after = levels.before[element], levels.after[element]
    if before == NONE:
        levels.head[levels.depth[element]] = after
    else:
        levels.after[before] = after
    if after != NONE:
        levels.before[after] = before
    levels.depth[element] = NONE
