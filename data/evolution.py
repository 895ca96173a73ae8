"""The instance that time-dependent problems assemble: a sequence of sparse linear systems, each made from the last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.linear_system import LinearSystem

Array = NDArray[np.float64]
Scheme = Callable[[Sequence[Array]], tuple[sp.csr_array, Array]]
"""All states so far -> the matrix and the right-hand side whose solution is the next state."""


@dataclass(frozen=True, slots=True, eq=False)
class Evolution:
    """A state that is advanced step by step; a step is one linear system.

    A trajectory is the initial state and the solution of every step, stacked: shape (steps + 1, n).

    Attributes
    ----------
    initial : ndarray, shape (n,), float64
        The state at the beginning.
    steps : int
        How many follow.
    scheme : callable
        What makes the systems; it can be pickled.
    parameters : ndarray, shape (p,), float64
        The parameter array of the instance, flattened: the key by which sequences are sorted.
    symmetric, positive_definite : bool
        Properties of the matrices that hold for every step of every instance of the problem.
    """

    initial: Array
    steps: int
    scheme: Scheme
    parameters: Array
    symmetric: bool = False
    positive_definite: bool = False

    def system(self, states: Sequence[Array]) -> LinearSystem:
        """The system whose solution is the next state.

        Parameters
        ----------
        states : sequence of ndarray, shape (n,), float64
            The initial state and all that were computed since.

        Returns
        -------
        LinearSystem
            A matrix that does not change from step to step is the same object in all of them.

        Raises
        ------
        ValueError
            If there is no state, or the last step was taken.
        """
        if not 1 <= len(states) <= self.steps:
            raise ValueError(f"states holds {len(states)} states; a next one follows 1 to {self.steps} of them")
        matrix, rhs = self.scheme(states)
        return LinearSystem(matrix, rhs, self.parameters, self.symmetric, self.positive_definite)
