"""GCRO-DR (Parks, de Sturler, Mackey, Johnson and Maiti 2006): GMRES that recycles a deflation space."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq, qr, solve_triangular
from scipy.linalg.lapack import dgees, dtrsen

from kernels.linear_systems.krylov_tools import (
    NO_PROGRESS,
    ArnoldiRelation,
    Block,
    RecycledSpace,
    Run,
    carried_rows,
    check_recycled,
    orthonormalise,
)
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count
from kernels.result import Result, Status

# A direction whose image is smaller than this against the largest would enter C with an error of 1e-16 / 1e-7 or more.
_RANK_TOLERANCE = 1e-7


@dataclass(slots=True)
class _Deflation:
    """U, its image C = A U with orthonormal rows, and M U, all by rows."""

    solutions: Block
    images: Block
    preconditioned: Block


@np.errstate(over="ignore", invalid="ignore")
def gcrodr(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner | None = None,
    restart: int = 30,
    recycle: int = 10,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    initial_guess: Vector | None = None,
    recycled: RecycledSpace | None = None,
) -> tuple[Result, RecycledSpace | None]:
    """Solve ``matrix @ x = rhs`` by GCRO-DR(restart, recycle), preconditioned on the right.

    With no carried space the first cycle is GMRES(restart), and the method is GMRES with deflated restarting.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner, optional
        Its ``multiply`` is used once for each carried vector. Where it is None, the product with the previous system's
        preconditioner, carried along, stands in; where there is none either, the product with the matrix does.
    restart : int
        At least 2: the largest dimension of the space a cycle minimises over, recycled vectors included.
    recycle : int
        The number of vectors kept, at least 1 and less than ``restart``. A conjugate pair of harmonic Ritz values
        that would be split is left out, so one vector less may be kept.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x; where
        it disagrees with the recurrence, the iteration goes on from it, with the recycled images computed anew.
    max_iterations : int
        The limit on Arnoldi steps over all cycles.
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.
    recycled : RecycledSpace, optional
        What the solve of the system before returned; at most ``recycle`` columns.

    Returns
    -------
    result : Result
        ``history`` is ``||residual|| / ||rhs||`` per Arnoldi step; ``history[0]`` belongs to the initial guess after
        the projection onto the carried space, which is no iteration but costs k products with the matrix, counted in
        ``work["operator_applications"]``. ``work["preconditioner_products"]`` counts products with M. Status is
        STAGNATED when two cycles in turn bring no progress beyond rounding (a relative decrease below 1e-12: the
        second has a new deflation space), or when the true residual has not decreased since the recurrence last said
        converged; NOT_FINITE for NaN or infinity in the data or the iteration.
    recycled : RecycledSpace or None
        To pass on to the next system; None where there is nothing to keep.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] M. L. Parks, E. de Sturler, G. Mackey, D. D. Johnson, S. Maiti, "Recycling Krylov subspaces for sequences of
       linear systems", SIAM J. Sci. Comput. 28(5), 2006.
    .. [2] R. B. Morgan, "GMRES with deflated restarting", SIAM J. Sci. Comput. 24(1), 2002 (harmonic Ritz vectors).
    """
    check_count("restart", restart, least=2)
    check_count("recycle", recycle, least=1, most=restart - 1)
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    check_recycled(recycled, run.n, recycle)
    if run.start_status is not None:
        return run.finish(run.start_status, preconditioner_products=0), recycled

    restart = min(restart, run.n)
    recycle = min(recycle, restart - 1)
    deflation, products = _carry_over(run, recycled)
    status, deflation = _iterate(run, ArnoldiRelation(run, restart, keep_directions=True), deflation, recycle)
    return run.finish(status, preconditioner_products=products), _hand_over(run, deflation)


def _carry_over(run: Run, recycled: RecycledSpace | None) -> tuple[_Deflation, int]:
    """The carried space with its images under this system's matrix, and the number of products with M spent."""
    solutions, images = carried_rows(run, recycled)
    if run.preconditioner is None:
        return _orthonormal_images(solutions, images, solutions), 0
    preconditioned, products = images, 0
    if run.preconditioner.multiply is not None:
        preconditioned, products = np.empty_like(solutions), len(solutions)
        for row, vector in zip(preconditioned, solutions, strict=True):
            row[:] = run.preconditioner.multiply(vector)
    elif recycled is not None and recycled.preconditioned is not None and len(solutions):
        preconditioned = np.ascontiguousarray(recycled.preconditioned.T)
    return _orthonormal_images(solutions, images, preconditioned), products


def _hand_over(run: Run, deflation: _Deflation) -> RecycledSpace | None:
    if not len(deflation.solutions):
        return None
    return RecycledSpace(deflation.solutions.T, deflation.preconditioned.T if run.preconditioner else None)


def _iterate(run: Run, relation: ArnoldiRelation, deflation: _Deflation, recycle: int) -> tuple[Status, _Deflation]:
    """Cycle until the solve ends; the status and the deflation space of the last cycle."""
    basis, directions = relation.basis, relation.directions
    residual = run.residual
    projection = np.empty(relation.restart + 1)
    fruitless_cycles = 0
    while True:
        # step 1: the start vector is the residual's part outside C; the other part is corrected below
        leading = _load(relation, deflation)
        basis[leading] = residual
        residual_norm = orthonormalise(basis, leading, projection)
        if run.iterations == 0:
            run.history[0] = residual_norm / run.rhs_norm

        # step 2: Arnoldi with (I - C C^T) A M^-1, and the minimiser over span[U, Z]
        columns, estimate, exhausted = relation.expand(leading, residual_norm, run.target)
        if not math.isfinite(estimate):
            return Status.NOT_FINITE, deflation
        coefficients = relation.coefficients[: columns + 1, :columns]
        y = np.empty(columns)
        y[leading:] = relation.minimiser(leading, columns, exhausted)
        y[:leading] = projection[:leading] - coefficients[:leading, leading:] @ y[leading:]
        y[:leading] /= np.diagonal(coefficients)[:leading]
        run.solution += y @ directions[:columns]
        remaining = -coefficients[leading:, leading:] @ y[leading:]
        remaining[0] += residual_norm
        residual = remaining @ basis[leading : columns + 1]
        # step 3: the next deflation space
        if columns > leading:
            deflation = _harmonic_ritz_space(relation, deflation, columns, recycle)

        # step 4: trust no recurrence before CONVERGED is returned
        if estimate <= run.target:
            residual, status = run.verified_residual()
            if status is not None:
                return status, deflation
            images = run.multiply_rows(deflation.solutions)
            deflation = _orthonormal_images(deflation.solutions, images, deflation.preconditioned)
        if run.iterations >= run.max_iterations:
            return Status.ITERATION_LIMIT, deflation
        fruitless_cycles = fruitless_cycles + 1 if estimate > NO_PROGRESS * residual_norm else 0
        if fruitless_cycles == 2:
            return Status.STAGNATED, deflation


def _load(relation: ArnoldiRelation, deflation: _Deflation) -> int:
    """Set the recycled part of the relation, A (U D) = C D with unit columns in U D; return the number of them."""
    count = len(deflation.solutions)
    scales = 1.0 / np.linalg.norm(deflation.solutions, axis=1)
    deflation.solutions = scales[:, None] * deflation.solutions
    deflation.preconditioned = scales[:, None] * deflation.preconditioned
    relation.basis[:count] = deflation.images
    relation.directions[:count] = deflation.solutions
    relation.coefficients[:, :count] = 0.0
    np.fill_diagonal(relation.coefficients[:count, :count], scales)
    return count


def _harmonic_ritz_space(relation: ArnoldiRelation, deflation: _Deflation, columns: int, recycle: int) -> _Deflation:
    """The harmonic Ritz vectors of smallest value from A Vhat = What G, as the next deflation space.

    The problem G^T G z = theta G^T What^T Y z, Y = M Vhat, is solved as G^+ What^T Y z = z / theta: its condition is
    that of G, not the square, and it is real Schur vectors that are kept, so that no pair need be taken apart.
    """
    leading = len(deflation.solutions)
    basis = relation.basis[: columns + 1]
    coefficients = relation.coefficients[: columns + 1, :columns]
    inner_products = np.eye(columns + 1, columns)
    inner_products[:, :leading] = basis @ deflation.preconditioned.T
    inverse = lstsq(coefficients, inner_products, lapack_driver="gelsy")[0]
    ritz = _dominant_invariant_space(inverse, recycle)

    images, triangle, kept = _independent(coefficients @ ritz)
    combination = solve_triangular(triangle, ritz[:, kept].T, trans="T")
    solutions = combination @ relation.directions[:columns]
    preconditioned = solutions
    if relation.run.preconditioner is not None:
        preconditioned = combination[:, leading:] @ basis[leading:columns]
        preconditioned += combination[:, :leading] @ deflation.preconditioned
    return _Deflation(solutions, images.T @ basis, preconditioned)


def _dominant_invariant_space(matrix: Block, count: int) -> Block:
    """An orthonormal basis of the invariant subspace of the ``count`` largest eigenvalues, one less to spare a pair."""
    schur, _, real, imaginary, vectors, _, _ = dgees(lambda *_: 0, matrix)
    if count >= len(matrix):
        return np.asarray(vectors)
    order = np.argsort(-np.hypot(real, imaginary), kind="stable")
    # LAPACK puts the member of a pair with the positive imaginary part first
    if imaginary[order[count - 1]] > 0.0:
        count -= 1
    select = np.zeros(len(matrix), dtype=np.int32)
    select[order[:count]] = 1
    return np.asarray(dtrsen(select, schur, vectors, job="N")[1])[:, :count]


def _orthonormal_images(solutions: Block, images: Block, preconditioned: Block) -> _Deflation:
    """Change the basis of U so that its images C are orthonormal; dependent ones are dropped."""
    orthonormal, triangle, kept = _independent(images.T)
    return _Deflation(
        solve_triangular(triangle, solutions[kept], trans="T"),
        np.ascontiguousarray(orthonormal.T),
        solve_triangular(triangle, preconditioned[kept], trans="T"),
    )


def _independent(columns: Block) -> tuple[Block, Block, NDArray[np.intp]]:
    """QR factors of those columns that are numerically independent, and which they are, by pivoted QR."""
    orthonormal, triangle, order = qr(columns, mode="economic", pivoting=True)
    pivots = np.abs(np.diagonal(triangle))
    rank = int(np.count_nonzero(pivots > _RANK_TOLERANCE * pivots.max(initial=0.0)))
    return (
        np.asarray(orthonormal[:, :rank], np.float64),
        np.asarray(triangle[:rank, :rank], np.float64),
        order[:rank].astype(np.intp),
    )
