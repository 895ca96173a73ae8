"""BO-REP: normalised momentum outside, a refined start and periodic updates inside."""

import numpy as np

from kernels.budget import Budget
from kernels.linear_systems.validation import check_count
from kernels.optimization.bilevel.options import check_momentum, check_positive
from kernels.optimization.bilevel.oracles import Oracles
from kernels.optimization.bilevel.problem import BilevelProblem, Matrix, Vector
from kernels.optimization.bilevel.run import Iterates, follow
from kernels.result import Result


def bo_rep(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    system_step: float,
    momentum: float = 0.9,
    period: int = 3,
    lower_steps: int = 3,
    radius: float = 10.0,
    refinement_epochs: int = 3,
    refinement_steps: int = 16,
    batch: int = 1,
) -> Result:
    """Minimise F by BO-REP (Hao, Gong and Liu, ICLR 2024), all blocks taken as one lower-level problem.

    Parameters
    ----------
    problem : BilevelProblem
    random : Generator
    budget : Budget
        Of ``oracle_calls`` or ``iterations``.
    step : float
        eta, the length of every step of x.
    lower_step : float
        Of the gradient steps of y, and of the first epoch of the refinement.
    system_step : float
        nu, of the steps of z towards Hess_yy g^-1 grad_y f.
    momentum : float
        Share of the old momentum, in [0, 1).
    period : int
        I; y moves in every I-th iteration alone.
    lower_steps : int
        Gradient steps of y in such an iteration.
    radius : float
        Of the ball around y's latest resting point in which it moves, and of the first epoch's ball.
    refinement_epochs : int
        0 leaves the refinement out.
    refinement_steps : int
        Of its first epoch; each next one takes twice as many, half as long.
    batch : int
        Samples in every minibatch.

    Returns
    -------
    Result
        As :func:`kernels.optimization.bilevel.run.follow` describes it.

    Raises
    ------
    ValueError
        If an option is out of range.
    """
    check_positive(step=step, lower_step=lower_step, system_step=system_step, radius=radius)
    check_momentum(momentum)
    for name, count, least in (
        ("period", period, 1),
        ("lower_steps", lower_steps, 1),
        ("refinement_epochs", refinement_epochs, 0),
        ("refinement_steps", refinement_steps, 1),
    ):
        check_count(name, count, least)
    oracles = Oracles(problem, budget, random, batch=batch)

    def iterates() -> Iterates:
        x, y = problem.upper_start.copy(), problem.lower_start
        yield x, y
        y = refine(oracles, x, y, refinement_epochs, refinement_steps, lower_step, radius)
        z, m = np.zeros_like(y), np.zeros_like(x)
        blocks = oracles.all_blocks
        t = 0
        while True:
            if t % period == 0:
                y = descend(oracles, x, y, lower_steps, lower_step, radius)[0]
            direct, pull = oracles.upper_gradient(x, y, oracles.draw_upper(blocks))
            residual = oracles.hessian_product(x, y, z, oracles.draw_lower(blocks)) - pull
            # with the old z, which is independent of this minibatch: the new one would bias the hypergradient
            hypergradient = direct - oracles.cross_product(x, y, z, oracles.draw_lower(blocks))
            z = z - system_step * residual
            m = momentum * m + (1.0 - momentum) * hypergradient
            length = np.linalg.norm(m)
            x = x - (step / length) * m if length > 0.0 else x
            yield x, y
            t += 1

    return follow(problem, iterates(), budget)


def refine(oracles: Oracles, x: Vector, y: Matrix, epochs: int, steps: int, lower_step: float, radius: float) -> Matrix:
    """Epoch-SGD on g(x, .): each epoch starts at the mean of the last one, in a smaller ball, with shorter steps.

    The number of steps doubles from epoch to epoch, their length halves and the radius falls by sqrt(2).
    """
    for _ in range(epochs):
        y = descend(oracles, x, y, steps, lower_step, radius)[1]
        steps, lower_step, radius = 2 * steps, lower_step / 2.0, radius / np.sqrt(2.0)
    return y


def descend(
    oracles: Oracles, x: Vector, y: Matrix, steps: int, lower_step: float, radius: float
) -> tuple[Matrix, Matrix]:
    """The last point and the mean of projected SGD steps on g(x, .) in the ball around where they start."""
    centre, total = y, np.zeros_like(y)
    for _ in range(steps):
        gradient = oracles.lower_gradient(x, y, oracles.draw_lower(oracles.all_blocks))
        moved = y - lower_step * gradient - centre
        length = np.linalg.norm(moved)
        y = centre + (moved * (radius / length) if length > radius else moved)
        total += y
    return y, total / steps
