"""Time-dependent problems: every step of an instance is a linear system, and all instances are stepped side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.types import Matrix, System, Vector
from kernels.linear_systems.validation import check_tolerance
from kernels.result import Result, Status

SolveSequence = Callable[..., Iterable[tuple[int, Result]]]
LEAST_PRECISE = 0.1
NOT_COUNTS = {"solver", "chosen"}  # names of solvers, which do not add up
SLIGHTLY = 0.99  # stricter, so that rounding does not leave a state just above the tolerance


@runtime_checkable
class Evolution(Protocol):
    """An instance that evolves in time."""

    @property
    def initial(self) -> Vector:
        """The state at the start, shape (n,)."""
        ...

    @property
    def steps(self) -> int:
        """The number of time steps."""
        ...

    def system(self, states: Sequence[Vector]) -> System:
        """The system whose solution is the next state, given all states so far."""
        ...


def solve_evolutions(
    evolutions: Iterable[Evolution], *, solve: SolveSequence, tolerance: float = 1e-8
) -> Iterator[tuple[int, Result]]:
    """Step instances through time side by side, so that a solver meets the related systems of a step in one sequence.

    Each state is solved for as a change of the one before, to the tolerance that the whole state is to reach.

    Parameters
    ----------
    evolutions : iterable of Evolution
    solve : callable
        (systems, tolerance=...) -> pairs of position and Result, as the methods for sequences yield them. Called once a
        step; what it keeps it may use in the next.
    tolerance : float
        On the true relative residual of every step.

    Yields
    ------
    position : int
        Of the instance; they come in order, when all have been stepped to the end.
    result : Result
        ``value``, shape ((steps + 1) * n,), is all states, the initial one first; NaN after a step that failed.
        ``history`` is the true relative residual of each step, 0 for the initial state. Status is CONVERGED or that of
        the first step that did not converge. ``work`` sums the counts of all steps, ``steps`` counts them.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    Notes
    -----
    An initial guess from the step before is worth most where steps are short: with x = x_0 + d, A d = b - A x_0 has to
    be solved to ``tolerance * ||b|| / ||b - A x_0||`` only.
    """
    check_tolerance(tolerance)
    runs = [_Run(evolution) for evolution in evolutions]
    for step in range(max((run.evolution.steps for run in runs), default=0)):
        moving = [run for run in runs if run.status is Status.CONVERGED and step < run.evolution.steps]
        changes = [run.next_change() for run in moving]
        open_changes = [change for change in changes if not change.guess_residual <= tolerance]
        results: dict[int, Result] = {}
        if open_changes:
            strictest = min(LEAST_PRECISE, *(SLIGHTLY * tolerance / change.guess_residual for change in open_changes))
            results = {id(open_changes[at]): result for at, result in solve(open_changes, tolerance=strictest)}
        for run, change in zip(moving, changes, strict=True):
            run.take(change, results.get(id(change)), tolerance)
    for position, run in enumerate(runs):
        yield position, run.result()


def worst_relative_residual(instance: Evolution, result: Result) -> float:  # noqa: ARG001 - the signature of a measure
    """The largest true relative residual of all steps; NaN where a step failed."""
    return float(np.max(result.history)) if np.isfinite(result.value).all() else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """The system ``A d = b - A x_0`` for the change from a guess x_0, and the residual ``||b - A x_0|| / ||b||``."""

    matrix: Matrix
    rhs: Vector
    parameters: Vector
    whole: System
    guess: Vector
    guess_residual: float


class _Run:
    """One instance on its way through time."""

    def __init__(self, evolution: Evolution) -> None:
        self.evolution = evolution
        self.status = Status.CONVERGED
        self._states: list[Vector] = [np.asarray(evolution.initial, dtype=np.float64)]
        self._residuals = [0.0]
        self._work: dict[str, float] = {"steps": 0, "iterations": 0, "operator_applications": 0}

    def next_change(self) -> _Change:
        """What is to be solved for next, with the latest state as guess."""
        system, guess = self.evolution.system(self._states), self._states[-1]
        residual = system.rhs - system.matrix @ guess
        relative = norm(residual) / (norm(system.rhs) or 1.0)
        return _Change(system.matrix, residual, system.parameters, system, guess, relative)

    def take(self, change: _Change, result: Result | None, tolerance: float) -> None:
        """Take the next state from a result, or the guess itself where it was good enough."""
        state, residual = change.guess, change.guess_residual
        if result is not None:
            state = change.guess + result.value
            whole = change.whole
            residual = norm(whole.rhs - whole.matrix @ state) / (norm(whole.rhs) or 1.0)
            for count in result.work.keys() - NOT_COUNTS:
                self._work[count] = self._work.get(count, 0) + result.work[count]
            if not residual <= tolerance:
                self.status = Status.STAGNATED if result.converged else result.status
        self._states.append(state)
        self._residuals.append(residual)
        self._work["steps"] += 1

    def result(self) -> Result:
        """All states, with NaN in the place of those after a failure."""
        size = self._states[0].size
        value = np.full((self.evolution.steps + 1) * size, np.nan)
        value[: len(self._states) * size] = np.concatenate(self._states)
        return Result(value, self.status, np.array(self._residuals), self._work)
