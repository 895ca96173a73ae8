"""The solvers to choose from, each with a model of what it costs.

Costs are modelled, not timed: microseconds on the processor that ``python -m benchmarks.solver_costs`` was last run on,
as linear functions of the counts that a solver returns. So choices depend on the systems alone, and the same systems
get the same solver on any machine. The models need only be right to some ten per cent: solvers that cost about the same
may be taken for one another.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kernels.linear_systems.adaptive.features import Features
from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.grid_multigrid import grid_multigrid
from kernels.linear_systems.grid_multigrid_3d import grid_multigrid_3d
from kernels.linear_systems.krylov_tools import RecycledSpace
from kernels.linear_systems.lane_factorization.exchange import LANES
from kernels.linear_systems.lane_factorization.solver import MOST_LANES, LaneSolver
from kernels.linear_systems.multigrid import amg_cg, amg_gmres
from kernels.linear_systems.preconditioners import FactorizationError, build_preconditioner
from kernels.linear_systems.solvers import not_preconditioned, solve_krylov
from kernels.linear_systems.types import System
from kernels.result import Result

MOST_ITERATIONS = 300
"""Of Krylov methods with simple preconditioners: beyond it, another solver is cheaper."""

Work = Mapping[str, float]


class Arm(ABC):
    """A solver with its options; it may carry over what it learnt from system to system."""

    name: str
    batch: int = 1

    @abstractmethod
    def least_cost(self, features: Features) -> float | None:
        """The least that a system can cost, in modelled microseconds; None where the solver does not apply."""

    @abstractmethod
    def cost(self, features: Features, work: Work) -> float:
        """What a system did cost, in modelled microseconds."""

    def costs(self, features: Sequence[Features], results: Sequence[Result]) -> list[float]:
        """What systems that were solved together did cost each, in modelled microseconds."""
        return [self.cost(of, result.work) for of, result in zip(features, results, strict=True)]

    @abstractmethod
    def solve(self, systems: Sequence[System], tolerance: float) -> list[Result]:
        """Solve at most ``batch`` systems of one pattern."""


@dataclass
class Iterative(Arm):
    """A solver that takes systems one by one, at a fixed price and one per step and matrix entry.

    Attributes
    ----------
    solve_one : callable
        (system, tolerance=...) -> Result.
    applies : callable
        Features -> whether the solver is made for such systems.
    counted : str
        The count in ``work`` that is a step.
    call : float
        Microseconds that any system costs.
    set_up, step : float
        Microseconds per stored entry of the matrix, of the preparations and of a step.
    least_steps : int
        Fewer are not to be expected.
    """

    name: str
    solve_one: Callable[..., Result]
    applies: Callable[[Features], bool]
    counted: str
    call: float
    set_up: float
    step: float
    least_steps: int

    def least_cost(self, features: Features) -> float | None:
        """The preparations and a few steps."""
        return self._model(features, self.least_steps) if self.applies(features) else None

    def cost(self, features: Features, work: Work) -> float:
        """The preparations and the steps."""
        return self._model(features, work[self.counted])

    def solve(self, systems: Sequence[System], tolerance: float) -> list[Result]:
        """One after another."""
        return [self.solve_one(system, tolerance=tolerance) for system in systems]

    def _model(self, features: Features, steps: float) -> float:
        return self.call + features.entries * (self.set_up + steps * self.step)


class Lanes(Arm):
    """Direct factorisation, a system in each SIMD lane; the costs are those of full batches."""

    name = "lanes"
    batch = MOST_LANES
    # microseconds a system, an entry of a factor and a multiplication
    _CALL, _ENTRY, _MULTIPLICATION = 12.0, 1.9e-3, 8e-6
    _UNSYMMETRIC = 1.3  # times as much: two factors
    _CALL_KEPT, _UNKNOWN_KEPT, _ENTRY_KEPT = 8.0, 0.005, 1.4e-4
    _MOST_MULTIPLICATIONS = 2e10
    _ALONE = 16.0  # in shares of a factorisation: SuperLU takes a system alone

    def __init__(self) -> None:
        self._solver = LaneSolver()

    def least_cost(self, features: Features) -> float | None:
        """One factorisation in single precision, or none for a matrix whose factors can be kept."""
        if features.multiplications > self._MOST_MULTIPLICATIONS:
            return None
        return self.cost(features, {"factorizations": float(not features.repeated), "fallbacks": 0.0})

    def cost(self, features: Features, work: Work) -> float:
        """The factorisation, or the substitutions where the factors were kept."""
        if work["factorizations"] == 0:
            return self._CALL_KEPT + self._UNKNOWN_KEPT * features.size + self._ENTRY_KEPT * _factor_entries(features)
        return self._factorization(features) * (1.0 + self._ALONE * work["fallbacks"])

    def costs(self, features: Sequence[Features], results: Sequence[Result]) -> list[float]:
        """Also a share of the factorisations in double precision, for all: each takes the time of a full batch."""
        rescued = sum(result.work["factorizations"] > 1 for result in results)
        shares = math.ceil(rescued / LANES)
        costs = super().costs(features, results)
        return [cost + shares * self._factorization(of) for cost, of in zip(costs, features, strict=True)]

    def solve(self, systems: Sequence[System], tolerance: float) -> list[Result]:
        """All at once."""
        return [result for _, result in self._solver.solve(systems, tolerance)]

    def _factorization(self, features: Features) -> float:
        symmetric = (
            self._CALL + self._ENTRY * _factor_entries(features) + self._MULTIPLICATION * features.multiplications
        )
        return symmetric if features.symmetric else self._UNSYMMETRIC * symmetric


def _factor_entries(features: Features) -> float:
    """About the entries of a factor: its columns' lengths, whose squares add up to the multiplications."""
    return math.sqrt(features.size * features.multiplications)


class DirectLU(Arm):
    """SuperLU, with pivoting."""

    name = "direct"
    _ENTRY, _MULTIPLICATION = 0.17, 4e-4

    def least_cost(self, features: Features) -> float | None:
        """One factorisation."""
        return self.cost(features, {"factorizations": 1})

    def cost(self, features: Features, work: Work) -> float:
        """The factorisations."""
        factorization = self._ENTRY * features.entries + self._MULTIPLICATION * features.multiplications
        return work["factorizations"] * factorization

    def solve(self, systems: Sequence[System], tolerance: float) -> list[Result]:
        """One after another."""
        return [sparse_lu(system.matrix, system.rhs, tolerance=tolerance) for system in systems]


class Recycling:
    """GCRO-DR with ILU(0), which hands the space it recycles to the next system of the same size."""

    restart = 40

    def __init__(self, recycle: int) -> None:
        self._recycle = recycle
        self._space: RecycledSpace | None = None

    def __call__(self, system: System, *, tolerance: float) -> Result:
        """Solve a system with the space that the one before left."""
        if self._space is not None and self._space.vectors.shape[0] != system.rhs.size:
            self._space = None
        try:
            preconditioner = build_preconditioner("ilu0", system.matrix)
        except FactorizationError:
            return not_preconditioned(system)
        result, self._space = gcrodr(
            system.matrix,
            system.rhs,
            preconditioner=preconditioner,
            restart=self.restart,
            recycle=self._recycle,
            recycled=self._space,
            tolerance=tolerance,
            max_iterations=MOST_ITERATIONS,
        )
        return result


def _on_matrix(solve: Callable[..., Result]) -> Callable[..., Result]:
    def solve_system(system: System, *, tolerance: float) -> Result:
        return solve(system.matrix, system.rhs, tolerance=tolerance)

    return solve_system


def _krylov(solver: str, preconditioner: str) -> Callable[..., Result]:
    return partial(solve_krylov, solver=solver, preconditioner=preconditioner, max_iterations=MOST_ITERATIONS)


def _elliptic(features: Features) -> bool:
    """Diffusion, with or without convection; waves are neither dominant nor skew."""
    return features.dominant or not features.symmetric


def _on_grid(features: Features) -> bool:
    return features.dimensions == 2 and _elliptic(features)


def _on_box(features: Features) -> bool:
    return features.dimensions == 3 and features.dominant and features.symmetric


def _symmetric(features: Features) -> bool:
    return features.symmetric and features.dominant


def _unsymmetric(features: Features) -> bool:
    return not features.symmetric


def _any(_: Features) -> bool:
    return True


_CYCLES = "preconditioner_applications"
_PRODUCTS = "operator_applications"


def make_arms() -> list[Arm]:
    """All solvers, with nothing carried over yet."""
    return [
        Iterative("grid-multigrid", _on_matrix(grid_multigrid), _on_grid, _CYCLES, 15.0, 0.0022, 0.00042, 5),
        Iterative("grid-multigrid-3d", _on_matrix(grid_multigrid_3d), _on_box, _CYCLES, 150.0, 0.0015, 0.0006, 5),
        Lanes(),
        Iterative("cg-ic0", _krylov("cg", "ic0"), _symmetric, _CYCLES, 250.0, 0.01, 0.0029, 10),
        Iterative("bicgstab-ilu0", _krylov("bicgstab", "ilu0"), _unsymmetric, _CYCLES, 250.0, 0.01, 0.0029, 10),
        Iterative("amg-cg", _on_matrix(amg_cg), _symmetric, _CYCLES, 2500.0, 0.16, 0.01, 6),
        Iterative("amg-gmres", _on_matrix(amg_gmres), _unsymmetric, _CYCLES, 2500.0, 0.16, 0.012, 6),
        Iterative("recycling-10", Recycling(10), _any, _PRODUCTS, 400.0, 0.01, 0.006, 10),
        Iterative("recycling-20", Recycling(20), _any, _PRODUCTS, 400.0, 0.01, 0.008, 10),
        DirectLU(),
    ]


ARM_NAMES: tuple[str, ...] = tuple(arm.name for arm in make_arms())
"""All solvers by name; a result's ``work["solver"]`` is an index into them."""
MULTIGRID_ARMS: tuple[str, ...] = ("grid-multigrid", "grid-multigrid-3d")
"""Multigrid on grids of two and three dimensions."""
