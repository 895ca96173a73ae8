import numpy as np
import pytest

from data.pde.pressure.domains import pressure_matrix
from data.pde.pressure.ritz import ritz_mixtures, ritz_vectors


def square(grid):
    return pressure_matrix(np.ones((grid, grid), np.bool_))


def test_ritz_vectors_are_orthonormal_and_diagonalise_the_matrix_on_their_space():
    matrix = square(12)
    vectors = ritz_vectors(matrix, 40, np.random.default_rng(0))
    assert vectors.shape == (40, 144)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(40), atol=1e-12)
    projected = vectors @ (matrix @ vectors.T)
    values = np.diagonal(projected)
    np.testing.assert_allclose(projected, np.diag(values), atol=1e-12)
    assert (np.diff(values) > 0.0).all()


def test_their_space_is_the_krylov_space_of_the_start():
    matrix, random = square(8), np.random.default_rng(0)
    vectors = ritz_vectors(matrix, 5, np.random.default_rng(0))
    powers = [matrix @ random.standard_normal(64)]
    for _ in range(4):
        powers.append(matrix @ powers[-1])
    krylov = np.linalg.qr(np.array(powers).T)[0]
    np.testing.assert_allclose(krylov.T @ vectors.T @ vectors @ krylov, np.eye(5), atol=1e-9)


def test_outer_ritz_values_converge_to_eigenvalues():
    matrix = square(12)
    vectors = ritz_vectors(matrix, 50, np.random.default_rng(1))
    values = np.einsum("ij,ij->i", vectors, (matrix @ vectors.T).T)
    eigenvalues = np.linalg.eigvalsh(matrix.toarray())
    np.testing.assert_allclose(values[[0, -1]], eigenvalues[[0, -1]], rtol=1e-8)


def test_an_invariant_space_ends_the_process_with_one_vector_for_each_eigenvalue():
    matrix = square(4)
    vectors = ritz_vectors(matrix, 16, np.random.default_rng(0))
    values = np.einsum("ij,ij->i", vectors, (matrix @ vectors.T).T)
    distinct = np.unique(np.linalg.eigvalsh(matrix.toarray()).round(9))
    np.testing.assert_allclose(values, distinct, atol=1e-8)
    assert len(vectors) < 16


def test_mixtures_are_unit_vectors_nine_times_as_heavy_in_the_lower_half():
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((100, 100)))[0]
    mixtures = ritz_mixtures(vectors, 2000, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(mixtures, axis=1), 1.0)
    components = (mixtures @ vectors.T).std(0)
    heavy = components > components.mean()
    assert heavy[:55].all()
    assert not heavy[55:].any()
    assert components[:55].mean() / components[55:].mean() == pytest.approx(9.0, rel=0.05)
