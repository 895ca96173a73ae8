"""The systems that the repository of the SKR paper calls Darcy flow, as it assembles them."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.darcy import manufactured_flow
from data.pde.grid_operators import five_point
from data.pde.random_fields import periodic_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

Array = NDArray[np.float64]

PUBLISHED_SHIFT = 2


def published_matrix(coefficient: Array, shift: int = PUBLISHED_SHIFT) -> sp.csr_array:
    """Assemble the matrix of the repository's Darcy systems.

    A row holds 4 a at its own point and minus the neighbour's a beside it. Were each coefficient that of its own
    neighbour, this would be -h^2 Laplace(a p). The diagonal of the southern neighbours, however, is cut ``shift``
    entries too late out of the row-by-row list of their coefficients: the row of point number r multiplies p at its
    southern neighbour by the coefficient that belongs to row r - shift. That adds a term of the size of
    (shift / h) da/dx p, which grows as the grid is refined.

    Parameters
    ----------
    coefficient : ndarray, shape (s + 2, s + 2), float64
        At the interior points and the ring of boundary points around them, indexed (y, x).
    shift : int
        By how many entries the southern diagonal is off: 2 as published, 0 for -h^2 Laplace(a p).

    Returns
    -------
    csr_array, shape (s^2, s^2), float64
        Nonsymmetric; with the published shift it may have eigenvalues of negative real part.
    """
    centre = coefficient[1:-1, 1:-1]
    # rolling wraps only into the first row, which has no southern neighbour inside the grid
    south = np.roll(coefficient[:-2, 1:-1].ravel(), shift).reshape(centre.shape)
    return five_point(-south, -coefficient[1:-1, :-2], 4.0 * centre, -coefficient[1:-1, 2:], -coefficient[2:, 1:-1])


def _known_flow(interior: int) -> tuple[float, Array, Array, Array]:
    line = np.linspace(0.0, 1.0, interior + 2)
    return 1.0 / (interior + 1), *manufactured_flow(*np.meshgrid(line, line, indexing="ij"), contrast=0.2)


def _manufactured_laplacian(interior: int) -> Manufactured:
    """The equation -Laplace(a p) = f, discretised without the shift, where a p is the known flow's pressure."""
    spacing, coefficient, product, _ = _known_flow(interior)
    product = product[1:-1, 1:-1].ravel()
    exact = product / coefficient[1:-1, 1:-1].ravel()
    return Manufactured(spacing, published_matrix(coefficient, shift=0), 5.0 * (np.pi * spacing) ** 2 * product, exact)


def _manufactured_darcy(interior: int) -> Manufactured:
    """The paper's equation -div(a grad p) = f, in the published matrix."""
    spacing, coefficient, pressure, source = _known_flow(interior)
    rhs = spacing**2 * source[1:-1, 1:-1].ravel()
    return Manufactured(spacing, published_matrix(coefficient), rhs, pressure[1:-1, 1:-1].ravel())


@lru_cache(maxsize=1)
def published_orders() -> dict[str, float]:
    """The orders observed: as published against Darcy's equation, and unshifted against -Laplace(a p) = f."""
    return {
        "observed_order": observed_order(_manufactured_darcy),
        "observed_order_of_laplacian_without_shift": observed_order(_manufactured_laplacian),
    }


class DarcyPublished(Problem):
    """The systems on which the paper's Darcy figures were measured.

    What is known, from the generator in the paper's repository: the coefficient is the exponential of a *periodic*
    Gaussian random field with covariance tau^(2 alpha - 2) (-Laplace + tau^2)^-alpha on (s + 2)^2 points; the matrix
    is that of :func:`published_matrix`; the right-hand side is h^2 with h = 1 / (s - 1), though the points of the
    grid are 1 / (s + 1) apart. The repository's Helmholtz systems are these with h^2 k^2 subtracted from the
    diagonal, one k uniform in [0, 1] for each system. Its fields are drawn in single precision, these in double.

    The solutions are not Darcy's and do not converge to it: ``verification`` reports both orders.
    """

    name: ClassVar[str] = "darcy-published"
    summary: ClassVar[str] = "The SKR repository's Darcy matrices as published: nonsymmetric, NOT a Darcy solution"
    reference: ClassVar[str] = (
        'Wang et al., "Accelerating Data Generation for Neural Operators via Krylov Subspace Recycling" (ICLR 2024), '
        "matrices of its repository, NO-DataGen-SKR"
    )

    grid: GridSize = Field(98, ge=4, description="interior points per side, s; the paper's systems have s^2 rows")
    smoothness: float = Field(
        2.5, gt=1.0, le=8.0, description="alpha of the field's covariance (-Laplace + tau^2)^-alpha"
    )
    inverse_length: float = Field(7.0, gt=0.0, le=100.0, description="tau of the covariance, per side length")

    def variables(self) -> dict[str, Variable]:
        """The coefficient, boundary points included."""
        size = self.grid + 2
        return {"coefficient": Variable(("y_point", "x_point"), (size, size), "coefficient, with its boundary points")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The exponential of a periodic field."""
        return {"coefficient": np.exp(periodic_field(random, self.grid + 2, self.smoothness, self.inverse_length))}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The published matrix, with the published right-hand side."""
        coefficient = fields["coefficient"]
        rhs = np.full(self.grid**2, 1.0 / (self.grid - 1) ** 2)
        # the repository blanks the two boundary columns, so that its sort does not see them
        return LinearSystem(published_matrix(coefficient), rhs, coefficient[:, 1:-1].ravel())

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The points of the coefficient, and the interior ones of the solution."""
        points = np.linspace(0.0, 1.0, self.grid + 2)
        return {"y_point": points, "x_point": points, "y": points[1:-1], "x": points[1:-1]}

    def solution(self) -> Variable:
        """The unknowns at the interior points."""
        return Variable(("y", "x"), (self.grid, self.grid), "solution of the published system, not Darcy's pressure")

    def verification(self) -> dict[str, float]:
        """The orders against Darcy's equation and, without the shift, against -Laplace(a p) = f."""
        return dict(published_orders())
