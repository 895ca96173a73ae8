"""Steady flow in a layered medium that conducts better along x: -(a p_x)_x - (a / r p_y)_y = f, p = 0 outside."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.darcy import DarcyFlow
from data.pde.fluxes import diffusion_stencil, face_conductances
from data.pde.grid_operators import cell_centres, five_point
from data.pde.random_fields import field_deviation, gaussian_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields

Array = NDArray[np.float64]


def anisotropic_system(coefficient_y: Array, coefficient_x: Array, source: Array) -> tuple[sp.csr_array, Array]:
    """Balance the fluxes of a medium with a diagonal conductivity over the cells of the unit square, p = 0 outside.

    Parameters
    ----------
    coefficient_y, coefficient_x, source : ndarray, shape (n, n), float64
        Cell averages of the conductivities along y and x, both positive, and of f, indexed (y, x).

    Returns
    -------
    matrix : csr_array, shape (n^2, n^2), float64
        Symmetric positive definite M-matrix.
    rhs : ndarray, shape (n^2,), float64
        The integrals of the source over the cells.
    """
    stencil = diffusion_stencil(face_conductances(coefficient_y, axis=0), face_conductances(coefficient_x, axis=1))
    return five_point(*stencil), source.ravel() / len(source) ** 2


def _manufactured(cells: int) -> Manufactured:
    """The pressure sin(pi x) sin(2 pi y) where 100 exp(sin(2 x + y)) conducts along x and a 100th of it along y."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    coefficient_x, log_slope = 100.0 * np.exp(np.sin(2.0 * x + y)), np.cos(2.0 * x + y)
    coefficient_y = coefficient_x / 100.0
    pressure = np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_x = np.pi * np.cos(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_y = 2.0 * np.pi * np.sin(np.pi * x) * np.cos(2.0 * np.pi * y)
    source = coefficient_x * (np.pi**2 * pressure - 2.0 * log_slope * slope_x)
    source += coefficient_y * (4.0 * np.pi**2 * pressure - log_slope * slope_y)
    return Manufactured(1.0 / cells, *anisotropic_system(coefficient_y, coefficient_x, source), pressure.ravel())


@lru_cache(maxsize=1)
def anisotropic_order() -> float:
    """The order of convergence of :func:`anisotropic_system`, observed."""
    return observed_order(_manufactured)


class DarcyAnisotropic(DarcyFlow):
    """A log-normal medium that conducts ``anisotropy`` times better along x than along y."""

    name: ClassVar[str] = "darcy-anisotropic"
    summary: ClassVar[str] = "Darcy flow through a log-normal medium that conducts far better along x than along y"
    reference: ClassVar[str] = "Trottenberg, Oosterlee and Schüller, Multigrid (Academic Press 2001), section 5.1"

    anisotropy: float = Field(100.0, ge=1.0, le=1000.0, description="conductivity along x over that along y")
    contrast: float = Field(1.0, ge=0.0, le=5.0, description="standard deviation of the logarithm of the coefficient")
    smoothness: float = Field(
        2.5, gt=1.0, le=8.0, description="alpha of the field's covariance (-Laplace + tau^2)^-alpha"
    )
    inverse_length: float = Field(7.0, gt=0.0, le=100.0, description="tau of the covariance, per side length")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The exponential of a field: the conductivity along x."""
        field = gaussian_field(random, self.grid, self.smoothness, self.inverse_length)
        scale = self.contrast / field_deviation(self.smoothness, self.inverse_length)
        return {"coefficient": np.exp(scale * field)}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The finite-volume system with a unit source."""
        coefficient = fields["coefficient"]
        matrix, rhs = anisotropic_system(coefficient / self.anisotropy, coefficient, np.ones_like(coefficient))
        return LinearSystem(matrix, rhs, self._sort_key(fields), symmetric=True, positive_definite=True)

    def verification(self) -> dict[str, float]:
        """The observed order of convergence."""
        return {"observed_order": anisotropic_order()}
