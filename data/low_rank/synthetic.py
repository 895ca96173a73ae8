"""Random matrices of low rank: incoherent or spiky, well or ill conditioned, and in two sizes of knowledge of them."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.low_rank.partial_matrix import PartialMatrix, observed_positions
from data.problem import Fields, Problem, Variable

_JAIN = "P. Jain, P. Netrapalli and S. Sanghavi (2013), Low-rank Matrix Completion using Alternating Minimization, STOC"
_CANDES = "E. J. Candes and B. Recht (2009), Exact Matrix Completion via Convex Optimization, Found. Comput. Math. 9"

Array = NDArray[np.float64]


def orthonormal_factor(height: int, rank: int, spikiness: float, random: np.random.Generator) -> Array:
    """Orthonormal columns whose rows fall off as ``i**-spikiness`` in random order; Haar distributed for 0.

    A Gaussian matrix with weighted rows, orthonormalised.
    """
    weights = random.permutation(np.arange(1.0, height + 1.0) ** -spikiness)
    basis, triangle = np.linalg.qr(weights[:, None] * random.standard_normal((height, rank)))
    return np.asarray(basis * np.where(np.diag(triangle) < 0.0, -1.0, 1.0))


def singular_values(rank: int, condition_number: float) -> Array:
    """Values from 1 down to one over the condition number, in geometric progression."""
    return np.geomspace(1.0, 1.0 / condition_number, rank)


class LowRankCompletion(Problem):
    """A matrix U S V^T, U and V orthonormal, of which a number of entries is observed, with noise or without.

    The matrix is scaled to entries of root mean square 1; noise is relative to that.
    """

    name: ClassVar[str] = "low-rank-completion"
    summary: ClassVar[str] = "random low-rank matrices of which uniformly drawn entries are observed"
    reference: ClassVar[str] = _JAIN

    rows: int = Field(500, ge=2, le=5000, description="rows of the matrix")
    columns: int = Field(500, ge=2, le=5000, description="columns of the matrix")
    rank: int = Field(8, ge=1, le=500, description="rank of the matrix")
    entries: int = Field(50_000, ge=1, le=25_000_000, description="observed entries")
    condition_number: float = Field(1.0, ge=1.0, le=1e6, description="largest over smallest nonzero singular value")
    noise: float = Field(0.0, ge=0.0, le=10.0, description="standard deviation of the noise, the entries' being 1")
    spikiness: float = Field(0.0, ge=0.0, le=4.0, description="decay exponent of the factors' rows; 0 is incoherent")

    @model_validator(mode="after")
    def _fits(self) -> "LowRankCompletion":
        if self.rank > min(self.rows, self.columns):
            raise ValueError(f"rank={self.rank} exceeds the smaller side, {min(self.rows, self.columns)}")
        if self.entries > self.rows * self.columns:
            raise ValueError(f"entries={self.entries} exceeds the {self.rows * self.columns} entries that there are")
        return self

    def variables(self) -> dict[str, Variable]:
        """The factors, and where and what was observed."""
        return {
            "left": Variable(("row", "component"), (self.rows, self.rank), "left factor, singular values included"),
            "right": Variable(("column", "component"), (self.columns, self.rank), "right factor, orthonormal"),
            "position": Variable(("entry",), (self.entries,), "row times columns plus column", "1", "int64"),
            "value": Variable(("entry",), (self.entries,), "observed entries"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Both factors, then the positions, then the noise."""
        left = orthonormal_factor(self.rows, self.rank, self.spikiness, random)
        right = orthonormal_factor(self.columns, self.rank, self.spikiness, random)
        values = singular_values(self.rank, self.condition_number)
        left = left * values * np.sqrt(self.rows * self.columns) / np.linalg.norm(values)
        position = observed_positions(self.rows * self.columns, self.entries, random)
        observed = (left @ right.T).ravel()[position] + self.noise * random.standard_normal(self.entries)
        return {"left": left, "right": right, "position": position, "value": observed}

    def assemble(self, fields: Fields) -> PartialMatrix:
        """The observed entries, by row and column."""
        rows, columns = np.divmod(fields["position"], self.columns)
        return PartialMatrix(rows, columns, fields["value"], self.rank, fields["left"] @ fields["right"].T)


class CompletionPhases(Problem):
    """Square matrices of random rank with a random number of observed entries: the plane of a phase diagram.

    The oversampling is uniform between its bounds: observed entries over the rank (2 n - rank) degrees of freedom.
    """

    name: ClassVar[str] = "completion-phases"
    summary: ClassVar[str] = "low-rank matrices whose rank and number of observed entries vary from one to the next"
    reference: ClassVar[str] = _CANDES

    side: int = Field(100, ge=4, le=1000, description="rows and columns of the matrix")
    least_rank: int = Field(2, ge=1, le=200, description="smallest rank")
    greatest_rank: int = Field(10, ge=1, le=200, description="greatest rank")
    least_oversampling: float = Field(1.0, gt=0.0, le=100.0, description="fewest entries over degrees of freedom")
    greatest_oversampling: float = Field(4.0, gt=0.0, le=100.0, description="most entries over degrees of freedom")

    @model_validator(mode="after")
    def _fits(self) -> "CompletionPhases":
        if not self.least_rank <= self.greatest_rank <= self.side:
            raise ValueError(f"greatest_rank={self.greatest_rank} must lie in {self.least_rank}..{self.side}")
        if self.least_oversampling > self.greatest_oversampling:
            raise ValueError(f"greatest_oversampling={self.greatest_oversampling} must reach {self.least_oversampling}")
        most = self.greatest_oversampling * self.greatest_rank * (2 * self.side - self.greatest_rank)
        if most > self.side**2:
            raise ValueError(
                f"greatest_oversampling={self.greatest_oversampling} asks for {most:g} entries at rank "
                f"{self.greatest_rank}; there are {self.side**2}"
            )
        return self

    def variables(self) -> dict[str, Variable]:
        """The matrix, which entries were observed and its rank."""
        square = ("row", "column"), (self.side, self.side)
        return {
            "matrix": Variable(*square, "matrix to complete"),
            "observed": Variable(*square, "whether an entry was observed", "1", "bool"),
            "rank": Variable((), (), "rank of the matrix", "1", "int64"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The rank, the oversampling, the factors, the positions."""
        rank = int(random.integers(self.least_rank, self.greatest_rank + 1))
        oversampling = random.uniform(self.least_oversampling, self.greatest_oversampling)
        left, right = (orthonormal_factor(self.side, rank, 0.0, random) for _ in range(2))
        observed = np.zeros(self.side**2, dtype=bool)
        entries = max(1, round(oversampling * rank * (2 * self.side - rank)))
        observed[observed_positions(self.side**2, entries, random)] = True
        return {
            "matrix": self.side / np.sqrt(rank) * left @ right.T,
            "observed": observed.reshape(self.side, self.side),
            "rank": np.array(rank),
        }

    def assemble(self, fields: Fields) -> PartialMatrix:
        """The observed entries, by row and column."""
        rows, columns = np.nonzero(fields["observed"])
        return PartialMatrix(rows, columns, fields["matrix"][rows, columns], int(fields["rank"]), fields["matrix"])
