"""Convection in closed eddies that outweighs diffusion: v . grad u - nu Laplace u = f, u = 0 on the boundary."""

from functools import lru_cache, partial
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.fluxes import convection_stencil, face_flows, uniform_conductances
from data.pde.grid_operators import cell_centres, five_point
from data.pde.random_fields import field_deviation, gaussian_field
from data.pde.vanishing_fields import vanishing_deviation, vanishing_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]
Fluxes = Literal["upwind", "central"]

_SOURCE_SMOOTHNESS = 2.0


def recirculation_system(
    stream_function: Array, source: Array, viscosity: float, fluxes: Fluxes
) -> tuple[sp.csr_array, Array]:
    """Balance the diffusive and convective fluxes over the cells, v = (d psi / dy, -d psi / dx), u = 0 outside.

    Parameters
    ----------
    stream_function : ndarray, shape (n + 1, n + 1), float64
        psi at the vertices, indexed (y, x); constant along the boundary, which no flow crosses.
    source : ndarray, shape (n, n), float64
        Cell averages of f.
    viscosity : float
    fluxes : {"upwind", "central"}
        A face carries the value of the cell the flow comes from: first order, never oscillates. Or it carries the mean
        of the two beside it: second order, may oscillate where the cell Peclet number exceeds 2.

    Returns
    -------
    matrix : csr_array, shape (n^2, n^2), float64
        Nonsymmetric; with upwind fluxes an M-matrix.
    rhs : ndarray, shape (n^2,), float64
        The integrals of the source over the cells.
    """
    flow_y, flow_x = face_flows(stream_function)
    conductance_y, conductance_x = uniform_conductances(len(source), viscosity)
    if fluxes == "upwind":
        conductance_y, conductance_x = conductance_y + 0.5 * np.abs(flow_y), conductance_x + 0.5 * np.abs(flow_x)
    stencil = convection_stencil(conductance_y, conductance_x, flow_y, flow_x)
    return five_point(*stencil), source.ravel() / len(source) ** 2


def _manufactured(fluxes: Fluxes, cells: int) -> Manufactured:
    """The solution u = sin(pi x) sin(2 pi y) in the eddy psi = sin(pi x) sin(pi y) / pi, at viscosity 0.05."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    line = np.sin(np.pi * np.arange(cells + 1) / cells)
    stream_function = np.outer(line, line) / np.pi
    exact = np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_x = np.pi * np.cos(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_y = 2.0 * np.pi * np.sin(np.pi * x) * np.cos(2.0 * np.pi * y)
    speed_x, speed_y = np.sin(np.pi * x) * np.cos(np.pi * y), -np.cos(np.pi * x) * np.sin(np.pi * y)
    viscosity = 0.05
    source = viscosity * 5.0 * np.pi**2 * exact + speed_x * slope_x + speed_y * slope_y
    system = recirculation_system(stream_function, source, viscosity, fluxes)
    return Manufactured(1.0 / cells, *system, exact.ravel())


@lru_cache(maxsize=2)
def recirculation_order(fluxes: Fluxes) -> float:
    """The order of convergence of :func:`recirculation_system`, observed."""
    return observed_order(partial(_manufactured, fluxes), grids=(32, 64, 128))


class Recirculation(Problem):
    """Random eddies of root-mean-square speed 1 (in expectation) that stay in the box, and a random source."""

    name: ClassVar[str] = "convection-diffusion-recirculating"
    summary: ClassVar[str] = "Convection in random closed eddies far stronger than diffusion: strongly nonsymmetric"
    reference: ClassVar[str] = (
        "Elman, Silvester and Wathen, Finite Elements and Fast Iterative Solvers (Oxford, 2nd ed. 2014), chapter 6"
    )

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")
    cell_peclet: float = Field(20.0, gt=0.0, le=100.0, description="speed times cell width over viscosity")
    fluxes: Fluxes = Field(
        "upwind", description="what a face carries: upwind never oscillates, central is more precise"
    )
    smoothness: float = Field(4.0, gt=2.0, le=8.0, description="alpha of the stream function's covariance")
    inverse_length: float = Field(3.0, gt=0.0, le=100.0, description="tau of both covariances, per side length")

    @property
    def viscosity(self) -> float:
        """The nu of the equation, in units of speed times side length."""
        return 1.0 / (self.grid * self.cell_peclet)

    def variables(self) -> dict[str, Variable]:
        """The flow, by its stream function, and the source."""
        vertices = (self.grid + 1, self.grid + 1)
        return {
            "stream_function": Variable(("y_vertex", "x_vertex"), vertices, "stream function of the flow, 0 on walls"),
            "source": Variable(("y", "x"), (self.grid, self.grid), "source, of unit variance"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Two independent Gaussian fields."""
        flow_random, source_random = random.spawn(2)  # so that a finer grid continues either field
        flow = vanishing_field(flow_random, self.grid, self.smoothness, self.inverse_length, at="vertices")
        source = gaussian_field(source_random, self.grid, _SOURCE_SMOOTHNESS, self.inverse_length)
        return {
            "stream_function": flow / vanishing_deviation(self.smoothness, self.inverse_length, derivatives=1),
            "source": source / field_deviation(_SOURCE_SMOOTHNESS, self.inverse_length),
        }

    def assemble(self, fields: Fields) -> LinearSystem:
        """The flux balances; the flow alone is the sort key, for the source does not enter the matrix."""
        flow = fields["stream_function"]
        return LinearSystem(*recirculation_system(flow, fields["source"], self.viscosity, self.fluxes), flow.ravel())

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The cell centres and the vertices."""
        centres, vertices = cell_centres(self.grid), np.arange(self.grid + 1) / self.grid
        return {"y": centres, "x": centres, "y_vertex": vertices, "x_vertex": vertices}

    def solution(self) -> Variable:
        """The concentration."""
        return Variable(("y", "x"), (self.grid, self.grid), "concentration at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence, 1 with upwind fluxes, and the viscosity."""
        return {"observed_order": recirculation_order(self.fluxes), "viscosity": self.viscosity}
