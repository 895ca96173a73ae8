"""Greedy block coordinate descent on nonnegative least squares with an L1 penalty, and when it finds the active set."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.block_coordinate_descent.block_systems import (
    damped,
    largest_eigenvalue,
    solve_semidefinite,
)
from kernels.optimization.block_coordinate_descent.objectives import (
    Array,
    Block,
    Iterate,
    Vector,
    check_regression,
)
from kernels.optimization.block_coordinate_descent.partitions import PARTITIONS, fixed_blocks
from kernels.optimization.block_coordinate_descent.selection import top
from kernels.result import Result, Status

# weights this small count as lying on their bound (the paper's section 5)
ON_BOUND = 1e-8
ARMIJO = 1e-4
MOST_HALVINGS = 60


class SparseRegression(Protocol):
    """Data of a nonnegative lasso."""

    @property
    def features(self) -> Array:
        """Shape (n, p), float64."""
        ...

    @property
    def targets(self) -> Vector:
        """Shape (n,), float64."""
        ...

    @property
    def penalty(self) -> float:
        """Times the sum of the weights is added to half the squared residual; at least 0."""
        ...


def bounded_block_coordinate_descent(
    problem: SparseRegression,
    *,
    block_size: int = 100,
    blocks: str = "variable",
    update: str = "two_metric",
    tolerance: float = 1e-10,
    max_iterations: int = 10_000,
    start: float = 0.0,
) -> Result:
    """Minimise ``|X w - y|^2 / 2 + penalty sum(w)`` over w >= 0, a block of weights at a time.

    The block has the greatest sum of the decreases that each of its weights could reach alone (GS-q with the bound
    H_ii). Its update is one of

    ==================  ==========================================================================================
    projected_gradient  ``max(w_b - g_b / lambda_max(H_bb), 0)``
    two_metric          on weights at their bound that the gradient holds there a scaled gradient step, on the rest a
                        Newton step, both projected and halved together until Bertsekas' Armijo condition holds
    exact               the minimiser over the block, by SciPy's ``nnls`` on a Cholesky factor of its Hessian
    ==================  ==========================================================================================

    Parameters
    ----------
    problem : SparseRegression
    block_size : int
        Weights per block, at least 1; more than there are means all.
    blocks : {"variable", "order", "sort", "average"}
    update : {"projected_gradient", "two_metric", "exact"}
    tolerance : float
        CONVERGED means that the projected gradient's norm is at most this times that at the start.
    max_iterations : int
        The limit on steps.
    start : float
        Where all weights start, at least 0.

    Returns
    -------
    Result
        ``history`` is the objective after each step. ``work`` has ``identification``: the number of the step after
        which the support changed no more. Status is NOT_FINITE for NaN or infinity in the data.

    Raises
    ------
    ValueError
        If an argument has a wrong shape, dtype, name or range.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's make block coordinate descent converge faster", JMLR 23 (2022),
       section 5 (active sets and superlinear convergence).
    .. [2] D. Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control
       Optim. 20 (1982).
    """
    features, targets = problem.features, problem.targets
    check_regression(features, targets)
    check_count("block_size", block_size, least=1)
    check_count("max_iterations", max_iterations, least=1)
    check_tolerance(tolerance)
    if update not in _STEPS:
        raise ValueError(f"update must be one of {', '.join(_STEPS)}, not {update!r}")
    for name, number in (("penalty", problem.penalty), ("start", start)):
        if not 0.0 <= number < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, not {number}")
    if not (np.isfinite(features).all() and np.isfinite(targets).all()):
        work = dict.fromkeys(("iterations", "coordinate_updates", "identification"), 0)
        return Result(np.empty(0), Status.NOT_FINITE, np.array([math.nan]), work)
    objective = _SquaredResidual(features, targets, problem.penalty)
    block_size = min(block_size, features.shape[1])
    lipschitz = objective.lipschitz
    partition = [] if blocks == "variable" else _checked_partition(blocks, lipschitz, block_size)
    step_of = _STEPS[update]
    iterate = objective.at(np.full(features.shape[1], start))
    target = tolerance * float(np.linalg.norm(projected_gradient(iterate.weights, iterate.gradient)))
    history = [iterate.value]
    moved = identification = 0
    status = Status.ITERATION_LIMIT
    while True:
        if np.linalg.norm(projected_gradient(iterate.weights, iterate.gradient)) <= target:
            status = Status.CONVERGED
            break
        if len(history) > max_iterations:
            break
        decreases = coordinate_decreases(iterate.weights, iterate.gradient, lipschitz)
        block = _best_of(partition, decreases) if partition else top(decreases, block_size)
        support = iterate.weights[block] > 0.0
        step = step_of(objective.hessian_block(block), iterate.weights[block], iterate.gradient[block])
        objective.move(iterate, block, step)
        history.append(iterate.value)
        moved += block.size
        if not np.array_equal(support, iterate.weights[block] > 0.0):
            identification = len(history) - 1
    work = {"iterations": len(history) - 1, "coordinate_updates": moved, "identification": identification}
    return Result(iterate.weights, status, np.array(history), work)


class _SquaredResidual:
    """Half the squared residual and the penalty; Hessians are formed of the blocks that are asked for alone."""

    def __init__(self, features: Array, targets: Vector, penalty: float) -> None:
        self._columns = np.ascontiguousarray(features.T)
        self._targets = targets
        self._penalty = penalty
        squares = np.einsum("ij,ij->i", self._columns, self._columns)
        self.lipschitz = np.where(squares > 0.0, squares, 1.0)

    def at(self, weights: Vector) -> Iterate:
        """The iterate of some weights; in place of predictions it keeps the residual."""
        iterate = Iterate(weights, weights @ self._columns - self._targets, np.empty(0), 0.0)
        self._evaluate(iterate)
        return iterate

    def move(self, iterate: Iterate, block: Block, step: Vector) -> None:
        """Move the weights of a block, and all that depends on them, in place."""
        iterate.predictions += step @ self._columns[block]
        iterate.weights[block] += step
        self._evaluate(iterate)

    def hessian_block(self, block: Block) -> Array:
        """The Hessian of the weights of a block."""
        columns = self._columns[block]
        return np.asarray(columns @ columns.T)

    def _evaluate(self, iterate: Iterate) -> None:
        residual = iterate.predictions
        iterate.gradient = self._columns @ residual + self._penalty
        iterate.value = 0.5 * float(residual @ residual) + self._penalty * float(iterate.weights.sum())


def projected_gradient(weights: Vector, gradient: Vector) -> Vector:
    """The gradient, of which weights at zero keep only the part that would raise them."""
    return np.where(weights > 0.0, gradient, np.minimum(gradient, 0.0))


def coordinate_decreases(weights: Vector, gradient: Vector, lipschitz: Vector) -> Vector:
    """How far each weight alone could lower the objective, by its own bound: GS-q's score of each coordinate."""
    steps = np.maximum(-gradient / lipschitz, -weights)
    return -steps * (gradient + 0.5 * lipschitz * steps)


def _checked_partition(blocks: str, lipschitz: Vector, block_size: int) -> list[Block]:
    if blocks not in PARTITIONS:
        raise ValueError(f"blocks must be one of variable, {', '.join(PARTITIONS)}, not {blocks!r}")
    return fixed_blocks(blocks, lipschitz, block_size)


def _best_of(partition: list[Block], decreases: Vector) -> Block:
    return partition[int(np.argmax([decreases[block].sum() for block in partition]))]


def _projected_gradient_step(hessian: Array, weights: Vector, gradient: Vector) -> Vector:
    return np.maximum(weights - gradient / largest_eigenvalue(hessian), 0.0) - weights


def _two_metric_step(hessian: Array, weights: Vector, gradient: Vector) -> Vector:
    held = (weights <= ON_BOUND) & (gradient > 0.0)
    free = np.flatnonzero(~held)
    scale = np.diag(hessian)[held]
    direction = np.zeros_like(gradient)
    direction[held] = -gradient[held] / np.where(scale > 0.0, scale, 1.0)
    direction[free] = -solve_semidefinite(hessian[free[:, None], free], gradient[free])
    free_slope = float(gradient[free] @ direction[free])
    length = 1.0
    for _ in range(MOST_HALVINGS):
        step = np.maximum(weights + length * direction, 0.0) - weights
        change = float(step @ (gradient + 0.5 * hessian @ step))
        if change <= ARMIJO * (length * free_slope + float(gradient[held] @ step[held])):
            return step
        length *= 0.5
    return np.zeros_like(step)


def _exact_step(hessian: Array, weights: Vector, gradient: Vector) -> Vector:
    factor = cholesky(damped(hessian), check_finite=False)
    unconstrained = hessian @ weights - gradient
    return np.asarray(nnls(factor, solve_triangular(factor, unconstrained, trans="T"))[0] - weights)


_STEPS: Mapping[str, Callable[[Array, Vector, Vector], Vector]] = MappingProxyType(
    {"projected_gradient": _projected_gradient_step, "two_metric": _two_metric_step, "exact": _exact_step}
)
