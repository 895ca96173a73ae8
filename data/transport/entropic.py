"""What the methods for entropic transport take, and what its problems share."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.problem import Fields, Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EntropicTransport:
    """Move masses at least cost, regularised by the plan's entropy.

    Attributes
    ----------
    cost : ndarray, shape (n, m), float64
        Of a unit of mass from i to j; the greatest is about 1.
    source, target : ndarray, shapes (n,) and (m,), float64
        Positive masses of total 1.
    regularisation : float
        The weight of the entropy.
    """

    cost: Array
    source: Array
    target: Array
    regularisation: float


class EntropicProblem(Problem):
    """What problems of entropic transport share: how little they are regularised."""

    eta: float = Field(1200.0, gt=0.0, le=1e6, description="inverse of the regularisation, for costs up to 1")

    def assemble(self, fields: Fields) -> EntropicTransport:
        """Costs, masses and regularisation."""
        return EntropicTransport(*self._measures(fields), 1.0 / self.eta)

    @abstractmethod
    def _measures(self, fields: Fields) -> tuple[Array, Array, Array]:
        """Cost, source and target."""
