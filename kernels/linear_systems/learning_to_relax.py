"""Learning to relax: a bandit sets omega for each system of a stream, from the iteration counts of those before."""

from collections.abc import Iterator, Sequence

import numpy as np

from kernels.linear_systems.relaxation import check_omegas, solve_relaxed
from kernels.linear_systems.types import System
from kernels.online import build_bandit
from kernels.result import Result

OMEGAS = tuple(float(omega) for omega in np.linspace(1.0, 1.95, 20))


def learning_to_relax(
    systems: Sequence[System],
    *,
    random: np.random.Generator,
    learner: str = "tsallis_inf",
    interval: tuple[float, float] = (0.0, 1.0),
    solver: str = "sor",
    omegas: Sequence[float] = OMEGAS,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
) -> Iterator[tuple[int, Result]]:
    """Solve a stream of systems, each once, at an omega that a bandit chooses.

    What the bandit learns from is the number of iterations of the systems before, those of its own exploration; a
    solve that did not converge counts as the limit. A system that takes no iteration (its right-hand side is zero, or
    its data are not finite) teaches nothing.

    Parameters
    ----------
    systems : sequence of System
        The first of a system's parameters is its context.
    random : numpy.random.Generator
        What the bandit draws with.
    learner : str
        A name that :func:`~kernels.online.build_bandit` knows: ``"tsallis_inf"`` for the best fixed omega,
        ``"chebcb"`` or ``"binned_tsallis_inf"`` for the best omega as a function of the context.
    interval : tuple of two floats
        The least and the greatest context; only those two look at it.
    solver : {"sor", "ssor_cg"}
        What omega is the parameter of.
    omegas : sequence of float
        The choices, between 0 and 2 (excluded).
    tolerance, max_iterations
        As for the solver.

    Yields
    ------
    position : int
        Of the system in ``systems``.
    result : Result
        As from the solver.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range, or a context lies outside of ``interval``.

    References
    ----------
    .. [1] M. Khodak, E. Chow, M.-F. Balcan, A. Talwalkar, "Learning to relax: setting solver parameters across a
       sequence of linear system instances", ICLR 2024.
    """
    check_omegas(omegas)
    bandit = build_bandit(learner, len(omegas), interval=interval, least_cost=1.0)
    for position, system in enumerate(systems):
        context = float(system.parameters[0])
        arm = bandit.choose(context, random)
        result = solve_relaxed(
            system, solver=solver, omega=omegas[arm], tolerance=tolerance, max_iterations=max_iterations
        )
        if result.work["iterations"]:
            bandit.update(arm, context, cost_of(result, max_iterations))
        yield position, result


def cost_of(result: Result, max_iterations: int) -> float:
    """The iterations of a solve; the limit where it did not converge."""
    return result.work["iterations"] if result.converged else float(max_iterations)
