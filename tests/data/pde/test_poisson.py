import numpy as np
from scipy.sparse.linalg import spsolve

from data.pde.poisson import Poisson, poisson_matrix, poisson_rhs
from data.problem import make_fields


def test_every_instance_shares_one_matrix():
    problem = Poisson(grid=8)
    first, second = (problem.assemble(make_fields(problem, 0, index)) for index in (0, 1))
    assert first.matrix is second.matrix
    assert not np.array_equal(first.rhs, second.rhs)


def test_a_quadratic_solution_is_reproduced_to_rounding():
    line = np.arange(1, 9) / 9
    y, x = np.meshgrid(line, line, indexing="ij")
    exact = x**2 - 3.0 * y**2 + x * y + 1.0
    rhs = poisson_rhs(
        np.full((8, 8), 4.0), 1.0 - 3.0 * line**2, 2.0 - 3.0 * line**2 + line, line**2 + 1.0, line**2 + line - 2.0
    )
    np.testing.assert_allclose(spsolve(poisson_matrix(9).tocsc(), rhs), exact.ravel(), atol=1e-13)


def test_the_source_is_not_modified():
    source = np.ones((3, 3))
    poisson_rhs(source, *np.ones((4, 3)))
    np.testing.assert_array_equal(source, 1.0)


def test_each_coefficient_vector_acts_on_its_own_side():
    problem = Poisson(grid=5, degree=1)
    outermost = {1: np.s_[:, 0], 2: np.s_[:, -1], 3: np.s_[0], 4: np.s_[-1]}
    line = np.arange(1, 5) / 5
    for function, side in outermost.items():
        coefficients = np.zeros((5, 2))
        coefficients[function] = (2.0, 1.0)  # 2 + T_1(2 t - 1) = 1 + 2 t
        rhs = problem.assemble({"chebyshev_coefficients": coefficients}).rhs.reshape(4, 4)
        np.testing.assert_allclose(rhs[side], 1.0 + 2.0 * line)
        assert np.count_nonzero(rhs) == 4


def test_without_a_source_the_solution_stays_between_its_boundary_values():
    problem = Poisson(grid=16)
    coefficients = make_fields(problem, 0, 0)["chebyshev_coefficients"]
    coefficients[0] = 0.0
    system = problem.assemble({"chebyshev_coefficients": coefficients})
    sides = np.polynomial.chebyshev.chebval(2.0 * np.arange(1, 16) / 16 - 1.0, coefficients[1:].T)
    solution = spsolve(system.matrix.tocsc(), system.rhs)
    assert sides.min() <= solution.min()
    assert solution.max() <= sides.max()
