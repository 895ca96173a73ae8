import numpy as np
import pytest
import scipy.sparse.linalg as sla
from systems import convection, csr, jacobi, laplacian, relative_residual, rhs_of, rough_diffusion, same_history

from kernels.linear_systems.bicgstab import bicgstab
from kernels.result import Status


@pytest.mark.parametrize("precondition", [None, jacobi])
@pytest.mark.parametrize("matrix", [convection(8, speed=0.3), rough_diffusion(8, seed=0)], ids=["convection", "rough"])
def test_the_history_is_that_of_scipy(matrix, precondition):
    rhs = rhs_of(matrix)
    preconditioner = precondition and precondition(matrix)
    solve = preconditioner and sla.LinearOperator(matrix.shape, matvec=preconditioner.solve, dtype=float)
    expected = [1.0]
    sla.bicgstab(matrix, rhs, M=solve, rtol=1e-8, callback=lambda x: expected.append(relative_residual(matrix, rhs, x)))
    result = bicgstab(matrix, rhs, preconditioner=preconditioner)
    # the two-sided recurrence amplifies rounding: the histories part long before the solutions do
    same_history(result.history, expected, rtol=1e-5, above=1e-3)


def test_two_products_a_step_and_one_to_verify_are_counted():
    matrix = convection(10)
    result = bicgstab(matrix, rhs_of(matrix))
    assert result.converged
    assert result.work["operator_applications"] - 2 * result.work["iterations"] in (0, 1)


def test_a_step_that_ends_half_way_has_one_product():
    matrix = csr(np.eye(6) * 4.0)
    result = bicgstab(matrix, rhs_of(matrix))
    assert result.converged
    # the second product verifies the residual
    assert (result.work["iterations"], result.work["operator_applications"]) == (1, 2)


def test_a_skew_symmetric_matrix_is_a_breakdown():
    matrix = csr(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    result = bicgstab(matrix, np.array([1.0, 2.0]))
    assert result.status is Status.BREAKDOWN
    np.testing.assert_array_equal(result.value, 0.0)


def test_a_vanishing_stabilising_step_is_a_breakdown():
    # after the first half the residual is orthogonal to its image, so omega is zero
    matrix = csr(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]))
    result = bicgstab(matrix, np.array([1.0, 1.0, 0.0]))
    assert result.status is Status.BREAKDOWN
    assert np.isfinite(result.value).all()


def test_an_inconsistent_singular_system_does_not_converge():
    matrix = laplacian(6, corner=1.0)
    assert not bicgstab(matrix, np.ones(36) + 0.1 * rhs_of(matrix), max_iterations=200).converged
