"""Bilevel problems whose lower level is a softmax regression with ridge: all oracles but the derivatives by x."""
# ruff: noqa: ARG002 - all oracles have one signature

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Indices = NDArray[np.intp]


def probabilities(features: Array, weights: Array) -> Array:
    """The predicted distribution of every example, shape (n, classes)."""
    logits = features @ weights
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def cross_entropies(features: Array, weights: Array, labels: Labels) -> Array:
    """The loss of every example, shape (n,)."""
    logits = features @ weights
    logits -= logits.max(axis=1, keepdims=True)
    true = logits[np.arange(labels.size), labels]
    return np.asarray(np.log(np.exp(logits).sum(axis=1)) - true)


def residuals(features: Array, weights: Array, labels: Labels) -> Array:
    """The derivative of every example's loss by its logits: predicted minus true distribution, shape (n, classes)."""
    found = probabilities(features, weights)
    found[np.arange(labels.size), labels] -= 1.0
    return found


def curvature_products(features: Array, weights: Array, direction: Array) -> tuple[Array, Array]:
    """For a direction of the weights, that of the logits and its product with the Hessian of every loss by its logits.

    Parameters
    ----------
    features : ndarray, shape (n, features), float64
    weights, direction : ndarray, shape (features, classes), float64

    Returns
    -------
    tuple of two ndarrays, shape (n, classes), float64
    """
    found = probabilities(features, weights)
    logits = features @ direction
    return logits, found * (logits - (found * logits).sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class SoftmaxHead(ABC):
    """One lower level: g(x, Y) = sum_i w_i loss(a_i' Y, b_i) + strong_convexity ||Y||^2 / 2, Y of shape (k, classes).

    The features a_i or the weights w_i of training examples depend on x. The upper level f is the mean loss of the
    validation examples. A minibatch is the indices of examples, drawn with replacement.

    Attributes
    ----------
    labels : ndarray, shape (n,), int64
        Of the training examples.
    validation_labels : ndarray, shape (n',), int64
    classes : int
    strong_convexity : float
    """

    labels: Labels
    validation_labels: Labels
    classes: int
    strong_convexity: float

    blocks: ClassVar[int] = 1

    @abstractmethod
    def training(self, x: Array, minibatch: Indices | None) -> tuple[Array, Array]:
        """The features of training examples, shape (b, k), and their weights."""

    @abstractmethod
    def validation(self, x: Array, minibatch: Indices | None) -> Array:
        """The features of validation examples."""

    def draw_lower(self, blocks: Indices, batch: int, random: np.random.Generator) -> Indices:
        """Training examples."""
        return random.integers(self.labels.size, size=batch)

    def draw_upper(self, blocks: Indices, batch: int, random: np.random.Generator) -> Indices:
        """Validation examples."""
        return random.integers(self.validation_labels.size, size=batch)

    def matrix(self, rows: Array) -> Array:
        """The weights Y, shape (k, classes), of a row of shape (1, k * classes)."""
        return rows.reshape(-1, self.classes)

    def training_residuals(self, features: Array, y: Array, minibatch: Indices | None) -> Array:
        """The derivative of every training example's loss by its logits, shape (b, classes)."""
        return residuals(features, self.matrix(y), _chosen(self.labels, minibatch))

    def validation_residuals(self, features: Array, y: Array, minibatch: Indices | None) -> Array:
        """The derivative of the validation loss by every example's logits, shape (b, classes)."""
        return residuals(features, self.matrix(y), _chosen(self.validation_labels, minibatch)) / len(features)

    def upper_value(self, x: Array, y: Array, blocks: Indices, minibatch: Indices | None = None) -> float:
        """The validation loss."""
        labels = _chosen(self.validation_labels, minibatch)
        return float(cross_entropies(self.validation(x, minibatch), self.matrix(y), labels).mean())

    def lower_value(self, x: Array, y: Array, blocks: Indices, minibatch: Indices | None = None) -> Array:
        """The weighted training loss with ridge, shape (1,)."""
        features, weights = self.training(x, minibatch)
        loss = weights @ cross_entropies(features, self.matrix(y), _chosen(self.labels, minibatch))
        return np.asarray(loss + 0.5 * self.strong_convexity * (y**2).sum(axis=1))

    def lower_gradient(self, x: Array, y: Array, blocks: Indices, minibatch: Indices | None = None) -> Array:
        """The gradient by Y of the weighted training loss with ridge, shape (1, q)."""
        features, weights = self.training(x, minibatch)
        gradient = features.T @ (weights[:, None] * self.training_residuals(features, y, minibatch))
        return np.asarray(gradient.reshape(1, -1) + self.strong_convexity * y)

    def hessian_product(
        self,
        x: Array,
        y: Array,
        v: Array,
        blocks: Indices,
        minibatch: Indices | None = None,
    ) -> Array:
        """Hess_yy g v, shape (1, q)."""
        features, weights = self.training(x, minibatch)
        curved = curvature_products(features, self.matrix(y), self.matrix(v))[1]
        product = (features.T @ (weights[:, None] * curved)).reshape(1, -1)
        return np.asarray(product + self.strong_convexity * v)

    def lower_hessian(self, x: Array, y: Array, blocks: Indices, minibatch: Indices | None = None) -> Array:
        """Hess_yy g, shape (1, q, q)."""
        features, weights = self.training(x, minibatch)
        found = probabilities(features, self.matrix(y))
        by_logits = found[:, :, None] * (np.eye(self.classes) - found[:, None, :])
        hessian = np.einsum("n,nj,nk,ncd->jckd", weights, features, features, by_logits, optimize=True)
        return np.asarray(hessian.reshape(1, y.size, y.size) + self.strong_convexity * np.eye(y.size))

    def progress(self, x: Array, y: Array) -> float:
        """The loss of all validation examples at the method's own Y."""
        return self.upper_value(x, y, np.zeros(1, np.intp))


def _chosen(labels: Labels, minibatch: Indices | None) -> Labels:
    return labels if minibatch is None else labels[minibatch]
