"""Solvers of Newton systems that go on from where they stand when more accuracy is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import gmres, minres, splu

from kernels.optimization.constrained.types import Matrix, Vector, as_dense


class InnerSolver(ABC):
    """One system at a time, from zero; the counts run over all of them.

    Attributes
    ----------
    solution : ndarray, shape (N,), float64
        The approximate solution so far.
    residual_norm : float
        The norm of ``matrix @ solution - rhs``.
    steps : int
        Steps taken.
    flops : float
        Additions and multiplications of these steps.
    """

    def __init__(self) -> None:
        self.solution: Vector = np.empty(0)
        self.residual_norm = 0.0
        self.steps = 0
        self.flops = 0.0

    def begin(self, matrix: Matrix, rhs: Vector) -> None:
        """Turn to the system ``matrix @ z = rhs``, z = 0; the matrix is symmetric and dense or CSR."""
        self.matrix, self.rhs = matrix, rhs
        self.solution = np.zeros(rhs.size)
        self.residual_norm = float(np.linalg.norm(rhs))

    @abstractmethod
    def improve(self, target: float) -> None:
        """Go on from the solution so far until the residual's norm is at most the target, or until it gives up."""

    def _measure(self) -> None:
        self.residual_norm = float(np.linalg.norm(self.matrix @ self.solution - self.rhs))


class DirectSolver(InnerSolver):
    """LU factorisation with partial pivoting: LAPACK's for dense matrices, SuperLU's for sparse ones."""

    def improve(self, target: float) -> None:  # noqa: ARG002 - as accurate as can be whatever is asked for
        """Factorise and solve, unless that is done."""
        if self.solution.any():
            return
        self.steps += 1
        try:
            self.solution = self._solve_sparse() if isinstance(self.matrix, sp.csr_array) else self._solve_dense()
        except (np.linalg.LinAlgError, RuntimeError):  # exactly singular: no direction
            self.solution = np.full(self.rhs.size, np.nan)
        self._measure()

    def _solve_dense(self) -> Vector:
        size = self.rhs.size
        self.flops += 2.0 / 3.0 * size**3 + 2.0 * size**2
        return np.asarray(np.linalg.solve(self.matrix, self.rhs), np.float64)

    def _solve_sparse(self) -> Vector:
        factors = splu(self.matrix.tocsc())
        # per pivot, a division of the column below it and its product with the row beside it
        below = np.diff(factors.L.indptr) - 1.0
        beside = np.bincount(factors.U.indices, minlength=self.rhs.size) - 1.0
        self.flops += float(below @ (1.0 + 2.0 * beside)) + 2.0 * (factors.L.nnz + factors.U.nnz)
        return np.asarray(factors.solve(self.rhs))


class MinresSolver(InnerSolver):
    """SciPy's MINRES, stopped by the true residual, which it does not look at itself."""

    def improve(self, target: float) -> None:
        """Go on by Krylov spaces of the residual."""

        def stop_where_accurate(solution: Vector) -> None:
            self.steps += 1
            # a product, and nine operations on vectors
            self.flops += 2.0 * _entries(self.matrix) + 18.0 * self.rhs.size
            self.solution = solution.copy()
            self._measure()
            if self.residual_norm <= target:
                raise _AccurateError

        if self.residual_norm > target:
            with suppress(_AccurateError):
                most = 10 * self.rhs.size
                minres(self.matrix, self.rhs, self.solution, rtol=1e-16, maxiter=most, callback=stop_where_accurate)


class _AccurateError(Exception):
    """Ends a library's iteration."""


class GmresSolver(InnerSolver):
    """SciPy's GMRES without restarts."""

    def improve(self, target: float) -> None:
        """Go on by a Krylov space of the residual."""
        if self.residual_norm <= target:
            return
        size = self.rhs.size
        first = self.steps

        def count(_: float) -> None:
            self.steps += 1
            # a product, and the orthogonalisation against all vectors of the basis
            self.flops += 2.0 * _entries(self.matrix) + 4.0 * (self.steps - first) * size

        self.solution, _ = gmres(
            self.matrix,
            self.rhs,
            self.solution,
            rtol=0.0,
            atol=target,
            restart=size,
            maxiter=1,
            callback=count,
            callback_type="pr_norm",
        )
        self._measure()


def _entries(matrix: Matrix) -> int:
    return int(matrix.nnz) if isinstance(matrix, sp.csr_array) else int(as_dense(matrix).size)
