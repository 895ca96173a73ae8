import numpy as np
import pytest

from kernels.sketching.leverage import leverage_scores, orthonormal_basis


def test_leverage_scores_are_the_diagonal_of_the_hat_matrix():
    matrix = np.random.default_rng(0).standard_normal((30, 4))
    hat = matrix @ np.linalg.solve(matrix.T @ matrix, matrix.T)
    np.testing.assert_allclose(leverage_scores(matrix), np.diagonal(hat), atol=1e-14)


def test_they_depend_on_the_column_space_alone_and_sum_to_its_dimension():
    random = np.random.default_rng(1)
    matrix = random.standard_normal((40, 5))
    scores = leverage_scores(matrix)
    np.testing.assert_allclose(leverage_scores(matrix @ random.standard_normal((5, 5))), scores, atol=1e-12)
    assert scores.sum() == pytest.approx(5.0)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_row_that_alone_spans_a_direction_has_score_one():
    matrix = np.zeros((10, 2))
    matrix[3, 0] = 7.0
    matrix[:3, 1] = 1.0
    np.testing.assert_allclose(leverage_scores(matrix)[[0, 3, 9]], [1 / 3, 1.0, 0.0], atol=1e-14)


def test_the_basis_is_orthonormal_and_spans_the_columns():
    matrix = np.random.default_rng(2).standard_normal((20, 3))
    basis = orthonormal_basis(matrix)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(basis @ (basis.T @ matrix), matrix, atol=1e-13)


@pytest.mark.parametrize("matrix", [np.ones((5, 2)), np.zeros((5, 1))])
def test_dependent_columns_are_refused(matrix):
    with pytest.raises(ValueError, match="linearly independent columns"):
        leverage_scores(matrix)


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((2, 3)), np.ones((3, 0)), np.ones((3, 1), int)])
def test_what_is_not_a_tall_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match="matrix must"):
        leverage_scores(matrix)
