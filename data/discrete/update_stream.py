"""Streams of insertions and deletions of elements, fixed before any method sees them."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


class Pattern(StrEnum):
    """In which order elements come and go."""

    CHURN = "churn"
    PEEL = "peel"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, eq=False)
class UpdateStream:
    """Updates of a ground set that starts empty, and the function whose maximiser they move.

    Attributes
    ----------
    benefits : csr_array, shape (elements, clients), float64
        Of a facility location: a set is worth the sum over clients of the largest benefit that an element brings them.
    elements : ndarray, shape (updates,), int64
        The element of every update.
    insertions : ndarray, shape (updates,), bool
        Whether the update inserts or deletes it.
    """

    benefits: sp.csr_array
    elements: NDArray[np.int64]
    insertions: NDArray[np.bool_]


def draw_updates(
    pattern: Pattern, importance: NDArray[np.float64], updates: int, random: np.random.Generator
) -> NDArray[np.int32]:
    """The element of every update; its first update inserts it, the next deletes it, and so on.

    Churn: all are inserted in random order, then random elements change sides. Peel: all are inserted in random order,
    then the half of greatest importance is deleted, greatest first, inserted again in random order, and so on: the
    worst that an adversary can do who sees the function and not the solution. Window: elements come in one random
    order, over and over, and the oldest leaves when half of them are there.

    Parameters
    ----------
    pattern : Pattern
    importance : ndarray, shape (elements,), float64
        Only peeling looks at it; of equal ones the smaller index comes first.
    updates : int
    random : numpy.random.Generator

    Returns
    -------
    ndarray, shape (updates,), int32
    """
    size = importance.size
    order = random.permutation(size)
    half = (size + 1) // 2
    match pattern:
        case Pattern.CHURN:
            found = np.concatenate([order, random.integers(size, size=max(0, updates - size))])
        case Pattern.PEEL:
            greatest = np.argsort(-importance, kind="stable")[:half]
            blocks, length = [order], size
            while length < updates:
                blocks.append(random.permutation(greatest) if len(blocks) % 2 == 0 else greatest)
                length += half
            found = np.concatenate(blocks)
        case Pattern.WINDOW:
            steps = np.arange(updates)  # the first half of a ground set only come
            pairs = np.maximum(steps - half, 0)
            coming = np.where(steps < half, steps, half + pairs // 2)
            leaving = (steps >= half) & (pairs % 2 == 0)
            found = order[np.where(leaving, coming - half, coming) % size]
    return found[:updates].astype(np.int32)


def is_insertion(elements: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether an update, shape (updates,), is its element's first, third ... and so inserts it."""
    order = np.argsort(elements, kind="stable")
    ordered = elements[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    occurrence = np.empty(elements.size, np.int64)
    occurrence[order] = np.arange(elements.size) - np.repeat(begins, np.diff(np.append(begins, elements.size)))
    inserts: NDArray[np.bool_] = occurrence % 2 == 0
    return inserts
