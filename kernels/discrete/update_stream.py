"""Streams of insertions and deletions, and what every method that follows one returns."""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kernels.result import Result, Status


class UpdateStream(Protocol):
    """A ground set that starts empty and changes by one element an update; f is a facility location."""

    @property
    def benefits(self) -> sp.csr_array:
        """What every element brings every client, shape (elements, clients), float64."""
        ...

    @property
    def elements(self) -> NDArray[np.int64]:
        """The element of every update, shape (updates,)."""
        ...

    @property
    def insertions(self) -> NDArray[np.bool_]:
        """Whether an update inserts or deletes its element, shape (updates,)."""
        ...


def check_stream(stream: UpdateStream, cardinality: int, every: int) -> None:
    """Check that a stream inserts what is absent and deletes what is present, and that k and the period fit it.

    Raises
    ------
    ValueError
        If not; the message names the argument, its value and what is allowed.
    """
    size, updates = stream.benefits.shape[0], stream.elements.size
    check_between("cardinality", cardinality, 1, size)
    check_between("every", every, 1, updates)
    check_updates(stream.elements, stream.insertions, np.zeros(size, np.bool_))


def check_updates(elements: NDArray[np.int64], insertions: NDArray[np.bool_], live: NDArray[np.bool_]) -> None:
    """Check updates of a ground set of which the elements ``live`` are present.

    Raises
    ------
    ValueError
        If an array has the wrong type or shape, an element does not exist, one is inserted that is present or deleted
        that is absent.
    """
    if elements.ndim != 1 or elements.dtype != np.int64:
        raise ValueError(f"elements must be int64 of shape (updates,), not {elements.dtype} of {elements.shape}")
    if insertions.shape != elements.shape or insertions.dtype != np.bool_:
        raise ValueError(f"insertions must be bool of shape {elements.shape}, not {insertions.dtype}")
    if elements.size and not (elements.min() >= 0 and elements.max() < live.size):
        raise ValueError(f"elements must lie between 0 and {live.size - 1}, not {elements.min()} to {elements.max()}")
    order = np.argsort(elements, kind="stable")
    ordered, inserted = elements[order], insertions[order]
    present = np.empty(elements.size, np.bool_)  # before the update
    present[1:] = inserted[:-1]
    begins = np.append(True, ordered[1:] != ordered[:-1])[: elements.size]
    present[begins] = live[ordered[begins]]
    if (wrong := order[present == inserted]).size:
        update = wrong.min()
        verb, state = ("inserts", "present") if insertions[update] else ("deletes", "absent")
        raise ValueError(f"elements: update {update} {verb} {elements[update]}, which is {state}")


def check_between(name: str, value: int, least: int, most: int) -> None:
    """Check that an integer option lies between two bounds.

    Raises
    ------
    ValueError
        If it does not; the message names it.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} must be an integer between {least} and {most}, not {value!r}")


def check_epsilon(epsilon: float) -> None:
    """Check an accuracy.

    Raises
    ------
    ValueError
        If it does not lie between 0 and 1/2 (both excluded).
    """
    if not 0.0 < epsilon < 0.5:
        raise ValueError(f"epsilon must lie between 0 and 0.5 (excluded), not {epsilon}")


def is_finite(stream: UpdateStream) -> bool:
    """Whether no benefit is NaN or infinite."""
    return bool(np.isfinite(stream.benefits.data).all())


def followed(value: NDArray[np.float64], updates: int, oracle_calls: int, status: Status = Status.CONVERGED) -> Result:
    """The result of a method from the values of its solution, shape (updates // every,), along a stream.

    ``history`` is the same after the empty set's 0; ``work`` counts ``oracle_calls`` and ``oracle_calls_per_update``.
    """
    work = {"oracle_calls": float(oracle_calls), "oracle_calls_per_update": oracle_calls / updates}
    return Result(value, status, np.append(0.0, value), work)


def not_finite(stream: UpdateStream, every: int) -> Result:
    """The result where the benefits hold NaN or infinity."""
    updates = stream.elements.size
    return followed(np.full(updates // every, np.nan), updates, 0, Status.NOT_FINITE)
