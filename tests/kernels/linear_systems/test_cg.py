import numpy as np
import pyamg.krylov
import pytest
import scipy.sparse.linalg as sla
from systems import csr, jacobi, laplacian, relative_residual, rhs_of, rough_diffusion, same_history

from kernels.linear_systems.cg import cg
from kernels.linear_systems.types import Preconditioner
from kernels.result import Status


# without preconditioner rough_diffusion is no test: SciPy's own history moves by a fifth if rhs changes by one ulp
@pytest.mark.parametrize(("matrix", "precondition"), [(laplacian(15), None), (rough_diffusion(15, seed=0), jacobi)])
def test_the_history_is_that_of_scipy(matrix, precondition):
    rhs = rhs_of(matrix)
    preconditioner = precondition and precondition(matrix)
    solve = preconditioner and sla.LinearOperator(matrix.shape, matvec=preconditioner.solve, dtype=float)
    expected = [1.0]
    sla.cg(matrix, rhs, M=solve, rtol=1e-10, callback=lambda x: expected.append(relative_residual(matrix, rhs, x)))
    result = cg(matrix, rhs, preconditioner=preconditioner, tolerance=1e-10)
    assert result.work["iterations"] == len(expected) - 1
    same_history(result.history, expected)


def test_the_history_is_that_of_pyamg():
    matrix = laplacian(15)
    rhs = rhs_of(matrix)
    expected = []
    pyamg.krylov.cg(matrix, rhs, tol=1e-10, residuals=expected)
    same_history(cg(matrix, rhs, tolerance=1e-10).history, np.array(expected) / expected[0])


def test_the_energy_error_obeys_the_chebyshev_bound():
    matrix = laplacian(10)
    rhs = rhs_of(matrix)
    exact = np.linalg.solve(matrix.toarray(), rhs)
    eigenvalues = np.linalg.eigvalsh(matrix.toarray())
    ratio = np.sqrt(eigenvalues[-1] / eigenvalues[0])
    errors = []
    for steps in range(1, 25):
        error = exact - cg(matrix, rhs, max_iterations=steps, tolerance=1e-14).value
        errors.append(np.sqrt(error @ (matrix @ error)))
    start = np.sqrt(exact @ rhs)
    assert (np.diff(errors) < 0).all()
    assert all(e <= 2 * start * ((ratio - 1) / (ratio + 1)) ** k for k, e in enumerate(errors, start=1))


def test_one_product_a_step_and_one_to_verify_are_counted():
    matrix = rough_diffusion(10, seed=0)
    result = cg(matrix, rhs_of(matrix))
    assert result.work["operator_applications"] == result.work["iterations"] + 1


@pytest.mark.parametrize("signs", [[-1.0, -2.0, -3.0], [1.0, -2.0, 3.0], [1.0, -1.0, 0.0]])
def test_a_matrix_that_is_not_positive_definite_is_a_breakdown(signs):
    assert cg(csr(np.diag(signs)), np.ones(3)).status is Status.BREAKDOWN


def test_a_preconditioner_that_is_not_positive_definite_is_a_breakdown():
    negative = Preconditioner("negative", np.negative, None)
    assert cg(laplacian(4), np.ones(16), preconditioner=negative).status is Status.BREAKDOWN


def test_an_inconsistent_singular_system_does_not_converge():
    matrix = laplacian(6, corner=1.0)
    assert not cg(matrix, np.ones(36) + 0.1 * rhs_of(matrix), max_iterations=200).converged
