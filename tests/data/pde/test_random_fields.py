import numpy as np
import pytest

from data.pde.random_fields import (
    cosine_series,
    field_deviation,
    gaussian_field,
    gradient_deviation,
    mode_deviations,
    periodic_field,
    shell_order,
)

CELLS = 6


def cosines(points, modes):
    values = np.sqrt(2.0) * np.cos(np.pi * np.outer(points, np.arange(modes)))
    values[:, 0] = 1.0
    return values


@pytest.mark.parametrize(
    ("at", "points"), [("centres", (np.arange(CELLS) + 0.5) / CELLS), ("vertices", np.arange(CELLS + 1) / CELLS)]
)
def test_the_fast_transform_equals_the_sum_of_cosines(at, points):
    weights = np.random.default_rng(0).standard_normal((CELLS, CELLS))
    before = weights.copy()
    basis = cosines(points, CELLS)
    np.testing.assert_allclose(cosine_series(weights, at), basis @ weights @ basis.T, atol=1e-13)
    np.testing.assert_array_equal(weights, before)


def test_the_empirical_covariance_is_the_spectral_sum():
    alpha, tau, draws = 2.0, 3.0, 4000
    random = np.random.default_rng(1)
    fields = np.array([gaussian_field(random, CELLS, alpha, tau).ravel() for _ in range(draws)])
    basis = cosines((np.arange(CELLS) + 0.5) / CELLS, CELLS)
    modes = np.kron(basis, basis)
    eigenvalues = [
        0.0 if (k, m) == (0, 0) else tau ** (2 * alpha - 2) * (np.pi**2 * (k**2 + m**2) + tau**2) ** -alpha
        for k in range(CELLS)
        for m in range(CELLS)
    ]
    exact = modes * eigenvalues @ modes.T
    error = np.abs(fields.T @ fields / draws - exact).max() / exact.max()
    assert error < 5.0 * np.sqrt(2.0 / draws)


def test_the_covariance_test_would_notice_a_wrong_exponent():
    right, wrong = mode_deviations(CELLS, 2.0, 3.0), mode_deviations(CELLS, 2.5, 3.0)
    assert abs((wrong**2).sum() / (right**2).sum() - 1.0) > 10.0 * np.sqrt(2.0 / 4000)


@pytest.mark.parametrize("at", ["centres", "vertices"])
def test_a_finer_grid_gives_the_same_field_with_more_modes(at):
    coarse = gaussian_field(np.random.default_rng(2), CELLS, 2.5, 7.0, at)
    fine = gaussian_field(np.random.default_rng(2), 3 * CELLS, 2.5, 7.0, at)
    spectral = np.linalg.solve(
        cosines((np.arange(3 * CELLS) + 0.5) / (3 * CELLS), 3 * CELLS),
        gaussian_field(np.random.default_rng(2), 3 * CELLS, 2.5, 7.0),
    )
    weights = np.linalg.solve(cosines((np.arange(3 * CELLS) + 0.5) / (3 * CELLS), 3 * CELLS), spectral.T).T
    np.testing.assert_allclose(cosine_series(weights[:CELLS, :CELLS], at), coarse, atol=1e-12)
    np.testing.assert_allclose(cosine_series(weights, at), fine, atol=1e-12)


def test_the_field_has_no_mean():
    assert abs(gaussian_field(np.random.default_rng(3), 16, 2.0, 3.0).mean()) < 1e-14
    assert abs(periodic_field(np.random.default_rng(3), 16, 2.0, 3.0).mean()) < 1e-14


def test_the_deviation_is_that_of_the_fields():
    random = np.random.default_rng(4)
    variance = np.mean([(gaussian_field(random, 32, 2.5, 7.0) ** 2).mean() for _ in range(400)])
    assert np.sqrt(variance) == pytest.approx(field_deviation(2.5, 7.0), rel=0.03)


def test_the_gradient_deviation_is_that_of_finite_differences():
    random, cells = np.random.default_rng(5), 48
    squares = []
    for _ in range(200):
        psi = gaussian_field(random, cells, 3.5, 3.0, at="vertices") * cells
        squares.append((np.diff(psi, axis=0) ** 2).mean() + (np.diff(psi, axis=1) ** 2).mean())
    assert np.sqrt(np.mean(squares)) == pytest.approx(gradient_deviation(3.5, 3.0), rel=0.05)


def test_the_periodic_field_is_stationary_with_the_variance_of_its_spectrum():
    random, points, alpha, tau, draws = np.random.default_rng(6), 12, 2.5, 7.0, 3000
    fields = np.array([periodic_field(random, points, alpha, tau) for _ in range(draws)])
    k = np.arange(-points // 2, points // 2)
    spectrum = tau ** (2 * alpha - 2) * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + tau**2) ** -alpha
    exact = spectrum.sum() - spectrum.max()
    assert np.abs((fields**2).mean(axis=0) / exact - 1.0).max() < 5.0 * np.sqrt(2.0 / draws)
    lag = np.sum(spectrum * np.cos(2 * np.pi * k / points)) - spectrum.max()
    assert np.mean(fields[:, :, 1:] * fields[:, :, :-1]) == pytest.approx(lag, rel=0.05)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_every_mode_has_a_place_of_its_own_and_shells_follow_each_other(dimensions):
    places = shell_order(5, dimensions)
    assert sorted(places.ravel()) == list(range(5**dimensions))
    shells = np.indices(places.shape).max(axis=0)
    assert (np.diff(shells.ravel()[np.argsort(places.ravel())]) >= 0).all()
    np.testing.assert_array_equal(shell_order(8, dimensions)[(slice(5),) * dimensions], places)


def test_the_places_in_the_square_are_those_of_every_data_set_so_far():
    expected = [[0, 3, 7, 13], [1, 2, 8, 14], [4, 5, 6, 15], [9, 10, 11, 12]]
    np.testing.assert_array_equal(shell_order(4), expected)


@pytest.mark.parametrize(
    ("at", "points"), [("centres", (np.arange(CELLS) + 0.5) / CELLS), ("vertices", np.arange(CELLS + 1) / CELLS)]
)
def test_the_fast_transform_equals_the_sum_of_cosines_in_the_cube(at, points):
    weights = np.random.default_rng(0).standard_normal((CELLS, CELLS, CELLS))
    basis = cosines(points, CELLS)
    expected = np.einsum("zk,yl,xm,klm->zyx", basis, basis, basis, weights)
    np.testing.assert_allclose(cosine_series(weights, at), expected, atol=1e-13)


def test_the_deviations_in_the_cube_are_those_of_the_covariance():
    alpha, tau = 3.0, 7.0
    squares = np.add.outer(np.add.outer(np.arange(4) ** 2, np.arange(4) ** 2), np.arange(4) ** 2)
    covariance = tau ** (2.0 * alpha - 3.0) * (np.pi**2 * squares + tau**2) ** -alpha
    covariance[0, 0, 0] = 0.0
    np.testing.assert_allclose(mode_deviations(4, alpha, tau, dimensions=3) ** 2, covariance)


def test_the_deviation_in_the_cube_is_that_of_the_fields():
    random = np.random.default_rng(7)
    variance = np.mean([(gaussian_field(random, 16, 3.0, 7.0, dimensions=3) ** 2).mean() for _ in range(200)])
    assert np.sqrt(variance) == pytest.approx(field_deviation(3.0, 7.0, dimensions=3), rel=0.05)
