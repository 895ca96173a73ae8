import numpy as np
import scipy.linalg
from scipy.sparse.linalg import spsolve

from data.pde.darcy import darcy_system
from data.pde.published_darcy import DarcyPublished, published_matrix
from data.problem import make_fields


def coefficient_of(size, index=0):
    return make_fields(DarcyPublished(grid=size), 0, index)["coefficient"]


def test_the_matrix_is_the_one_that_its_five_diagonals_make():
    size = 5
    coefficient = coefficient_of(size)
    southern = coefficient[:-2, 1:-1].ravel()
    expected = np.zeros((size**2, size**2))
    for row in range(size**2):
        y, x = divmod(row, size)
        expected[row, row] = 4.0 * coefficient[y + 1, x + 1]
        if x > 0:
            expected[row, row - 1] = -coefficient[y + 1, x]
        if x < size - 1:
            expected[row, row + 1] = -coefficient[y + 1, x + 2]
        if y > 0:
            expected[row, row - size] = -southern[row - 2]
        if y < size - 1:
            expected[row, row + size] = -coefficient[y + 2, x + 1]
    np.testing.assert_array_equal(published_matrix(coefficient).toarray(), expected)


def test_without_its_shift_the_matrix_is_the_laplacian_of_the_product():
    size = 6
    coefficient = coefficient_of(size)
    laplacian = published_matrix(np.ones_like(coefficient), 0).toarray()
    product = laplacian * coefficient[1:-1, 1:-1].ravel()
    np.testing.assert_allclose(published_matrix(coefficient, 0).toarray(), product, rtol=1e-14)
    eigenvalues = scipy.linalg.eigvals(product)
    assert eigenvalues.real.min() > 0.0
    assert np.abs(eigenvalues.imag).max() < 1e-10


def test_the_shift_brings_eigenvalues_of_negative_real_part():
    negative = [
        np.sum(scipy.linalg.eigvals(published_matrix(coefficient_of(24, index)).toarray()).real < 0.0)
        for index in range(4)
    ]
    assert max(negative) >= 1


def test_the_solution_is_far_from_darcys():
    size, differences = 48, []
    for index in range(8):
        problem = DarcyPublished(grid=size)
        fields = make_fields(problem, 0, index)
        system = problem.assemble(fields)
        published = spsolve(system.matrix.tocsc(), system.rhs)
        matrix, rhs = darcy_system(fields["coefficient"][1:-1, 1:-1], np.ones((size, size)))
        darcy = spsolve(matrix.tocsc(), rhs)
        differences.append(np.linalg.norm(published - darcy) / np.linalg.norm(darcy))
    assert np.median(differences) > 0.5
