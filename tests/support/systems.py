"""The systems and solvers that the tests of the Krylov methods share."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from kernels.linear_systems.bicgstab import bicgstab
from kernels.linear_systems.cg import cg
from kernels.linear_systems.deflated_cg import deflated_cg
from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.types import Preconditioner
from kernels.result import Result

System = tuple[sp.csr_array, np.ndarray]


def csr(matrix) -> sp.csr_array:
    array = sp.csr_array(matrix, dtype=np.float64)
    array.sum_duplicates()
    return array


def second_difference(size: int, corner: float = 2.0) -> sp.csr_array:
    diagonal = np.full(size, 2.0)
    diagonal[[0, -1]] = corner
    return csr(sp.diags_array([-np.ones(size - 1), diagonal, -np.ones(size - 1)], offsets=[-1, 0, 1]))


def laplacian(size: int, corner: float = 2.0) -> sp.csr_array:
    """Five-point Laplacian on a size x size grid: Dirichlet, or Neumann with ``corner=1``."""
    line, identity = second_difference(size, corner), sp.eye_array(size)
    return csr(sp.kron(line, identity) + sp.kron(identity, line))


def rough_diffusion(size: int, seed: int) -> sp.csr_array:
    """A perturbed Laplacian, symmetric and positive definite: -div(a grad) with a random log-normal a on the edges."""
    random = np.random.default_rng(seed)
    difference = sp.diags_array([np.ones(size), -np.ones(size)], offsets=[0, -1], shape=(size + 1, size))
    identity = sp.eye_array(size)
    gradient = sp.vstack([sp.kron(difference, identity), sp.kron(identity, difference)])
    weights = np.exp(random.standard_normal(gradient.shape[0]))
    return csr(gradient.T @ sp.diags_array(weights) @ gradient)


def convection(size: int, speed: float = 0.6) -> sp.csr_array:
    upwind = sp.diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[-1, 1])
    return csr(laplacian(size) + speed * sp.kron(upwind, sp.eye_array(size)))


def rhs_of(matrix: sp.csr_array, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(matrix.shape[0])


def consistent_neumann(size: int) -> System:
    matrix, rhs = laplacian(size, corner=1.0), np.random.default_rng(1).standard_normal(size**2)
    return matrix, rhs - rhs.mean()


def badly_scaled(count: int) -> System:
    """A tridiagonal matrix, made badly scaled (1e-8 to 1e8) by a diagonal congruence that Jacobi can undo."""
    scales = np.logspace(-4, 4, count)
    matrix = csr(sp.diags_array(scales) @ (second_difference(count) + sp.eye_array(count)) @ sp.diags_array(scales))
    return matrix, matrix @ (1.0 / scales)


def jacobi(matrix: sp.csr_array) -> Preconditioner:
    diagonal = matrix.diagonal()
    return Preconditioner("jacobi", lambda v: v / diagonal, lambda v: v * diagonal)


def symmetric_gauss_seidel(matrix: sp.csr_array) -> Preconditioner:
    """A symmetric preconditioner that does not commute with the matrix (dense factors: small systems only)."""
    dense = matrix.toarray()
    factor = np.tril(dense) / np.sqrt(np.diagonal(dense))
    approximation = factor @ factor.T
    inverse = np.linalg.inv(approximation)
    return Preconditioner("symmetric gauss-seidel", lambda v: inverse @ v, lambda v: approximation @ v)


def relative_residual(matrix: sp.csr_array, rhs: np.ndarray, value: np.ndarray) -> float:
    return float(np.linalg.norm(rhs - matrix @ value) / np.linalg.norm(rhs))


def same_history(actual: np.ndarray, expected: np.ndarray, rtol: float = 1e-6, above: float = 1e-6) -> None:
    """Compare two histories down to a level well above rounding."""
    known = np.asarray(expected) > above
    assert known.sum() >= 5
    length = int(known.sum())
    np.testing.assert_allclose(actual[:length], np.asarray(expected)[:length], rtol=rtol)


def _left_gmres(matrix, rhs, **options) -> Result:
    return gmres(matrix, rhs, side="left", **options)


def _gcrodr(matrix, rhs, **options) -> Result:
    return gcrodr(matrix, rhs, **options)[0]


def _deflated_cg(matrix, rhs, **options) -> Result:
    return deflated_cg(matrix, rhs, **options)[0]


GENERAL: dict[str, Callable[..., Result]] = {
    "gmres": gmres,
    "left gmres": _left_gmres,
    "gcrodr": _gcrodr,
    "bicgstab": bicgstab,
}
SYMMETRIC: dict[str, Callable[..., Result]] = {"cg": cg, "deflated_cg": _deflated_cg}
SOLVERS = GENERAL | SYMMETRIC
