"""Handwritten digits of which some pixels are hidden."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.low_rank.partial_matrix import PartialMatrix, observed_positions
from data.problem import Fields, Problem, Variable

IMAGES, PIXELS = 1797, 64


class DigitsCompletion(Problem):
    """The 1797 x 64 matrix of scikit-learn's digits, one image a row, of which a random share of pixels is observed.

    It is only roughly of low rank: the best approximation of rank 12 leaves a fifth of its variance.
    """

    name: ClassVar[str] = "digits-completion"
    summary: ClassVar[str] = "images of handwritten digits, a share of whose pixels is hidden"
    reference: ClassVar[str] = "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI"

    rank: int = Field(12, ge=1, le=PIXELS, description="rank to complete with")
    observed_share: float = Field(0.5, gt=0.0, le=1.0, description="share of the pixels that is observed")

    @property
    def entries(self) -> int:
        """The number of observed pixels."""
        return max(1, round(self.observed_share * IMAGES * PIXELS))

    def variables(self) -> dict[str, Variable]:
        """Where and what was observed."""
        return {
            "position": Variable(("entry",), (self.entries,), "image times 64 plus pixel", "1", "int64"),
            "value": Variable(("entry",), (self.entries,), "grey values from 0 to 16"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Positions; the images are the same for every instance."""
        position = observed_positions(IMAGES * PIXELS, self.entries, random)
        return {"position": position, "value": digits_matrix().ravel()[position]}

    def assemble(self, fields: Fields) -> PartialMatrix:
        """The observed pixels, by image and pixel."""
        rows, columns = np.divmod(fields["position"], PIXELS)
        return PartialMatrix(rows, columns, fields["value"], self.rank, digits_matrix())


@lru_cache(maxsize=1)
def digits_matrix() -> NDArray[np.float64]:
    """The images, shape (1797, 64), grey values from 0 to 16."""
    from sklearn.datasets import load_digits

    return np.ascontiguousarray(load_digits().data, dtype=np.float64)
