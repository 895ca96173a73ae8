"""Poisson's equation -Laplace u = f on the unit square with Chebyshev-random source and boundary values."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.polynomial.chebyshev import chebval
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.grid_operators import five_point, interior_vertices
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]


@lru_cache(maxsize=8)
def poisson_matrix(cells: int) -> sp.csr_array:
    """The matrix of -h^2 Laplace at the (cells - 1)^2 interior vertices, one object for all: do not modify it."""
    size = (cells - 1, cells - 1)
    neighbour = np.full(size, -1.0)
    return five_point(neighbour, neighbour, np.full(size, 4.0), neighbour, neighbour)


def poisson_rhs(source: Array, left: Array, right: Array, bottom: Array, top: Array) -> Array:
    """Scale the source to :func:`poisson_matrix` and add the known neighbours of the outermost unknowns.

    Parameters
    ----------
    source : ndarray, shape (m, m), float64
        f at the interior vertices, indexed (y, x).
    left, right, bottom, top : ndarray, shape (m,), float64
        u on the four sides, in the direction of growing y or x.

    Returns
    -------
    ndarray, shape (m^2,), float64
    """
    spacing = 1.0 / (len(source) + 1)
    rhs = spacing**2 * source
    rhs[:, 0] += left
    rhs[:, -1] += right
    rhs[0] += bottom
    rhs[-1] += top
    return rhs.ravel()


def _manufactured(cells: int) -> Manufactured:
    """The solution u = cos(2 x + y) + exp(x - 2 y), which vanishes on no side."""
    line = interior_vertices(cells)
    y, x = np.meshgrid(line, line, indexing="ij")

    def wave(x: Array | float, y: Array | float) -> Array:
        return np.asarray(np.cos(2.0 * x + y))

    def decay(x: Array | float, y: Array | float) -> Array:
        return np.asarray(np.exp(x - 2.0 * y))

    sides = [wave(*point) + decay(*point) for point in ((0.0, line), (1.0, line), (line, 0.0), (line, 1.0))]
    rhs = poisson_rhs(5.0 * (wave(x, y) - decay(x, y)), *sides)
    return Manufactured(1.0 / cells, poisson_matrix(cells), rhs, (wave(x, y) + decay(x, y)).ravel())


@lru_cache(maxsize=1)
def poisson_order() -> float:
    """The order of convergence of the five-point scheme, observed."""
    return observed_order(_manufactured)


class Poisson(Problem):
    """Random polynomials as the source, a function of x, and as the values on the four sides.

    The coefficients are uniform in [-1, 1]. The matrix is the same for every instance: one factorisation, or a fast
    sine transform, serves them all. The repository of the paper evaluates the traces of all four sides at x, which
    makes those of the left and the right side constants; here each trace runs along its side.
    """

    name: ClassVar[str] = "poisson"
    summary: ClassVar[str] = "Poisson's equation, source and boundary values from random Chebyshev polynomials"
    reference: ClassVar[str] = (
        'Wang et al., "Accelerating Data Generation for Neural Operators via Krylov Subspace Recycling" (ICLR 2024)'
    )

    grid: GridSize = Field(64, ge=4, description="cells per side of the unit square")
    degree: int = Field(5, ge=0, le=64, description="degree of the Chebyshev polynomials")

    def variables(self) -> dict[str, Variable]:
        """Five coefficient vectors, which are all that an instance is made from."""
        meaning = "Chebyshev coefficients of the source and of the values on the left, right, bottom and top side"
        return {"chebyshev_coefficients": Variable(("function", "order"), (5, self.degree + 1), meaning)}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Coefficients uniform in [-1, 1]."""
        return {"chebyshev_coefficients": random.uniform(-1.0, 1.0, (5, self.degree + 1))}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The constant matrix, shared by all instances, and the right-hand side."""
        coefficients = fields["chebyshev_coefficients"]
        polynomials = chebval(2.0 * interior_vertices(self.grid) - 1.0, coefficients.T)
        source = np.broadcast_to(polynomials[0], (self.grid - 1, self.grid - 1))
        rhs = poisson_rhs(source, *polynomials[1:])
        return LinearSystem(
            poisson_matrix(self.grid), rhs, coefficients.ravel(), symmetric=True, positive_definite=True
        )

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The interior vertices."""
        return {"y": interior_vertices(self.grid), "x": interior_vertices(self.grid)}

    def solution(self) -> Variable:
        """The potential."""
        return Variable(("y", "x"), (self.grid - 1, self.grid - 1), "potential at interior vertices")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence."""
        return {"observed_order": poisson_order()}
