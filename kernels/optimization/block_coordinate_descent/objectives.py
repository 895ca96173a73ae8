"""Smooth objectives that block coordinate descent minimises, with a fixed bound on their Hessian."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log1p, logsumexp, softmax

from kernels.linear_systems.validation import check_vector

Vector = NDArray[np.float64]
Array = NDArray[np.float64]
Block = NDArray[np.intp]


class Regression(Protocol):
    """Data of a regularised linear model, with one weight per feature (softmax: per feature and class)."""

    @property
    def features(self) -> Array:
        """Shape (n, p), float64."""
        ...

    @property
    def targets(self) -> Vector:
        """Shape (n,), float64: numbers, signs (logistic) or classes counted from zero (softmax)."""
        ...

    @property
    def loss(self) -> str:
        """``"squared"``, ``"logistic"`` or ``"softmax"``."""
        ...

    @property
    def ridge(self) -> float:
        """Half of it times the squared norm of the weights is added to the summed loss."""
        ...


@dataclass(slots=True, eq=False)
class Iterate:
    """Where a descent stands: the weights and what is kept up to date with them."""

    weights: Vector
    predictions: Array
    gradient: Vector
    value: float


class Objective(ABC):
    """A smooth function of ``size`` weights.

    Attributes
    ----------
    curvature : ndarray, shape (size, size), float64
        A symmetric matrix that bounds the Hessian from above everywhere.
    """

    curvature: Array

    @property
    def size(self) -> int:
        """The number of weights."""
        return len(self.curvature)

    @abstractmethod
    def start(self) -> Iterate:
        """The iterate at zero."""

    @abstractmethod
    def value_after(self, iterate: Iterate, block: Block, step: Vector) -> float:
        """The objective where the weights of a block have moved by a step."""

    @abstractmethod
    def move(self, iterate: Iterate, block: Block, step: Vector) -> None:
        """Move the weights of a block, and all that depends on them, in place."""

    @abstractmethod
    def hessian_block(self, iterate: Iterate, block: Block) -> Array:
        """The Hessian of the weights of a block."""


class Quadratic(Objective):
    """``weights' curvature weights / 2 - linear' weights + constant``."""

    def __init__(self, curvature: Array, linear: Vector, constant: float = 0.0) -> None:
        self.curvature = curvature
        self._linear = linear
        self._constant = constant

    def start(self) -> Iterate:
        """The iterate at zero."""
        return Iterate(np.zeros(self.size), np.empty(0), -self._linear, self._constant)

    def value_after(self, iterate: Iterate, block: Block, step: Vector) -> float:
        """The exact expansion around the iterate."""
        slope = iterate.gradient[block] @ step
        return iterate.value + float(slope + 0.5 * step @ self.hessian_block(iterate, block) @ step)

    def move(self, iterate: Iterate, block: Block, step: Vector) -> None:
        """Add the rows of the block to the gradient, which costs the size of the block times all weights."""
        before = iterate.gradient[block]
        iterate.weights[block] += step
        iterate.gradient += step @ self.curvature[block]
        iterate.value += float(0.5 * step @ (before + iterate.gradient[block]))

    def hessian_block(self, iterate: Iterate, block: Block) -> Array:  # noqa: ARG002 - the same everywhere
        """The block of the matrix."""
        return self.curvature[block[:, None], block]


class _LinearModel(Objective):
    """A ridge penalty and a loss of predictions that are linear in the weights."""

    def __init__(self, features: Array, ridge: float, outputs: int) -> None:
        self._columns = np.ascontiguousarray(features.T)
        self._ridge = ridge
        self._outputs = outputs

    @abstractmethod
    def _loss(self, predictions: Array) -> tuple[float, Array]:
        """The loss and its derivatives with respect to the predictions."""

    @abstractmethod
    def _change(self, block: Block, step: Vector) -> Array:
        """What a step of a block adds to the predictions."""

    def start(self) -> Iterate:
        """The iterate at zero."""
        examples = self._columns.shape[1]
        predictions = np.zeros((examples, self._outputs) if self._outputs > 1 else examples)
        value, slopes = self._loss(predictions)
        return Iterate(np.zeros(self.size), predictions, (self._columns @ slopes).ravel(), value)

    def value_after(self, iterate: Iterate, block: Block, step: Vector) -> float:
        """The loss of the moved predictions, which costs the number of examples times the size of the block."""
        loss = self._loss(iterate.predictions + self._change(block, step))[0]
        before = iterate.weights[block]
        return loss + 0.5 * self._ridge * float(iterate.weights @ iterate.weights + step @ (2.0 * before + step))

    def move(self, iterate: Iterate, block: Block, step: Vector) -> None:
        """Evaluate the whole gradient anew, which costs a product with all features."""
        iterate.predictions += self._change(block, step)
        iterate.weights[block] += step
        loss, slopes = self._loss(iterate.predictions)
        iterate.gradient = (self._columns @ slopes).ravel() + self._ridge * iterate.weights
        iterate.value = loss + 0.5 * self._ridge * float(iterate.weights @ iterate.weights)


class Logistic(_LinearModel):
    """Logistic regression: the sum of ``log(1 + exp(-sign * prediction))``; features (n, p), signs (n,)."""

    def __init__(self, features: Array, signs: Vector, ridge: float) -> None:
        super().__init__(features, ridge, 1)
        self._signs = signs
        # the second derivative of the loss is at most a quarter
        self.curvature = _with_ridge(0.25 * features.T @ features, ridge)

    def _loss(self, predictions: Array) -> tuple[float, Array]:
        margins = self._signs * predictions
        misfits = expit(-margins)
        value = np.where(margins > 0.0, 0.0, -margins) + log1p(np.exp(-np.abs(margins)))
        return float(value.sum()), -self._signs * misfits

    def _change(self, block: Block, step: Vector) -> Array:
        return step @ self._columns[block]

    def hessian_block(self, iterate: Iterate, block: Block) -> Array:
        """``X_b' D X_b + ridge`` with D = p (1 - p)."""
        probabilities = expit(iterate.predictions)
        columns = self._columns[block]
        return _with_ridge((columns * (probabilities * (1.0 - probabilities))) @ columns.T, self._ridge)


class Softmax(_LinearModel):
    """Multinomial logistic regression; features (n, p), classes (n,); the weight of feature j, class c is j k + c."""

    def __init__(self, features: Array, classes: NDArray[np.intp], ridge: float) -> None:
        count = int(classes.max()) + 1
        super().__init__(features, ridge, count)
        self._indicators = np.eye(count)[classes]
        # Böhning's bound on diag(p) - p p'
        centring = 0.5 * (np.eye(count) - 1.0 / count)
        self.curvature = _with_ridge(np.asarray(np.kron(features.T @ features, centring), np.float64), ridge)

    def _loss(self, predictions: Array) -> tuple[float, Array]:
        value = logsumexp(predictions, axis=1).sum() - (predictions * self._indicators).sum()
        return float(value), softmax(predictions, axis=1) - self._indicators

    def _change(self, block: Block, step: Vector) -> Array:
        features, classes = np.divmod(block, self._outputs)
        scattered = np.zeros((block.size, self._outputs))
        scattered[np.arange(block.size), classes] = step
        return self._columns[features].T @ scattered

    def hessian_block(self, iterate: Iterate, block: Block) -> Array:
        """Sums over the examples of ``x_j x_l (p_c [c = d] - p_c p_d)`` for weights (j, c) and (l, d); the ridge."""
        features, classes = np.divmod(block, self._outputs)
        columns = self._columns[features]
        weighted = columns * softmax(iterate.predictions, axis=1)[:, classes].T
        hessian = (weighted @ columns.T) * (classes[:, None] == classes) - weighted @ weighted.T
        return _with_ridge(hessian, self._ridge)


def objective_of(problem: Regression) -> Objective:
    """The objective of a regression.

    Parameters
    ----------
    problem : Regression

    Raises
    ------
    ValueError
        If the features are not a float64 matrix with rows and columns, the targets do not fit them or the loss, the
        ridge is negative or NaN, or the loss is unknown.
    """
    features, targets = problem.features, problem.targets
    check_regression(features, targets)
    if not 0.0 <= problem.ridge < np.inf:
        raise ValueError(f"ridge must be finite and at least 0, not {problem.ridge}")
    match problem.loss:
        case "squared":
            gram = _with_ridge(features.T @ features, problem.ridge)
            return Quadratic(gram, features.T @ targets, 0.5 * float(targets @ targets))
        case "logistic":
            if not np.isin(np.abs(targets), (1.0, np.nan)).all():
                raise ValueError(f"targets must be -1 or 1 for the logistic loss, not {np.unique(targets)[:5]}")
            return Logistic(features, targets, problem.ridge)
        case "softmax":
            if (targets < 0).any() or (targets != np.floor(targets)).any():
                raise ValueError(f"targets must be classes 0, 1, ... for softmax, not {np.unique(targets)[:5]}")
            return Softmax(features, targets.astype(np.intp), problem.ridge)
    raise ValueError(f"loss must be squared, logistic or softmax, not {problem.loss!r}")


def objective_and_gradient(problem: Regression, weights: Vector) -> tuple[float, Vector]:
    """The objective of a regression and its gradient at given weights, computed from the data without a Gram matrix."""
    features, targets = problem.features, problem.targets
    predictions = features @ weights.reshape(features.shape[1], -1)
    if problem.loss == "squared":
        slopes = predictions - targets[:, None]
        loss = 0.5 * float(np.sum(slopes**2))
    elif problem.loss == "logistic":
        loss = float(np.logaddexp(0.0, -targets * predictions[:, 0]).sum())
        slopes = (-targets * expit(-targets * predictions[:, 0]))[:, None]
    else:
        indicators = targets.astype(np.intp)[:, None] == np.arange(predictions.shape[1])
        loss = float(logsumexp(predictions, axis=1).sum() - predictions[indicators].sum())
        slopes = softmax(predictions, axis=1) - indicators
    gradient = (features.T @ slopes).ravel() + problem.ridge * weights
    return loss + 0.5 * problem.ridge * float(weights @ weights), gradient


def objective_value(problem: Regression, weights: Vector) -> float:
    """The objective of a regression at given weights."""
    return objective_and_gradient(problem, weights)[0]


def check_regression(features: Array, targets: Vector) -> None:
    """Check that the features are a float64 matrix and the targets a vector that fits.

    Raises
    ------
    ValueError
        If they are not.
    """
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.size == 0:
        raise ValueError(f"features must be a matrix that is not empty, not of shape {np.shape(features)}")
    if features.dtype != np.float64:
        raise ValueError(f"features must be float64, not {features.dtype}")
    check_vector("targets", targets, len(features))


def _with_ridge(matrix: Array, ridge: float) -> Array:
    matrix.flat[:: len(matrix) + 1] += ridge
    return matrix
