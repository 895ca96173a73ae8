import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.darcy import darcy_system
from data.pde.darcy_anisotropic import DarcyAnisotropic, anisotropic_system
from data.problem import make_fields


def test_with_equal_conductivities_it_is_darcy_flow():
    coefficient, source = np.random.default_rng(0).uniform(1.0, 2.0, (2, 5, 5))
    matrix, rhs = anisotropic_system(coefficient, coefficient, source)
    expected, expected_rhs = darcy_system(coefficient, source)
    np.testing.assert_array_equal(matrix.toarray(), expected.toarray())
    np.testing.assert_array_equal(rhs, expected_rhs)


def test_couplings_along_x_are_stronger_by_the_anisotropy():
    problem = DarcyAnisotropic(grid=4, anisotropy=1000.0, contrast=0.0)
    matrix = problem.assemble(make_fields(problem, 0, 0)).matrix
    assert matrix[0, 1] / matrix[0, 4] == pytest.approx(1000.0)


def test_exchanging_the_directions_transposes_the_pressure():
    first, second = np.exp(np.random.default_rng(0).standard_normal((2, 6, 6)))
    source = np.ones((6, 6))
    matrix, rhs = anisotropic_system(first, 50.0 * second, source)
    turned, turned_rhs = anisotropic_system(50.0 * second.T, first.T, source)
    pressure = spsolve(matrix.tocsc(), rhs).reshape(6, 6)
    np.testing.assert_allclose(spsolve(turned.tocsc(), turned_rhs).reshape(6, 6), pressure.T, rtol=1e-10)
