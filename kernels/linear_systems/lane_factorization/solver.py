"""Sequences of systems of one sparsity pattern, solved many at a time: one analysis, one factorisation in each lane."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.lane_factorization.acceleration import Acceleration
from kernels.linear_systems.lane_factorization.analysis import Analysis, analyse
from kernels.linear_systems.lane_factorization.exchange import has_same_bits, mirrors, true_residual
from kernels.linear_systems.lane_factorization.factors import LaneFactors
from kernels.linear_systems.lane_factorization.shared import SharedFactors
from kernels.linear_systems.lane_factorization.vectors import VECTOR_BYTES
from kernels.linear_systems.types import System, Vector
from kernels.linear_systems.validation import check_count, check_tolerance, check_vector, is_beyond_rounding, is_finite
from kernels.result import Result, Status

MOST_LANES = 16
PRECISIONS = {"auto": (np.float32, np.float64), "float32": (np.float32,), "float64": (np.float64,)}
MOST_STEPS = 9
# Refinement of which a step leaves more than this share of the residual is accelerated from then on.
SLOW = 0.1
# Refinement of which so many steps, or the first, leave more than such a share is given up: new factors are cheaper.
PATIENCE, LEAST_PROGRESS = 2, 0.5
# Patterns for which two factors of all lanes need more memory than this are solved one by one.
MOST_FACTOR_BYTES = 4 << 30


def lane_factorization_sequence(
    systems: Iterable[System], *, lanes: int = MOST_LANES, precision: str = "auto", tolerance: float = 1e-8
) -> Iterator[tuple[int, Result]]:
    """Solve a sequence of systems, factorising those of one sparsity pattern together, one in each SIMD lane.

    Each pattern is analysed once. Factorisations are L D L^T for matrices that are symmetric and L D U for others,
    without pivoting and at first in float32; refinement in float64 brings each solution to the tolerance, against
    which its true residual is held. Where refinement is slow it minimises the residual over its corrections
    (:class:`~kernels.linear_systems.lane_factorization.acceleration.Acceleration`); where that is too slow the system
    is factorised in float64, and where that fails too it is solved by SuperLU, with pivoting. The factors of a matrix
    that comes again are kept, and the lanes hold right-hand sides of it
    (:class:`~kernels.linear_systems.lane_factorization.shared.SharedFactors`). But for the counts of its work, a result
    does not depend on the systems beside it.

    Parameters
    ----------
    systems : iterable of System
        A change of pattern starts a new group.
    lanes : int
        How many systems at most are gathered before they are solved, 1 to 16. A factorisation takes the same time for
        1 to 16 of them in float32, for 1 to 8 in float64.
    precision : {"auto", "float32", "float64"}
        Of the factors; "auto" tries float32 before float64.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||``, computed from x in float64.

    Yields
    ------
    position : int
        Of the system in the sequence; they come in order.
    result : Result
        ``history`` is the relative residual norm of zero and after each solve with the last factors. Status is as
        from :func:`~kernels.linear_systems.direct.sparse_lu`. ``work`` counts ``iterations`` (solves),
        ``operator_applications``, ``factorizations`` (0 where kept factors were enough) and ``fallbacks`` (1 where
        SuperLU solved the system).

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    check_count("lanes", lanes, least=1, most=MOST_LANES)
    check_tolerance(tolerance)
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    return LaneSolver(lanes, PRECISIONS[precision]).solve(systems, tolerance)


class LaneSolver:
    """Solves sequences as :func:`lane_factorization_sequence` does; keeps factors and memory of the last pattern."""

    def __init__(self, lanes: int = MOST_LANES, precisions: Sequence[Any] = PRECISIONS["auto"]) -> None:
        self._lanes, self._precisions = lanes, precisions
        self._solver: _PatternSolver | None = None

    def solve(self, systems: Iterable[System], tolerance: float) -> Iterator[tuple[int, Result]]:
        """Solve one sequence; see :func:`lane_factorization_sequence`."""
        group: list[_Progress] = []
        solved = 0
        for system in systems:
            matrix, rhs = system.matrix, system.rhs
            fits = self._solver is not None and self._solver.analysis.fits(matrix)
            if self._solver is not None and (not fits or len(group) == self._lanes):
                yield from enumerate(self._solver.solve(group, tolerance), solved)
                solved += len(group)
                group = []
            if self._solver is None or not fits:
                self._solver = _PatternSolver(analyse(matrix), self._precisions)
            check_vector("rhs", rhs, self._solver.analysis.size)
            group.append(_Progress(system, matrix.data, np.ascontiguousarray(rhs), norm(rhs)))
        if self._solver is not None:
            yield from enumerate(self._solver.solve(group, tolerance), solved)


@dataclass(slots=True, eq=False)
class _Progress:
    """One system and how far it has come."""

    system: System
    data: Vector
    rhs: Vector
    rhs_norm: float
    symmetric: bool | None = None
    solution: Vector | None = None
    acceleration: Acceleration | None = None
    history: tuple[float, ...] = (1.0,)
    solves: int = 0
    applications: int = 0
    factorizations: int = 0


class _PatternSolver:
    """Solves groups of systems of one pattern; keeps the memory of the factors from group to group."""

    def __init__(self, analysis: Analysis, precisions: Sequence[Any]) -> None:
        self.analysis = analysis
        self._tolerance = np.nan
        fits_memory = 2 * analysis.structure.entries * VECTOR_BYTES <= MOST_FACTOR_BYTES
        self._precisions = precisions if fits_memory else ()
        mirrored = analysis.sources.lower != analysis.sources.upper
        below, above = analysis.sources.lower[mirrored], analysis.sources.upper[mirrored]
        self._pattern_is_symmetric = len(analysis.indices) not in (below.max(initial=0), above.max(initial=0))
        # in the order of the matrix's entries, in which they are found faster
        in_order = np.argsort(below)
        self._mirrored = below[in_order], above[in_order]
        self._factors: dict[tuple[Any, bool], LaneFactors] = {}

    def solve(self, group: list[_Progress], tolerance: float) -> list[Result]:
        """The results of a group, in its order."""
        self._tolerance = tolerance
        unsolved = [system for system in group if system.rhs_norm != 0.0]
        for dtype in self._precisions:
            others = self._refine_with_kept(unsolved, dtype)
            for symmetric, alike in self._by_symmetry(others).items():
                factors = self._factors_of(dtype, symmetric)
                for begin in range(0, len(alike), factors.lanes):
                    self._refine(alike[begin : begin + factors.lanes], factors)
            unsolved = [system for system in unsolved if not self._is_done(system)]
        return [self._result(system) for system in group]

    def _refine_with_kept(self, systems: list[_Progress], dtype: Any) -> list[_Progress]:
        """Solve systems with factors that are kept for them, and return those that need factors of their own."""
        by_factors: dict[SharedFactors, list[_Progress]] = {}
        others: list[_Progress] = []
        for system in systems:
            shared = self._kept(system.data, dtype)
            (others if shared is None else by_factors.setdefault(shared, [])).append(system)
        for symmetric, alike in self._by_symmetry(others).items():
            first, *rest = alike
            if rest and all(has_same_bits(first.data, system.data) for system in rest):
                self._refine([first], self._factors_of(dtype, symmetric))
                shared = self._kept(first.data, dtype)
                assert shared is not None
                by_factors[shared] = rest
                others = [system for system in others if system not in alike]
        for shared, alike in by_factors.items():
            for begin in range(0, len(alike), shared.lanes):
                others += self._refine_together(alike[begin : begin + shared.lanes], shared)
        return others

    def _kept(self, data: Vector, dtype: Any) -> SharedFactors | None:
        candidates = (factors.shared(data) for kind, factors in self._factors.items() if kind[0] is dtype)
        return next((shared for shared in candidates if shared is not None), None)

    def _by_symmetry(self, systems: list[_Progress]) -> dict[bool, list[_Progress]]:
        groups: dict[bool, list[_Progress]] = {}
        for system in systems:
            if system.symmetric is None:
                system.symmetric = self._pattern_is_symmetric and mirrors(system.data, *self._mirrored)
            groups.setdefault(system.symmetric, []).append(system)
        return groups

    def _is_done(self, system: _Progress) -> bool:
        """Whether the tolerance is reached, or nothing that follows can reach it."""
        matrix, rhs = system.system.matrix, system.rhs
        return (
            system.history[-1] <= self._tolerance
            or not is_finite(matrix, rhs)
            or (system.solution is not None and is_beyond_rounding(matrix, rhs, system.solution, self._tolerance))
        )

    def _factors_of(self, dtype: Any, symmetric: bool) -> LaneFactors:
        if (dtype, symmetric) not in self._factors:
            self._factors[dtype, symmetric] = LaneFactors(self.analysis, dtype, symmetric)
        return self._factors[dtype, symmetric]

    def _refine(self, batch: list[_Progress], factors: LaneFactors) -> None:
        """Factorise a batch and refine its solutions until each has converged or gets on too slowly."""
        shape = factors.lanes, self.analysis.size
        residuals, solutions, scales = np.zeros(shape), np.zeros(shape), np.ones(factors.lanes)
        for lane, system in enumerate(batch):
            residuals[lane], scales[lane] = system.rhs, system.rhs_norm
            system.solution, system.history, system.acceleration = solutions[lane], (1.0,), None
            system.factorizations += 1
        factors.factorize([system.data for system in batch], residuals, scales, solutions)
        active = self._measure(dict(enumerate(batch)), residuals, scales)
        while active:
            factors.correct(residuals, scales, solutions)
            active = self._measure(active, residuals, scales)

    def _refine_together(self, batch: list[_Progress], shared: SharedFactors) -> list[_Progress]:
        """Refine the solutions of systems of one matrix; return those that need acceleration: they start anew."""
        units = np.ones(shared.lanes)
        for lane, system in enumerate(batch):
            units[lane], system.history = system.rhs_norm, (1.0,)
        shared.start([system.rhs for system in batch])
        active, slow = dict(enumerate(batch)), []
        scales = units.copy()
        while active:
            norms = shared.correct(scales, units)
            going_on = {}
            for lane, system in active.items():
                relative = float(norms[lane])
                system.solves += 1
                system.applications += 1
                is_slow = relative > self._tolerance and relative > SLOW * system.history[-1]
                system.history += (relative,)
                if is_slow:
                    slow.append(system)
                if relative > self._tolerance and not is_slow and len(system.history) <= MOST_STEPS:
                    going_on[lane], scales[lane] = system, relative * system.rhs_norm
            if going_on:
                shared.rest(active.keys() - going_on.keys(), scales)
            active = going_on
        for system, solution in zip(batch, shared.solutions(), strict=False):
            system.solution = solution
        return slow

    def _measure(self, active: dict[int, _Progress], residuals: Any, scales: Vector) -> dict[int, _Progress]:
        """Compute the residuals of the systems in these lanes and return those that shall be refined."""
        going_on = {}
        for lane, system in active.items():
            assert system.solution is not None
            relative = self._residual(system, residuals[lane])
            if relative > self._tolerance:
                if system.acceleration is None and relative > SLOW * system.history[-1]:
                    system.acceleration = Acceleration(system.rhs, MOST_STEPS)
                if system.acceleration is not None:
                    system.acceleration.minimise(system.solution, residuals[lane])
                    relative = self._residual(system, residuals[lane])
            system.history += (relative,)
            system.solves += 1
            if relative > self._tolerance and len(system.history) <= MOST_STEPS and not _is_hopeless(system.history):
                going_on[lane], scales[lane] = system, relative * system.rhs_norm
            else:
                residuals[lane], scales[lane], system.acceleration = 0.0, 1.0, None
        return going_on

    def _residual(self, system: _Progress, residual: Vector) -> float:
        """Write the residual of a system and return its norm relative to the right-hand side's."""
        assert system.solution is not None
        system.applications += 1
        return true_residual(
            system.data,
            self.analysis.indices,
            self.analysis.indptr,
            system.rhs,
            system.solution,
            residual,
            system.rhs_norm,
        )

    def _result(self, system: _Progress) -> Result:
        work: dict[str, float] = {
            "iterations": system.solves,
            "operator_applications": system.applications,
            "factorizations": system.factorizations,
        }
        if system.solution is not None and self._is_done(system) and np.isfinite(system.history[-1]):
            status = Status.CONVERGED if system.history[-1] <= self._tolerance else Status.STAGNATED
            return Result(system.solution, status, np.array(system.history), work | {"fallbacks": 0})
        pivoted = sparse_lu(system.system.matrix, system.rhs, tolerance=self._tolerance)
        work = {count: work[count] + pivoted.work[count] for count in work}
        return Result(pivoted.value, pivoted.status, pivoted.history, work | {"fallbacks": int(system.rhs_norm != 0.0)})


def _is_hopeless(history: Sequence[float]) -> bool:
    return not history[-1] <= LEAST_PROGRESS * history[-1 - PATIENCE :][0]
