"""The implicit midpoint rule for h^2 u' + F(u) = load: second order, one linear system a step, conservative.

F(u) holds the net fluxes out of the cells, diffusive and convective. Halfway through a step they are taken to be
linear, F = L u - r, with L and r from the state extrapolated from the two before, (3 u_n - u_(n-1)) / 2, and u the
mean of the states beside: with w = h^2 / dt, the next state solves (w + L/2) u = (w - L/2) u_n + load + r. The first
step linearises at the initial state, an error that is small enough once. Every flux leaves one cell and enters the
next, so that nothing is lost inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.pde.fluxes import Stencil
from data.pde.grid_operators import cell_centres, five_point
from data.problem import Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]
Linearisation = Callable[[Array], tuple[sp.csr_array, Array | float]]
"""The state halfway through a step, shape (n,) -> w + L/2 there, and what is to be added to the load."""


def implicit_matrix(stencil: Stencil, mass_rate: float) -> sp.csr_array:
    """The matrix w + L/2 of a step, from the stencil of L and w = h^2 / dt."""
    south, west, centre, east, north = (0.5 * coefficients for coefficients in stencil)
    return five_point(south, west, mass_rate + centre, east, north)


@dataclass(frozen=True, slots=True, eq=False)
class Unchanging:
    """An operator that depends on neither the state nor the time, by its implicit matrix."""

    matrix: sp.csr_array

    def __call__(self, halfway: Array) -> tuple[sp.csr_array, float]:  # noqa: ARG002
        """The matrix, the same object for every step."""
        return self.matrix, 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ImplicitMidpoint:
    """The scheme: all states so far -> the matrix and the right-hand side of the next.

    Attributes
    ----------
    linearisation : callable
        Of the fluxes, at the state halfway through the step.
    mass_rate : float
        The area of a cell over the time step.
    load : ndarray, shape (n,), float64
        The integrals of the source over the cells, halfway through the step.
    """

    linearisation: Linearisation
    mass_rate: float
    load: Array

    def __call__(self, states: Sequence[Array]) -> tuple[sp.csr_array, Array]:
        """The system of the next step."""
        latest = states[-1]
        halfway = 1.5 * latest - 0.5 * states[-2] if len(states) > 1 else latest
        matrix, addition = self.linearisation(halfway)
        explicit = 2.0 * self.mass_rate * latest - matrix @ latest  # (w - L/2) u_n
        return matrix, explicit + self.load + addition


class TimeDependent(Problem):
    """What all problems on the unit square share that are advanced in equal time steps; u = 0 on the boundary."""

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")
    steps: int = Field(32, ge=1, le=10_000, description="time steps, of equal length")
    duration: float = Field(1.0, gt=0.0, le=1e4, description="time from the initial state to the last")

    @property
    def mass_rate(self) -> float:
        """The area of a cell over the time step."""
        return self.steps / (self.duration * self.grid**2)

    def coordinates(self) -> dict[str, NDArray[np.float64]]:
        """The times of the states and the cell centres."""
        times = np.linspace(0.0, self.duration, self.steps + 1)
        return {"time": times, "y": cell_centres(self.grid), "x": cell_centres(self.grid)}

    def coordinate_units(self) -> dict[str, str]:
        """Time is without dimension, like the lengths."""
        return {"time": "1", "y": "1", "x": "1"}

    def _cell_field(self, meaning: str) -> Variable:
        return Variable(("y", "x"), (self.grid, self.grid), meaning)

    def _trajectory(self, meaning: str) -> Variable:
        return Variable(("time", "y", "x"), (self.steps + 1, self.grid, self.grid), meaning)
