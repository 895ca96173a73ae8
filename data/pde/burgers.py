"""A wave that steepens as it travels: u_t + div(u^2 / 2 (1, 1)) = nu Laplace u on the unit square, u = 0 outside."""

from dataclasses import dataclass
from functools import lru_cache, partial
from math import isqrt
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.evolution import Evolution
from data.pde.fluxes import convection_stencil, uniform_conductances
from data.pde.grid_operators import cell_centres
from data.pde.time_stepping import ImplicitMidpoint, TimeDependent, implicit_matrix
from data.pde.vanishing_fields import vanishing_deviation, vanishing_field
from data.pde.verification import TIME_STEP, ManufacturedEvolution, observed_order_in_space, observed_order_in_time
from data.problem import Fields, Variable

Array = NDArray[np.float64]

_SMOOTHNESS = 4.0


@dataclass(frozen=True, slots=True)
class BurgersFluxes:
    """The fluxes of a step, linear in u: u^2 / 2 = v u - v^2 / 2 to second order in u - v, v the state halfway.

    Attributes
    ----------
    viscosity : float
        The nu of the equation.
    mass_rate : float
        The area of a cell over the time step.
    """

    viscosity: float
    mass_rate: float

    def __call__(self, halfway: Array) -> tuple[sp.csr_array, Array]:
        """The nonsymmetric matrix w + L/2 at a state of shape (n^2,), and the net flux v^2 / 2 out of the cells."""
        cells = isqrt(halfway.size)
        state = halfway.reshape(cells, cells)
        face_y, face_x = np.zeros((cells + 1, cells)), np.zeros((cells, cells + 1))
        face_y[1:-1] = 0.5 * (state[:-1] + state[1:])
        face_x[:, 1:-1] = 0.5 * (state[:, :-1] + state[:, 1:])
        stencil = convection_stencil(*uniform_conductances(cells, self.viscosity), face_y / cells, face_x / cells)
        addition = (np.diff(face_y**2, axis=0) + np.diff(face_x**2, axis=1)).ravel() / (2 * cells)
        return implicit_matrix(stencil, self.mass_rate), addition


def _manufactured(cells: int) -> ManufacturedEvolution:
    """The solution (1 + t) sin(pi x) sin(2 pi y) at viscosity 0.05."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    shape = np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_x = np.pi * np.cos(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_y = 2.0 * np.pi * np.sin(np.pi * x) * np.cos(2.0 * np.pi * y)
    viscosity = 0.05

    def load(time: float) -> Array:
        growth = 1.0 + time
        source = shape + growth**2 * shape * (slope_x + slope_y) + growth * viscosity * 5.0 * np.pi**2 * shape
        return np.asarray(source).ravel() / cells**2

    fluxes = BurgersFluxes(viscosity, 1.0 / (cells**2 * TIME_STEP))
    return ManufacturedEvolution(1.0 / cells, fluxes, shape.ravel(), load)


@lru_cache(maxsize=1)
def burgers_orders() -> tuple[float, float]:
    """The orders of convergence in space and in time, observed."""
    return observed_order_in_space(_manufactured), observed_order_in_time(partial(BurgersFluxes, 0.05))


class Burgers(TimeDependent):
    """The viscous Burgers equation along the diagonal, from a smooth random state that vanishes on the boundary."""

    name: ClassVar[str] = "burgers"
    summary: ClassVar[str] = "Burgers' equation from a random state, linearised midpoint rule: nonsymmetric"
    reference: ClassVar[str] = (
        'J. M. Burgers, "A mathematical model illustrating the theory of turbulence", Adv. Appl. Mech. 1, 1948'
    )

    duration: float = Field(
        0.5, gt=0.0, le=1e4, description="time from the first state to the last, in units of side length per speed"
    )
    viscosity: float = Field(0.01, ge=1e-6, le=1e3, description="viscosity nu, in units of speed times side length")
    amplitude: float = Field(0.5, gt=0.0, le=1e3, description="standard deviation of the initial state, a speed")
    inverse_length: float = Field(3.0, gt=0.0, le=100.0, description="tau of the initial state's covariance")

    def variables(self) -> dict[str, Variable]:
        """The initial state."""
        return {"initial": self._cell_field("initial speed")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A Gaussian field."""
        field = vanishing_field(random, self.grid, _SMOOTHNESS, self.inverse_length)
        return {"initial": self.amplitude / vanishing_deviation(_SMOOTHNESS, self.inverse_length) * field}

    def assemble(self, fields: Fields) -> Evolution:
        """Steps of the midpoint rule; the initial state is the sort key."""
        initial = fields["initial"].ravel()
        fluxes = BurgersFluxes(self.viscosity, self.mass_rate)
        scheme = ImplicitMidpoint(fluxes, self.mass_rate, np.zeros(initial.size))
        return Evolution(initial, self.steps, scheme, initial)

    def solution(self) -> Variable:
        """The speed."""
        return self._trajectory("speed at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed orders, and the Courant and cell Peclet numbers at the initial state's standard deviation."""
        in_space, in_time = burgers_orders()
        return {
            "observed_order": in_space,
            "observed_order_in_time": in_time,
            "courant_number": self.amplitude * self.duration / self.steps * self.grid,
            "cell_peclet": self.amplitude / (self.grid * self.viscosity),
        }
