"""Steady flow in a three-dimensional porous medium: -div(a grad p) = f on the unit cube, p = 0 on its boundary."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.fluxes import face_conductances
from data.pde.grid_operators import cell_centres, seven_point
from data.pde.random_fields import field_deviation, gaussian_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import CubeSize

Array = NDArray[np.float64]


def darcy_cube_system(coefficient: Array, source: Array) -> tuple[sp.csr_array, Array]:
    """Balance the fluxes of -div(a grad p) = f over the cells of the unit cube, p = 0 on the boundary, divided by h.

    Cell-centred finite volumes: a face between two cells conducts with the harmonic mean of their coefficients.

    Parameters
    ----------
    coefficient, source : ndarray, shape (n, n, n), float64
        Cell averages of a > 0 and f, indexed (z, y, x).

    Returns
    -------
    matrix : csr_array, shape (n^3, n^3), float64
        Symmetric positive definite M-matrix.
    rhs : ndarray, shape (n^3,), float64
        The integrals of the source over the cells, divided by h.
    """
    across_z, across_y, across_x = (face_conductances(coefficient, axis) for axis in range(3))
    below, above, south, north = across_z[:-1], across_z[1:], across_y[:, :-1], across_y[:, 1:]
    west, east = across_x[:, :, :-1], across_x[:, :, 1:]
    centre = below + south + west + east + north + above
    matrix = seven_point(-below, -south, -west, centre, -east, -north, -above)
    return matrix, source.ravel() / len(coefficient) ** 2


def _manufactured(cells: int) -> Manufactured:
    """The pressure sin(pi x) sin(2 pi y) sin(pi z) in the medium exp(sin(2 x + y - z))."""
    z, y, x = np.meshgrid(*[cell_centres(cells)] * 3, indexing="ij")
    coefficient, log_slope = np.exp(np.sin(2.0 * x + y - z)), np.cos(2.0 * x + y - z)
    wave_x, wave_y, wave_z = np.sin(np.pi * x), np.sin(2.0 * np.pi * y), np.sin(np.pi * z)
    pressure = wave_x * wave_y * wave_z
    slope_x = np.pi * np.cos(np.pi * x) * wave_y * wave_z
    slope_y = 2.0 * np.pi * np.cos(2.0 * np.pi * y) * wave_x * wave_z
    slope_z = np.pi * np.cos(np.pi * z) * wave_x * wave_y
    source = coefficient * (6.0 * np.pi**2 * pressure - log_slope * (2.0 * slope_x + slope_y - slope_z))
    return Manufactured(1.0 / cells, *darcy_cube_system(coefficient, source), pressure.ravel())


@lru_cache(maxsize=1)
def darcy_cube_order() -> float:
    """The order of convergence of :func:`darcy_cube_system`, observed."""
    return observed_order(_manufactured, grids=(8, 12, 16))


class DarcyCube(Problem):
    """A smooth three-dimensional medium: the logarithm of the coefficient is a Gaussian random field."""

    name: ClassVar[str] = "darcy-3d"
    summary: ClassVar[str] = "Darcy flow through a three-dimensional log-normal medium, second-order finite volumes"
    reference: ClassVar[str] = (
        'Cliffe, Giles, Scheichl and Teckentrup, "Multilevel Monte Carlo methods and applications to elliptic PDEs '
        'with random coefficients", Comput. Visual. Sci. 14, 2011'
    )

    grid: CubeSize = Field(32, ge=4, description="cells per side of the unit cube")
    contrast: float = Field(1.0, ge=0.0, le=5.0, description="standard deviation of the logarithm of the coefficient")
    smoothness: float = Field(
        3.0, gt=1.5, le=8.0, description="alpha of the field's covariance (-Laplace + tau^2)^-alpha"
    )
    inverse_length: float = Field(7.0, gt=0.0, le=100.0, description="tau of the covariance, per side length")

    def _cells(self, meaning: str) -> Variable:
        return Variable(("z", "y", "x"), (self.grid, self.grid, self.grid), meaning)

    def variables(self) -> dict[str, Variable]:
        """The conductivity of every cell."""
        return {"coefficient": self._cells("hydraulic conductivity")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The exponential of a field."""
        field = gaussian_field(random, self.grid, self.smoothness, self.inverse_length, dimensions=3)
        scale = self.contrast / field_deviation(self.smoothness, self.inverse_length, dimensions=3)
        return {"coefficient": np.exp(scale * field)}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The finite-volume system with a unit source."""
        coefficient = fields["coefficient"]
        matrix, rhs = darcy_cube_system(coefficient, np.ones_like(coefficient))
        return LinearSystem(matrix, rhs, coefficient.ravel(), symmetric=True, positive_definite=True)

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The cell centres."""
        return {axis: cell_centres(self.grid) for axis in ("z", "y", "x")}

    def solution(self) -> Variable:
        """The pressure head."""
        return self._cells("pressure head at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence."""
        return {"observed_order": darcy_cube_order()}
