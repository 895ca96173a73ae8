"""Smooth functions of few variables with gradient and Hessian, from which test problems are put together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Array = NDArray[np.float64]


class SmoothFunction(ABC):
    """A twice differentiable function of x, shape (n,)."""

    @abstractmethod
    def value(self, x: Vector) -> float:
        """The value at x."""

    @abstractmethod
    def gradient(self, x: Vector) -> Vector:
        """The gradient at x, shape (n,)."""

    @abstractmethod
    def hessian(self, x: Vector) -> Array:
        """The Hessian at x, shape (n, n)."""


class LinearFormPowers(SmoothFunction):
    """``sum_j (forms_j @ x - offsets_j) ** powers_j``.

    Parameters
    ----------
    forms : array_like, shape (k, n)
    offsets : array_like, shape (k,), or float
    powers : array_like of int, shape (k,), or int
        At least 1; all squares by default.
    """

    def __init__(self, forms: ArrayLike, offsets: ArrayLike = 0.0, powers: ArrayLike = 2) -> None:
        self._forms = np.asarray(forms, np.float64)
        self._offsets = np.asarray(offsets, np.float64)
        self._powers = np.asarray(powers, np.int64)

    def _derivatives(self, x: Vector, order: int) -> Vector:
        """The derivatives of the powers with respect to their linear forms."""
        factor = np.ones(len(self._forms))
        for lost in range(order):
            factor *= self._powers - lost
        base = self._forms @ x - self._offsets
        return np.asarray(factor * base ** np.maximum(self._powers - order, 0))

    def value(self, x: Vector) -> float:
        """The sum of the powers."""
        return float(self._derivatives(x, 0).sum())

    def gradient(self, x: Vector) -> Vector:
        """The transposed forms times the first derivatives."""
        return np.asarray(self._forms.T @ self._derivatives(x, 1))

    def hessian(self, x: Vector) -> Array:
        """The forms, weighted by the second derivatives, times themselves."""
        return np.asarray(self._forms.T @ (self._derivatives(x, 2)[:, np.newaxis] * self._forms))


class Polynomial(SmoothFunction):
    """``sum_j coefficients_j prod_i x_i ** exponents_ji``.

    Parameters
    ----------
    coefficients : array_like, shape (k,)
    exponents : array_like of int, shape (k, n)
        Not negative.
    """

    def __init__(self, coefficients: ArrayLike, exponents: ArrayLike) -> None:
        self._coefficients = np.asarray(coefficients, np.float64)
        self._exponents = np.asarray(exponents, np.int64)

    def value(self, x: Vector) -> float:
        """The sum of the monomials."""
        return float(self._coefficients @ np.prod(x**self._exponents, axis=1))

    def _derivative(self, variable: int) -> "Polynomial":
        lowered = self._exponents.copy()
        lowered[:, variable] = np.maximum(lowered[:, variable] - 1, 0)
        return Polynomial(self._coefficients * self._exponents[:, variable], lowered)

    def gradient(self, x: Vector) -> Vector:
        """The values of the partial derivatives."""
        return np.array([self._derivative(variable).value(x) for variable in range(x.size)])

    def hessian(self, x: Vector) -> Array:
        """The gradients of the partial derivatives."""
        return np.array([self._derivative(variable).gradient(x) for variable in range(x.size)])


@dataclass(frozen=True)
class LogarithmOfSquare(SmoothFunction):
    """``log(1 + x_i^2)`` of one variable."""

    variable: int

    def value(self, x: Vector) -> float:
        """The logarithm."""
        return float(np.log1p(x[self.variable] ** 2))

    def gradient(self, x: Vector) -> Vector:
        """Nonzero in one variable."""
        t = x[self.variable]
        return np.asarray(np.eye(x.size)[self.variable] * (2.0 * t / (1.0 + t**2)))

    def hessian(self, x: Vector) -> Array:
        """Nonzero in one entry."""
        t = x[self.variable]
        unit = np.eye(x.size)[self.variable]
        return np.asarray(np.outer(unit, unit) * (2.0 * (1.0 - t**2) / (1.0 + t**2) ** 2))


class SineOfForm(SmoothFunction):
    """``sin(form @ x)``; ``form`` has shape (n,)."""

    def __init__(self, form: ArrayLike) -> None:
        self._form = np.asarray(form, np.float64)

    def value(self, x: Vector) -> float:
        """The sine."""
        return float(np.sin(self._form @ x))

    def gradient(self, x: Vector) -> Vector:
        """The form times the cosine."""
        return np.asarray(np.cos(self._form @ x) * self._form)

    def hessian(self, x: Vector) -> Array:
        """The form times itself times the negative sine."""
        return np.asarray(-np.sin(self._form @ x) * np.outer(self._form, self._form))


@dataclass(frozen=True)
class Sum(SmoothFunction):
    """The sum of several functions."""

    parts: Sequence[SmoothFunction]

    def value(self, x: Vector) -> float:
        """The sum of the values."""
        return sum(part.value(x) for part in self.parts)

    def gradient(self, x: Vector) -> Vector:
        """The sum of the gradients."""
        return np.asarray(np.sum([part.gradient(x) for part in self.parts], axis=0))

    def hessian(self, x: Vector) -> Array:
        """The sum of the Hessians."""
        return np.asarray(np.sum([part.hessian(x) for part in self.parts], axis=0))
