"""Heat in a random medium: u_t = div(a grad u) + f on the unit square, u = 0 on its boundary."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.evolution import Evolution
from data.pde.darcy import manufactured_flow
from data.pde.fluxes import diffusion_stencil, face_conductances
from data.pde.grid_operators import cell_centres
from data.pde.random_fields import field_deviation, gaussian_field
from data.pde.time_stepping import ImplicitMidpoint, TimeDependent, Unchanging, implicit_matrix
from data.pde.vanishing_fields import vanishing_deviation, vanishing_field
from data.pde.verification import TIME_STEP, ManufacturedEvolution, observed_order_in_space, observed_order_in_time
from data.problem import Fields, Variable

Array = NDArray[np.float64]

_INITIAL_SMOOTHNESS = 4.0  # Crank-Nicolson steps damp the shortest waves slowly, so the initial state has hardly any


def heat_fluxes(coefficient: Array, mass_rate: float) -> Unchanging:
    """The fluxes of a step: one symmetric positive definite matrix for all steps.

    Parameters
    ----------
    coefficient : ndarray, shape (n, n), float64
        Cell averages of a > 0, indexed (y, x).
    mass_rate : float
        The area of a cell over the time step.
    """
    stencil = diffusion_stencil(face_conductances(coefficient, axis=0), face_conductances(coefficient, axis=1))
    return Unchanging(implicit_matrix(stencil, mass_rate))


def _manufactured(cells: int) -> ManufacturedEvolution:
    """The solution (1 + t) p, where p is the pressure of Darcy's manufactured flow."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    coefficient, pressure, source = manufactured_flow(y, x)

    def load(time: float) -> Array:
        return np.asarray(pressure + (1.0 + time) * source).ravel() / cells**2

    fluxes = heat_fluxes(coefficient, 1.0 / (cells**2 * TIME_STEP))
    return ManufacturedEvolution(1.0 / cells, fluxes, pressure.ravel(), load)


def _uniform(mass_rate: float) -> Unchanging:
    return heat_fluxes(np.full((8, 8), 0.05), mass_rate)


@lru_cache(maxsize=1)
def heat_orders() -> tuple[float, float]:
    """The orders of convergence in space and in time, observed."""
    return observed_order_in_space(_manufactured), observed_order_in_time(_uniform)


class Heat(TimeDependent):
    """A smooth initial temperature of unit standard deviation that diffuses through a log-normal medium.

    The unit of time is the squared side length over the median of the coefficient.
    """

    name: ClassVar[str] = "heat"
    summary: ClassVar[str] = "The heat equation in a log-normal medium, Crank-Nicolson: one matrix for all steps"
    reference: ClassVar[str] = (
        'Crank and Nicolson, "A practical method for numerical evaluation of solutions of partial differential '
        'equations of the heat-conduction type", Proc. Camb. Phil. Soc. 43(1), 1947'
    )

    duration: float = Field(
        0.05, gt=0.0, le=1e4, description="time from the first state to the last, in units of side^2 / coefficient"
    )
    contrast: float = Field(1.0, ge=0.0, le=5.0, description="standard deviation of the logarithm of the coefficient")
    smoothness: float = Field(
        2.5, gt=1.0, le=8.0, description="alpha of the medium's covariance (-Laplace + tau^2)^-alpha"
    )
    inverse_length: float = Field(7.0, gt=0.0, le=100.0, description="tau of both covariances, per side length")
    source: float = Field(1.0, ge=-1e6, le=1e6, description="heat produced per unit area and time, f")

    def variables(self) -> dict[str, Variable]:
        """The medium and the initial state."""
        return {
            "coefficient": self._cell_field("thermal diffusivity"),
            "initial": self._cell_field("initial temperature"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Two independent Gaussian fields, the exponential of the first."""
        medium_random, initial_random = random.spawn(2)  # so that a finer grid continues either field
        medium = gaussian_field(medium_random, self.grid, self.smoothness, self.inverse_length)
        initial = vanishing_field(initial_random, self.grid, _INITIAL_SMOOTHNESS, self.inverse_length)
        return {
            "coefficient": np.exp(self.contrast / field_deviation(self.smoothness, self.inverse_length) * medium),
            "initial": initial / vanishing_deviation(_INITIAL_SMOOTHNESS, self.inverse_length),
        }

    def assemble(self, fields: Fields) -> Evolution:
        """Crank-Nicolson steps; the medium alone is the sort key, for the initial state does not enter the matrix."""
        coefficient, initial = fields["coefficient"], fields["initial"].ravel()
        load = np.full(initial.size, self.source / self.grid**2)
        scheme = ImplicitMidpoint(heat_fluxes(coefficient, self.mass_rate), self.mass_rate, load)
        return Evolution(initial, self.steps, scheme, coefficient.ravel(), symmetric=True, positive_definite=True)

    def solution(self) -> Variable:
        """The temperature."""
        return self._trajectory("temperature at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed orders of convergence and the diffusion number dt / h^2; no step is too long to be stable."""
        in_space, in_time = heat_orders()
        number = 1.0 / self.mass_rate
        return {"observed_order": in_space, "observed_order_in_time": in_time, "diffusion_number": number}
