"""What methods for minimisation under equality constraints take, where they stand, and what they have spent."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kernels.linear_systems.validation import check_vector

Vector = NDArray[np.float64]
Matrix = Any  # an ndarray or a csr_array, float64: their types share no operations


class ConstrainedProblem(Protocol):
    """Minimise f(x), x of shape (n,), where the m constraints c(x) vanish; f and c are twice differentiable.

    Matrices are float64, dense throughout or CSR throughout.
    """

    @property
    def start(self) -> Vector:
        """Where a method begins, shape (n,), float64."""
        ...

    @property
    def start_multipliers(self) -> Vector:
        """The multipliers it begins with, shape (m,), float64."""
        ...

    def objective(self, x: Vector) -> float:
        """The value of f at x."""
        ...

    def gradient(self, x: Vector) -> Vector:
        """The gradient of f, shape (n,)."""
        ...

    def constraints(self, x: Vector) -> Vector:
        """The value of c at x, shape (m,)."""
        ...

    def jacobian(self, x: Vector) -> Matrix:
        """The Jacobian of c, shape (m, n)."""
        ...

    def hessian(self, x: Vector, multipliers: Vector) -> Matrix:
        """The Hessian of the Lagrangian ``f + multipliers @ c`` with respect to x, shape (n, n)."""
        ...


@dataclass(frozen=True, eq=False)
class PrimalDualPoint:
    """Variables and multipliers, with the values and first derivatives there."""

    x: Vector
    multipliers: Vector
    objective: float
    constraints: Vector
    gradient: Vector
    jacobian: Matrix

    @cached_property
    def lagrangian_gradient(self) -> Vector:
        """The gradient of the Lagrangian with respect to x."""
        return np.asarray(self.gradient + self.jacobian.T @ self.multipliers)

    @cached_property
    def kkt_vector(self) -> Vector:
        """The gradient of the Lagrangian with respect to x and the multipliers: zero at a KKT point."""
        return np.concatenate((self.lagrangian_gradient, self.constraints))

    @cached_property
    def kkt_residual(self) -> float:
        """The Euclidean norm of :attr:`kkt_vector`."""
        return float(np.linalg.norm(self.kkt_vector))

    @property
    def stacked(self) -> Vector:
        """Variables and multipliers, one after the other, shape (n + m,)."""
        return np.concatenate((self.x, self.multipliers))


class Oracle:
    """A problem that counts what is asked of it."""

    def __init__(self, problem: ConstrainedProblem) -> None:
        self.problem = problem
        self.evaluations = 0
        self.derivative_evaluations = 0
        self.hessian_evaluations = 0

    def values(self, x: Vector) -> tuple[float, Vector]:
        """Objective and constraints."""
        self.evaluations += 1
        return float(self.problem.objective(x)), self.problem.constraints(x)

    def derivatives(self, x: Vector) -> tuple[Vector, Matrix]:
        """The gradient of the objective and the Jacobian of the constraints."""
        self.derivative_evaluations += 1
        return self.problem.gradient(x), self.problem.jacobian(x)

    def hessian(self, x: Vector, multipliers: Vector) -> Matrix:
        """The Hessian of the Lagrangian."""
        self.hessian_evaluations += 1
        return self.problem.hessian(x, multipliers)

    def point(self, x: Vector, multipliers: Vector) -> PrimalDualPoint:
        """Values and first derivatives at a pair of variables and multipliers."""
        return PrimalDualPoint(x, multipliers, *self.values(x), *self.derivatives(x))

    @property
    def work(self) -> dict[str, float]:
        """The counts, under the names that results give them."""
        return {
            "evaluations": self.evaluations,
            "derivative_evaluations": self.derivative_evaluations,
            "hessian_evaluations": self.hessian_evaluations,
        }


def check_problem(problem: ConstrainedProblem) -> None:
    """Check the shapes of a problem's start, constraints and derivatives there.

    Raises
    ------
    ValueError
        If a start is not a float64 vector, there are no constraints or more than variables, or a shape does not fit.
    """
    for name, start in (("start", problem.start), ("start_multipliers", problem.start_multipliers)):
        check_vector(name, start, np.size(start))
    n, m = problem.start.size, problem.start_multipliers.size
    if not 1 <= m <= n:
        raise ValueError(f"start_multipliers must have between 1 and {n} entries, not {m}")
    for function, arguments, expected in (
        (problem.gradient, (problem.start,), (n,)),
        (problem.constraints, (problem.start,), (m,)),
        (problem.jacobian, (problem.start,), (m, n)),
        (problem.hessian, (problem.start, problem.start_multipliers), (n, n)),
    ):
        shape = np.shape(function(*arguments))
        if shape != expected:
            raise ValueError(f"{function.__name__} must return an array of shape {expected}, not {shape}")


def is_finite_matrix(matrix: Matrix) -> bool:
    """Whether a dense or sparse matrix holds neither NaN nor infinity."""
    return bool(np.isfinite(matrix.data if isinstance(matrix, sp.csr_array) else matrix).all())


def frobenius_norm(matrix: Matrix) -> float:
    """The Frobenius norm of a dense or sparse matrix."""
    return float(np.linalg.norm(matrix.data if isinstance(matrix, sp.csr_array) else matrix))


def as_dense(matrix: Matrix) -> NDArray[np.float64]:
    """A matrix as an ndarray."""
    return np.asarray(matrix.toarray() if isinstance(matrix, sp.csr_array) else matrix)
