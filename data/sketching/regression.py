"""Overdetermined regression with known least-squares solutions: spikes in the residual, plain noise, and real data."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.problem import Fields, Problem, Variable
from data.sketching.real_tables import draw_rand_people, standardised_rand_rows

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PARETO_EXPONENT = 1.5
LARGEST = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """Minimise ``||matrix @ x - rhs||``, with what is known of the answer.

    Attributes
    ----------
    matrix : ndarray, shape (n, d), float64
    rhs : ndarray, shape (n,), float64
    solution : ndarray, shape (d,), float64
        The exact least-squares solution.
    residual_norm : float
        The least norm of the residual.
    smallest_singular_value : float
        Of the matrix; one over the norm of its pseudo-inverse.
    """

    matrix: Matrix
    rhs: Vector
    solution: Vector
    residual_norm: float
    smallest_singular_value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    matrix: Matrix
    basis: Matrix
    triangle: Matrix
    smallest_singular_value: float

    def with_rhs(self, rhs: Vector) -> LeastSquares:
        """The regression of a right-hand side on the design."""
        projection = self.basis.T @ rhs
        residual = rhs - self.basis @ projection
        solution = scipy.linalg.solve_triangular(self.triangle, projection)
        return LeastSquares(self.matrix, rhs, solution, float(np.linalg.norm(residual)), self.smallest_singular_value)


def _factored(matrix: Matrix) -> _Design:
    basis, triangle = (np.asarray(factor, np.float64) for factor in scipy.linalg.qr(matrix, mode="economic"))
    return _Design(matrix, basis, triangle, float(scipy.linalg.svdvals(triangle)[-1]))


class FixedDesign(Problem):
    """Regression on one design, the same for all instances: an oblivious sketch must serve each fixed matrix."""

    rows: int = Field(4096, ge=2, le=LARGEST, description="rows of the design")
    columns: int = Field(32, ge=1, le=4096, description="columns of the design")
    design: int = Field(0, ge=0, le=2**63 - 1, description="seed of the design's own random numbers")

    @model_validator(mode="after")
    def _more_rows_than_columns(self) -> "FixedDesign":
        if self.rows <= self.columns:
            raise ValueError(f"rows={self.rows} must exceed columns={self.columns}")
        return self

    @abstractmethod
    def matrix(self) -> Matrix:
        """The design, shape (rows, columns)."""

    def variables(self) -> dict[str, Variable]:
        """The coefficients; a subclass adds what its noise is made from."""
        return {"coefficients": Variable(("column",), (self.columns,), "coefficients before noise is added")}


@lru_cache(maxsize=4)
def _fixed_design(problem: FixedDesign) -> _Design:
    return _factored(problem.matrix())


class SpikyRegression(FixedDesign):
    """A design of heavy rows that a residual of few spikes must not collide with.

    The matrix is the identity above zeros, plus Gaussian noise of norm about ``noise``. The residual is spread over
    ``spikes`` of the light rows, up to its projection. A sketch that adds such a row to a heavy one puts the whole
    spike on one coordinate of the solution; a dense one spreads it over all.
    """

    name: ClassVar[str] = "spiky-regression"
    summary: ClassVar[str] = "least squares with heavy rows and a residual of few spikes"
    reference: ClassVar[str] = (
        'after Song, Ye, Yin, Zhang, "A Nearly-Optimal Bound for Fast Regression with l_inf Guarantee" (ICML 2023)'
    )

    spikes: int = Field(1, ge=1, le=LARGEST, description="rows that the residual is spread over")
    noise: float = Field(1e-2, gt=0.0, le=1.0, description="norm of the noise of a column")

    @model_validator(mode="after")
    def _spikes_fit(self) -> "SpikyRegression":
        if self.spikes > self.rows - self.columns:
            raise ValueError(f"spikes={self.spikes} must be at most rows - columns = {self.rows - self.columns}")
        return self

    def matrix(self) -> Matrix:
        """The identity on top, and noise."""
        noise = np.random.default_rng(self.design).standard_normal((self.rows, self.columns))
        matrix: Matrix = np.eye(self.rows, self.columns) + self.noise / np.sqrt(self.rows) * noise
        return matrix

    def variables(self) -> dict[str, Variable]:
        """The coefficients, and where the spikes are."""
        return {
            **super().variables(),
            "spike_rows": Variable(("spike",), (self.spikes,), "rows of the spikes", dtype="int64"),
            "spike_heights": Variable(("spike",), (self.spikes,), "heights of the spikes, signed"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Gaussian coefficients; spikes of equal height and random sign in different light rows."""
        light = self.rows - self.columns
        return {
            "coefficients": random.standard_normal(self.columns),
            "spike_rows": self.columns + random.choice(light, self.spikes, replace=False),
            "spike_heights": random.choice([-1.0, 1.0], self.spikes) / np.sqrt(self.spikes),
        }

    def assemble(self, fields: Fields) -> LeastSquares:
        """The regression whose residual is that of the spikes."""
        design = _fixed_design(self)
        rhs = design.matrix @ fields["coefficients"]
        rhs[fields["spike_rows"]] += fields["spike_heights"]
        return design.with_rhs(rhs)


class NoisyRegression(FixedDesign):
    """A Gaussian design, its rows all alike or of Pareto-distributed scales, with Gaussian noise."""

    name: ClassVar[str] = "noisy-regression"
    summary: ClassVar[str] = "least squares with a random design and noise in every row"
    reference: ClassVar[str] = "the usual random instance, as a control"

    row_scales: Literal["equal", "pareto"] = Field("equal", description="how large the rows of the design are")

    def matrix(self) -> Matrix:
        """Independent Gaussian entries, times the scale of the row."""
        random = np.random.default_rng(self.design)
        matrix: Matrix = random.standard_normal((self.rows, self.columns))
        if self.row_scales == "pareto":
            matrix *= 1.0 + random.pareto(PARETO_EXPONENT, (self.rows, 1))
        return matrix

    def variables(self) -> dict[str, Variable]:
        """The coefficients and the noise."""
        return {**super().variables(), "noise": Variable(("row",), (self.rows,), "noise of the observations")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Gaussian coefficients and noise."""
        return {
            "coefficients": random.standard_normal(self.columns),
            "noise": random.standard_normal(self.rows),
        }

    def assemble(self, fields: Fields) -> LeastSquares:
        """The regression of the noisy observations."""
        design = _fixed_design(self)
        return design.with_rhs(design.matrix @ fields["coefficients"] + fields["noise"])


class RandHealthRegression(Problem):
    """Visits to a doctor on nine covariates and a constant, for random people of the RAND health experiment."""

    name: ClassVar[str] = "rand-health-regression"
    summary: ClassVar[str] = "least squares on random subsets of the RAND health insurance experiment"
    reference: ClassVar[str] = "statsmodels data set randhie (20190 people); P. Deb, P. K. Trivedi (2002)"

    rows: int = Field(4000, ge=200, le=20190, description="people in a subset")

    def variables(self) -> dict[str, Variable]:
        """Who is in the subset."""
        return {"people": Variable(("row",), (self.rows,), "rows of the data set", dtype="int64")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Different people, not all alike in any covariate."""
        return {"people": draw_rand_people(random, self.rows)}

    def assemble(self, fields: Fields) -> LeastSquares:
        """Visits on standardised covariates and a constant."""
        matrix, visits = standardised_rand_rows(fields["people"])
        return _factored(matrix).with_rhs(visits)
