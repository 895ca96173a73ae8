"""The Newton system of a constrained problem: its matrix, the modification of its Hessian, and bounds on it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigvalsh, qr
from scipy.sparse.linalg import eigsh

from kernels.optimization.constrained.types import Matrix, PrimalDualPoint, Vector, as_dense, frobenius_norm


@dataclass(frozen=True, slots=True, eq=False)
class NewtonSystem:
    """``matrix @ step = rhs`` with the matrix ``[[B, G^T], [G, 0]]``.

    Attributes
    ----------
    matrix : ndarray or csr_array, shape (n + m, n + m), float64
        Symmetric.
    rhs : ndarray, shape (n + m,), float64
        The negative gradient of the Lagrangian with respect to variables and multipliers.
    hessian : ndarray or csr_array, shape (n, n), float64
        Of the Lagrangian, H.
    modified_hessian : ndarray or csr_array, shape (n, n), float64
        B, which is H wherever that has enough curvature.
    """

    matrix: Matrix
    rhs: Vector
    hessian: Matrix
    modified_hessian: Matrix

    @property
    def is_modified(self) -> bool:
        """Whether B is not H."""
        return self.modified_hessian is not self.hessian


def newton_system(point: PrimalDualPoint, hessian: Matrix, *, least_curvature: float, shift: float) -> NewtonSystem:
    """The Newton system at a point, with a Hessian that is positive definite where the constraints stay as they are.

    Parameters
    ----------
    point : PrimalDualPoint
    hessian : ndarray or csr_array, shape (n, n), float64
        Of the Lagrangian, H.
    least_curvature : float
        Where the smallest eigenvalue of H on the null space of the Jacobian is less, ``H + (shift + ||H||_F) I``
        stands for H.
    shift : float
        Positive.
    """
    modified = hessian
    if reduced_curvature(hessian, point.jacobian, enough=least_curvature) < least_curvature:
        identity = sp.eye_array(point.x.size, format="csr") if sp.issparse(hessian) else np.eye(point.x.size)
        modified = hessian + (shift + frobenius_norm(hessian)) * identity
    return NewtonSystem(kkt_matrix(modified, point.jacobian), -point.kkt_vector, hessian, modified)


def kkt_matrix(hessian: Matrix, jacobian: Matrix) -> Matrix:
    """``[[hessian, jacobian^T], [jacobian, 0]]``, sparse where they are."""
    if isinstance(jacobian, sp.csr_array):
        matrix = sp.csr_array(sp.block_array([[hessian, jacobian.T], [jacobian, None]]))
        matrix.sort_indices()
        return matrix
    m = len(jacobian)
    return np.block([[hessian, jacobian.T], [jacobian, np.zeros((m, m))]])


def reduced_curvature(hessian: Matrix, jacobian: Matrix, *, enough: float = np.inf) -> float:
    """The smallest eigenvalue of a Hessian on the null space of a Jacobian, or any bound on it that is ``enough``.

    Gershgorin's discs of the whole Hessian bound it from below and cost nothing; a null space costs O(n^3).
    """
    diagonal = hessian.diagonal()
    bound = float((diagonal + np.abs(diagonal) - np.asarray(abs(hessian).sum(axis=1)).ravel()).min())
    if bound >= enough:
        return bound
    m, n = jacobian.shape
    if m == n:
        return float("inf")
    null_space = qr(as_dense(jacobian).T)[0][:, m:]
    reduced = null_space.T @ as_dense(hessian) @ null_space
    return float(eigvalsh(reduced, subset_by_index=[0, 0])[0])


def spectral_norm(matrix: Matrix) -> float:
    """The largest absolute eigenvalue of a symmetric matrix; a sparse one by Lanczos' method from a fixed vector."""
    if isinstance(matrix, sp.csr_array):
        return float(np.abs(eigsh(matrix, 1, v0=np.ones(matrix.shape[0]), return_eigenvectors=False)[0]))
    return float(np.abs(eigvalsh(matrix)).max())


def least_gram_eigenvalue(jacobian: Matrix) -> float:
    """The smallest eigenvalue of ``jacobian @ jacobian^T``, not below zero."""
    gram = as_dense(jacobian @ jacobian.T)
    return max(float(eigvalsh(gram, subset_by_index=[0, 0])[0]), 0.0)
