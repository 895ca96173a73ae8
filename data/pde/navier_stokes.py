"""Two-dimensional incompressible flow by its vorticity, in a square box with walls that it slips along.

omega_t + v . grad omega = nu Laplace omega + f with v = (d psi / dy, -d psi / dx) and -Laplace psi = omega; on walls
without friction, omega = psi = 0.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from math import isqrt
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.evolution import Evolution
from data.pde.fluxes import convection_stencil, face_flows, uniform_conductances
from data.pde.grid_operators import cell_centres
from data.pde.time_stepping import ImplicitMidpoint, TimeDependent, implicit_matrix
from data.pde.vanishing_fields import stream_function, vanishing_deviation, vanishing_field
from data.pde.verification import TIME_STEP, ManufacturedEvolution, observed_order_in_space, observed_order_in_time
from data.problem import Fields, Variable

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VorticityFluxes:
    """The fluxes of a step: diffusion, and convection by the flow of the state halfway.

    Attributes
    ----------
    viscosity : float
        The nu of the equation.
    mass_rate : float
        The area of a cell over the time step.
    """

    viscosity: float
    mass_rate: float

    def __call__(self, halfway: Array) -> tuple[sp.csr_array, float]:
        """The matrix w + L/2 at a vorticity of shape (n^2,); its symmetric part is positive definite."""
        cells = isqrt(halfway.size)
        flows = face_flows(stream_function(halfway.reshape(cells, cells)))
        stencil = convection_stencil(*uniform_conductances(cells, self.viscosity), *flows)
        return implicit_matrix(stencil, self.mass_rate), 0.0


def _manufactured(cells: int) -> ManufacturedEvolution:
    """The vorticity (1 + t) of two waves whose flows carry each other, at viscosity 0.05."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    viscosity = 0.05
    # the stream function is the sum of sin(m pi y) sin(k pi x) over (m, k); a Laplacian multiplies each by its square
    waves = [(m * np.pi, k * np.pi) for m, k in ((2, 1), (1, 3))]
    squares = np.array([m**2 + k**2 for m, k in waves])
    values = np.array([np.sin(m * y) * np.sin(k * x) for m, k in waves])
    slopes_y = np.array([m * np.cos(m * y) * np.sin(k * x) for m, k in waves])
    slopes_x = np.array([k * np.sin(m * y) * np.cos(k * x) for m, k in waves])
    shape, diffusion = np.tensordot(squares, values, 1), viscosity * np.tensordot(squares**2, values, 1)
    convection = slopes_y.sum(axis=0) * np.tensordot(squares, slopes_x, 1)
    convection -= slopes_x.sum(axis=0) * np.tensordot(squares, slopes_y, 1)

    def load(time: float) -> Array:
        growth = 1.0 + time
        return np.asarray(shape + growth**2 * convection + growth * diffusion).ravel() / cells**2

    fluxes = VorticityFluxes(viscosity, 1.0 / (cells**2 * TIME_STEP))
    return ManufacturedEvolution(1.0 / cells, fluxes, shape.ravel(), load)


@lru_cache(maxsize=1)
def navier_stokes_orders() -> tuple[float, float]:
    """The orders of convergence in space and in time, observed."""
    return observed_order_in_space(_manufactured), observed_order_in_time(partial(VorticityFluxes, 0.05))


class NavierStokes(TimeDependent):
    """A random vorticity in a box, stirred by a steady force.

    The force, and up to its scale the covariance of the initial field, are those of the paper, whose flow is periodic:
    between walls every system is five-point. The unit of time is one over that of the vorticity.
    """

    name: ClassVar[str] = "navier-stokes"
    summary: ClassVar[str] = "Vorticity of an incompressible flow in a box, linearised midpoint rule: nonsymmetric"
    reference: ClassVar[str] = (
        'Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (ICLR 2021), section 5.3'
    )

    steps: int = Field(50, ge=1, le=10_000, description="time steps, of equal length")
    duration: float = Field(5.0, gt=0.0, le=1e4, description="time from the first state to the last, 1 / vorticity")
    viscosity: float = Field(1e-3, ge=1e-6, le=1e3, description="viscosity nu, in units of vorticity times side^2")
    vorticity: float = Field(1.0, gt=0.0, le=1e3, description="standard deviation of the initial vorticity")
    smoothness: float = Field(2.5, gt=1.0, le=8.0, description="alpha of its covariance (-Laplace + tau^2)^-alpha")
    inverse_length: float = Field(7.0, gt=0.0, le=100.0, description="tau of the covariance, per side length")
    forcing: float = Field(
        0.1,
        ge=-1e3,
        le=1e3,
        description="amplitude of the force's curl, sin(2 pi (x + y)) + cos(2 pi (x + y)); 0: none",
    )

    @property
    def speed(self) -> float:
        """Root-mean-square speed of the initial flow, in expectation."""
        speed, vorticity = (vanishing_deviation(self.smoothness, self.inverse_length, order) for order in (-1, 0))
        return self.vorticity * speed / vorticity

    def variables(self) -> dict[str, Variable]:
        """The initial state."""
        return {"initial": self._cell_field("initial vorticity")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A Gaussian field."""
        field = vanishing_field(random, self.grid, self.smoothness, self.inverse_length)
        return {"initial": self.vorticity / vanishing_deviation(self.smoothness, self.inverse_length) * field}

    def assemble(self, fields: Fields) -> Evolution:
        """Steps of the midpoint rule; the initial state is the sort key."""
        initial = fields["initial"].ravel()
        centres = cell_centres(self.grid)
        phase = 2.0 * np.pi * (centres[:, None] + centres)
        load = self.forcing / self.grid**2 * (np.sin(phase) + np.cos(phase)).ravel()
        fluxes = VorticityFluxes(self.viscosity, self.mass_rate)
        return Evolution(initial, self.steps, ImplicitMidpoint(fluxes, self.mass_rate, load), initial)

    def solution(self) -> Variable:
        """The vorticity."""
        return self._trajectory("vorticity at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed orders, and the Courant and cell Peclet numbers at the initial flow's root-mean-square speed."""
        in_space, in_time = navier_stokes_orders()
        return {
            "observed_order": in_space,
            "observed_order_in_time": in_time,
            "courant_number": self.speed * self.duration / self.steps * self.grid,
            "cell_peclet": self.speed / (self.grid * self.viscosity),
        }
