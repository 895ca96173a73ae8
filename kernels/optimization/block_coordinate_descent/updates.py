"""Updates of a selected block.

========  ====================================================================================================
gradient  ``-g_b / lambda_max(H_bb)`` with the fixed bound H
adaptive  ``-g_b / L`` with an estimate per fixed block that doubles until the step decreases enough, and stays so
matrix    ``-H_bb^+ g_b`` with the fixed bound H
newton    the same with the Hessian at the iterate, shortened by an Armijo search that interpolates cubics
========  ====================================================================================================
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from kernels.optimization.block_coordinate_descent.block_systems import largest_eigenvalue, solve_semidefinite
from kernels.optimization.block_coordinate_descent.objectives import Array, Block, Iterate, Objective, Vector

Update = Callable[[Iterate, Block], Vector]
UPDATES = ("gradient", "adaptive", "matrix", "newton")
ARMIJO = 1e-4
MOST_TRIALS = 60
# a decrease that is rounding relative to the objective passes every test of decrease
ROUNDING = 8 * np.finfo(np.float64).eps


def block_update(objective: Objective, update: str) -> Update:
    """The function from the iterate and the block to the step of its weights.

    Parameters
    ----------
    objective : Objective
    update : {"gradient", "adaptive", "matrix", "newton"}

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    match update:
        case "gradient":
            return partial(_gradient_step, objective.curvature, {})
        case "adaptive":
            return partial(_adaptive_step, objective, np.array(np.diag(objective.curvature)))
        case "matrix":
            return partial(_matrix_step, objective.curvature)
        case "newton":
            return partial(_newton_step, objective)
    raise ValueError(f"update must be one of {', '.join(UPDATES)}, not {update!r}")


def _gradient_step(curvature: Array, constants: dict[bytes, float], iterate: Iterate, block: Block) -> Vector:
    key = block.tobytes()
    if key not in constants:
        constants[key] = largest_eigenvalue(curvature[block[:, None], block])
    return -iterate.gradient[block] / constants[key]


def _adaptive_step(objective: Objective, estimates: Vector, iterate: Iterate, block: Block) -> Vector:
    gradient = iterate.gradient[block]
    squared = float(gradient @ gradient)
    estimate = float(estimates[block].max()) or 1.0
    allowance = ROUNDING * abs(iterate.value)
    for _ in range(MOST_TRIALS):
        step = -gradient / estimate
        if objective.value_after(iterate, block, step) <= iterate.value - 0.5 * squared / estimate + allowance:
            break
        estimate *= 2.0
    estimates[block] = estimate
    return step


def _matrix_step(curvature: Array, iterate: Iterate, block: Block) -> Vector:
    return -solve_semidefinite(curvature[block[:, None], block], iterate.gradient[block])


def _newton_step(objective: Objective, iterate: Iterate, block: Block) -> Vector:
    gradient = iterate.gradient[block]
    direction = -solve_semidefinite(objective.hessian_block(iterate, block), gradient)
    slope = float(gradient @ direction)
    allowance = ROUNDING * abs(iterate.value)
    length = 1.0
    tried: tuple[float, float] | None = None
    for _ in range(MOST_TRIALS):
        value = objective.value_after(iterate, block, length * direction)
        if value <= iterate.value + ARMIJO * length * slope + allowance:
            return length * direction
        shorter = _interpolated(iterate.value, slope, (length, value), tried)
        tried = (length, value)
        length = min(max(shorter, 0.1 * length), 0.5 * length)
    return np.zeros_like(direction)


def _interpolated(
    start: float, slope: float, latest: tuple[float, float], earlier: tuple[float, float] | None
) -> float:
    """The minimiser of the polynomial through the start, its slope, and the last one or two trials.

    Nocedal and Wright, "Numerical optimization", 2nd ed. 2006, equations 3.57 to 3.59.
    """
    length, value = latest
    excess = value - start - slope * length
    if earlier is None:
        return -slope * length**2 / (2.0 * excess)
    before, value_before = earlier
    excess_before = value_before - start - slope * before
    scale = 1.0 / (length - before)
    cubic = scale * (excess / length**2 - excess_before / before**2)
    square = scale * (length * excess_before / before**2 - before * excess / length**2)
    root = math.sqrt(max(square**2 - 3.0 * cubic * slope, 0.0))
    return (root - square) / (3.0 * cubic) if cubic else -slope / (2.0 * square)
