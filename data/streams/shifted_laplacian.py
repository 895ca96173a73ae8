"""A Laplacian shifted at random: the stream of systems that solver parameters are learned on."""

import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import betaincinv

from data.linear_system import LinearSystem
from data.pde.grid_operators import interior_vertices
from data.pde.poisson import poisson_matrix
from data.problem import Fields, Problem, Variable
from data.validation import GridSize


def smallest_eigenvalue(cells: int) -> float:
    """The smallest eigenvalue of :func:`~data.pde.poisson.poisson_matrix`, 8 sin^2(pi / (2 cells))."""
    return 8.0 * math.sin(math.pi / (2.0 * cells)) ** 2


@lru_cache(maxsize=8)
def _diagonal_positions(cells: int) -> NDArray[np.intp]:
    """Where the data of the Laplacian hold its diagonal, the only positive entries."""
    return np.flatnonzero(poisson_matrix(cells).data > 0.0)


class ShiftedLaplacian(Problem):
    """The systems (A + c I) x = b: A the five-point Laplacian, c a scaled Beta variable, b a truncated Gaussian.

    Every instance is drawn independently. Its shift c is the context that a method may look at. b is standard normal,
    drawn again until its norm is at most the square root of its length.
    """

    name: ClassVar[str] = "shifted-laplacian"
    summary: ClassVar[str] = "five-point Laplacians with random diagonal shifts, independent from one to the next"
    reference: ClassVar[str] = (
        'Khodak, Chow, Balcan, Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear '
        'System Instances" (ICLR 2024)'
    )

    grid: GridSize = Field(11, ge=2, description="cells per side of the unit square: (grid - 1)^2 unknowns")
    alpha: float = Field(0.5, gt=0.0, le=1e3, description="first shape parameter of the Beta law")
    beta: float = Field(1.5, gt=0.0, le=1e3, description="second shape parameter of the Beta law")
    least_shift: float = Field(-0.15, le=1e6, description="the shift where the Beta variable is 0")
    greatest_shift: float = Field(0.45, le=1e6, description="the shift where the Beta variable is 1")

    @model_validator(mode="after")
    def _positive_definite(self) -> "ShiftedLaplacian":
        if self.least_shift >= self.greatest_shift:
            raise ValueError(f"greatest_shift={self.greatest_shift} must exceed least_shift={self.least_shift}")
        if self.least_shift <= -smallest_eigenvalue(self.grid):
            raise ValueError(
                f"least_shift={self.least_shift} makes the matrix indefinite: on {self.grid} cells per side it must "
                f"exceed {-smallest_eigenvalue(self.grid):.6g}"
            )
        return self

    def variables(self) -> dict[str, Variable]:
        """The shift and the right-hand side."""
        side = self.grid - 1
        return {
            "shift": Variable((), (), "multiple of the identity added to the matrix"),
            "source": Variable(("y", "x"), (side, side), "right-hand side, a truncated Gaussian"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The shift, then right-hand sides until one lies in the ball."""
        # by its quantile function, so that low-discrepancy points cover the shifts evenly
        fraction = betaincinv(self.alpha, self.beta, random.random())
        shift = self.least_shift + (self.greatest_shift - self.least_shift) * fraction
        side = self.grid - 1
        source = random.standard_normal((side, side))
        while np.linalg.norm(source) > side:
            source = random.standard_normal((side, side))
        # The greatest can round to a number beyond the interval that methods are told of.
        inside = np.asarray(np.clip(shift, self.least_shift, self.greatest_shift), np.float64)
        return {"shift": inside, "source": source}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The shifted matrix and the right-hand side; the only parameter is the shift."""
        laplacian = poisson_matrix(self.grid)
        values = laplacian.data.copy()
        values[_diagonal_positions(self.grid)] += fields["shift"]
        matrix = sp.csr_array((values, laplacian.indices, laplacian.indptr), shape=laplacian.shape)
        matrix.has_canonical_format = True
        return LinearSystem(
            matrix,
            np.ravel(fields["source"]),
            np.atleast_1d(np.asarray(fields["shift"], np.float64)),
            symmetric=True,
            positive_definite=True,
        )

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The interior vertices."""
        return {"y": interior_vertices(self.grid), "x": interior_vertices(self.grid)}

    def solution(self) -> Variable:
        """The solution of the system."""
        return Variable(("y", "x"), (self.grid - 1, self.grid - 1), "solution at interior vertices")
