"""Nonnegative least squares with sparse solutions: with an L1 penalty, with a known solution, and codes of images."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.optimization.linear_models import (
    Array,
    LinearModel,
    Regression,
    digits,
    scaled_features,
    sparse_weights,
)
from data.problem import Fields, Problem, Variable

_BCD = 'Nutini, Laradji and Schmidt, "Let\'s Make Block Coordinate Descent Converge Faster" (JMLR 23, 2022)'


def relative_penalty(features: Array, targets: Array, fraction: float) -> float:
    """A fraction of the smallest penalty at which all nonnegative weights are zero; 0 where none is needed."""
    return fraction * max(float((features.T @ targets).max()), 0.0)


class NonnegativeLasso(Regression):
    """A nonnegative lasso on the badly scaled features of the least-squares problem."""

    name: ClassVar[str] = "nonnegative-lasso"
    summary: ClassVar[str] = "Nonnegative lasso with sparse features whose columns differ by orders of magnitude"
    reference: ClassVar[str] = _BCD

    fraction: float = Field(0.1, gt=0.0, le=1.0, description="of the penalty at which all weights are zero")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Responses of sparse positive weights with unit noise."""
        features = scaled_features(random, self.examples, self.features)
        signal = features @ np.abs(sparse_weights(random, self.features))
        return {"features": features, "targets": signal + random.standard_normal(self.examples)}

    def assemble(self, fields: Fields) -> LinearModel:
        """Squared loss with the penalty."""
        features, targets = fields["features"], fields["targets"]
        return LinearModel(features, targets, penalty=relative_penalty(features, targets, self.fraction))


class PlantedActiveSet(Regression):
    """Nonnegative least squares of known solution, a tenth of it positive, and known slack of the active bounds."""

    name: ClassVar[str] = "planted-active-set"
    summary: ClassVar[str] = "Nonnegative least squares whose solution and least multiplier of a bound are given"
    reference: ClassVar[str] = _BCD

    examples: int = Field(300, ge=2, le=10**5, description="rows of the feature matrix")
    features: int = Field(200, ge=2, le=10**5, description="columns of the feature matrix")
    slack: float = Field(
        1e-2, gt=0.0, le=1.0, description="the least multiplier; the others reach up to 1, log-uniform"
    )

    @model_validator(mode="after")
    def _solution_is_unique(self) -> "PlantedActiveSet":
        if self.features > self.examples:
            raise ValueError(f"features={self.features} must be at most examples={self.examples}")
        return self

    def variables(self) -> dict[str, Variable]:
        """Features, targets and the solution."""
        solution = Variable(("feature",), (self.features,), "the minimiser")
        return {**super().variables(), "solution": solution}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Gaussian features, and targets at which the solution's gradient is that of the multipliers."""
        features = random.standard_normal((self.examples, self.features)) / np.sqrt(self.examples)
        solution = np.zeros(self.features)
        positive = max(1, self.features // 10)
        order = random.permutation(self.features)
        solution[order[:positive]] = 1.0 + random.random(positive)
        multipliers = np.zeros(self.features)
        multipliers[order[positive:]] = self.slack ** random.random(self.features - positive)
        multipliers[order[positive]] = self.slack
        # X'(X w - y) = multipliers
        shift = features @ np.linalg.solve(features.T @ features, multipliers)
        return {"features": features, "targets": features @ solution - shift, "solution": solution}


class DigitsCoding(Problem):
    """Real images: a digit as a sparse nonnegative combination of other digits."""

    name: ClassVar[str] = "digits-coding"
    summary: ClassVar[str] = "Sparse nonnegative coding of an 8 x 8 digit by the other digits that scikit-learn carries"
    reference: ClassVar[str] = "E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits (UCI, 1998)"

    images: int = Field(1000, ge=1, le=1796, description="images of the dictionary")
    fraction: float = Field(0.1, gt=0.0, le=1.0, description="of the penalty at which all weights are zero")

    def variables(self) -> dict[str, Variable]:
        """The dictionary and the image to be coded."""
        return {
            "features": Variable(("pixel", "image"), (64, self.images), "images of the dictionary, a column each"),
            "targets": Variable(("pixel",), (64,), "the image to be coded"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Different images."""
        images, _ = digits()
        chosen = random.choice(len(images), self.images + 1, replace=False)
        return {"features": np.ascontiguousarray(images[chosen[1:]].T), "targets": images[chosen[0]]}

    def assemble(self, fields: Fields) -> LinearModel:
        """Squared loss with the penalty."""
        features, targets = fields["features"], fields["targets"]
        return LinearModel(features, targets, penalty=relative_penalty(features, targets, self.fraction))
