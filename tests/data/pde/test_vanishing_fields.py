import numpy as np
import pytest

from data.pde.vanishing_fields import stream_function, vanishing_deviation, vanishing_field

CELLS = 6
CENTRES, VERTICES = (np.arange(CELLS) + 0.5) / CELLS, np.arange(CELLS + 1) / CELLS


def sines(points, modes):
    return np.sqrt(2.0) * np.sin(np.pi * np.outer(points, np.arange(1, modes + 1)))


@pytest.mark.parametrize(("at", "points"), [("centres", CENTRES), ("vertices", VERTICES)])
def test_the_field_is_a_sum_of_sines_drawn_shell_by_shell(at, points):
    alpha, tau = 2.5, 7.0
    normals = np.random.default_rng(0).standard_normal((CELLS - 1) ** 2)
    shells = [(max(m, k) ** 2 + (k if m >= k else max(m, k) + 1 + m), m, k) for m in range(5) for k in range(5)]
    weights = np.zeros((CELLS - 1, CELLS - 1))
    for place, m, k in shells:
        eigenvalue = np.pi**2 * ((m + 1) ** 2 + (k + 1) ** 2) + tau**2
        weights[m, k] = tau ** (alpha - 1.0) * eigenvalue ** (-alpha / 2.0) * normals[place]
    basis = sines(points, CELLS - 1)
    field = vanishing_field(np.random.default_rng(0), CELLS, alpha, tau, at)
    np.testing.assert_allclose(field, basis @ weights @ basis.T, atol=1e-13)


def test_the_field_vanishes_on_the_boundary():
    field = vanishing_field(np.random.default_rng(1), 9, 2.5, 7.0, at="vertices")
    assert not field[[0, -1]].any()
    assert not field[:, [0, -1]].any()
    assert field[1:-1, 1:-1].all()


def test_a_finer_grid_continues_the_field():
    coarse, fine = (vanishing_field(np.random.default_rng(2), cells, 8.0, 3.0, at="vertices") for cells in (16, 64))
    np.testing.assert_allclose(fine[::4, ::4], coarse, atol=2e-3 * np.abs(coarse).max())


def test_the_deviations_are_those_of_the_fields_of_their_gradients_and_of_their_flows():
    random, cells = np.random.default_rng(3), 48
    squares = []
    for _ in range(300):
        field = vanishing_field(random, cells, 4.0, 3.0, at="vertices")
        velocity_of = stream_function(vanishing_field(random, cells, 4.0, 3.0))
        slopes = [sum(np.sum(np.diff(f * cells, axis=a) ** 2) / cells**2 for a in (0, 1)) for f in (field, velocity_of)]
        squares.append([np.mean(field**2), *slopes])
    expected = [vanishing_deviation(4.0, 3.0, derivatives) for derivatives in (0, 1, -1)]
    np.testing.assert_allclose(np.sqrt(np.mean(squares, axis=0)), expected, rtol=0.05)


def test_the_stream_function_is_the_sum_of_the_waves_over_their_eigenvalues():
    weights = np.random.default_rng(4).standard_normal((CELLS - 1, CELLS - 1))
    numbers = np.arange(1, CELLS) ** 2
    vorticity = sines(CENTRES, CELLS - 1) @ weights @ sines(CENTRES, CELLS - 1).T
    basis = sines(VERTICES, CELLS - 1)
    expected = basis @ (weights / (np.pi**2 * (numbers[:, None] + numbers))) @ basis.T
    before = vorticity.copy()
    np.testing.assert_allclose(stream_function(vorticity), expected, atol=1e-14)
    np.testing.assert_array_equal(vorticity, before)
