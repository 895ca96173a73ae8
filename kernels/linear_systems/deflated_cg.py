"""Deflated conjugate gradients (Saad, Yeung, Erhel and Guyomarc'h 2000) for sequences of symmetric systems."""

import numpy as np
from scipy.linalg import eigh

from kernels.linear_systems.cg import conjugate_directions
from kernels.linear_systems.krylov_tools import (
    RecycledSpace,
    Run,
    carried_rows,
    check_recycled,
    norm,
)
from kernels.linear_systems.types import Matrix, Preconditioner, Vector
from kernels.linear_systems.validation import check_count
from kernels.result import Result, Status

# Directions whose energy is smaller than this against the largest are rounding.
_RANK_TOLERANCE = 1e-12


@np.errstate(over="ignore", invalid="ignore")
def deflated_cg(
    matrix: Matrix,
    rhs: Vector,
    *,
    preconditioner: Preconditioner | None = None,
    recycle: int = 10,
    stored: int = 30,
    tolerance: float = 1e-8,
    max_iterations: int = 10_000,
    initial_guess: Vector | None = None,
    recycled: RecycledSpace | None = None,
) -> tuple[Result, RecycledSpace | None]:
    """Solve ``matrix @ x = rhs``, symmetric and positive definite, by CG deflated with a carried space W.

    With no carried space it is CG. From W and the first ``stored`` search directions the harmonic Ritz vectors of
    M^-1 A of smallest value become the next W, at no product with the matrix.

    Parameters
    ----------
    matrix : csr_array, shape (n, n), float64
        Symmetric (not checked) and positive definite; semidefinite if ``rhs`` is in its range.
    rhs : ndarray, shape (n,), float64
    preconditioner : Preconditioner, optional
        Symmetric and positive definite; solved with once more for each carried vector.
    recycle : int
        The number of vectors carried to the next system, at least 1.
    stored : int
        The number of search directions the next space is sought in, at least 1.
    tolerance : float
        CONVERGED means ``||rhs - matrix @ x|| <= tolerance * ||rhs||`` for the true residual, recomputed from x; where
        it disagrees with the recurrence, the iteration starts again from it.
    max_iterations : int
        The limit on iterations.
    initial_guess : ndarray, shape (n,), float64, optional
        Zero if not given.
    recycled : RecycledSpace, optional
        What the solve of the system before returned; at most ``recycle`` columns.

    Returns
    -------
    result : Result
        As of :func:`~kernels.linear_systems.cg.cg`; ``history[0]`` belongs to the initial guess after the projection
        onto the carried space, which is no iteration but costs k products with the matrix, counted in
        ``work["operator_applications"]``.
    recycled : RecycledSpace or None
        To pass on to the next system; None where there is nothing to keep.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.

    References
    ----------
    .. [1] Y. Saad, M. Yeung, J. Erhel, F. Guyomarc'h, "A deflated version of the conjugate gradient algorithm", SIAM
       J. Sci. Comput. 21(5), 2000.
    """
    check_count("recycle", recycle, least=1)
    check_count("stored", stored, least=1)
    run = Run(matrix, rhs, preconditioner, tolerance, max_iterations, initial_guess)
    check_recycled(recycled, run.n, recycle)
    if run.start_status is not None:
        return run.finish(run.start_status), recycled

    space = _Deflation(run, recycled, stored)
    status, residual = None, run.residual
    while status is None:
        space.project(residual)
        status = conjugate_directions(run, residual, space)
        space.recording = False
        if status is None:
            residual, status = run.verified_residual()
    following = recycled if status is Status.NOT_FINITE else space.next_space(recycle)
    return run.finish(status), following


class _Deflation:
    """The deflation space W, by rows and A-orthonormal, and what the first steps tell of the next one."""

    def __init__(self, run: Run, recycled: RecycledSpace | None, stored: int) -> None:
        self.run = run
        self.recording = True
        vectors, images = carried_rows(run, recycled)
        energies, rotation = np.linalg.eigh(vectors @ images.T)
        kept = energies > _RANK_TOLERANCE * energies.max(initial=0.0)
        combination = (rotation[:, kept] / np.sqrt(energies[kept])).T
        self.vectors, self.images = combination @ vectors, combination @ images
        self._stored = min(stored, run.n)
        self._directions: list[Vector] = []
        self._scalars: list[tuple[float, float]] = []
        self._components: list[Vector] = []

    def project(self, residual: Vector) -> None:
        """Correct the solution so that the residual (in place) is orthogonal to W (step 1)."""
        components = self.vectors @ residual
        self.run.solution += components @ self.vectors
        residual -= components @ self.images
        if self.run.iterations == 0:
            self.run.history[0] = norm(residual) / self.run.rhs_norm

    def deflate(self, preconditioned: Vector, direction: Vector) -> None:
        """Take W's part out of a direction: mu = (W^T A W)^-1 (A W)^T M^-1 r, the middle factor the identity here."""
        components = self.images @ preconditioned
        direction -= components @ self.vectors
        if self.recording:
            self._components.append(components)

    def observe(self, direction: Vector, step_length: float, product: float) -> None:
        """Keep the first directions; one more step than kept directions is needed for their products with A."""
        if self.recording:
            self._directions.append(direction.copy())
            self._scalars.append((step_length, product))
            self.recording = len(self._directions) <= self._stored

    def next_space(self, recycle: int) -> RecycledSpace | None:
        """The harmonic Ritz vectors of smallest value in span[W, P], P the kept directions.

        They solve Z^T A M^-1 A Z y = theta Z^T A Z y, Z = [W, P]. As A P comes from differences of residuals, which
        are M^-1-orthogonal, no product is needed: the block of P is tridiagonal and the coupling block is differences
        of the components that :meth:`deflate` saw.
        """
        count, kept = len(self.vectors), len(self._scalars) - 1
        if kept < 1:
            return RecycledSpace(self.vectors.T) if count else None
        lengths, products = np.array(self._scalars).T
        energies = products[:-1] / lengths[:-1]
        scales = 1.0 / (lengths[:-1] * np.sqrt(energies))
        directions = np.array(self._directions[:kept]) / np.sqrt(energies)[:, None]
        coupling = -np.diff(np.array(self._components), axis=0)[:kept] * scales[:, None]
        beside = -products[1:-1] * scales[:-1] * scales[1:]
        solved = np.array([self.run.precondition(image) for image in self.images]).reshape(count, self.run.n)
        stiffness = np.diag(np.r_[np.zeros(count), (products[:-1] + products[1:]) * scales**2])
        stiffness[count:, count:] += np.diag(beside, 1) + np.diag(beside, -1)
        stiffness[:count, :count] = self.images @ solved.T
        stiffness[:count, count:] = coupling.T
        stiffness[count:, :count] = coupling
        ritz = eigh(stiffness, subset_by_index=[0, min(recycle, count + kept) - 1])[1]
        return RecycledSpace((ritz[:count].T @ self.vectors + ritz[count:].T @ directions).T)
