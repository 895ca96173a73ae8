"""BSVRB: blocks are sampled, and what is tracked of each is corrected for the variance of sampling blocks and data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.budget import Budget
from kernels.optimization.bilevel.options import check_decay, check_positive, decayed
from kernels.optimization.bilevel.oracles import Minibatch, Oracles
from kernels.optimization.bilevel.problem import BilevelProblem, Blocks, Indices, Matrix, Vector
from kernels.optimization.bilevel.run import Iterates, follow
from kernels.result import Result

Array = NDArray[np.float64]
Track = Callable[[Array, Indices, Array, Array, float], None]


def bsvrb(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    system_step: float | None = None,
    tracking: float = 0.5,
    decay: float = 1.0 / 3.0,
    radius: float = 1e3,
    batch: int = 32,
    sampled_blocks: int = 10,
    correction: bool = True,
    move_all: bool = True,
    target: float | None = None,
) -> Result:
    """Minimise F by BSVRB (Hu, Qiu, Guo, Zhang and Yang, ICML 2023): v1 without a ``system_step``, v2 with one.

    v1 tracks the Hessians of the lower levels and inverts its projected estimates, for small y. v2 tracks products of
    Hessians with the solutions of the linear systems, for large y.

    Parameters
    ----------
    problem : BilevelProblem
    random : Generator
    budget : Budget
        Of ``oracle_calls`` or ``iterations``.
    step, lower_step : float
        Of x and of the y_i at the start.
    system_step : float, optional
        Of the solutions v_i of the linear systems; None is v1.
    tracking : float
        Share of new samples in all estimates at the start, in (0, 1).
    decay : float
        Steps fall as (t + 1)^-decay, shares as (t + 1)^-(2 decay).
    radius : float
        Of the ball around zero that every v_i is held in.
    batch, sampled_blocks : int
        Samples of a block and blocks in every minibatch.
    correction : bool
        Whether the estimators are corrected for sampling blocks; without, each is plain STORM while its block is
        sampled.
    move_all : bool
        Whether all y_i and v_i move in every iteration, along the latest estimates, or those of sampled blocks alone.
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
    _check(step, lower_step, tracking, decay)
    check_positive(radius=radius)
    oracles = Oracles(problem, budget, random, batch=batch, sampled_blocks=sampled_blocks)
    share = sampled_blocks / problem.blocks if correction else 1.0

    def track(estimates: Array, blocks: Indices, now: Array, before: Array, new: float) -> None:
        track_sampled(estimates, blocks, now, before, new, share)

    schedule = _Schedule(step, lower_step, tracking, decay)
    if system_step is None:
        return follow(problem, _with_hessians(problem, oracles, schedule, track, move_all=move_all), budget, target)
    check_positive(system_step=system_step)
    iterates = _with_products(problem, oracles, schedule, track, system_step, radius, move_all=move_all)
    return follow(problem, iterates, budget, target)


def rsvrb(
    problem: BilevelProblem,
    *,
    random: np.random.Generator,
    budget: Budget,
    step: float,
    lower_step: float,
    system_step: float,
    tracking: float = 0.5,
    decay: float = 1.0 / 3.0,
    radius: float = 1e3,
    batch: int = 32,
    sampled_blocks: int = 10,
    target: float | None = None,
) -> Result:
    """Minimise F by RSVRB (Guo, Hu, Zhang and Yang, 2021), BSVRB's predecessor, with products instead of Hessians.

    Its estimators are STORM's on randomised coordinates: sampled blocks count m / I times, all others shrink, and every
    block moves in each iteration.

    Parameters
    ----------
    problem, random, budget, step, lower_step, system_step, tracking, decay, radius, batch, sampled_blocks, target
        As for :func:`bsvrb`.

    Returns
    -------
    Result
        As :func:`kernels.optimization.bilevel.run.follow` describes it.

    Raises
    ------
    ValueError
        If an option is out of range.
    """
    _check(step, lower_step, tracking, decay)
    check_positive(system_step=system_step, radius=radius)
    oracles = Oracles(problem, budget, random, batch=batch, sampled_blocks=sampled_blocks)
    share = sampled_blocks / problem.blocks

    def track(estimates: Array, blocks: Indices, now: Array, before: Array, new: float) -> None:
        track_randomised(estimates, blocks, now, before, new, share)

    schedule = _Schedule(step, lower_step, tracking, decay)
    iterates = _with_products(problem, oracles, schedule, track, system_step, radius, move_all=True)
    return follow(problem, iterates, budget, target)


def track_sampled(estimates: Array, blocks: Indices, now: Array, before: Array, new: float, share: float) -> None:
    """MSVR: update the estimates of sampled blocks in place and leave the others as they are.

    The difference between the two points, on one minibatch, counts (m - I) / (I (1 - b)) + 1 - b times: the first term
    makes up for the steps at which a block is not sampled.

    Parameters
    ----------
    estimates : ndarray, shape (m, ...), float64
    blocks : ndarray, shape (I,), int64
    now, before : ndarray, shape (I, ...), float64
        Of this minibatch, at this iterate and at the last one.
    new : float
        b, the share of the new sample.
    share : float
        I / m, the share of blocks that are sampled; 1 is plain STORM.
    """
    correction = (1.0 - share) / (share * (1.0 - new)) + 1.0 - new
    estimates[blocks] = (1.0 - new) * estimates[blocks] + new * now + correction * (now - before)


def track_randomised(estimates: Array, blocks: Indices, now: Array, before: Array, new: float, share: float) -> None:
    """STORM of the vector that is m / I times the sample on sampled blocks and zero on all others, in place.

    Parameters
    ----------
    estimates, blocks, now, before, new, share
        As for :func:`track_sampled`.
    """
    estimates *= 1.0 - new
    estimates[blocks] += (now - (1.0 - new) * before) / share


def projected(hessians: Blocks, least: float) -> Blocks:
    """The nearest symmetric matrices whose eigenvalues are at least ``least``, shape (b, q, q)."""
    values, axes = np.linalg.eigh(0.5 * (hessians + hessians.transpose(0, 2, 1)))
    return np.asarray((axes * np.maximum(values, least)[:, None, :]) @ axes.transpose(0, 2, 1))


@dataclass(frozen=True)
class _Schedule:
    """Steps and the share of new samples at an iteration, counted from zero."""

    step: float
    lower_step: float
    tracking: float
    decay: float

    def at(self, t: int) -> tuple[float, float, float]:
        """The step of x, the factor of all steps and the share of new samples."""
        factor = decayed(1.0, t, self.decay)
        return self.step * factor, factor, self.tracking * factor**2


def _with_products(
    problem: BilevelProblem,
    oracles: Oracles,
    schedule: _Schedule,
    track: Track,
    system_step: float,
    radius: float,
    *,
    move_all: bool,
) -> Iterates:
    x, y = problem.upper_start.copy(), problem.lower_start.copy()
    solutions = np.zeros_like(y)
    yield x, y

    def sampled(at: tuple[Vector, Matrix, Matrix], lower: Minibatch, upper: Minibatch) -> tuple[Matrix, Matrix, Vector]:
        """The gradients of g_i, the residuals of the linear systems and the mean hypergradient."""
        x, y, solutions = at
        v = solutions[lower.blocks]
        direct, pull = oracles.upper_gradient(x, y, upper)
        residuals = oracles.hessian_product(x, y, v, lower) - pull
        return oracles.lower_gradient(x, y, lower), residuals, direct - oracles.cross_product(x, y, v, lower)

    # the first step is that of all blocks
    blocks = oracles.all_blocks
    slopes, residuals, z = sampled((x, y, solutions), oracles.draw_lower(blocks), oracles.draw_upper(blocks))
    t = 0
    while True:
        step, factor, _ = schedule.at(t)
        last = x, y.copy(), solutions.copy()
        x = x - step * z
        moved = oracles.all_blocks if move_all else blocks
        y[moved] -= schedule.lower_step * factor * slopes[moved]
        solutions[moved] = _in_ball(solutions[moved] - system_step * factor * residuals[moved], radius)
        yield x, y
        t += 1
        new = schedule.at(t)[2]
        blocks = oracles.sample_blocks()
        lower, upper = oracles.draw_lower(blocks), oracles.draw_upper(blocks)
        # both points on one minibatch; the last one is the iterate of the last step, whatever its blocks were
        now, before = sampled((x, y, solutions), lower, upper), sampled(last, lower, upper)
        track(slopes, blocks, now[0], before[0], new)
        track(residuals, blocks, now[1], before[1], new)
        z = (1.0 - new) * (z - before[2]) + now[2]


def _with_hessians(
    problem: BilevelProblem, oracles: Oracles, schedule: _Schedule, track: Track, *, move_all: bool
) -> Iterates:
    x, y = problem.upper_start.copy(), problem.lower_start.copy()
    yield x, y

    def sampled(at: tuple[Vector, Matrix, Blocks], lower: Minibatch, upper: Minibatch) -> tuple[Matrix, Blocks, Vector]:
        """The gradients of g_i, their Hessians and the mean hypergradient."""
        x, y, hessians = at
        direct, pull = oracles.upper_gradient(x, y, upper)
        estimates = projected(hessians[lower.blocks], problem.strong_convexity)
        v = np.asarray(np.linalg.solve(estimates, pull[..., None])[..., 0], np.float64)
        hypergradient = direct - oracles.cross_product(x, y, v, lower)
        return oracles.lower_gradient(x, y, lower), oracles.lower_hessian(x, y, lower), hypergradient

    blocks = oracles.all_blocks
    hessians = oracles.lower_hessian(x, y, oracles.draw_lower(blocks))
    slopes, _, z = sampled((x, y, hessians), oracles.draw_lower(blocks), oracles.draw_upper(blocks))
    last_hessians = hessians.copy()
    t = 0
    while True:
        step, factor, _ = schedule.at(t)
        last = x, y.copy(), last_hessians
        last_hessians = hessians.copy()
        x = x - step * z
        moved = oracles.all_blocks if move_all else blocks
        y[moved] -= schedule.lower_step * factor * slopes[moved]
        yield x, y
        t += 1
        new = schedule.at(t)[2]
        blocks = oracles.sample_blocks()
        lower, upper = oracles.draw_lower(blocks), oracles.draw_upper(blocks)
        now, before = sampled((x, y, hessians), lower, upper), sampled(last, lower, upper)
        track(slopes, blocks, now[0], before[0], new)
        track(hessians, blocks, now[1], before[1], new)
        z = (1.0 - new) * (z - before[2]) + now[2]


def _in_ball(rows: Matrix, radius: float) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows * np.minimum(1.0, radius / np.maximum(lengths, radius)))


def _check(step: float, lower_step: float, tracking: float, decay: float) -> None:
    check_positive(step=step, lower_step=lower_step)
    check_decay(decay=decay)
    if not 0.0 < tracking < 1.0:
        raise ValueError(f"tracking must be more than 0 and less than 1, not {tracking}")
