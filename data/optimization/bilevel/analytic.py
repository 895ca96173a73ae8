"""Bilevel problems with quadratic lower levels whose hyperobjective and its gradient are known in closed form."""
# ruff: noqa: ARG002 - all oracles have one signature

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Noise = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class QuadraticLower(ABC):
    """g_i(x, y) = y' A_i y / 2 - y' (B_i x + c_i), so that y_i(x) = A_i^-1 (B_i x + c_i).

    A minibatch adds the mean of its noise: N(0, noise^2) to the entries of c_i and of both gradients of f_i, and
    N(0, matrix_noise^2) to those of B_i and, symmetrically, of A_i.

    Attributes
    ----------
    hessians : ndarray, shape (m, q, q), float64
        A_i, with eigenvalues of at least 1.
    couplings : ndarray, shape (m, q, p), float64
        B_i.
    offsets : ndarray, shape (m, q), float64
        c_i.
    upper_start : ndarray, shape (p,), float64
    noise, matrix_noise : float
        Standard deviations for a single sample.
    """

    hessians: Array
    couplings: Array
    offsets: Array
    upper_start: Array
    noise: float
    matrix_noise: float

    strong_convexity: ClassVar[float] = 1.0

    @property
    def blocks(self) -> int:
        """The number m of lower-level problems."""
        return len(self.offsets)

    @property
    def lower_start(self) -> Array:
        """Zero, shape (m, q)."""
        return np.zeros_like(self.offsets)

    def draw_lower(self, blocks: Indices, batch: int, random: np.random.Generator) -> Noise:
        """Noise of A_i, B_i and c_i."""
        q, p = self.couplings.shape[1:]
        draws = random.standard_normal((blocks.size, q, q + p + 1)) / np.sqrt(batch)
        square = draws[:, :, :q]
        symmetric = (square + square.transpose(0, 2, 1)) * (self.matrix_noise / np.sqrt(2.0))
        return symmetric, draws[:, :, q : q + p] * self.matrix_noise, draws[:, :, -1] * self.noise

    def draw_upper(self, blocks: Indices, batch: int, random: np.random.Generator) -> Noise:
        """Noise of grad_x f_i and grad_y f_i."""
        q, p = self.couplings.shape[1:]
        draws = random.standard_normal((blocks.size, p + q)) * (self.noise / np.sqrt(batch))
        return draws[:, :p], draws[:, p:]

    def _matrices(self, blocks: Indices, minibatch: Noise | None) -> tuple[Array, Array, Array]:
        exact = self.hessians[blocks], self.couplings[blocks], self.offsets[blocks]
        if minibatch is None:
            return exact
        hessian, coupling, offset = minibatch
        return exact[0] + hessian, exact[1] + coupling, exact[2] + offset

    def lower_value(self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None) -> Array:
        """The values g_i, shape (b,)."""
        hessian, coupling, offset = self._matrices(blocks, minibatch)
        gradient = 0.5 * _products(hessian, y) - coupling @ x - offset
        return np.asarray((y * gradient).sum(axis=1))

    def lower_gradient(self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None) -> Array:
        """Every A_i y_i - B_i x - c_i, shape (b, q)."""
        hessian, coupling, offset = self._matrices(blocks, minibatch)
        return _products(hessian, y) - coupling @ x - offset

    def lower_hessian(self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None) -> Array:
        """Every A_i, shape (b, q, q)."""
        return self.hessians[blocks] if minibatch is None else self.hessians[blocks] + minibatch[0]

    def hessian_product(self, x: Array, y: Array, v: Array, blocks: Indices, minibatch: Noise | None = None) -> Array:
        """Every A_i v_i, shape (b, q)."""
        return _products(self.lower_hessian(x, y, blocks, minibatch), v)

    def cross_product(
        self,
        x: Array,
        y: Array,
        v: Array,
        blocks: Indices,
        minibatch: Noise | None = None,
    ) -> Array:
        """The mean of -B_i' v_i, shape (p,)."""
        coupling = self.couplings[blocks] if minibatch is None else self.couplings[blocks] + minibatch[1]
        return np.asarray(np.einsum("iqp,iq->p", coupling, v) / -blocks.size)

    @cached_property
    def solution_maps(self) -> tuple[Array, Array]:
        """A_i^-1 B_i, shape (m, q, p), and A_i^-1 c_i, shape (m, q): y_i(x) is affine in x."""
        both = np.linalg.solve(self.hessians, np.concatenate([self.couplings, self.offsets[..., None]], axis=2))
        return np.asarray(both[..., :-1], np.float64), np.asarray(both[..., -1], np.float64)

    def lower_solutions(self, x: Array) -> Array:
        """All y_i(x), shape (m, q)."""
        linear, constant = self.solution_maps
        return np.asarray(linear @ x + constant)

    @abstractmethod
    def exact_gradient(self, x: Array) -> Array:
        """The gradient of F, shape (p,), from the closed form of y_i(x)."""

    def progress(self, x: Array, y: Array) -> float:
        """The exact ||grad F(x)||."""
        return float(np.linalg.norm(self.exact_gradient(x)))


def _products(matrices: Array, rows: Array) -> Array:
    return np.asarray(np.matmul(matrices, rows[..., None])[..., 0])


@dataclass(frozen=True, eq=False)
class CoshUpper(QuadraticLower):
    """f(x, y) = sum_j cosh(k (x_j + y_j)) / k^2: the Hessian of F grows with its gradient, without bound.

    One block, p = q.
    """

    rate: float

    def upper_value(self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None) -> float:
        """F at y = y(x)."""
        value = float(np.cosh(self.rate * (x + y[0])).sum() / self.rate**2)
        return value if minibatch is None else value + float(minibatch[0][0] @ x + minibatch[1][0] @ y[0])

    def upper_gradient(
        self,
        x: Array,
        y: Array,
        blocks: Indices,
        minibatch: Noise | None = None,
    ) -> tuple[Array, Array]:
        """Sinh(k (x + y)) / k, for x and for y."""
        gradient = np.sinh(self.rate * (x + y[0])) / self.rate
        if minibatch is None:
            return gradient, gradient[None]
        return gradient + minibatch[0][0], gradient + minibatch[1]

    def exact_gradient(self, x: Array) -> Array:
        """(I + A^-1 B)' sinh(k (x + y(x))) / k."""
        gradient = np.sinh(self.rate * (x + self.lower_solutions(x)[0])) / self.rate
        return np.asarray(gradient + self.solution_maps[0][0].T @ gradient)


@dataclass(frozen=True, eq=False)
class TrackingUpper(QuadraticLower):
    """f_i(x, y) = ||y - t_i||^2 / 2 + ridge ||x||^2 / 2, with targets t_i, shape (m, q)."""

    targets: Array
    ridge: float

    def upper_value(self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None) -> float:
        """The mean of f_i over the blocks."""
        value = float(0.5 * ((y - self.targets[blocks]) ** 2).sum() / blocks.size + 0.5 * self.ridge * (x @ x))
        if minibatch is None:
            return value
        return value + float((minibatch[0] @ x).mean() + (minibatch[1] * y).sum(axis=1).mean())

    def upper_gradient(
        self, x: Array, y: Array, blocks: Indices, minibatch: Noise | None = None
    ) -> tuple[Array, Array]:
        """Ridge x, and every y_i - t_i."""
        direct, pull = self.ridge * x, y - self.targets[blocks]
        return (direct, pull) if minibatch is None else (direct + minibatch[0].mean(axis=0), pull + minibatch[1])

    @cached_property
    def _normal_equations(self) -> tuple[Array, Array]:
        """Hess F and grad F(0)."""
        linear, constant = self.solution_maps
        hessian = np.einsum("iqp,iqr->pr", linear, linear) / self.blocks + self.ridge * np.eye(linear.shape[2])
        return hessian, np.asarray(np.einsum("iqp,iq->p", linear, constant - self.targets) / self.blocks)

    def exact_gradient(self, x: Array) -> Array:
        """The mean of (A_i^-1 B_i)' (y_i(x) - t_i), and ridge x."""
        hessian, constant = self._normal_equations
        return np.asarray(hessian @ x + constant)


class _Analytic(Problem):
    noise: float = Field(0.5, ge=0.0, le=100.0, description="standard deviation of the noise in gradients")
    matrix_noise: float = Field(
        0.1, ge=0.0, le=10.0, description="standard deviation of the noise in second derivatives"
    )


class CoshBilevel(_Analytic):
    """One lower level y(x) = A x + c, and an upper one that grows like cosh of x + y; it starts 3 from the minimum."""

    name: ClassVar[str] = "cosh-bilevel"
    summary: ClassVar[str] = "bilevel problem whose smoothness grows with the gradient, known in closed form"
    reference: ClassVar[str] = 'Hao, Gong, Liu, "Bilevel Optimization under Unbounded Smoothness" (ICLR 2024)'

    dimension: int = Field(20, ge=1, le=500, description="of x and of y")
    rate: float = Field(3.0, gt=0.0, le=100.0, description="k, at which the upper objective grows")
    distance: float = Field(3.0, gt=0.0, le=100.0, description="of the start from the minimum")

    def variables(self) -> dict[str, Variable]:
        """The lower level and the start."""
        d = self.dimension
        return {
            "coupling": Variable(("lower", "upper"), (d, d), "A of y(x) = A x + c"),
            "offset": Variable(("lower",), (d,), "c"),
            "start": Variable(("upper",), (d,), "x at the start"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A of norm about 1, c, and a start in a random direction from the minimum."""
        d = self.dimension
        coupling = random.standard_normal((d, d)) / (2.0 * np.sqrt(d))
        offset = random.standard_normal(d)
        direction = random.standard_normal(d)
        minimum = np.linalg.solve(np.eye(d) + coupling, -offset)
        start = minimum + self.distance * direction / np.linalg.norm(direction)
        return {"coupling": coupling, "offset": offset, "start": start}

    def assemble(self, fields: Fields) -> CoshUpper:
        """With the identity as the lower level's Hessian."""
        return CoshUpper(
            np.eye(self.dimension)[None],
            fields["coupling"][None],
            fields["offset"][None],
            fields["start"],
            self.noise,
            self.matrix_noise,
            self.rate,
        )


class QuadraticBlocks(_Analytic):
    """Many small quadratic lower levels of different Hessians, couplings and targets."""

    name: ClassVar[str] = "quadratic-blocks"
    summary: ClassVar[str] = "bilevel problem of many quadratic lower levels, known in closed form"
    reference: ClassVar[str] = 'Hu et al., "Blockwise Stochastic Variance-Reduced Methods ... Bilevel" (ICML 2023)'

    blocks: int = Field(100, ge=1, le=10**5, description="m, of lower-level problems")
    lower_dimension: int = Field(5, ge=1, le=500, description="q, of every y")
    upper_dimension: int = Field(10, ge=1, le=500, description="p, of x")
    greatest: float = Field(
        3.0, ge=1.0, le=1e4, description="most eigenvalue of a lower level's Hessian; the least is 1"
    )
    ridge: float = Field(0.1, gt=0.0, le=100.0, description="of x in the upper objective")
    noise: float = Field(1.0, ge=0.0, le=100.0, description="standard deviation of the noise in gradients")

    def variables(self) -> dict[str, Variable]:
        """The lower levels and their targets."""
        m, q, p = self.blocks, self.lower_dimension, self.upper_dimension
        return {
            "hessians": Variable(("block", "lower", "other_lower"), (m, q, q), "A of every block"),
            "couplings": Variable(("block", "lower", "upper"), (m, q, p), "B of every block"),
            "offsets": Variable(("block", "lower"), (m, q), "c of every block"),
            "targets": Variable(("block", "lower"), (m, q), "t of every block"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Hessians with uniform eigenvalues and random axes, couplings with a common part, one x behind all targets."""
        m, q, p = self.blocks, self.lower_dimension, self.upper_dimension
        axes = np.linalg.qr(random.standard_normal((m, q, q)))[0]
        eigenvalues = random.uniform(1.0, self.greatest, (m, q))
        hessians = (axes * eigenvalues[:, None, :]) @ axes.transpose(0, 2, 1)
        couplings = (random.standard_normal((q, p)) + random.standard_normal((m, q, p))) / np.sqrt(p)
        offsets = random.standard_normal((m, q))
        solutions = np.linalg.solve(hessians, (couplings @ random.standard_normal(p) + offsets)[..., None])[..., 0]
        return {
            "hessians": 0.5 * (hessians + hessians.transpose(0, 2, 1)),
            "couplings": couplings,
            "offsets": offsets,
            "targets": solutions + random.standard_normal((m, q)),
        }

    def assemble(self, fields: Fields) -> TrackingUpper:
        """Started at zero."""
        return TrackingUpper(
            fields["hessians"],
            fields["couplings"],
            fields["offsets"],
            np.zeros(self.upper_dimension),
            self.noise,
            self.matrix_noise,
            fields["targets"],
            self.ridge,
        )
