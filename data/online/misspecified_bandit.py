"""Arms whose rewards are linear in few features, but for a bounded error that may be chosen against the learner."""

from abc import abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.linalg import qr

from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]

REFERENCE = 'Dong, Yang, "Does Sparsity Help in Learning Misspecified Linear Bandits?" (ICML 2023)'
DIGIT_IMAGES, DIGIT_PIXELS = 1797, 64


class Misspecification(StrEnum):
    """How the error of the linear model is chosen; it is never larger than the bound."""

    UNIFORM = "uniform"
    """Independent and uniform: what least squares averages out."""

    NEEDLE = "needle"
    """One arm that is nearly the best is underrated, all others are overrated: what no cover can foresee."""

    LEAST_SQUARES = "least-squares"
    """The worst of several decoys for least squares on a G-optimal design."""

    SPARSE_DECOY = "sparse-decoy"
    """It leads regression on random arms from theta to a direction as sparse on other features."""


@dataclass(frozen=True, slots=True, eq=False)
class MisspecifiedBandit:
    """One bandit with rewards r(a) = <a, theta> + eta(a).

    Attributes
    ----------
    arms : ndarray, shape (n, d), float64
        Unit vectors, one a row.
    rewards : ndarray, shape (n,), float64
    misspecification : float
        The bound on all abs(eta(a)).
    sparsity : int
        The most entries of theta that are not zero; its norm is 1.
    """

    arms: Array
    rewards: Array
    misspecification: float
    sparsity: int


class _SparseBandit(Problem):
    """Sparse rewards on unit arms; a subclass says which arms."""

    reference: ClassVar[str] = REFERENCE

    sparsity: int = Field(2, ge=1, le=10, description="features that the rewards depend on")
    misspecification: float = Field(0.1, gt=0.0, le=1.0, description="bound on the error of the linear model")
    errors: Misspecification = Field(Misspecification.LEAST_SQUARES, description="how the error is chosen")
    decoys: int = Field(150, ge=1, le=10_000, description="arms that the adversary of least squares tries to promote")

    def _fields(self, arms: Array, usable: NDArray[np.intp], random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Theta uniform on the unit sphere of a random support, and the rewards."""
        parameter = np.zeros(arms.shape[1])
        support = random.choice(usable, self.sparsity, replace=False)
        parameter[support] = _unit(random.standard_normal(self.sparsity))
        errors = self._errors(arms, parameter, np.setdiff1d(usable, support), random)
        return {"arms": arms, "parameter": parameter, "rewards": arms @ parameter + errors}

    def _errors(self, arms: Array, parameter: Array, others: NDArray[np.intp], random: np.random.Generator) -> Array:
        bound = self.misspecification
        match self.errors:
            case Misspecification.UNIFORM:
                return random.uniform(-bound, bound, len(arms))
            case Misspecification.NEEDLE:
                linear = arms @ parameter
                needle = random.choice(np.flatnonzero(linear >= linear.max() - bound))
                return np.where(np.arange(len(arms)) == needle, bound, -bound)
            case Misspecification.LEAST_SQUARES:
                decoys = arms[random.choice(len(arms), min(self.decoys, len(arms)), replace=False)]
                return worst_for_least_squares(arms, parameter, decoys, bound)
            case Misspecification.SPARSE_DECOY:
                decoy = np.zeros_like(parameter)
                decoy[random.choice(others, self.sparsity, replace=False)] = _unit(
                    random.standard_normal(self.sparsity)
                )
                uniform = np.full(len(arms), 1.0 / len(arms))
                return np.asarray(bound * np.sign(arms @ (_moment_inverse(arms, uniform) @ (decoy - parameter))))

    def variables(self) -> dict[str, Variable]:
        """The arms, the parameter that a method never sees, and the rewards."""
        count, dimension = self._shape()
        return {
            "arms": Variable(("arm", "feature"), (count, dimension), "features of the arms, unit vectors"),
            "parameter": Variable(("feature",), (dimension,), "sparse parameter of the linear model"),
            "rewards": Variable(("arm",), (count,), "linear model and its error"),
        }

    @abstractmethod
    def _shape(self) -> tuple[int, int]:
        """The number of arms and that of features."""

    def assemble(self, fields: Fields) -> MisspecifiedBandit:
        """The bandit, without its parameter."""
        return MisspecifiedBandit(fields["arms"], fields["rewards"], self.misspecification, self.sparsity)


class SphereBandit(_SparseBandit):
    """Arms drawn uniformly from the unit sphere, rewards that are linear in few of their features."""

    name: ClassVar[str] = "sparse-bandit"
    summary: ClassVar[str] = "random unit arms with misspecified rewards, linear in few features"

    arm_count: int = Field(6000, ge=2, le=10**6, description="arms")
    dimension: int = Field(20, ge=1, le=1000, description="features of an arm")

    @model_validator(mode="after")
    def _enough_features(self) -> "SphereBandit":
        needed = self.sparsity * (2 if self.errors is Misspecification.SPARSE_DECOY else 1)
        if self.dimension < needed:
            raise ValueError(f"dimension={self.dimension} is too small for sparsity={self.sparsity}: at least {needed}")
        return self

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The arms, theta and the rewards."""
        arms = _unit(random.standard_normal(self._shape()))
        return self._fields(arms, np.arange(self.dimension), random)

    def _shape(self) -> tuple[int, int]:
        return self.arm_count, self.dimension


class DigitBandit(_SparseBandit):
    """Handwritten digits as arms: random rows of scikit-learn's data set, scaled to unit length.

    Theta lies on pixels that are not the same in all images.
    """

    name: ClassVar[str] = "digit-bandit"
    summary: ClassVar[str] = "images of digits as arms with misspecified rewards, linear in few pixels"

    errors: Misspecification = Field(Misspecification.UNIFORM, description="how the error is chosen")
    arm_count: int = Field(1500, ge=2, le=DIGIT_IMAGES, description="images in an instance")

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The images, theta and the rewards."""
        images = digit_images()
        arms = images[random.choice(DIGIT_IMAGES, self.arm_count, replace=False)]
        return self._fields(arms, np.flatnonzero(np.ptp(images, axis=0) > 0.0), random)

    def _shape(self) -> tuple[int, int]:
        return self.arm_count, DIGIT_PIXELS


@cache
def digit_images() -> Array:
    """The 8 x 8 images of scikit-learn's digits as unit vectors, shape (1797, 64), float64."""
    from sklearn.datasets import load_digits

    return _unit(load_digits().data)


def worst_for_least_squares(arms: Array, parameter: Array, decoys: Array, bound: float) -> Array:
    """The bounded error that costs least squares on a G-optimal design most, among those that promote one decoy each.

    For a decoy c and the best arm b the error ``bound * sign(a^T V^+ (c - b))``, V the second moment of the design,
    raises the prediction of c over that of b as far as a bounded error can.

    Parameters
    ----------
    arms : ndarray, shape (n, d), float64
    parameter : ndarray, shape (d,), float64
    decoys : ndarray, shape (m, d), float64
    bound : float

    Returns
    -------
    ndarray, shape (n,), float64
    """
    linear = arms @ parameter
    weights = g_optimal_weights(arms)
    inverse = _moment_inverse(arms, weights)
    errors = bound * np.sign(arms @ (inverse @ (decoys - arms[linear.argmax()]).T))
    rewards = linear[:, None] + errors
    predictions = arms @ (inverse @ (arms.T @ (weights[:, None] * rewards)))
    losses = rewards.max(axis=0) - rewards[predictions.argmax(axis=0), np.arange(len(decoys))]
    return np.asarray(errors[:, losses.argmax()])


def g_optimal_weights(arms: Array) -> Array:
    """A design whose greatest leverage is at most twice the least possible, by Fedorov's exchange of weights.

    It starts from pivoted QR in the arms' span and is the design that the least-squares baseline queries, which an
    adversary can foresee because it does not depend on rewards.

    Parameters
    ----------
    arms : ndarray, shape (n, d), float64

    Returns
    -------
    ndarray, shape (n,), float64
        Not negative, of sum 1.
    """
    moments, axes = np.linalg.eigh(arms.T @ arms)
    features = arms @ axes[:, moments > moments[-1] * arms.shape[1] * np.finfo(np.float64).eps]
    rank = features.shape[1]
    weights = np.zeros(len(arms))
    weights[qr(features.T, mode="r", pivoting=True)[1][:rank]] = 1.0 / rank
    while True:
        leverages = np.einsum("ij,ij->i", features @ _moment_inverse(features, weights), features)
        arm = int(leverages.argmax())
        if leverages[arm] <= 2.0 * rank:
            return weights
        step = (leverages[arm] / rank - 1.0) / (leverages[arm] - 1.0)
        weights *= 1.0 - step
        weights[arm] += step


def _moment_inverse(arms: Array, weights: Array) -> Array:
    """The inverse of the second moment of the arms under a distribution, within their span."""
    return np.asarray(np.linalg.pinv(arms.T @ (weights[:, None] * arms), hermitian=True), dtype=np.float64)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
