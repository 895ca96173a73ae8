"""Sums whose terms nearly cancel, so that rounding decides the result."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.problem import Fields, Problem, Variable


class CancellingSums(Problem):
    """Terms of widely spread magnitudes, each followed somewhere by its near opposite."""

    name: ClassVar[str] = "cancelling-sums"
    summary: ClassVar[str] = "Vectors whose terms nearly cancel when they are summed"
    reference: ClassVar[str] = "N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, chapter 4"

    length: int = Field(1000, ge=2, le=10**7, multiple_of=2, description="number of terms")
    decades: float = Field(8.0, ge=0.0, le=100.0, description="spread of the magnitudes, powers of ten")

    def variables(self) -> dict[str, Variable]:
        """One vector of terms."""
        return {"terms": Variable(("term",), (self.length,), "terms of the sum")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Half the terms are random, the other half their opposites with a relative perturbation of 1e-8, shuffled."""
        half = self.length // 2
        positive = 10.0 ** random.uniform(0.0, self.decades, half)
        negative = -positive * (1.0 + 1e-8 * random.standard_normal(half))
        return {"terms": random.permutation(np.concatenate([positive, negative]))}

    def assemble(self, fields: Fields) -> NDArray[np.float64]:
        """The vector itself."""
        return fields["terms"]
