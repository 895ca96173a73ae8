"""The oracles of a bilevel problem at a price, on minibatches that a method draws."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.budget import Budget
from kernels.linear_systems.validation import check_count
from kernels.optimization.bilevel.problem import BilevelProblem, Blocks, Indices, Matrix, Vector

GRADIENT = 1
HESSIAN_PRODUCT = 2
CROSS_PRODUCT = 2


class BudgetSpentError(Exception):
    """The budget does not allow the next call; what was done until then stands."""


@dataclass(frozen=True, eq=False)
class Minibatch:
    """Samples of some blocks; an oracle evaluates them at the rows of all m lower-level variables that it is given."""

    blocks: Indices
    size: int
    samples: Any


class Oracles:
    """The oracles of a problem; every call is charged to the budget for each sample of each block.

    The unit ``oracle_calls`` is a stochastic gradient (of f_i in both variables, or of g_i); products with Hess_yy and
    Hess_xy cost 2, a whole Hessian as much as its q products. Calls for the gradient of g_i are also counted alone.

    Parameters
    ----------
    problem : BilevelProblem
    budget : Budget
        Of ``oracle_calls`` or ``iterations``, one of which it must limit.
    random : Generator
    batch : int
        Samples of a block in a minibatch.
    sampled_blocks : int or None
        Blocks in a minibatch, None for all m.

    Raises
    ------
    ValueError
        If an option is out of range, the budget is unlimited or nothing is left of it, or the problem's starting points
        do not fit it.
    """

    def __init__(
        self,
        problem: BilevelProblem,
        budget: Budget,
        random: np.random.Generator,
        *,
        batch: int = 1,
        sampled_blocks: int | None = None,
    ) -> None:
        check_count("batch", batch, 1)
        check_count("sampled_blocks", problem.blocks if sampled_blocks is None else sampled_blocks, 1, problem.blocks)
        check_start(problem)
        left = {unit: budget.left(unit) for unit in ("oracle_calls", "iterations")}
        if not 1 <= min(left.values()) < float("inf"):
            raise ValueError(f"budget must limit oracle_calls or iterations and leave at least one of both, not {left}")
        self.problem = problem
        self.budget = budget
        self.all_blocks = np.arange(problem.blocks)
        self._random = random
        self._batch = batch
        self._sampled_blocks = problem.blocks if sampled_blocks is None else sampled_blocks

    def sample_blocks(self) -> Indices:
        """Blocks drawn without replacement, in ascending order; all of them where all are sampled."""
        m = self.problem.blocks
        if self._sampled_blocks == m:
            return self.all_blocks
        return np.sort(self._random.choice(m, self._sampled_blocks, replace=False))

    def draw_lower(self, blocks: Indices) -> Minibatch:
        """A minibatch for the oracles of g_i."""
        return Minibatch(blocks, self._batch, self.problem.draw_lower(blocks, self._batch, self._random))

    def draw_upper(self, blocks: Indices) -> Minibatch:
        """A minibatch for the oracle of f_i."""
        return Minibatch(blocks, self._batch, self.problem.draw_upper(blocks, self._batch, self._random))

    def upper_gradient(self, x: Vector, y: Matrix, on: Minibatch) -> tuple[Vector, Matrix]:
        """The mean of grad_x f_i and every grad_y f_i of the minibatch's blocks."""
        self._charge(on, GRADIENT)
        return self.problem.upper_gradient(x, y[on.blocks], on.blocks, on.samples)

    def lower_gradient(self, x: Vector, y: Matrix, on: Minibatch) -> Matrix:
        """Every grad_y g_i of the minibatch's blocks."""
        self._charge(on, GRADIENT, lower_gradients=on.blocks.size * on.size)
        return self.problem.lower_gradient(x, y[on.blocks], on.blocks, on.samples)

    def lower_hessian(self, x: Vector, y: Matrix, on: Minibatch) -> Blocks:
        """Every Hess_yy g_i of the minibatch's blocks."""
        self._charge(on, HESSIAN_PRODUCT * y.shape[1])
        return self.problem.lower_hessian(x, y[on.blocks], on.blocks, on.samples)

    def hessian_product(self, x: Vector, y: Matrix, v: Matrix, on: Minibatch) -> Matrix:
        """Every Hess_yy g_i v_i of the minibatch's blocks, whose rows v holds, shape (b, q)."""
        self._charge(on, HESSIAN_PRODUCT)
        return self.problem.hessian_product(x, y[on.blocks], v, on.blocks, on.samples)

    def cross_product(self, x: Vector, y: Matrix, v: Matrix, on: Minibatch) -> Vector:
        """The mean of Hess_xy g_i v_i over the minibatch's blocks, whose rows v holds, shape (b, q)."""
        self._charge(on, CROSS_PRODUCT)
        return self.problem.cross_product(x, y[on.blocks], v, on.blocks, on.samples)

    def _charge(self, on: Minibatch, price: float, **counted: float) -> None:
        if not self.budget.spend(oracle_calls=price * on.blocks.size * on.size, **counted):
            raise BudgetSpentError


def check_start(problem: BilevelProblem) -> None:
    """Check that the starting points fit the problem; NaN and infinity are let through.

    Raises
    ------
    ValueError
        If they do not; the message names the attribute.
    """
    for name, array, shape in (
        ("upper_start", problem.upper_start, (None,)),
        ("lower_start", problem.lower_start, (problem.blocks, None)),
    ):
        fits = array.ndim == len(shape) and all(
            want in (None, size) for want, size in zip(shape, array.shape, strict=True)
        )
        if not fits or array.size == 0 or array.dtype != np.float64:
            raise ValueError(f"{name} must be float64 of shape {shape}, not {array.dtype} of shape {array.shape}")
    if not problem.strong_convexity > 0:
        raise ValueError(f"strong_convexity must be positive, not {problem.strong_convexity}")
