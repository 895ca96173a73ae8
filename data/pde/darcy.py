"""Steady flow in a porous medium: -div(a grad p) = f on the unit square, p = 0 on its boundary."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.fluxes import diffusion_stencil, face_conductances
from data.pde.grid_operators import cell_centres, five_point
from data.pde.random_fields import cosine_series, field_deviation, gaussian_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]

_SKR = 'Wang et al., "Accelerating Data Generation for Neural Operators via Krylov Subspace Recycling" (ICLR 2024)'
_FNO = 'Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (ICLR 2021)'


def darcy_system(coefficient: Array, source: Array) -> tuple[sp.csr_array, Array]:
    """Balance the fluxes of -div(a grad p) = f over the cells of the unit square, p = 0 on the boundary.

    Cell-centred finite volumes: a face between two cells conducts with the harmonic mean of their coefficients.

    Parameters
    ----------
    coefficient, source : ndarray, shape (n, n), float64
        Cell averages of a > 0 and f, indexed (y, x).

    Returns
    -------
    matrix : csr_array, shape (n^2, n^2), float64
        Symmetric positive definite M-matrix.
    rhs : ndarray, shape (n^2,), float64
        The integrals of the source over the cells.
    """
    stencil = diffusion_stencil(face_conductances(coefficient, axis=0), face_conductances(coefficient, axis=1))
    return five_point(*stencil), source.ravel() / len(coefficient) ** 2


def manufactured_flow(y: Array, x: Array, contrast: float = 1.0) -> tuple[Array, Array, Array]:
    """A known flow: coefficient exp(contrast sin(2 x + y)), pressure sin(pi x) sin(2 pi y), and their source."""
    coefficient = np.exp(contrast * np.sin(2.0 * x + y))
    pressure = np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    log_slope = contrast * np.cos(2.0 * x + y)
    slope_x = np.pi * np.cos(np.pi * x) * np.sin(2.0 * np.pi * y)
    slope_y = 2.0 * np.pi * np.sin(np.pi * x) * np.cos(2.0 * np.pi * y)
    return coefficient, pressure, coefficient * (5.0 * np.pi**2 * pressure - log_slope * (2.0 * slope_x + slope_y))


def _manufactured(cells: int) -> Manufactured:
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    coefficient, pressure, source = manufactured_flow(y, x)
    return Manufactured(1.0 / cells, *darcy_system(coefficient, source), pressure.ravel())


@lru_cache(maxsize=1)
def darcy_order() -> float:
    """The order of convergence of :func:`darcy_system`, observed."""
    return observed_order(_manufactured)


class DarcyFlow(Problem):
    """What all Darcy problems share: the grid, the equation with f = 1, and its discretisation."""

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")

    def variables(self) -> dict[str, Variable]:
        """The conductivity of every cell."""
        return {"coefficient": Variable(("y", "x"), (self.grid, self.grid), "hydraulic conductivity")}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The finite-volume system with a unit source."""
        matrix, rhs = darcy_system(fields["coefficient"], np.ones((self.grid, self.grid)))
        return LinearSystem(matrix, rhs, self._sort_key(fields), symmetric=True, positive_definite=True)

    def _sort_key(self, fields: Fields) -> Array:
        return fields["coefficient"].ravel()

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The cell centres."""
        return {"y": cell_centres(self.grid), "x": cell_centres(self.grid)}

    def solution(self) -> Variable:
        """The pressure head."""
        return Variable(("y", "x"), (self.grid, self.grid), "pressure head at cell centres")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence."""
        return {"observed_order": darcy_order()}


class _RandomMedium(DarcyFlow):
    """A medium made from a Gaussian random field."""

    smoothness: float = Field(
        2.5, gt=1.0, le=8.0, description="alpha of the field's covariance (-Laplace + tau^2)^-alpha (2 in FNO's data)"
    )
    inverse_length: float = Field(
        7.0, gt=0.0, le=100.0, description="tau of the covariance, per side length (3 in FNO's data)"
    )

    def _field(self, random: np.random.Generator) -> Array:
        return gaussian_field(random, self.grid, self.smoothness, self.inverse_length)


class DarcyLognormal(_RandomMedium):
    """A smooth medium: the logarithm of the coefficient is a Gaussian random field."""

    name: ClassVar[str] = "darcy-lognormal"
    summary: ClassVar[str] = "Darcy flow through a log-normal medium, second-order finite volumes"
    reference: ClassVar[str] = _SKR

    normalise: bool = Field(False, description="scale the logarithm of the coefficient to unit standard deviation")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The exponential of a field."""
        scale = field_deviation(self.smoothness, self.inverse_length) if self.normalise else 1.0
        return {"coefficient": np.exp(self._field(random) / scale)}


class DarcyThresholded(_RandomMedium):
    """A two-phase medium: the sign of a Gaussian random field chooses the coefficient."""

    name: ClassVar[str] = "darcy-thresholded"
    summary: ClassVar[str] = "Darcy flow through a two-phase medium, second-order finite volumes"
    reference: ClassVar[str] = _FNO

    high: float = Field(12.0, gt=0.0, le=1e8, description="coefficient where the field is positive or zero")
    low: float = Field(3.0, gt=0.0, le=1e8, description="coefficient where the field is negative")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The phase of every cell."""
        return {"coefficient": np.where(self._field(random) >= 0.0, self.high, self.low)}


@lru_cache(maxsize=32)
def _longest_waves(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The mode numbers (ky, kx) of the ``count`` longest waves, the constant left out."""
    ky, kx = np.indices((count + 1, count + 1)).reshape(2, -1)
    longest = np.lexsort((ky, ky**2 + kx**2))[1 : count + 1]
    return ky[longest], kx[longest]


class DarcyParametric(DarcyFlow):
    """A medium of few parameters: its logarithm is a sum of fixed cosine modes, each with its own weight."""

    name: ClassVar[str] = "darcy-parametric"
    summary: ClassVar[str] = "Darcy flow through a medium of few parameters, the case in which sorting has most to find"
    reference: ClassVar[str] = _SKR

    modes: int = Field(2, ge=1, le=14, description="number of cosine modes, the longest waves first")
    contrast: float = Field(0.5, gt=0.0, le=5.0, description="standard deviation of the logarithm of the coefficient")

    def variables(self) -> dict[str, Variable]:
        """The weights, and the coefficient they make."""
        weights = Variable(("mode",), (self.modes,), "weights of the modes in the logarithm of the conductivity")
        return {"mode_weights": weights, **super().variables()}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Independent normal weights, scaled to the contrast."""
        weights = self.contrast / np.sqrt(self.modes) * random.standard_normal(self.modes)
        series = np.zeros((self.grid, self.grid))
        series[_longest_waves(self.modes)] = weights
        return {"mode_weights": weights, "coefficient": np.exp(cosine_series(series, "centres"))}

    def _sort_key(self, fields: Fields) -> Array:
        return np.asarray(fields["mode_weights"])
