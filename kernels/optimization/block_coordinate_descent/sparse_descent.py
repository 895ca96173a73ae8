"""Block coordinate descent on quadratics with a sparse graph, in blocks of the order of all variables."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.sparse.linalg import splu

from kernels.linear_systems.types import Matrix, System, Vector
from kernels.linear_systems.validation import check_count, check_matrix, check_tolerance, check_vector, is_finite
from kernels.optimization.block_coordinate_descent.block_systems import solve_semidefinite
from kernels.optimization.block_coordinate_descent.forests import (
    add_rows,
    colour_classes,
    greedy_forest,
    message_passing,
    tree_partition,
)
from kernels.optimization.block_coordinate_descent.objectives import Block
from kernels.optimization.block_coordinate_descent.selection import top
from kernels.result import Result, Status

BLOCKS = ("greedy_forest", "random_forest", "tree_partition", "red_black", "dense")
SOLVERS = ("message_passing", "sparse_lu")


def forest_descent(
    system: System,
    *,
    blocks: str = "greedy_forest",
    block_solver: str = "message_passing",
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    random: np.random.Generator | None = None,
) -> Result:
    """Minimise ``x' A x / 2 - b' x`` from zero, each step exactly over a block.

    ==============  ==============================================================================================
    greedy_forest   a maximal induced forest, nodes of greatest ``|g_i| / sqrt(A_ii)`` first, to a percent
    random_forest   the same in random order
    tree_partition  the fixed forest of greatest ``sum g_i^2 / A_ii``, of a greedy partition by A_ii
    red_black       the colour of greatest ``sum g_i^2 / A_ii``; its variables do not depend on each other
    dense           the n^(1/3) nodes of greatest ``g_i^2 / A_ii``, whose dense system costs about n too
    ==============  ==============================================================================================

    Parameters
    ----------
    system : System
        A symmetric positive definite matrix (not checked) and a right-hand side.
    blocks : str
        One of the above.
    block_solver : {"message_passing", "sparse_lu"}
        How a forest's system is solved: in linear time, or for comparison by SuperLU.
    tolerance : float
        CONVERGED means that the relative residual ``|b - A x| / |b|`` is at most this.
    max_iterations : int
        The limit on steps.
    random : Generator, optional
        Of random forests.

    Returns
    -------
    Result
        ``history`` is the relative residual norm after each step. Status is NOT_FINITE for NaN or infinity in the data,
        BREAKDOWN where a diagonal entry is not positive.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype, name or range.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt, "Let's make block coordinate descent converge faster", JMLR 23 (2022),
       section 4 (message passing for huge blocks).
    """
    matrix, rhs = system.matrix, system.rhs
    check_vector("rhs", rhs, check_matrix(matrix))
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, least=1)
    if block_solver not in SOLVERS:
        raise ValueError(f"block_solver must be one of {', '.join(SOLVERS)}, not {block_solver!r}")
    if blocks not in BLOCKS:
        raise ValueError(f"blocks must be one of {', '.join(BLOCKS)}, not {blocks!r}")
    if blocks == "random_forest" and random is None:
        raise ValueError("random must be a Generator for random forests, not None")
    diagonal = matrix.diagonal()
    if not is_finite(matrix, rhs) or diagonal.min() <= 0.0:
        status = Status.BREAKDOWN if is_finite(matrix, rhs) else Status.NOT_FINITE
        return Result(np.zeros(rhs.size), status, np.array([math.nan]), {"iterations": 0, "coordinate_updates": 0})
    select = _selection(matrix, diagonal, blocks, random)
    solve = _dense_step if blocks == "dense" else _sparse_lu_step if block_solver == "sparse_lu" else _forest_step
    solution, gradient = np.zeros(rhs.size), -rhs
    scale = float(np.linalg.norm(rhs)) or 1.0
    history = [float(np.linalg.norm(gradient)) / scale]
    moved = 0
    while history[-1] > tolerance and len(history) <= max_iterations:
        block = select(gradient)
        step = solve(matrix, gradient, block)
        solution[block] += step
        add_rows(matrix.indptr, matrix.indices, matrix.data, block, step, gradient)
        history.append(float(np.linalg.norm(gradient)) / scale)
        moved += block.size
    status = Status.CONVERGED if history[-1] <= tolerance else Status.ITERATION_LIMIT
    work = {"iterations": len(history) - 1, "coordinate_updates": moved}
    return Result(solution, status, np.array(history), work)


def relative_quadratic_value(system: System, solution: Vector) -> float:
    """``x' A x / 2 - b' x`` relative to ``b' D^-1 b / 2``, D the diagonal of A."""
    value = solution @ (0.5 * (system.matrix @ solution) - system.rhs)
    return float(value / (0.5 * system.rhs @ (system.rhs / system.matrix.diagonal())))


def nearly_descending(scores: Vector) -> Block:
    """Sort scores, at least 0, from the greatest down in linear time, to a precision of 1/128; ties by index.

    The upper halves of positive single-precision numbers are ordered as the numbers are, and short enough for a radix
    sort.
    """
    shares = (scores / (scores.max() or 1.0)).astype(np.float32)
    upper_halves = (shares.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    return np.argsort(~upper_halves, kind="stable")


def _selection(
    matrix: Matrix, diagonal: Vector, blocks: str, random: np.random.Generator | None
) -> Callable[[Vector], Block]:
    if blocks == "greedy_forest":
        return lambda gradient: greedy_forest(matrix, nearly_descending(gradient**2 / diagonal))
    if random is not None and blocks == "random_forest":
        return lambda gradient: greedy_forest(matrix, random.permutation(gradient.size))
    if blocks == "dense":
        return lambda gradient: top(gradient**2 / diagonal, max(1, round(gradient.size ** (1 / 3))))
    if blocks == "tree_partition":
        return partial(_best_of, tree_partition(matrix, np.argsort(-diagonal, kind="stable")), diagonal)
    return partial(_best_of, colour_classes(matrix), diagonal)


def _best_of(partition: list[Block], diagonal: Vector, gradient: Vector) -> Block:
    scores = gradient**2 / diagonal
    return partition[int(np.argmax([scores[block].sum() for block in partition]))]


def _forest_step(matrix: Matrix, gradient: Vector, block: Block) -> Vector:
    return -message_passing(matrix.indptr, matrix.indices, matrix.data, gradient, block)[0]


def _sparse_lu_step(matrix: Matrix, gradient: Vector, block: Block) -> Vector:
    return np.asarray(splu(matrix[block][:, block].tocsc()).solve(-gradient[block]))


def _dense_step(matrix: Matrix, gradient: Vector, block: Block) -> Vector:
    return -solve_semidefinite(matrix[block][:, block].toarray(), gradient[block])
