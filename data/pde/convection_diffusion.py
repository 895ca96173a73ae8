"""A tracer carried and spread by a flow: -nu Laplace u + v . grad u = f on the unit square, u = 0 on its boundary."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.fluxes import convection_stencil, face_flows, uniform_conductances
from data.pde.grid_operators import cell_centres, five_point
from data.pde.random_fields import field_deviation, gaussian_field, gradient_deviation
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]

_SOURCE_SMOOTHNESS = 2.0


def convection_diffusion_system(stream_function: Array, source: Array, viscosity: float) -> tuple[sp.csr_array, Array]:
    """Balance the diffusive and convective fluxes over the cells, v = (d psi / dy, -d psi / dx), u = 0 outside.

    Cell-centred finite volumes with central convective fluxes.

    Parameters
    ----------
    stream_function : ndarray, shape (n + 1, n + 1), float64
        psi at the vertices, indexed (y, x).
    source : ndarray, shape (n, n), float64
        Cell averages of f.
    viscosity : float

    Returns
    -------
    matrix : csr_array, shape (n^2, n^2), float64
        Nonsymmetric. Where no flow crosses the boundary, the symmetric part is that of the diffusion alone.
    rhs : ndarray, shape (n^2,), float64
        The integrals of the source over the cells.
    """
    cells = len(source)
    stencil = convection_stencil(*uniform_conductances(cells, viscosity), *face_flows(stream_function))
    return five_point(*stencil), source.ravel() / cells**2


def _manufactured(cells: int) -> Manufactured:
    """The solution u = sin(pi x) sin(2 pi y) in the flow of psi = sin(2 x + y^2), at viscosity 0.05."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    vertices = np.arange(cells + 1) / cells
    stream_function = np.sin(2.0 * vertices + vertices[:, None] ** 2)
    exact = np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_x = np.pi * np.cos(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_y = 2.0 * np.pi * np.sin(np.pi * x) * np.cos(2.0 * np.pi * y)
    viscosity = 0.05
    source = viscosity * 5.0 * np.pi**2 * exact + 2.0 * np.cos(2.0 * x + y**2) * (y * slope_x - slope_y)
    return Manufactured(1.0 / cells, *convection_diffusion_system(stream_function, source, viscosity), exact.ravel())


@lru_cache(maxsize=1)
def convection_diffusion_order() -> float:
    """The order of convergence of :func:`convection_diffusion_system`, observed."""
    return observed_order(_manufactured)


class ConvectionDiffusion(Problem):
    """A random divergence-free flow of root-mean-square speed 1 (in expectation) and a random source."""

    name: ClassVar[str] = "convection-diffusion"
    summary: ClassVar[str] = "Convection and diffusion in a random incompressible flow: nonsymmetric"
    reference: ClassVar[str] = (
        "Elman, Silvester and Wathen, Finite Elements and Fast Iterative Solvers (Oxford, 2nd ed. 2014), chapter 6"
    )

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")
    viscosity: float = Field(0.02, ge=1e-6, le=1e3, description="viscosity nu, in units of speed times side length")
    smoothness: float = Field(3.0, gt=2.0, le=8.0, description="alpha of the stream function's covariance")
    inverse_length: float = Field(3.0, gt=0.0, le=100.0, description="tau of both covariances, per side length")

    @property
    def cell_peclet(self) -> float:
        """Root-mean-square speed times cell width over viscosity; central fluxes may oscillate above 2."""
        return 1.0 / (self.grid * self.viscosity)

    def variables(self) -> dict[str, Variable]:
        """The flow, by its stream function, and the source."""
        vertices = (self.grid + 1, self.grid + 1)
        return {
            "stream_function": Variable(("y_vertex", "x_vertex"), vertices, "stream function of the flow"),
            "source": Variable(("y", "x"), (self.grid, self.grid), "source, of unit variance"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Two independent Gaussian fields."""
        flow_random, source_random = random.spawn(2)  # so that a finer grid continues either field
        flow = gaussian_field(flow_random, self.grid, self.smoothness, self.inverse_length, at="vertices")
        source = gaussian_field(source_random, self.grid, _SOURCE_SMOOTHNESS, self.inverse_length)
        return {
            "stream_function": flow / gradient_deviation(self.smoothness, self.inverse_length),
            "source": source / field_deviation(_SOURCE_SMOOTHNESS, self.inverse_length),
        }

    def assemble(self, fields: Fields) -> LinearSystem:
        """The flux balances; the flow alone is the sort key, for the source does not enter the matrix."""
        stream_function = fields["stream_function"]
        matrix, rhs = convection_diffusion_system(stream_function, fields["source"], self.viscosity)
        return LinearSystem(matrix, rhs, stream_function.ravel())

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The cell centres and the vertices."""
        centres, vertices = cell_centres(self.grid), np.arange(self.grid + 1) / self.grid
        return {"y": centres, "x": centres, "y_vertex": vertices, "x_vertex": vertices}

    def solution(self) -> Variable:
        """The concentration."""
        return Variable(("y", "x"), (self.grid, self.grid), "concentration at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence and the cell Peclet number."""
        return {"observed_order": convection_diffusion_order(), "cell_peclet": self.cell_peclet}
