"""Double-loop methods: inner steps of y, then an approximate solution of the linear system, then a step of x."""

from collections.abc import Callable

import numpy as np

from kernels.budget import Budget
from kernels.linear_systems.validation import check_count
from kernels.optimization.bilevel.options import check_decay, check_positive, decayed
from kernels.optimization.bilevel.oracles import Oracles
from kernels.optimization.bilevel.problem import BilevelProblem, Indices, Matrix, Vector
from kernels.optimization.bilevel.run import Iterates, follow
from kernels.optimization.bilevel.systems import conjugate_gradients
from kernels.result import Result

Solver = Callable[[Vector, Matrix, Matrix, Indices], Matrix]


def stocbio(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    system_step: float,
    lower_steps: int = 3,
    terms: int = 10,
    decay: float = 0.0,
    batch: int = 1,
    sampled_blocks: int | None = None,
    target: float | None = None,
) -> Result:
    """Minimise F by stocBiO (Ji, Yang and Liang, "Bilevel Optimization: Convergence Analysis and Enhanced Design").

    Hess_yy g^-1 is a truncated Neumann series, a new minibatch for every factor. With one inner step and sampled blocks
    this is BSGD for many blocks.

    Parameters
    ----------
    problem : BilevelProblem
    random : Generator
    budget : Budget
        Of ``oracle_calls`` or ``iterations``.
    step, lower_step, system_step : float
        Of x, of the y_i and in the factors I - system_step Hess_yy g of the series.
    lower_steps, terms : int
        Gradient steps of y in an iteration, and terms of the series.
    decay : float
        The steps of x and y fall as (t + 1)^-decay.
    batch, sampled_blocks : int
        Samples of a block and blocks in every minibatch; None for all blocks.
    target : float, optional
        Progress whose running mean ends the run.

    Returns
    -------
    Result
        As :func:`kernels.optimization.bilevel.run.follow` describes it.

    Raises
    ------
    ValueError
        If an option is out of range.
    """
    check_positive(system_step=system_step)
    check_count("terms", terms, 1)
    oracles = Oracles(problem, budget, random, batch=batch, sampled_blocks=sampled_blocks)

    def neumann(x: Vector, y: Matrix, pull: Matrix, blocks: Indices) -> Matrix:
        factor, total = pull, pull.copy()
        for _ in range(terms - 1):
            factor = factor - system_step * oracles.hessian_product(x, y, factor, oracles.draw_lower(blocks))
            total += factor
        return system_step * total

    iterates = _double_loop(problem, oracles, neumann, step, lower_step, lower_steps, decay)
    return follow(problem, iterates, budget, target)


def aid_bio(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    lower_steps: int = 3,
    system_iterations: int = 5,
    decay: float = 0.0,
    batch: int = 1,
    sampled_blocks: int | None = None,
    target: float | None = None,
) -> Result:
    """Minimise F by AID-BiO (ibidem): conjugate gradients on one minibatch, started at the last solution.

    Parameters
    ----------
    problem : BilevelProblem
    random : Generator
    budget : Budget
        Of ``oracle_calls`` or ``iterations``.
    step, lower_step : float
        Of x and of the y_i.
    lower_steps, system_iterations : int
        Gradient steps of y and iterations of conjugate gradients in an iteration.
    decay : float
        The steps of x and y fall as (t + 1)^-decay.
    batch, sampled_blocks : int
        Samples of a block and blocks in every minibatch; None for all blocks.
    target : float, optional
        Progress whose running mean ends the run.

    Returns
    -------
    Result
        As :func:`kernels.optimization.bilevel.run.follow` describes it.

    Raises
    ------
    ValueError
        If an option is out of range.
    """
    check_count("system_iterations", system_iterations, 1)
    oracles = Oracles(problem, budget, random, batch=batch, sampled_blocks=sampled_blocks)
    solutions = np.zeros_like(problem.lower_start)

    def solve(x: Vector, y: Matrix, pull: Matrix, blocks: Indices) -> Matrix:
        on = oracles.draw_lower(blocks)
        solutions[blocks] = conjugate_gradients(
            lambda v: oracles.hessian_product(x, y, v, on), pull, solutions[blocks], system_iterations
        )
        return solutions[blocks]

    iterates = _double_loop(problem, oracles, solve, step, lower_step, lower_steps, decay)
    return follow(problem, iterates, budget, target)


def _double_loop(
    problem: BilevelProblem,
    oracles: Oracles,
    solve: Solver,
    step: float,
    lower_step: float,
    lower_steps: int,
    decay: float,
) -> Iterates:
    check_positive(step=step, lower_step=lower_step)
    check_count("lower_steps", lower_steps, 1)
    check_decay(decay=decay)
    x, y = problem.upper_start.copy(), problem.lower_start.copy()
    yield x, y
    t = 0
    while True:
        blocks = oracles.sample_blocks()
        for _ in range(lower_steps):
            gradient = oracles.lower_gradient(x, y, oracles.draw_lower(blocks))
            y[blocks] -= decayed(lower_step, t, decay) * gradient
        direct, pull = oracles.upper_gradient(x, y, oracles.draw_upper(blocks))
        solution = solve(x, y, pull, blocks)
        hypergradient = direct - oracles.cross_product(x, y, solution, oracles.draw_lower(blocks))
        x = x - decayed(step, t, decay) * hypergradient
        yield x, y
        t += 1
