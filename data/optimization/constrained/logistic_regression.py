"""Logistic regression of real data with weights on a sphere and in a random plane."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import expit

from data.problem import Fields, Problem, Variable

Vector = NDArray[np.float64]
Array = NDArray[np.float64]
FEATURES = 30


@lru_cache(maxsize=1)
def signed_tumours() -> Array:
    """The 569 samples of breast tissue: 30 features over their largest absolute values, times the label's sign."""
    from sklearn.datasets import load_breast_cancer  # takes a second to import

    tumours = load_breast_cancer()
    features = tumours.data / np.abs(tumours.data).max(axis=0)
    signed: Array = np.where(tumours.target == 1, 1.0, -1.0)[:, np.newaxis] * features
    signed.setflags(write=False)
    return signed


@dataclass(frozen=True, slots=True, eq=False)
class SphericalLogisticRegression:
    """Minimise the mean logistic loss of x where ``matrix @ x = rhs`` and ``||x||^2 = 1``.

    Attributes
    ----------
    samples : ndarray, shape (s, n), float64
        Features times the label's sign.
    matrix : ndarray, shape (k, n), float64
    rhs : ndarray, shape (k,), float64
    """

    samples: Array
    matrix: Array
    rhs: Vector

    @property
    def start(self) -> Vector:
        """All weights one, shape (n,)."""
        return np.ones(self.matrix.shape[1])

    @property
    def start_multipliers(self) -> Vector:
        """All multipliers one, shape (k + 1,)."""
        return np.ones(self.rhs.size + 1)

    def objective(self, x: Vector) -> float:
        """The mean logistic loss at x."""
        return float(np.logaddexp(0.0, -(self.samples @ x)).mean())

    def gradient(self, x: Vector) -> Vector:
        """The gradient of the loss, shape (n,)."""
        return np.asarray(-(expit(-(self.samples @ x)) @ self.samples) / len(self.samples))

    def constraints(self, x: Vector) -> Vector:
        """The residuals of the plane and of the sphere, shape (k + 1,)."""
        return np.append(self.matrix @ x - self.rhs, x @ x - 1.0)

    def jacobian(self, x: Vector) -> Array:
        """Their Jacobian, shape (k + 1, n)."""
        return np.vstack((self.matrix, 2.0 * x))

    def hessian(self, x: Vector, multipliers: Vector) -> Array:
        """The Hessian of the Lagrangian, shape (n, n)."""
        probability = expit(self.samples @ x)
        weights = probability * (1.0 - probability) / len(self.samples)
        curvature = np.asarray(self.samples.T @ (weights[:, np.newaxis] * self.samples))
        return np.asarray(curvature + 2.0 * multipliers[-1] * np.eye(x.size))


class ConstrainedLogistic(Problem):
    """Diagnoses of 569 tumours by a weight vector on the unit sphere and in a random plane through a point of it."""

    name: ClassVar[str] = "constrained-logistic"
    summary: ClassVar[str] = "logistic regression of breast tumours, weights on a sphere and in a random plane"
    reference: ClassVar[str] = (
        'Hong, Na, Mahoney, Kolar, "Constrained Optimization via Exact Augmented Lagrangian and Randomized Iterative '
        'Sketching" (ICML 2023); samples: Wolberg et al., Breast Cancer Wisconsin (UCI, 1995), as in scikit-learn'
    )

    equations: int = Field(10, ge=1, le=FEATURES - 2, description="linear equations that the weights satisfy")

    def variables(self) -> dict[str, Variable]:
        """The plane."""
        return {
            "matrix": Variable(("equation", "feature"), (self.equations, FEATURES), "matrix of the plane, Gaussian"),
            "rhs": Variable(("equation",), (self.equations,), "right-hand side of the plane"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A Gaussian matrix, and a right-hand side for which a uniform point of the sphere is feasible."""
        matrix = random.standard_normal((self.equations, FEATURES))
        point = random.standard_normal(FEATURES)
        return {"matrix": matrix, "rhs": matrix @ (point / np.linalg.norm(point))}

    def assemble(self, fields: Fields) -> SphericalLogisticRegression:
        """The regression in that plane."""
        return SphericalLogisticRegression(signed_tumours(), np.asarray(fields["matrix"]), np.asarray(fields["rhs"]))
