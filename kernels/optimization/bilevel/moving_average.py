"""MA-SOBA: one step of x, y and z an iteration, x along a moving average of stochastic hypergradients."""

import math

import numpy as np

from kernels.budget import Budget
from kernels.optimization.bilevel.options import check_decay, check_momentum, check_positive, decayed
from kernels.optimization.bilevel.oracles import Oracles
from kernels.optimization.bilevel.problem import BilevelProblem
from kernels.optimization.bilevel.run import Iterates, follow
from kernels.result import Result


def ma_soba(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    system_step: float,
    momentum: float = 0.9,
    clip: float = math.inf,
    decay: float = 0.0,
    batch: int = 1,
    sampled_blocks: int | None = None,
    target: float | None = None,
) -> Result:
    """Minimise F by MA-SOBA (Chen, Xiao and Balasubramanian, arXiv 2306.12067), blocks sampled, clipped on request.

    Parameters
    ----------
    problem : BilevelProblem
    random : Generator
    budget : Budget
        Of ``oracle_calls`` or ``iterations``.
    step, lower_step, system_step : float
        Of x, of the y_i and of the z_i, which approach Hess_yy g_i^-1 grad_y f_i.
    momentum : float
        Share of the old average, in [0, 1); 0 is SOBA.
    clip : float
        Where the average is longer, its step is shortened as though it were this long.
    decay : float
        All steps, and the share of new hypergradients, fall as (t + 1)^-decay.
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
    check_positive(step=step, lower_step=lower_step, system_step=system_step)
    if not clip > 0.0:
        raise ValueError(f"clip must be positive, not {clip}")
    check_momentum(momentum)
    check_decay(decay=decay)
    oracles = Oracles(problem, budget, random, batch=batch, sampled_blocks=sampled_blocks)

    def iterates() -> Iterates:
        x, y = problem.upper_start.copy(), problem.lower_start.copy()
        z, m = np.zeros_like(y), np.zeros_like(x)
        yield x, y
        t = 0
        while True:
            blocks = oracles.sample_blocks()
            lower_gradient = oracles.lower_gradient(x, y, oracles.draw_lower(blocks))
            direct, pull = oracles.upper_gradient(x, y, oracles.draw_upper(blocks))
            residual = oracles.hessian_product(x, y, z[blocks], oracles.draw_lower(blocks)) - pull
            hypergradient = direct - oracles.cross_product(x, y, z[blocks], oracles.draw_lower(blocks))
            y[blocks] -= decayed(lower_step, t, decay) * lower_gradient
            z[blocks] -= decayed(system_step, t, decay) * residual
            m += decayed(1.0 - momentum, t, decay) * (hypergradient - m)
            shortening = min(1.0, clip / max(float(np.linalg.norm(m)), np.finfo(np.float64).tiny))
            x = x - decayed(step, t, decay) * shortening * m
            yield x, y
            t += 1

    return follow(problem, iterates(), budget, target)
