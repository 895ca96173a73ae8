"""Rules that select the block of a step: Gauss-Southwell and its refinements, and the rules that they are held against.

A greedy rule takes the block b of greatest bound on the decrease, for gradient g and curvature H:

========  ==============================================================
gs        ``|g_b|^2`` (Gauss-Southwell)
gsl       ``|g_b|^2 / lambda_max(H_bb)``
gsd       ``sum over b of g_i^2 / (|b| H_ii)``
gsd_rows  ``sum over b of g_i^2 / sum_j |H_ij|``, j in b, or anywhere where blocks are variable
gsq       ``g_b' H_bb^-1 g_b``, for variable blocks by iterative hard thresholding
========  ==============================================================
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.linalg import eigvalsh

from kernels.linear_systems.validation import check_count
from kernels.optimization.block_coordinate_descent.block_systems import largest_eigenvalue, solve_semidefinite
from kernels.optimization.block_coordinate_descent.objectives import Array, Block, Objective, Vector
from kernels.optimization.block_coordinate_descent.partitions import PARTITIONS, fixed_blocks

Rule = Callable[[Vector], Block]
VARIABLE_RULES = ("gs", "gsd", "gsd_rows", "gsq")
FIXED_RULES = ("gs", "gsl", "gsd", "gsd_rows", "gsq", "cyclic", "random", "lipschitz")
THRESHOLDING_STEPS = 10


def block_rule(
    objective: Objective, rule: str, blocks: str, block_size: int, random: np.random.Generator | None
) -> Rule:
    """The function from the gradient to the block that a rule selects.

    Parameters
    ----------
    objective : Objective
    rule : str
        For variable blocks one of :data:`VARIABLE_RULES`, for fixed ones of :data:`FIXED_RULES`.
    blocks : {"variable", "order", "sort", "average"}
        Any ``block_size`` coordinates, chosen anew for each step, or those of a fixed partition.
    block_size : int
        Between 1 and the number of weights.
    random : Generator or None
        Of the rules cyclic (reshuffled after each pass), random and lipschitz.

    Raises
    ------
    ValueError
        If a name is unknown, a size out of range or ``random`` missing.
    """
    check_count("block_size", block_size, least=1, most=objective.size)
    allowed = VARIABLE_RULES if blocks == "variable" else FIXED_RULES
    if blocks != "variable" and blocks not in PARTITIONS:
        raise ValueError(f"blocks must be one of variable, {', '.join(PARTITIONS)}, not {blocks!r}")
    if rule not in allowed:
        raise ValueError(f"rule must be one of {', '.join(allowed)} for {blocks} blocks, not {rule!r}")
    lipschitz = _positive(np.diag(objective.curvature))
    if blocks == "variable":
        return _variable_rule(objective.curvature, lipschitz, rule, block_size)
    partition = fixed_blocks(blocks, lipschitz, block_size)
    if rule in ("cyclic", "random", "lipschitz"):
        if random is None:
            raise ValueError(f"random must be a Generator for the rule {rule!r}, not None")
        return _gradient_free_rule(objective.curvature, partition, rule, random)
    return _fixed_rule(objective.curvature, lipschitz, partition, rule)


def top(scores: Vector, count: int) -> Block:
    """The indices of the greatest scores, ascending."""
    return np.sort(np.argpartition(scores, scores.size - count)[scores.size - count :])


def _variable_rule(curvature: Array, lipschitz: Vector, rule: str, block_size: int) -> Rule:
    if rule == "gsq":
        step_length = 1.0 / float(eigvalsh(curvature, subset_by_index=[len(curvature) - 1] * 2)[0])
        return partial(_hard_thresholding, curvature, lipschitz, step_length, block_size)
    scale = {"gs": np.ones_like(lipschitz), "gsd": lipschitz, "gsd_rows": _row_sums(curvature)}[rule]
    return lambda gradient: top(gradient**2 / scale, block_size)


def _hard_thresholding(
    curvature: Array, lipschitz: Vector, step_length: float, block_size: int, gradient: Vector
) -> Block:
    """Minimise ``g'd + d'Hd / 2`` over d of ``block_size`` nonzeros, from the best step of the block of gsd."""
    support = top(gradient**2 / lipschitz, block_size)
    direction = np.zeros_like(gradient)
    direction[support] = -solve_semidefinite(curvature[support[:, None], support], gradient[support])
    for _ in range(THRESHOLDING_STEPS):
        direction -= step_length * (gradient + direction[support] @ curvature[support])
        support = top(np.abs(direction), block_size)
        outside = np.ones(direction.size, dtype=bool)
        outside[support] = False
        direction[outside] = 0.0
    return support


def _fixed_rule(curvature: Array, lipschitz: Vector, partition: Sequence[Block], rule: str) -> Rule:
    padded = _padded(partition, lipschitz.size)
    if rule == "gsq":
        inverses = np.zeros((len(partition), padded.shape[1], padded.shape[1]))
        for inverse, block in zip(inverses, partition, strict=True):
            identity = np.eye(block.size)
            inverse[: block.size, : block.size] = solve_semidefinite(curvature[block[:, None], block], identity)

        def progress(gradient: Vector) -> Block:
            parts = np.append(gradient, 0.0)[padded]
            return partition[int(np.einsum("bi,bij,bj->b", parts, inverses, parts).argmax())]

        return progress
    scale = np.ones(lipschitz.size)
    for block in partition:
        square = curvature[block[:, None], block]
        if rule == "gsl":
            scale[block] = largest_eigenvalue(square)
        elif rule == "gsd":
            scale[block] = block.size * lipschitz[block]
        elif rule == "gsd_rows":
            scale[block] = _row_sums(square)

    def bound(gradient: Vector) -> Block:
        return partition[int(np.append(gradient**2 / scale, 0.0)[padded].sum(axis=1).argmax())]

    return bound


def _gradient_free_rule(curvature: Array, partition: Sequence[Block], rule: str, random: np.random.Generator) -> Rule:
    count = len(partition)
    if rule == "cyclic":
        waiting: list[int] = []

        def next_block(gradient: Vector) -> Block:  # noqa: ARG001 - the signature of a rule
            if not waiting:
                waiting.extend(random.permutation(count).tolist())
            return partition[waiting.pop()]

        return next_block
    constants = np.ones(count)
    if rule == "lipschitz":
        constants = np.array([largest_eigenvalue(curvature[block[:, None], block]) for block in partition])
    cumulative = np.cumsum(constants / constants.sum())

    def drawn_block(gradient: Vector) -> Block:  # noqa: ARG001 - the signature of a rule
        return partition[min(int(np.searchsorted(cumulative, random.random(), "right")), count - 1)]

    return drawn_block


def _padded(partition: Sequence[Block], padding: int) -> Block:
    """The blocks as the rows of one array; an index beyond the last coordinate fills the last row."""
    padded = np.full((len(partition), partition[0].size), padding)
    for row, block in zip(padded, partition, strict=True):
        row[: block.size] = block
    return padded


def _row_sums(matrix: Array) -> Vector:
    return _positive(np.abs(matrix).sum(axis=1))


def _positive(constants: Vector) -> Vector:
    """Lipschitz constants of which those that are zero, where the gradient is too, become one."""
    return np.where(constants > 0.0, constants, 1.0)
