"""What every method returns: a value, how it ended, its history and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray


class Status(StrEnum):
    """How a method ended; only CONVERGED promises the accuracy that was asked for."""

    CONVERGED = "converged"
    ITERATION_LIMIT = "iteration limit reached"
    STAGNATED = "stagnated: no further progress is possible"
    BREAKDOWN = "breakdown: the recurrence divides by zero"
    NOT_FINITE = "not finite: NaN or infinity in the data or the iteration"
    FAILED = "failed: the method raised an exception"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The outcome of one method on one instance.

    Attributes
    ----------
    value : ndarray
        What the method computed (a solution vector, a plan, weights ...).
    status : Status
        How the method ended.
    history : ndarray, shape (steps + 1,), float64
        The method's own measure of progress, starting value first; for a linear solver the relative residual norm.
    work : mapping of str to float
        Counts of what was spent, for example ``iterations`` and ``operator_applications``.
    """

    value: NDArray[np.float64]
    status: Status
    history: NDArray[np.float64]
    work: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def converged(self) -> bool:
        """Whether the accuracy that was asked for was reached."""
        return self.status is Status.CONVERGED
