"""Matrix completion by alternating minimisation, its least-squares problems solved approximately or exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import scipy.sparse as sp

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.low_rank.observations import (
    Array,
    Observations,
    PartialMatrix,
    check_partial_matrix,
    observe,
    split_observations,
)
from kernels.low_rank.row_problems import solve_rows_approximately, solve_rows_exactly
from kernels.low_rank.spectral_start import clipped, leading_left_vectors
from kernels.result import Result, Status


@dataclass(frozen=True, slots=True)
class Stopping:
    """When the alternation ends.

    Attributes
    ----------
    tolerance : float
        CONVERGED where the residual on the observed entries, relative to their norm, is at most this.
    stall_tolerance : float
        CONVERGED, to a stationary point, also where a sweep changes the residual by at most this share of it.
    max_sweeps : int
        The limit on sweeps; a sweep updates both factors.

    Raises
    ------
    ValueError
        If a tolerance is not positive and finite, or there is no sweep.
    """

    tolerance: float
    stall_tolerance: float
    max_sweeps: int

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)
        check_tolerance(self.stall_tolerance)
        check_count("max_sweeps", self.max_sweeps, 1)

    def reached(self, history: Sequence[float]) -> bool:
        """Whether the last of the relative residuals is small, or hardly differs from the one before."""
        before, now = history[-2:]
        return now <= self.tolerance or abs(before - now) <= self.stall_tolerance * before


@dataclass(frozen=True, slots=True, eq=False)
class HalfSweep:
    """One factor anew: the solutions of its row problems, the squared residual they leave and what they cost."""

    factor: Array
    squared_residual: float
    multiply_adds: float
    inner_steps: int = 0


# (entries by row, fixed factor, start) -> the other factor
RowSolver = Callable[[sp.csr_array, Array, Array], HalfSweep]


def robust_altmin_completion(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    inner_tolerance: float = 1e-6,
    sketch_factor: int = 4,
    start: str = "sketch",
    max_inner_steps: int = 100,
    incoherence: float = 2.0,
    fresh_samples: bool = False,
    tolerance: float = 1e-8,
    stall_tolerance: float = 1e-4,
    max_sweeps: int = 100,
) -> Result:
    """Complete a matrix by alternating minimisation with approximate, sketch-preconditioned least squares.

    Every row problem ``min ||A x - b||`` with s rows costs O(s k log(1 / inner_tolerance) + sketch_factor k^3)
    multiply-adds instead of the O(s k^2) of its normal equations.

    Parameters
    ----------
    matrix : PartialMatrix
        The observed entries of an m x n matrix, and the rank k of the completion.
    random : Generator
        Draws the start, the sketches and the parts of the observed entries.
    inner_tolerance : float
        Of every row problem: its preconditioned gradient falls to this share of that at zero.
    sketch_factor : int
        Rows of the sketch over k; 0 solves by plain conjugate gradients.
    start : {"sketch", "zero", "warm"}
        Where the inner iteration begins: at the solution of the sketched problem, at zero, or at the completion of the
        half-sweep before.
    max_inner_steps : int
        The limit on inner steps.
    incoherence : float
        mu: entries of the first factor beyond ``2 mu sqrt(k / m)`` are set to zero.
    fresh_samples : bool
        Whether every half-sweep reads entries of its own, as the theory wants it: they are dealt into
        ``2 max_sweeps + 1`` parts.
    tolerance, stall_tolerance, max_sweeps
        See :class:`Stopping`.

    Returns
    -------
    Result
        ``value`` is the completed matrix, shape (m, n). ``history`` is the relative residual on the observed entries
        after every sweep. ``work`` counts ``sweeps``, ``multiply_adds`` (of all sweeps), ``multiply_adds_per_entry``
        (of one sweep and observed entry) and ``inner_steps`` (per row problem).

    Raises
    ------
    ValueError
        If the entries are none, repeated or outside the matrix, the rank is not between 1 and min(m, n), or an option
        is outside its range.

    References
    ----------
    Y. Gu, Z. Song, J. Yin and L. Zhang (2024), Low Rank Matrix Completion via Robust Alternating Minimization in Nearly
    Linear Time, ICLR. Their inner iteration is gradient descent with unit steps, which wants a far larger sketch.
    """
    check_tolerance(inner_tolerance)
    check_count("sketch_factor", sketch_factor, 0)
    check_count("max_inner_steps", max_inner_steps, 1)
    if start not in ("sketch", "zero", "warm") or (start == "sketch" and sketch_factor == 0):
        raise ValueError(f"start must be 'sketch' (with a sketch), 'zero' or 'warm', not {start!r}")
    stopping = Stopping(tolerance, stall_tolerance, max_sweeps)

    def solve(entries: sp.csr_array, factor: Array, warm: Array) -> HalfSweep:
        sketch_rows = sketch_factor * factor.shape[1]
        buckets = random.integers(0, max(sketch_rows, 1), factor.shape[0])
        signs = np.where(random.random(factor.shape[0]) < 0.5, -1.0, 1.0)
        solved = solve_rows_approximately(
            entries.indptr,
            entries.indices,
            entries.data,
            factor,
            warm if start == "warm" else np.zeros_like(warm),
            buckets,
            signs,
            sketch_rows,
            start == "sketch",
            inner_tolerance,
            max_inner_steps,
        )
        return HalfSweep(*solved)

    return _alternate(matrix, solve, random, incoherence, fresh_samples, stopping)


def exact_als(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    incoherence: float = 2.0,
    fresh_samples: bool = False,
    tolerance: float = 1e-8,
    stall_tolerance: float = 1e-4,
    max_sweeps: int = 100,
) -> Result:
    """Complete a matrix by alternating least squares, every row problem by Cholesky of its normal equations.

    Parameters, result and errors are those of :func:`robust_altmin_completion`.
    """
    stopping = Stopping(tolerance, stall_tolerance, max_sweeps)

    def solve(entries: sp.csr_array, factor: Array, warm: Array) -> HalfSweep:  # noqa: ARG001 - the signature
        return HalfSweep(*solve_rows_exactly(entries.indptr, entries.indices, entries.data, factor))

    return _alternate(matrix, solve, random, incoherence, fresh_samples, stopping)


def warm_cg_als(
    matrix: PartialMatrix,
    *,
    random: np.random.Generator,
    steps: int = 3,
    incoherence: float = 2.0,
    tolerance: float = 1e-8,
    stall_tolerance: float = 1e-4,
    max_sweeps: int = 100,
) -> Result:
    """Alternating least squares by a few plain conjugate gradient steps from the completion before.

    Libraries for implicit feedback do so. Parameters, result and errors are those of :func:`robust_altmin_completion`.

    References
    ----------
    G. Takacs, I. Pilaszy and D. Tikk (2011), Applications of the Conjugate Gradient Method for Implicit Feedback
    Collaborative Filtering, RecSys.
    """
    return robust_altmin_completion(
        matrix,
        random=random,
        inner_tolerance=1e-12,
        sketch_factor=0,
        start="warm",
        max_inner_steps=steps,
        incoherence=incoherence,
        tolerance=tolerance,
        stall_tolerance=stall_tolerance,
        max_sweeps=max_sweeps,
    )


def _alternate(
    matrix: PartialMatrix,
    solve: RowSolver,
    random: np.random.Generator,
    incoherence: float,
    fresh_samples: bool,
    stopping: Stopping,
) -> Result:
    check_tolerance(incoherence)
    check_partial_matrix(matrix)
    if not np.isfinite(matrix.values).all():
        return Result(np.full(matrix.shape, np.nan), Status.NOT_FINITE, np.array([np.nan]))
    samples = _samples(matrix, fresh_samples, stopping.max_sweeps, random)
    # steps 1 and 2: spectral start, clipped
    left = clipped(leading_left_vectors(next(samples).by_row, matrix.rank, random), incoherence)
    warm = np.zeros((matrix.shape[1], matrix.rank))
    history, status = [1.0], Status.ITERATION_LIMIT
    multiply_adds, inner_steps, entries_read = 0.0, 0, 0
    for _ in range(stopping.max_sweeps):
        # step 3: the right factor for the left one; the completion is then left mixing^T right^T
        by_column = next(samples).by_column
        right_half = solve(by_column, left, warm)
        right, mixing = np.linalg.qr(right_half.factor)
        # step 4: the left factor for the right one
        by_row = next(samples).by_row
        left_half = solve(by_row, right, left @ mixing.T)
        left, mixing = np.linalg.qr(left_half.factor)
        warm = right @ mixing.T
        entries_read += by_column.nnz + by_row.nnz
        inner_steps += right_half.inner_steps + left_half.inner_steps
        multiply_adds += right_half.multiply_adds + left_half.multiply_adds + _orthonormalisation(matrix)
        history.append(float(np.sqrt(left_half.squared_residual) / (np.linalg.norm(by_row.data) or 1.0)))
        if not np.isfinite(history[-1]):
            status = Status.NOT_FINITE
            break
        if stopping.reached(history):
            status = Status.CONVERGED
            break
    sweeps = len(history) - 1
    work = {
        "sweeps": sweeps,
        "multiply_adds": multiply_adds,
        "multiply_adds_per_entry": 2.0 * multiply_adds / entries_read,
        "inner_steps": inner_steps / (sweeps * sum(matrix.shape)),
    }
    return Result(left_half.factor @ right.T, status, np.array(history), work)


def _samples(
    matrix: PartialMatrix, fresh: bool, max_sweeps: int, random: np.random.Generator
) -> Iterator[Observations]:
    """The entries that the start and each half-sweep read."""
    if fresh:
        return iter(split_observations(matrix, 2 * max_sweeps + 1, random))
    return repeat(observe(matrix))


def _orthonormalisation(matrix: PartialMatrix) -> float:
    """Multiply-adds of the Householder QR of both factors, Q formed."""
    return 2.0 * sum(matrix.shape) * matrix.rank**2
