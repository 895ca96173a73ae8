"""Block coordinate descent on smooth objectives, with any partition, rule and update."""

import math

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.block_coordinate_descent.objectives import (
    Regression,
    check_regression,
    objective_of,
)
from kernels.optimization.block_coordinate_descent.selection import block_rule
from kernels.optimization.block_coordinate_descent.updates import block_update
from kernels.result import Result, Status


def block_coordinate_descent(
    problem: Regression,
    *,
    block_size: int = 5,
    blocks: str = "variable",
    rule: str = "gsd",
    update: str = "matrix",
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    random: np.random.Generator | None = None,
) -> Result:
    """Minimise a regression's objective from zero, a block of weights at a time.

    A step selects a block by its gradient (``rule``) and moves its weights (``update``), all others held. The gradient
    of all weights is kept up to date, which a greedy rule needs: for the squared loss a step costs the size of the
    block times the number of weights, for the others a product with all features.

    Parameters
    ----------
    problem : Regression
    block_size : int
        Weights per block, between 1 and all.
    blocks : {"variable", "order", "sort", "average"}
        Any weights, or the blocks of a fixed partition
        (:func:`~kernels.optimization.block_coordinate_descent.partitions.fixed_blocks`).
    rule : {"gs", "gsl", "gsd", "gsd_rows", "gsq", "cyclic", "random", "lipschitz"}
        See :mod:`~kernels.optimization.block_coordinate_descent.selection`; gsl and the last three need fixed blocks.
    update : {"gradient", "adaptive", "matrix", "newton"}
        See :mod:`~kernels.optimization.block_coordinate_descent.updates`; adaptive needs fixed blocks.
    tolerance : float
        CONVERGED means that the gradient's norm is at most this times that at zero.
    max_iterations : int
        The limit on steps.
    random : Generator, optional
        Of the rules cyclic, random and lipschitz.

    Returns
    -------
    Result
        ``history`` is the objective after each step. Status is NOT_FINITE for NaN or infinity in the data.

    Raises
    ------
    ValueError
        If an argument has a wrong shape, dtype, name or range.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's make block coordinate descent converge faster", JMLR 23 (2022),
       sections 2 and 3.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, least=1)
    check_regression(problem.features, problem.targets)
    if update == "adaptive" and blocks == "variable":
        raise ValueError("update='adaptive' keeps an estimate per block and needs fixed blocks, not variable ones")
    if not (np.isfinite(problem.features).all() and np.isfinite(problem.targets).all()):
        return Result(np.empty(0), Status.NOT_FINITE, np.array([math.nan]), {"iterations": 0, "coordinate_updates": 0})
    objective = objective_of(problem)
    select = block_rule(objective, rule, blocks, block_size, random)
    step_of = block_update(objective, update)
    iterate = objective.start()
    target = tolerance * float(np.linalg.norm(iterate.gradient))
    history = [iterate.value]
    moved = 0
    status = Status.ITERATION_LIMIT
    while True:
        if np.linalg.norm(iterate.gradient) <= target:
            status = Status.CONVERGED
            break
        if len(history) > max_iterations:
            break
        block = select(iterate.gradient)
        objective.move(iterate, block, step_of(iterate, block))
        history.append(iterate.value)
        moved += block.size
    if not math.isfinite(iterate.value):
        status = Status.NOT_FINITE
    work = {"iterations": len(history) - 1, "coordinate_updates": moved}
    return Result(iterate.weights, status, np.array(history), work)
