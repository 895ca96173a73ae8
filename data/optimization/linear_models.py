"""Regressions with badly scaled sparse features, and the digits of scikit-learn as a regression."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]

_BCD = 'Nutini, Laradji and Schmidt, "Let\'s Make Block Coordinate Descent Converge Faster" (JMLR 23, 2022)'


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """Data of a linear model and what is added to its loss.

    Attributes
    ----------
    features : ndarray, shape (n, p), float64
    targets : ndarray, shape (n,), float64
        Numbers, signs (logistic) or classes counted from zero (softmax).
    loss : {"squared", "logistic", "softmax"}
        Summed over the examples; the squared one is halved.
    ridge : float
        Half of it times the squared norm of the weights is added.
    penalty : float
        Times the sum of the weights is added, where they may not be negative.
    """

    features: Array
    targets: Array
    loss: str = "squared"
    ridge: float = 0.0
    penalty: float = 0.0


def scaled_features(random: np.random.Generator, examples: int, features: int) -> Array:
    """Sparse features whose columns differ by orders of magnitude: 10 N(0, 1) times entries of N(1, 1).

    An entry is kept with probability 10 log(n) / n for n examples (1 where that exceeds it).
    """
    columns = 10.0 * random.standard_normal(features)
    kept = random.random((examples, features)) < 10.0 * np.log(examples) / examples
    return np.asarray(columns * (random.standard_normal((examples, features)) + 1.0) * kept)


def sparse_weights(random: np.random.Generator, features: int) -> Array:
    """Normal weights of a tenth of the features, at least one."""
    weights = np.zeros(features)
    chosen = random.choice(features, max(1, features // 10), replace=False)
    weights[chosen] = random.standard_normal(chosen.size)
    return weights


class Regression(Problem):
    """What all regressions share: their shape."""

    examples: int = Field(200, ge=2, le=10**5, description="rows of the feature matrix")
    features: int = Field(1000, ge=1, le=10**5, description="columns of the feature matrix")

    def variables(self) -> dict[str, Variable]:
        """Features and targets."""
        return {
            "features": Variable(("example", "feature"), (self.examples, self.features), "features"),
            "targets": Variable(("example",), (self.examples,), "targets"),
        }

    def assemble(self, fields: Fields) -> LinearModel:
        """Least squares."""
        return LinearModel(fields["features"], fields["targets"])


class ScaledLeastSquares(Regression):
    """Underdetermined least squares: any weights that fit are a minimiser, their predictions are unique."""

    name: ClassVar[str] = "scaled-least-squares"
    summary: ClassVar[str] = "Least squares with sparse features whose columns differ by orders of magnitude"
    reference: ClassVar[str] = _BCD

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Responses of sparse weights with unit noise."""
        features = scaled_features(random, self.examples, self.features)
        signal = features @ sparse_weights(random, self.features)
        return {"features": features, "targets": signal + random.standard_normal(self.examples)}


class ScaledLogistic(Regression):
    """Two classes; with fewer examples than features only the ridge gives the loss a minimiser."""

    name: ClassVar[str] = "scaled-logistic"
    summary: ClassVar[str] = "Logistic regression with badly scaled sparse features and flipped labels"
    reference: ClassVar[str] = _BCD

    ridge: float = Field(1.0, gt=0.0, le=1e8, description="weight of half the squared norm")
    flipped: float = Field(0.1, ge=0.0, le=0.5, description="probability that a label is flipped")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Signs of the responses of sparse weights, some of them flipped."""
        features = scaled_features(random, self.examples, self.features)
        signs = np.where(features @ sparse_weights(random, self.features) >= 0.0, 1.0, -1.0)
        signs[random.random(self.examples) < self.flipped] *= -1.0
        return {"features": features, "targets": signs}

    def assemble(self, fields: Fields) -> LinearModel:
        """Logistic loss."""
        return LinearModel(fields["features"], fields["targets"], "logistic", self.ridge)


class ScaledSoftmax(Regression):
    """Many classes, each of them with at least one example."""

    name: ClassVar[str] = "scaled-softmax"
    summary: ClassVar[str] = "Multinomial logistic regression with badly scaled sparse features"
    reference: ClassVar[str] = _BCD

    examples: int = Field(300, ge=2, le=10**5, description="rows of the feature matrix")
    features: int = Field(100, ge=1, le=10**5, description="columns of the feature matrix")
    classes: int = Field(10, ge=2, le=1000, description="classes")
    ridge: float = Field(1.0, gt=0.0, le=1e8, description="weight of half the squared norm")

    @model_validator(mode="after")
    def _classes_have_examples(self) -> "ScaledSoftmax":
        if self.examples < 10 * self.classes:
            raise ValueError(f"classes={self.classes} need at least 10 examples each, not {self.examples} in all")
        return self

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The classes of greatest noisy response; drawn anew until none is empty."""
        while True:
            features = scaled_features(random, self.examples, self.features)
            responses = features @ random.standard_normal((self.features, self.classes))
            classes = (responses + random.standard_normal(responses.shape)).argmax(axis=1)
            if np.unique(classes).size == self.classes:
                return {"features": features, "targets": classes.astype(np.float64)}

    def assemble(self, fields: Fields) -> LinearModel:
        """Softmax loss."""
        return LinearModel(fields["features"], fields["targets"], "softmax", self.ridge)


@lru_cache(maxsize=1)
def digits() -> tuple[Array, NDArray[np.int64]]:
    """The 1797 images of scikit-learn's digits, 64 pixels between 0 and 1, and their classes."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return np.asarray(images, np.float64) / 16.0, np.asarray(classes, np.int64)


class DigitsSoftmax(Problem):
    """Real images: which digit is it? An instance is a random choice of the images, as many of each class."""

    name: ClassVar[str] = "digits-softmax"
    summary: ClassVar[str] = "Multinomial logistic regression on the 8 x 8 digits that scikit-learn carries"
    reference: ClassVar[str] = "E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits (UCI, 1998)"

    examples_per_class: int = Field(30, ge=1, le=174, description="images of each digit")
    ridge: float = Field(1.0, gt=0.0, le=1e8, description="weight of half the squared norm")

    def variables(self) -> dict[str, Variable]:
        """Pixels and classes."""
        examples = 10 * self.examples_per_class
        return {
            "features": Variable(("example", "feature"), (examples, 64), "pixels, standardised over all images"),
            "targets": Variable(("example",), (examples,), "digits"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Images without replacement; a pixel that is black in all images stays zero."""
        images, classes = digits()
        spread = images.std(axis=0)
        pixels = (images - images.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
        chosen = np.concatenate(
            [random.choice(np.flatnonzero(classes == c), self.examples_per_class, replace=False) for c in range(10)]
        )
        return {"features": pixels[chosen], "targets": classes[chosen].astype(np.float64)}

    def assemble(self, fields: Fields) -> LinearModel:
        """Softmax loss."""
        return LinearModel(fields["features"], fields["targets"], "softmax", self.ridge)
