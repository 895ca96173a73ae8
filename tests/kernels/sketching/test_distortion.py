import numpy as np
import pytest
import scipy.linalg

from kernels.sketching.distortion import lp_distortion
from kernels.sketching.leverage import orthonormal_basis


def sample(rows=80, columns=2, share=0.4, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, columns)), np.where(random.random(rows) < share, 1.0 / share, 0.0)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 4.0])
@pytest.mark.parametrize("seed", range(5))
def test_in_the_plane_the_search_finds_what_trying_all_angles_finds(p, seed):
    matrix, weights = sample(seed=seed)
    angles = np.linspace(0, np.pi, 2001)
    powers = np.abs(matrix @ np.stack([np.cos(angles), np.sin(angles)])) ** p
    exact = np.abs(weights @ powers / powers.sum(axis=0) - 1).max()
    found = lp_distortion(orthonormal_basis(matrix), weights, p)
    assert 0.9 * exact <= found <= exact * (1 + 1e-3)


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_in_more_dimensions_it_finds_more_than_random_directions_do(p):
    matrix, weights = sample(rows=300, columns=10)
    powers = np.abs(matrix @ np.random.default_rng(1).standard_normal((10, 5000))) ** p
    assert (
        lp_distortion(orthonormal_basis(matrix), weights, p)
        > 1.2 * np.abs(weights @ powers / powers.sum(axis=0) - 1).max()
    )


def test_for_p_2_it_is_exact():
    matrix, weights = sample(rows=100, columns=5)
    eigenvalues = scipy.linalg.eigvalsh(matrix.T @ (weights[:, None] * matrix), matrix.T @ matrix)
    assert lp_distortion(orthonormal_basis(matrix), weights, 2.0) == pytest.approx(np.abs(eigenvalues - 1).max())


@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
def test_all_rows_have_no_distortion_and_too_few_lose_a_direction(p):
    matrix = orthonormal_basis(sample(columns=5)[0])
    assert lp_distortion(matrix, np.ones(80), p) < 1e-12
    assert lp_distortion(matrix, np.where(np.arange(80) < 4, 20.0, 0.0), p) >= 1.0 - 1e-9
    assert lp_distortion(matrix, np.zeros(80), p) == pytest.approx(1.0)


def test_doubled_weights_are_a_distortion_of_one():
    matrix, _ = sample(columns=3)
    assert lp_distortion(matrix, np.full(80, 2.0), 1.5) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("basis", "weights", "p", "words"),
    [
        (np.ones((3, 4)), np.ones(3), 1.0, "basis must have shape"),
        (np.eye(3), np.ones(2), 1.0, r"weights must have shape \(3,\), not \(2,\)"),
        (np.eye(3), np.ones(3), 0.5, "p must be finite and at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(basis, weights, p, words):
    with pytest.raises(ValueError, match=words):
        lp_distortion(basis, weights, p)
