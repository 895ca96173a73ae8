"""Hyper-cleaning: which training images of digits have wrong labels, learned from a few that have right ones."""
# ruff: noqa: ARG002 - all oracles have one signature

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.optimization.bilevel.softmax_head import SoftmaxHead
from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
IMAGES, CLASSES = 1797, 10
FEATURES = 65  # pixels and a constant


@dataclass(frozen=True, eq=False)
class SoftmaxCleaning(SoftmaxHead):
    """The lower level trains a softmax regression on images that weigh sigmoid(x_i) / n; x has one entry an image.

    Attributes
    ----------
    features : ndarray, shape (n, 65), float64
        Of training images, many of whose labels are wrong.
    validation_features : ndarray, shape (n', 65), float64
        Of clean images.
    """

    features: Array
    validation_features: Array

    @property
    def upper_start(self) -> Array:
        """Zero: all images weigh one half."""
        return np.zeros(len(self.features))

    @property
    def lower_start(self) -> Array:
        """Zero, shape (1, 65 * classes)."""
        return np.zeros((1, FEATURES * self.classes))

    def training(self, x: Array, minibatch: Indices | None) -> tuple[Array, Array]:
        """The images and sigmoid(x_i) over their number."""
        if minibatch is None:
            return self.features, sigmoid(x) / x.size
        return self.features[minibatch], sigmoid(x[minibatch]) / minibatch.size

    def validation(self, x: Array, minibatch: Indices | None) -> Array:
        """The images."""
        return self.validation_features if minibatch is None else self.validation_features[minibatch]

    def upper_gradient(
        self,
        x: Array,
        y: Array,
        blocks: Indices,
        minibatch: Indices | None = None,
    ) -> tuple[Array, Array]:
        """Nothing by x; by Y the gradient of the validation loss."""
        features = self.validation(x, minibatch)
        gradient = features.T @ self.validation_residuals(features, y, minibatch)
        return np.zeros_like(x), gradient.reshape(1, -1)

    def cross_product(
        self,
        x: Array,
        y: Array,
        v: Array,
        blocks: Indices,
        minibatch: Indices | None = None,
    ) -> Array:
        """Hess_xy g v, which is zero but for the minibatch's images."""
        features, weights = self.training(x, minibatch)
        chosen = np.arange(x.size) if minibatch is None else minibatch
        errors = self.training_residuals(features, y, minibatch)
        slopes = weights * (1.0 - sigmoid(x[chosen])) * (errors * (features @ self.matrix(v))).sum(axis=1)
        return np.bincount(chosen, slopes, minlength=x.size).astype(np.float64)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


@cache
def digits() -> tuple[Array, NDArray[np.int64]]:
    """Scikit-learn's digits: pixels from 0 to 1 and a constant, shape (1797, 65), and labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data / 16.0, np.ones(IMAGES)]), bunch.target.astype(np.int64)


class Cleaning(Problem):
    """Random images of scikit-learn's digits for training, wrong labels for a share of them, others for validation."""

    reference: ClassVar[str] = "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI"

    training: int = Field(1000, ge=10, le=1787, description="training images")
    validation: int = Field(300, ge=10, le=1787, description="validation images, with the right labels")
    corrupted: float = Field(0.4, ge=0.0, le=1.0, description="share of training images with a wrong label")
    ridge: float = Field(2e-3, gt=0.0, le=100.0, description="of the weights, squared norm")

    @model_validator(mode="after")
    def _enough_images(self) -> "Cleaning":
        if self.training + self.validation > IMAGES:
            wanted = f"training={self.training} and validation={self.validation}"
            raise ValueError(f"{wanted} are more than the {IMAGES} images there are")
        return self

    def images(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Training and then validation images, without replacement."""
        return random.permutation(IMAGES)[: self.training + self.validation].astype(np.int64)

    def wrong(self, random: np.random.Generator) -> NDArray[np.bool_]:
        """Which training images have wrong labels."""
        wrong = np.zeros(self.training, dtype=bool)
        wrong[random.choice(self.training, round(self.corrupted * self.training), replace=False)] = True
        return wrong


class DigitsCleaning(Cleaning):
    """Ten digits told apart; a corrupted label is any digit at random."""

    name: ClassVar[str] = "digits-cleaning"
    summary: ClassVar[str] = "weights for digits with random labels, by the loss on clean ones"

    def variables(self) -> dict[str, Variable]:
        """The images and the training labels."""
        return {
            "image": Variable(
                ("image",), (self.training + self.validation,), "training, then validation", "1", "int64"
            ),
            "label": Variable(("training",), (self.training,), "training labels, many of them wrong", "1", "int64"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Images without replacement, then wrong labels."""
        image = self.images(random)
        guesses = random.integers(CLASSES, size=self.training)
        label = np.where(self.wrong(random), guesses, digits()[1][image[: self.training]])
        return {"image": image, "label": label}

    def assemble(self, fields: Fields) -> SoftmaxCleaning:
        """The weighted softmax regression."""
        features, labels = digits()
        training, validation = np.split(fields["image"], [self.training])
        return SoftmaxCleaning(
            fields["label"], labels[validation], CLASSES, self.ridge, features[training], features[validation]
        )
