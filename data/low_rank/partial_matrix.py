"""The instance that the completion problems assemble: a matrix of which some entries are observed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PartialMatrix:
    """Observed entries of a matrix, and the matrix itself to score a completion by.

    Attributes
    ----------
    rows, columns : ndarray, shape (entries,), int64
        Where the observed entries are; no entry is given twice.
    values : ndarray, shape (entries,), float64
        What was observed, noise included.
    rank : int
        The rank to complete with.
    truth : ndarray, shape (m, n), float64
        The matrix without noise. No method may read it.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    rank: int
    truth: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the matrix."""
        height, width = self.truth.shape
        return height, width

    @property
    def oversampling(self) -> float:
        """Observed entries over the degrees of freedom, rank (m + n - rank), of a matrix of this rank."""
        return self.values.size / (self.rank * (sum(self.shape) - self.rank))


def observed_positions(cells: int, entries: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Distinct positions in a matrix of ``cells`` entries read row by row, uniform and sorted."""
    return np.sort(random.choice(cells, entries, replace=False))
