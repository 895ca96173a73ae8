"""Newton's method for equality constraints with inexact, randomized solves, on an exact augmented Lagrangian."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.constrained.inner_solvers import DirectSolver, GmresSolver, InnerSolver, MinresSolver
from kernels.optimization.constrained.kkt_system import (
    NewtonSystem,
    least_gram_eigenvalue,
    newton_system,
    spectral_norm,
)
from kernels.optimization.constrained.line_search import MOST_HALVINGS, late_step_length, rounding_of
from kernels.optimization.constrained.merit import ExactAugmentedLagrangian
from kernels.optimization.constrained.sketching import GaussianSolver, KaczmarzSolver
from kernels.optimization.constrained.types import (
    ConstrainedProblem,
    Oracle,
    PrimalDualPoint,
    check_problem,
    frobenius_norm,
    is_finite_matrix,
)
from kernels.result import Result, Status

HESSIAN_SHIFT = 0.1  # xi_B
ARMIJO = 0.1  # beta
GROWTH = 1.5  # nu
LEAST_ACCURACY = 1e-6
GREATEST_CONSTRAINT_PENALTY = 1e8
LEAST_DUAL_PENALTY = 1e-8

SHARPENINGS: dict[str, Callable[[int, float], float]] = {
    "none": lambda iteration, residual: 1.0,  # noqa: ARG005
    "residual": lambda iteration, residual: min(1.0, residual),  # noqa: ARG005
    "quadratic": lambda iteration, residual: 1.0 / (iteration + 1) ** 2,  # noqa: ARG005
}


@dataclass(slots=True)
class Accuracy:
    """How accurately Newton systems are solved: the bound delta on their relative residuals, and its theory.

    Attributes
    ----------
    bound : float
        delta.
    is_literal : bool
        Whether the published constants, which guarantee descent in the worst case, divide the bound.
    """

    bound: float
    is_literal: bool
    _scale: float = field(default=1.0, init=False)
    _squared_constants: float = field(default=0.0, init=False)

    def look_at(self, system: NewtonSystem, point: PrimalDualPoint) -> None:
        """Take the constants from a system."""
        if not self.is_literal:
            return
        tiny = float(np.finfo(np.float64).tiny)
        smallest = max(min(least_gram_eigenvalue(point.jacobian), 1.0), tiny) * min(HESSIAN_SHIFT, 1.0)
        inverse_norm = 20.0 * max(frobenius_norm(system.modified_hessian) ** 2, 1.0) / smallest  # Psi
        largest = max(frobenius_norm(point.jacobian), frobenius_norm(system.hessian), 1.0)  # Upsilon
        self._scale = spectral_norm(system.matrix) * inverse_norm
        self._squared_constants = (largest * inverse_norm) ** 2

    def restrict(self, merit: ExactAugmentedLagrangian, shrink: float = 1.0) -> None:
        """Shrink the bound, at least to where its theory wants it for the penalties, and not below the floor."""
        bound = self.bound / shrink
        if self.is_literal:
            penalties = 1.0 + merit.constraint_penalty + merit.dual_penalty
            bound = min(bound, (0.5 - ARMIJO) * merit.dual_penalty / (penalties * self._squared_constants))
        self.bound = max(bound, LEAST_ACCURACY)

    def relative_residual(self, sharpening: float) -> float:
        """The relative residual that is asked for."""
        return sharpening * self.bound / self._scale


def adasketch_newton(
    problem: ConstrainedProblem,
    *,
    solver: str = "kaczmarz",
    constants: str = "literal",
    accuracy: float = 0.1,
    sharpening: str = "none",
    least_curvature: float = 1e-6,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
    most_inner_steps: int = 100_000,
    random: np.random.Generator | None = None,
) -> Result:
    """Find a KKT point by Newton steps that are only as accurate as descent on a merit function needs.

    Variables and multipliers move together along an approximate solution of the Newton system. The direction must be
    one of sufficient descent for the exact augmented Lagrangian; where it is not, the penalties change, and the solver
    goes on from where it stands to a higher accuracy. A backtracking line search does the rest.

    Parameters
    ----------
    problem : ConstrainedProblem
    solver : {"kaczmarz", "gaussian", "lu", "minres", "gmres"}
        Of the Newton systems: randomized row or Gaussian sketches, or what they are compared with.
    constants : {"literal", "practical"}
        The residual is compared with ``theta delta ||b||`` over the published constants, or (not in the paper) with
        ``theta delta ||b||`` itself, delta shrinking only where a direction does not descend enough.
    accuracy : float
        delta at first, between 0 and 1.
    sharpening : {"none", "residual", "quadratic"}
        theta: 1; the KKT residual where that is less than 1; or 1 / (k + 1)^2.
    least_curvature : float
        Of the Hessian on the Jacobian's null space; below that, a multiple of the identity is added.
    tolerance : float
        CONVERGED means that the KKT residual, the norm of constraints and Lagrangian gradient together, is at most
        this.
    max_iterations : int
        The limit on Newton steps.
    most_inner_steps : int
        The limit on random steps each time that accuracy is asked for.
    random : Generator, optional
        Of the sketches.

    Returns
    -------
    Result
        The variables and multipliers, stacked, shape (n + m,); ``history`` is the KKT residual. ``work`` counts
        ``iterations``, ``evaluations`` of f and c, ``derivative_evaluations`` of their first derivatives,
        ``hessian_evaluations``, ``line_search_trials``, ``inner_steps`` and their ``inner_flops``; it states the share
        of inner solves that ended before they were accurate (``inaccurate_share``) and of Hessians that were changed
        (``modified_share``), the median ``demanded_residual``, and the shortest of the last three steps
        (``late_step_length``).

    Raises
    ------
    ValueError
        If an argument has a wrong shape, name or range, or a randomized solver has no generator.

    References
    ----------
    .. [1] I. Hong, S. Na, M. W. Mahoney, M. Kolar, "Constrained optimization via exact augmented Lagrangian and
       randomized iterative sketching", ICML 2023, algorithm 1.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    check_count("most_inner_steps", most_inner_steps, 1)
    if not 0.0 < accuracy < 1.0:
        raise ValueError(f"accuracy must lie between 0 and 1, not {accuracy}")
    if not least_curvature > 0.0:
        raise ValueError(f"least_curvature must be positive, not {least_curvature}")
    if constants not in ("literal", "practical"):
        raise ValueError(f"constants must be literal or practical, not {constants!r}")
    if sharpening not in SHARPENINGS:
        raise ValueError(f"sharpening must be one of {', '.join(SHARPENINGS)}, not {sharpening!r}")
    check_problem(problem)
    run = _Run(problem, _inner_solver(solver, random, most_inner_steps), Accuracy(accuracy, constants == "literal"))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        status = run.descend(SHARPENINGS[sharpening], least_curvature, tolerance, max_iterations)
    return Result(run.point.stacked, status, np.array(run.history), run.work)


def _inner_solver(name: str, random: np.random.Generator | None, most_steps: int) -> InnerSolver:
    deterministic: dict[str, type[InnerSolver]] = {"lu": DirectSolver, "minres": MinresSolver, "gmres": GmresSolver}
    if name in deterministic:
        return deterministic[name]()
    randomized: dict[str, type[KaczmarzSolver | GaussianSolver]] = {
        "kaczmarz": KaczmarzSolver,
        "gaussian": GaussianSolver,
    }
    if name not in randomized:
        raise ValueError(f"solver must be one of {', '.join((*randomized, *deterministic))}, not {name!r}")
    if random is None:
        raise ValueError(f"random must be a generator for solver={name!r}, not None")
    return randomized[name](random, most_steps)


class _Run:
    """One run of the method: where it stands and what it has spent."""

    def __init__(self, problem: ConstrainedProblem, solver: InnerSolver, accuracy: Accuracy) -> None:
        self._oracle = Oracle(problem)
        self._solver = solver
        self._accuracy = accuracy
        self._merit = ExactAugmentedLagrangian()
        self._steps: list[float] = []
        self._trials = 0
        self._solves = 0
        self._inaccurate = 0
        self._modified = 0
        self._demanded: list[float] = []
        self.point = self._oracle.point(problem.start, problem.start_multipliers)
        self.history = [self.point.kkt_residual]

    @property
    def work(self) -> dict[str, float]:
        """What has been spent."""
        iterations = len(self._steps)
        return {
            "iterations": iterations,
            **self._oracle.work,
            "line_search_trials": self._trials,
            "inner_steps": self._solver.steps,
            "inner_flops": self._solver.flops,
            "inaccurate_share": self._inaccurate / max(self._solves, 1),
            "modified_share": self._modified / max(iterations, 1),
            "demanded_residual": float(np.median(self._demanded)) if self._demanded else 1.0,
            "late_step_length": late_step_length(self._steps),
        }

    def descend(
        self,
        sharpening: Callable[[int, float], float],
        least_curvature: float,
        tolerance: float,
        max_iterations: int,
    ) -> Status:
        """Take Newton steps until one of the reasons to stop."""
        while self.point.kkt_residual > tolerance:
            if len(self._steps) == max_iterations:
                return Status.ITERATION_LIMIT
            hessian = self._oracle.hessian(self.point.x, self.point.multipliers)
            if not (is_finite_matrix(hessian) and is_finite_matrix(self.point.jacobian)):
                return Status.NOT_FINITE
            system = newton_system(self.point, hessian, least_curvature=least_curvature, shift=HESSIAN_SHIFT)
            self._modified += system.is_modified
            slope = self._direct(system, sharpening(len(self._steps), self.point.kkt_residual))
            if not self._move(slope):
                return Status.STAGNATED
            self.history.append(self.point.kkt_residual)
        return Status.CONVERGED if math.isfinite(self.point.kkt_residual) else Status.NOT_FINITE

    def _direct(self, system: NewtonSystem, sharpening: float) -> float:
        """Solve a Newton system until its solution descends enough; the slope of the merit function along it."""
        accuracy, merit, solver = self._accuracy, self._merit, self._solver
        accuracy.look_at(system, self.point)
        accuracy.restrict(merit)
        self._demanded.append(accuracy.relative_residual(sharpening))
        solver.begin(system.matrix, system.rhs)
        residual = self.point.kkt_residual
        while True:
            target = accuracy.relative_residual(sharpening) * residual
            solver.improve(target)
            self._solves += 1
            self._inaccurate += not solver.residual_norm <= target
            slope = float(merit.gradient(self.point, system.hessian) @ solver.solution)
            if (
                slope <= -0.5 * merit.dual_penalty * residual**2
                or merit.constraint_penalty > GREATEST_CONSTRAINT_PENALTY
                or merit.dual_penalty < LEAST_DUAL_PENALTY
            ):
                return slope
            merit.constraint_penalty *= GROWTH**2
            merit.dual_penalty /= GROWTH
            accuracy.restrict(merit, GROWTH**4)

    def _move(self, slope: float) -> bool:
        """Halve the step until the merit function falls enough; whether it does."""
        if not slope < 0.0:
            return False
        merit = self._merit.value(self.point)
        n = self.point.x.size
        length = 1.0
        for _ in range(MOST_HALVINGS):
            step = length * self._solver.solution
            trial = self._oracle.point(self.point.x + step[:n], self.point.multipliers + step[n:])
            self._trials += 1
            if self._merit.value(trial) <= merit + ARMIJO * length * slope + rounding_of(merit):
                self.point = trial
                self._steps.append(length)
                return True
            length *= 0.5
        return False
