"""Sparse misspecified bandits by covering: one query for every sparse direction, up to the misspecification."""

import math
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numba import njit

from kernels.budget import Budget
from kernels.linear_systems.validation import check_count
from kernels.online.misspecified_bandit import (
    Indices,
    Matrix,
    MisspecifiedBandit,
    Queries,
    Vector,
    check_bandit,
    is_finite_bandit,
    not_finite,
)
from kernels.result import Result, Status

MOST_CANDIDATES = 20_000_000
LONGEST_FIRST = 256


def sphere_net(dimension: int, radius: float) -> Matrix:
    """Unit vectors, no point of the unit sphere farther than a radius from all of them.

    A grid on the faces of the cube [-1, 1]^s, projected onto the sphere inside: every point of a face has a grid point
    within the radius, and the projection brings no two points outside the ball further apart.

    Parameters
    ----------
    dimension : int
        s, at least 1.
    radius : float
        Positive.

    Returns
    -------
    ndarray, shape (2 s ceil(sqrt(s - 1) / radius)^(s - 1), s), float64

    Raises
    ------
    ValueError
        If an argument is out of range, or the net would have more than ``MOST_CANDIDATES`` points.
    """
    check_count("dimension", dimension, least=1)
    if not 0.0 < radius < math.inf:
        raise ValueError(f"radius must be positive and finite, not {radius}")
    cells = max(1, math.ceil(math.sqrt(dimension - 1) / radius))
    if 2 * dimension * cells ** (dimension - 1) > MOST_CANDIDATES:
        raise ValueError(f"radius={radius} is too small: in {dimension} dimensions the net exceeds {MOST_CANDIDATES}")
    centres = (2.0 * np.arange(cells) + 1.0) / cells - 1.0
    face = np.array(list(product(centres, repeat=dimension - 1))).reshape(cells ** (dimension - 1), dimension - 1)
    points = [np.insert(face, axis, sign, axis=1) for axis in range(dimension) for sign in (-1.0, 1.0)]
    net = np.concatenate(points)
    return np.asarray(net / np.linalg.norm(net, axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class SparseDirections:
    """The directions of a cover and the arm that is best along each.

    Attributes
    ----------
    supports : ndarray, shape (m, s), intp
        All sets of s features, ascending.
    net : ndarray, shape (k, s), float64
        The unit vectors on every support.
    best_arms : ndarray, shape (m, k), intp
        The arm of the greatest inner product with each direction; the first of several.
    greatest : ndarray, shape (m, k), float64
        That inner product, the support function of the arms.
    """

    supports: Indices
    net: Matrix
    best_arms: Indices
    greatest: Matrix


def cover_directions(arms: Matrix, sparsity: int, radius: float) -> SparseDirections:
    """A cover of the s-sparse unit vectors with the arms that maximise it.

    Parameters
    ----------
    arms : ndarray, shape (n, d), float64
        Finite.
    sparsity : int
        s, between 1 and d.
    radius : float
        No s-sparse unit vector is farther from the cover.

    Raises
    ------
    ValueError
        If an argument is out of range, or the cover would have more than ``MOST_CANDIDATES`` directions.
    """
    check_count("sparsity", sparsity, 1, arms.shape[1])
    net = sphere_net(sparsity, radius)
    if math.comb(arms.shape[1], sparsity) * len(net) > MOST_CANDIDATES:
        raise ValueError(f"radius={radius} is too small: the cover has more than {MOST_CANDIDATES} directions")
    supports = np.array(list(combinations(range(arms.shape[1]), sparsity)), dtype=np.intp)
    columns = np.ascontiguousarray(arms.T)
    best_arms = np.empty((len(supports), len(net)), dtype=np.intp)
    greatest = np.empty(best_arms.shape)
    for support, features in enumerate(supports):
        projected = columns[features]
        lengths = np.sqrt((projected**2).sum(axis=0))
        head = min(lengths.size, LONGEST_FIRST)
        longest = np.argpartition(lengths, lengths.size - head)[-head:]
        longest = longest[lengths[longest].argsort()[::-1]]
        found, values = best_arms[support], greatest[support]
        _maximise(projected[:, longest], lengths[longest], longest, net, head == lengths.size, found, values)
        left = np.flatnonzero(found < 0)
        if left.size:
            products = net[left] @ projected
            found[left], values[left] = products.argmax(axis=1), products.max(axis=1)
    return SparseDirections(supports, net, best_arms, greatest)


@njit(cache=True)
def _maximise(
    projected: Matrix,
    lengths: Vector,
    arms: Indices,
    net: Matrix,
    all_arms: bool,
    best_arms: Indices,
    greatest: Vector,
) -> None:
    """The best of the longest arms along every direction of one support, the first of several.

    The arms come in descending order of length: by Cauchy-Schwarz, none of those that follow one shorter than the best
    product so far can be better. Where no such arm ends the search, and these are not all arms, the arm is -1.
    """
    for direction in range(net.shape[0]):
        best, arm, is_certain = -np.inf, -1, all_arms
        for position in range(lengths.size):
            # Rounding must not hide a tie.
            if lengths[position] * (1.0 + 1e-12) < best:
                is_certain = True
                break
            inner = 0.0
            for k in range(net.shape[1]):
                inner += projected[k, position] * net[direction, k]
            if inner > best or (inner == best and arms[position] < arm):
                best, arm = inner, arms[position]
        best_arms[direction], greatest[direction] = arm if is_certain else -1, best


def sparse_cover(bandit: MisspecifiedBandit, *, budget: Budget | None = None) -> Result:
    """An O(eps)-optimal arm of a sparse misspecified linear bandit, by queries that are fixed beforehand.

    Some direction of the cover is within eps of that of theta, so that the arm best along it is within 4 eps of the
    best arm: 2 eps for the errors of the two rewards and 2 eps for that of the direction. There are O(d^s / eps^(s-1))
    directions, one power of eps less than in the paper: the arm that maximises an inner product does not depend on the
    length of theta, so that the sphere is covered in place of the ball.

    Parameters
    ----------
    bandit : MisspecifiedBandit
    budget : Budget, optional
        Limits ``queries``, the distinct arms queried.

    Returns
    -------
    Result
        The best arm queried and its reward over eps. CONVERGED, within 4 eps of the best arm; ITERATION_LIMIT if the
        budget ends before the cover, NOT_FINITE if the data are not. Work: ``queries`` and ``candidates``, the
        directions of the cover.

    Raises
    ------
    ValueError
        If the bandit is not as described, the cover is too large to be built or the budget allows no query.

    References
    ----------
    J. Dong, L. F. Yang, "Does sparsity help in learning misspecified linear bandits?", ICML 2023: the upper bound.
    """
    check_bandit(bandit)
    queries = Queries(bandit, budget)
    if not is_finite_bandit(bandit):
        return not_finite()
    cover = cover_directions(bandit.arms, bandit.sparsity, bandit.misspecification)
    chosen = np.unique(cover.best_arms)
    affordable = chosen.size <= queries.left
    queries.ask(chosen[: queries.left])
    status = Status.CONVERGED if affordable else Status.ITERATION_LIMIT
    return queries.result(queries.best(), status, candidates=float(cover.best_arms.size))
