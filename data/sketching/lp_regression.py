"""Regression problems in l_p whose rows matter in different ways."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.problem import Fields, Problem, Variable
from data.sketching.real_tables import draw_rand_people, standardised_rand_rows

DEGREES_OF_FREEDOM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class LpRegression:
    """Minimise ``||matrix @ x - rhs||_p``.

    Attributes
    ----------
    matrix : ndarray, shape (n, d), float64
    rhs : ndarray, shape (n,), float64
    p : float
    """

    matrix: NDArray[np.float64]
    rhs: NDArray[np.float64]
    p: float


class LpRegressionProblem(Problem):
    """A random matrix of one of four families, with Student-t noise of two degrees of freedom.

    Independent ``gaussian`` entries: all rows alike, and the least total sensitivity there is for p < 2, of the order
    of d^(p/2). In ``spiky`` the first d of these rows are a large multiple of the identity. ``cauchy`` entries: a few
    rows dominate. In ``blocks`` half of the rows are Gaussian in half of the columns, the others copies of the
    remaining unit vectors: their part of the total sensitivity is the larger one for p < 2, so that few of the sampled
    rows fall to the Gaussian block, which needs more than it has columns.
    """

    name: ClassVar[str] = "lp-regression"
    summary: ClassVar[str] = "regression in l_p on matrices whose rows matter in different ways"
    reference: ClassVar[str] = 'after Woodruff, Yasuda, "Sharper Bounds for l_p Sensitivity Sampling" (ICML 2023)'

    rows: int = Field(1000, ge=8, le=20_000, description="rows of the matrix")
    columns: int = Field(20, ge=2, le=200, description="columns of the matrix")
    family: Literal["gaussian", "spiky", "cauchy", "blocks"] = Field("gaussian", description="how the rows are made")
    p: float = Field(1.0, ge=1.0, le=8.0, description="exponent of the norm")

    @model_validator(mode="after")
    def _tall(self) -> "LpRegressionProblem":
        if self.rows < 4 * self.columns:
            raise ValueError(f"rows={self.rows} must be at least four times columns={self.columns}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The matrix and the right-hand side."""
        return {
            "matrix": Variable(("row", "column"), (self.rows, self.columns), "matrix of the regression"),
            "rhs": Variable(("row",), (self.rows,), "observations"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The matrix of the family, Gaussian coefficients and heavy-tailed noise."""
        matrix = self._matrix(random)
        coefficients = random.standard_normal(self.columns)
        return {"matrix": matrix, "rhs": matrix @ coefficients + random.standard_t(DEGREES_OF_FREEDOM, self.rows)}

    def _matrix(self, random: np.random.Generator) -> NDArray[np.float64]:
        shape = self.rows, self.columns
        if self.family == "cauchy":
            return random.standard_cauchy(shape)
        matrix = random.standard_normal(shape)
        if self.family == "spiky":
            matrix[: self.columns] = self.rows / 4.0 * np.eye(self.columns)
        elif self.family == "blocks":
            half_rows, half_columns = self.rows // 2, self.columns // 2
            matrix[:half_rows, half_columns:] = 0.0
            copies = half_columns + np.arange(self.rows - half_rows) % (self.columns - half_columns)
            matrix[half_rows:] = np.eye(self.columns)[copies]
        return matrix

    def assemble(self, fields: Fields) -> LpRegression:
        """The regression in the norm of the problem."""
        return LpRegression(fields["matrix"], fields["rhs"], self.p)


class RandMedianRegression(Problem):
    """Median regression of visits to a doctor, for random people of the RAND health experiment."""

    name: ClassVar[str] = "rand-median-regression"
    summary: ClassVar[str] = "median regression on random subsets of the RAND health insurance experiment"
    reference: ClassVar[str] = "statsmodels data set randhie (20190 people); P. Deb, P. K. Trivedi (2002)"

    rows: int = Field(2000, ge=200, le=20190, description="people in a subset")

    def variables(self) -> dict[str, Variable]:
        """Who is in the subset."""
        return {"people": Variable(("row",), (self.rows,), "rows of the data set", dtype="int64")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Different people, not all alike in any covariate."""
        return {"people": draw_rand_people(random, self.rows)}

    def assemble(self, fields: Fields) -> LpRegression:
        """Visits on standardised covariates and a constant, in l_1."""
        matrix, visits = standardised_rand_rows(fields["people"])
        return LpRegression(matrix, visits, 1.0)
