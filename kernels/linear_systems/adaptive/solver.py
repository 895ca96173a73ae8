"""What users call: a sequence of systems, each solved by what seems cheapest after the systems before it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kernels.linear_systems.adaptive.arms import ARM_NAMES, Arm, make_arms
from kernels.linear_systems.adaptive.features import Context, Features, Pattern, look_at
from kernels.linear_systems.adaptive.policy import OptimisticPolicy
from kernels.linear_systems.lane_factorization.exchange import has_same_bits
from kernels.linear_systems.types import System, Vector
from kernels.linear_systems.validation import check_matrix, check_tolerance, check_vector, is_beyond_rounding, is_finite
from kernels.result import Result, Status

KEPT_PATTERNS = 8


def adaptive_sequence(
    systems: Iterable[System], *, tolerance: float = 1e-8, arms: Sequence[str] = ARM_NAMES
) -> Iterator[tuple[int, Result]]:
    """Solve each system of a sequence by the solver that a bandit chooses from what the earlier systems cost.

    Parameters
    ----------
    systems : iterable of System
    tolerance : float
        On the true relative residual of each system, whatever solves it.
    arms : sequence of str
        The solvers to choose from, of ARM_NAMES. With one the choice is fixed.

    Yields
    ------
    position : int
        Of the system in the sequence; those solved together come together, out of order.
    result : Result
        As from :meth:`AdaptiveSolver.solve`.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    yield from AdaptiveSolver(arms).solve(systems, tolerance)


class AdaptiveSolver:
    """A contextual bandit over solvers; it learns from call to call.

    A system's context is what its matrix looks like (size, symmetry, skewness, anisotropy, contrast) and whether it is
    that of the system before, its cost the work that the chosen solver counted, in modelled microseconds. A solver that
    does not reach the tolerance is charged with what the fallback costs too: the next solver in the order of their
    bounds, and the one after, until all have failed. Choices depend on the systems and their order alone.

    Parameters
    ----------
    arms : sequence of str
        The solvers to choose from, of ARM_NAMES; as fallbacks all of them serve.

    Raises
    ------
    ValueError
        If a name is unknown or there is none.

    References
    ----------
    M. Khodak, E. Chow, M.-F. Balcan and A. Talwalkar, "Learning to relax: setting solver parameters across a sequence
    of linear system instances", ICLR 2024: the idea, there for the relaxation parameter of SOR.
    """

    def __init__(self, arms: Sequence[str] = ARM_NAMES) -> None:
        if not arms or not set(arms) <= set(ARM_NAMES):
            raise ValueError(f"arms must be some of {', '.join(ARM_NAMES)}, not {tuple(arms)}")
        self._choices = tuple(arms)
        self._arms: dict[str, Arm] = {arm.name: arm for arm in make_arms()}
        self._policy = OptimisticPolicy()
        self._patterns: list[Pattern] = []
        self._last_looks: dict[Pattern, _Look] = {}

    def solve(self, systems: Iterable[System], tolerance: float) -> Iterator[tuple[int, Result]]:
        """Solve systems, which may be of different kinds.

        Yields
        ------
        position : int
            Of the system in ``systems``.
        result : Result
            Of the solver that reached the tolerance, or else that came nearest to it. ``work`` counts ``iterations``
            and ``operator_applications`` over all that were tried, ``fallbacks`` (how many did not reach the
            tolerance), ``solver`` (the last, an index into ARM_NAMES), ``chosen`` (the first) and ``cost``.

        Raises
        ------
        ValueError
            If an argument has a wrong type, shape, dtype or range.
        """
        check_tolerance(tolerance)
        # symmetric matrices apart: together with others they would get two factors, too
        waiting: dict[tuple[str, Pattern, bool], list[_Task]] = {}
        for position, system in enumerate(systems):
            task = self._look_at(position, system)
            task.choose(self._policy, self._choices)
            features = task.look.features
            group = waiting.setdefault((task.chosen, features.pattern, features.symmetric), [])
            group.append(task)
            if len(group) == self._arms[task.chosen].batch:
                yield from self._solve(group, tolerance)
                group.clear()
        for group in waiting.values():
            yield from self._solve(group, tolerance)

    def _look_at(self, position: int, system: System) -> "_Task":
        check_vector("rhs", system.rhs, check_matrix(system.matrix))
        pattern = next((known for known in self._patterns if known.fits(system.matrix)), None)
        if pattern is None:
            pattern = Pattern(system.matrix)
            self._patterns.append(pattern)
            for forgotten in self._patterns[:-KEPT_PATTERNS]:
                self._last_looks.pop(forgotten, None)
            del self._patterns[:-KEPT_PATTERNS]
        data, last = system.matrix.data, self._last_looks.get(pattern)
        if last is not None and last.data is not data and has_same_bits(last.data, data):
            look = last if last.features.repeated else self._look(last.data, replace(last.features, repeated=True))
        else:
            # the same array may hold other numbers by now: a copy will tell the next time
            is_array_of_last = last is not None and last.data is data
            look = self._look(data.copy() if is_array_of_last else data, look_at(system.matrix, pattern))
        self._last_looks[pattern] = look
        return _Task(position, system, look)

    def _look(self, data: Vector, features: Features) -> "_Look":
        costs = {name: arm.least_cost(features) for name, arm in self._arms.items()}
        least_costs = {name: cost for name, cost in costs.items() if cost is not None}
        return _Look(data, features, features.context, least_costs)

    def _solve(self, group: "list[_Task]", tolerance: float) -> Iterator[tuple[int, Result]]:
        """Solve systems that chose the same solver together, then alone those that it could not solve."""
        if not group:
            return
        arm = self._arms[group[0].chosen]
        results = arm.solve([task.system for task in group], tolerance)
        costs = arm.costs([task.look.features for task in group], results)
        for task, result, cost in zip(group, results, costs, strict=True):
            task.take(arm, result, cost)
            while not task.is_done(tolerance) and (fallback := task.next_fallback(self._policy)):
                arm_after = self._arms[fallback]
                results_after = arm_after.solve([task.system], tolerance)
                (cost,) = arm_after.costs([task.look.features], results_after)
                task.take(arm_after, results_after[0], cost)
            self._policy.update(task.look.context, task.chosen, task.cost)
            yield task.position, task.result()


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What is known of a matrix with these entries before it is solved with."""

    data: Vector
    features: Features
    context: Context
    least_costs: Mapping[str, float]


@dataclass(slots=True, eq=False)
class _Task:
    """One system, what is known of it and what was tried on it."""

    position: int
    system: System
    look: _Look
    chosen: str = ""
    tried: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    cost: float = 0.0

    def choose(self, policy: OptimisticPolicy, choices: Sequence[str]) -> None:
        """Choose among what is allowed and applies or, where none of it applies, among all that applies."""
        allowed = {name: cost for name, cost in self.look.least_costs.items() if name in choices}
        self.chosen = policy.choose(self.look.context, allowed or self.look.least_costs)

    def is_done(self, tolerance: float) -> bool:
        """Whether the last solver reached the tolerance, or no solver can."""
        last, matrix, rhs = self.results[-1], self.system.matrix, self.system.rhs
        return (
            last.converged
            or (last.status is Status.NOT_FINITE and not is_finite(matrix, rhs))
            or (last.status is Status.STAGNATED and is_beyond_rounding(matrix, rhs, last.value, tolerance))
        )

    def take(self, arm: Arm, result: Result, cost: float) -> None:
        """Note a solver's result and what it cost."""
        self.tried.append(arm.name)
        self.results.append(result)
        self.cost += cost

    def next_fallback(self, policy: OptimisticPolicy) -> str | None:
        """The solver to try next; None where all have failed."""
        left = {name: cost for name, cost in self.look.least_costs.items() if name not in self.tried}
        return policy.choose(self.look.context, left) if left else None

    def result(self) -> Result:
        """The last solver's result or, where none converged, that of the least residual, with all that was spent."""
        last = self.results[-1]
        best = last if last.converged else min(self.results, key=_last_residual)
        work = {
            "iterations": sum(result.work["iterations"] for result in self.results),
            "operator_applications": sum(result.work["operator_applications"] for result in self.results),
            "fallbacks": float(len(self.results) - int(last.converged)),
            "solver": float(ARM_NAMES.index(self.tried[self.results.index(best)])),
            "chosen": float(ARM_NAMES.index(self.chosen)),
            "cost": self.cost,
        }
        return Result(best.value, best.status, best.history, work)


def _last_residual(result: Result) -> float:
    residual = float(result.history[-1])
    return residual if np.isfinite(residual) else np.inf
