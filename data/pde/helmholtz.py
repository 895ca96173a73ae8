"""Waves in a closed square: -Laplace u - k(x, y)^2 u = f, u = 0 on the boundary, with a random wave-number field."""

from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.linear_system import LinearSystem
from data.pde.grid_operators import five_point, interior_vertices
from data.pde.random_fields import field_deviation, gaussian_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]

_CLIP = 2.5  # standard deviations beyond which the field is cut off, so that the grid resolves every wave
_SOURCE_WIDTH = 0.05
_LEAST_POINTS_PER_WAVELENGTH = 6.0


def helmholtz_system(wave_number: Array, source: Array) -> tuple[sp.csr_array, Array]:
    """Discretise -Laplace u - k^2 u = f with u = 0 on the boundary by the five-point scheme, multiplied by h^2.

    Parameters
    ----------
    wave_number, source : ndarray, shape (m, m), float64
        k and f at the interior vertices, indexed (y, x).

    Returns
    -------
    matrix : csr_array, shape (m^2, m^2), float64
        Symmetric, indefinite as soon as k^2 exceeds the least eigenvalue of -Laplace, 2 pi^2.
    rhs : ndarray, shape (m^2,), float64
    """
    spacing = 1.0 / (len(wave_number) + 1)
    neighbour = np.full(wave_number.shape, -1.0)
    matrix = five_point(neighbour, neighbour, 4.0 - (spacing * wave_number) ** 2, neighbour, neighbour)
    return matrix, spacing**2 * source.ravel()


def _manufactured(cells: int) -> Manufactured:
    """The solution u = sin(2 pi x) sin(pi y) where k = 5 + sin(x + 2 y), which makes the operator indefinite."""
    line = interior_vertices(cells)
    y, x = np.meshgrid(line, line, indexing="ij")
    wave_number = 5.0 + np.sin(x + 2.0 * y)
    exact = np.sin(2.0 * np.pi * x) * np.sin(np.pi * y)
    source = (5.0 * np.pi**2 - wave_number**2) * exact
    return Manufactured(1.0 / cells, *helmholtz_system(wave_number, source), exact.ravel())


@lru_cache(maxsize=1)
def helmholtz_order() -> float:
    """The order of convergence of :func:`helmholtz_system`, observed."""
    return observed_order(_manufactured)


class Helmholtz(Problem):
    """A Gaussian source in a cavity whose wave number is k0 (1 + amplitude g), g a clipped Gaussian random field.

    The paper states Laplace u + k^2 u = 0; without a source and with zero boundary values that has only the trivial
    solution, so the waves need a source here. Its repository solves another problem: one constant k, uniform in
    [0, 1], on the matrix of ``darcy-published``, where k is far too small to make a wave.

    ``grid`` is checked against ``wave_number``; where the field peaks, the wavelength is shorter by up to the factor
    1 + 2.5 ``amplitude``.
    """

    name: ClassVar[str] = "helmholtz"
    summary: ClassVar[str] = "Helmholtz's equation with a random wave-number field: symmetric, indefinite"
    reference: ClassVar[str] = (
        'Wang et al., "Accelerating Data Generation for Neural Operators via Krylov Subspace Recycling" (ICLR 2024)'
    )

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")
    wave_number: float = Field(25.0, gt=0.0, le=2000.0, description="mean wave number k0, radians per side length")
    amplitude: float = Field(0.2, ge=0.0, le=0.39, description="relative standard deviation of the wave number")
    smoothness: float = Field(
        2.0, gt=1.0, le=8.0, description="alpha of the field's covariance (-Laplace + tau^2)^-alpha"
    )
    inverse_length: float = Field(3.0, gt=0.0, le=100.0, description="tau of the covariance, per side length")

    @property
    def points_per_wavelength(self) -> float:
        """Grid points per mean wavelength 2 pi / k0."""
        return 2.0 * np.pi * self.grid / self.wave_number

    @model_validator(mode="after")
    def _resolves_the_waves(self) -> Self:
        if self.points_per_wavelength < _LEAST_POINTS_PER_WAVELENGTH:
            raise ValueError(
                f"grid={self.grid} gives {self.points_per_wavelength:.1f} points per wavelength at "
                f"wave_number={self.wave_number:g}; at least {_LEAST_POINTS_PER_WAVELENGTH:g} are needed"
            )
        return self

    def _line(self) -> Array:
        """The unknowns' points along either direction."""
        return interior_vertices(self.grid)

    def _medium(self, random: np.random.Generator) -> Array:
        """A Gaussian field at the unknowns' points."""
        return gaussian_field(random, self.grid, self.smoothness, self.inverse_length, at="vertices")[1:-1, 1:-1]

    def variables(self) -> dict[str, Variable]:
        """The wave number and the source."""
        shape = (self._line().size,) * 2
        return {
            "wave_number": Variable(("y", "x"), shape, "wave number"),
            "source": Variable(("y", "x"), shape, "Gaussian source of width 0.05"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A random medium, and a source somewhere in its middle."""
        centre_y, centre_x = random.uniform(0.3, 0.7, 2)
        field = np.clip(self._medium(random) / field_deviation(self.smoothness, self.inverse_length), -_CLIP, _CLIP)
        profile_y, profile_x = (np.exp(-0.5 * ((self._line() - c) / _SOURCE_WIDTH) ** 2) for c in (centre_y, centre_x))
        wave_number = self.wave_number * (1.0 + self.amplitude * field)
        return {"wave_number": wave_number, "source": np.outer(profile_y, profile_x)}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The symmetric indefinite system, multiplied by h^2."""
        matrix, rhs = helmholtz_system(fields["wave_number"], fields["source"])
        return LinearSystem(matrix, rhs, fields["wave_number"].ravel(), symmetric=True)

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The unknowns' points."""
        return {"y": self._line(), "x": self._line()}

    def solution(self) -> Variable:
        """The amplitude."""
        return Variable(("y", "x"), (self.grid - 1, self.grid - 1), "wave amplitude at interior vertices")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence and the resolution of the waves."""
        return {"observed_order": helmholtz_order(), "points_per_wavelength": self.points_per_wavelength}
