"""Orderings of a sequence of systems by their parameters, so that neighbours in the sequence resemble each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.validation import check_count

Array = NDArray[np.float64]
Order = NDArray[np.int64]

# Distances are summed this many coordinates at a time, and given up once they exceed the nearest found so far.
COORDINATES_AT_A_TIME = 64
# A Gram matrix pays for rows at least so long, and may have at most so many rows (128 MiB).
GRAM_COORDINATES = 128
GRAM_ROWS = 4096
HILBERT_BITS = 62


def order_sequence(parameters: Array, ordering: str, **options: Any) -> Order:
    """Order a sequence of systems by the ordering of a given name.

    Parameters
    ----------
    parameters : ndarray, shape (N, p), float64
        Row i belongs to system i.
    ordering : str
        ``"none"``, ``"greedy"`` (option ``start``), ``"grouped"`` (``group_size``, ``dimensions``), ``"hilbert"``
        (``dimensions``) or ``"shuffled"`` (``seed``, required).
    **options
        The options of the function of that name.

    Returns
    -------
    ndarray, shape (N,), int64
        A permutation: position j of the sequence holds system ``order[j]``.

    Raises
    ------
    ValueError
        If the ordering is unknown, or the parameters or an option are not as described.
    """
    if ordering not in ORDERINGS:
        raise ValueError(f"ordering must be one of {', '.join(ORDERINGS)}, not {ordering!r}")
    _check_parameters(parameters)
    return ORDERINGS[ordering](parameters, **options)


def greedy_order(parameters: Array, start: int = 0) -> Order:
    """Order as a chain that goes from each system to the nearest one not yet visited (SKR, ICLR 2024, Alg. 1).

    Distances are Euclidean in the flattened parameters (Frobenius norms of their differences). Ties go to the lowest
    index. The cost is O(N^2 p); up to 4096 long rows are compared through their Gram matrix. Its rounding would order
    near-duplicates at random, so the candidates it cannot tell apart are compared by their differences.

    Parameters
    ----------
    parameters : ndarray, shape (N, p), float64
    start : int
        The first system, 0 to N - 1.

    Returns
    -------
    ndarray, shape (N,), int64

    Raises
    ------
    ValueError
        If the parameters are not a finite array of that shape, or start is out of range.
    """
    _check_parameters(parameters)
    check_count("start", start, 0, len(parameters) - 1)
    return _nearest_neighbour_chain(_scaled(parameters), start)


def hilbert_order(parameters: Array, dimensions: int = 3) -> Order:
    """Order along a Hilbert curve through the space of the leading principal components.

    Parameters
    ----------
    parameters : ndarray, shape (N, p), float64
    dimensions : int
        Number of principal components, at least 1; at most min(N, p) are used.

    Returns
    -------
    ndarray, shape (N,), int64

    Raises
    ------
    ValueError
        If the parameters are not a finite array of that shape, or dimensions is out of range.
    """
    _check_parameters(parameters)
    check_count("dimensions", dimensions, 1, HILBERT_BITS)
    scores = principal_components(_scaled(parameters), dimensions)
    used = scores.shape[1]
    extent = np.ptp(scores, axis=0).max(initial=0.0)
    if extent == 0.0:
        return np.arange(len(parameters))
    bits = min(16, HILBERT_BITS // used)
    # One scale for all axes: the curve's cells are cubes in the metric of the parameters.
    cells = ((scores - scores.min(axis=0)) * ((2**bits - 1) / extent)).astype(np.int64)
    return np.argsort(hilbert_index(cells, bits), kind="stable").astype(np.int64)


def grouped_order(parameters: Array, group_size: int = 1000, dimensions: int = 3) -> Order:
    """Order by greedy chains inside groups of neighbours along a Hilbert curve, one after the other.

    The cost is O(N group_size p), so that 10^5 systems take seconds. Each chain starts at the system of its group
    nearest to the end of the chain before.

    Parameters
    ----------
    parameters : ndarray, shape (N, p), float64
    group_size : int
        Systems in a group, at least 1.
    dimensions : int
        Number of principal components that the curve goes through, at least 1.

    Returns
    -------
    ndarray, shape (N,), int64

    Raises
    ------
    ValueError
        If the parameters are not a finite array of that shape, or an option is out of range.
    """
    check_count("group_size", group_size, 1)
    along_curve = hilbert_order(parameters, dimensions)
    rows = _scaled(parameters)
    order = np.empty_like(along_curve)
    for begin in range(0, len(order), group_size):
        group = along_curve[begin : begin + group_size]
        members = rows[group]
        start = 0
        if begin > 0:
            start = int(np.linalg.norm(members - rows[order[begin - 1]], axis=1).argmin())
        order[begin : begin + group_size] = group[_nearest_neighbour_chain(members, start)]
    return order


def shuffled_order(count: int, seed: int) -> Order:
    """A random permutation of ``count`` systems: the control that a sorted order has to beat.

    Raises
    ------
    ValueError
        If count is less than 1 or seed is negative.
    """
    check_count("count", count, 1)
    check_count("seed", seed, 0)
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)


def path_length(parameters: Array, order: Order) -> float:
    """The sum of the distances between neighbours in an order.

    Raises
    ------
    ValueError
        If the parameters are not a finite array of shape (N, p), or the order is no permutation of its rows.
    """
    _check_parameters(parameters)
    if np.shape(order) != (len(parameters),) or not np.array_equal(np.sort(order), np.arange(len(parameters))):
        raise ValueError(f"order must be a permutation of 0 to {len(parameters) - 1}, not of shape {np.shape(order)}")
    return float(np.linalg.norm(np.diff(parameters[order], axis=0), axis=1).sum())


def reduce_fields(fields: Array, modes: int = 12, components: int = 7) -> Array:
    """Reduce square fields to the principal components of their lowest Fourier modes (SKR's repository).

    Parameters
    ----------
    fields : ndarray, shape (N, s, s), float64
    modes : int
        Wave numbers kept in each direction, those nearest to zero; at least 1, at most s are used.
    components : int
        Principal components kept, at least 1; at most min(N, 2 modes^2) are used.

    Returns
    -------
    ndarray, shape (N, components), float64
        Distances in it approximate those of the fields.

    Raises
    ------
    ValueError
        If the fields are not a finite array of that shape, or an option is out of range.
    """
    if np.ndim(fields) != 3 or fields.shape[1] != fields.shape[2]:
        raise ValueError(f"fields must be of shape (N, s, s), not {np.shape(fields)}")
    count, size, _ = fields.shape
    _check_parameters(fields.reshape(count, size * size), "fields")
    check_count("modes", modes, 1)
    check_count("components", components, 1)
    kept = min(modes, size)
    wave_numbers = np.arange(kept) - kept // 2
    spectra = scipy.fft.fft2(fields, norm="ortho")[:, wave_numbers[:, None], wave_numbers]
    spectra = np.ascontiguousarray(spectra.reshape(count, kept * kept))
    return principal_components(spectra.view(np.float64), components)


def principal_components(parameters: Array, components: int) -> Array:
    """Coordinates of each row along the leading principal axes, of largest variance first.

    The sign of an axis is such that the coordinate of largest magnitude is positive.

    Parameters
    ----------
    parameters : ndarray, shape (N, p), float64
    components : int
        At least 1; at most min(N, p) are used.

    Returns
    -------
    ndarray, shape (N, min(components, N, p)), float64
    """
    centred = parameters - parameters.mean(axis=0)
    smaller = min(centred.shape)
    leading = min(components, smaller)
    if leading == 0:
        return np.empty((len(parameters), 0))
    subset = (smaller - leading, smaller - 1)
    if centred.shape[1] == smaller:
        _, axes = scipy.linalg.eigh(centred.T @ centred, subset_by_index=subset)
        scores = centred @ axes[:, ::-1]
    else:
        squared, scores = scipy.linalg.eigh(centred @ centred.T, subset_by_index=subset)
        scores = (scores * np.sqrt(np.maximum(squared, 0.0)))[:, ::-1]
    largest = np.abs(scores).argmax(axis=0)
    signed: Array = scores * np.where(scores[largest, np.arange(leading)] < 0.0, -1.0, 1.0)
    return signed


def hilbert_index(cells: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """The position along the Hilbert curve of cells of a grid of any dimension (Skilling 2004, AIP Conf. Proc. 707).

    Parameters
    ----------
    cells : ndarray, shape (N, d), int64
        Coordinates from 0 to 2^bits - 1.
    bits : int
        At least 1; d bits must not exceed 62.

    Returns
    -------
    ndarray, shape (N,), int64

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    if np.ndim(cells) != 2 or cells.shape[1] == 0 or cells.dtype != np.int64:
        raise ValueError(f"cells must be an int64 array of shape (N, d), d > 0, not of shape {np.shape(cells)}")
    check_count("bits", bits, 1, HILBERT_BITS // cells.shape[1])
    if (cells < 0).any() or (cells >> bits).any():
        raise ValueError(f"cells must lie between 0 and {2**bits - 1}")
    index: NDArray[np.int64] = _hilbert_index(cells, bits)
    return index


def _check_parameters(parameters: Array, name: str = "parameters") -> None:
    if not isinstance(parameters, np.ndarray) or parameters.ndim != 2 or len(parameters) == 0:
        raise ValueError(f"{name} must be an array with one row a system, at least one, not {np.shape(parameters)}")
    if parameters.dtype != np.float64:
        raise ValueError(f"{name} must be float64, not {parameters.dtype}")
    finite = np.isfinite(parameters).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name} must be finite; row {int(finite.argmin())} holds NaN or infinity")


def _scaled(parameters: Array) -> Array:
    """The parameters times a power of two, which is exact, so that their squares neither overflow nor underflow."""
    exponent = np.frexp(np.abs(parameters).max(initial=0.0))[1]
    scaled: Array = np.ldexp(np.ascontiguousarray(parameters), -exponent)
    return scaled


def _nearest_neighbour_chain(rows: Array, start: int) -> Order:
    count, size = rows.shape
    estimates, margin = np.empty((0, 0)), 0.0
    if size >= GRAM_COORDINATES and count <= GRAM_ROWS:
        estimates = rows @ rows.T
        squares = estimates.diagonal().copy()
        estimates *= -2.0
        estimates += squares
        estimates += squares[:, None]
        # Twice the bound on the rounding errors of two inner products of this length.
        margin = 8.0 * (size + 3) * np.finfo(np.float64).eps * squares.max()
    order: Order = _follow_nearest(rows, estimates, margin, start)
    return order


@njit(cache=True)
def _follow_nearest(rows: Array, estimates: Array, margin: float, start: int) -> Order:
    """The greedy chain; ``estimates`` of the squared distances, if not empty, are wrong by half the margin at most."""
    count = len(rows)
    order = np.empty(count, dtype=np.int64)
    unvisited = np.arange(count)
    current = start
    for step in range(count):
        order[step] = current
        # Shift rather than swap: the unvisited stay in increasing order, so that the first of equals is the lowest.
        kept = 0
        for candidate in unvisited[: count - step]:
            if candidate != current:
                unvisited[kept] = candidate
                kept += 1
        limit = np.inf
        if estimates.size > 0:
            for candidate in unvisited[:kept]:
                limit = min(limit, estimates[current, candidate])
            limit += margin
        best, best_distance = -1, np.inf
        for candidate in unvisited[:kept]:
            if estimates.size > 0 and estimates[current, candidate] > limit:
                continue
            distance = _squared_distance(rows[current], rows[candidate], best_distance)
            if best < 0 or distance < best_distance:
                best, best_distance = candidate, distance
        current = best
    return order


@njit(forceinline=True, fastmath={"reassoc", "contract"})
def _squared_distance(first: Array, second: Array, bound: float) -> float:
    """The squared distance, or some number of at least ``bound`` once it is seen to exceed that."""
    distance = 0.0
    for begin in range(0, first.size, COORDINATES_AT_A_TIME):
        for i in range(begin, min(begin + COORDINATES_AT_A_TIME, first.size)):
            distance += (first[i] - second[i]) ** 2
        if distance >= bound:
            break
    return distance


@njit(cache=True)
def _hilbert_index(cells: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    count, dimensions = cells.shape
    index = np.zeros(count, dtype=np.int64)
    axes = np.empty(dimensions, dtype=np.int64)
    for point in range(count):
        axes[:] = cells[point]
        # undo the rotations and reflections of the subcubes, from the largest down
        for level in range(bits - 1, 0, -1):
            bit, below = 1 << level, (1 << level) - 1
            for axis in range(dimensions):
                if axes[axis] & bit:
                    axes[0] ^= below
                else:
                    exchanged = (axes[0] ^ axes[axis]) & below
                    axes[0] ^= exchanged
                    axes[axis] ^= exchanged
        # Gray code
        for axis in range(1, dimensions):
            axes[axis] ^= axes[axis - 1]
        flipped = 0
        for level in range(bits - 1, 0, -1):
            if axes[dimensions - 1] & (1 << level):
                flipped ^= (1 << level) - 1
        # interleave the bits
        for level in range(bits - 1, -1, -1):
            for axis in range(dimensions):
                index[point] = (index[point] << 1) | (((axes[axis] ^ flipped) >> level) & 1)
    return index


def _natural_order(parameters: Array) -> Order:
    return np.arange(len(parameters))


def _shuffled(parameters: Array, seed: int) -> Order:
    return shuffled_order(len(parameters), seed)


ORDERINGS: dict[str, Callable[..., Order]] = {
    "none": _natural_order,
    "greedy": greedy_order,
    "grouped": grouped_order,
    "hilbert": hilbert_order,
    "shuffled": _shuffled,
}
