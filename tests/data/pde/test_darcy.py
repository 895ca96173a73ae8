import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from data.pde.darcy import DarcyLognormal, DarcyParametric, DarcyThresholded, darcy_system
from data.pde.random_fields import field_deviation
from data.problem import make_fields


def pressure_in(coefficient, source=None):
    source = np.ones_like(coefficient) if source is None else source
    matrix, rhs = darcy_system(coefficient, source)
    return spsolve(matrix.tocsc(), rhs).reshape(coefficient.shape)


def test_layers_in_series_conduct_exactly():
    layers = np.array([1.0, 100.0, 3.0, 0.1])
    matrix, _ = darcy_system(np.tile(layers, (4, 1)), np.ones((4, 4)))
    for x in range(3):
        assert -matrix[x, x + 1] == pytest.approx(1.0 / (0.5 / layers[x] + 0.5 / layers[x + 1]))


def test_the_pressure_in_a_uniform_medium_is_that_of_the_fourier_series():
    odd = np.arange(1, 400, 2)
    series = 0.125 - 4.0 / np.pi**3 * np.sum((-1.0) ** (odd // 2) / odd**3 / np.cosh(odd * np.pi / 2))
    centre = pressure_in(np.ones((65, 65)))[32, 32]
    assert centre == pytest.approx(series, rel=1e-3)


@settings(max_examples=10, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 3.0))
def test_the_pressure_is_positive_and_the_flow_out_equals_the_source(seed, spread):
    coefficient = np.exp(spread * np.random.default_rng(seed).standard_normal((8, 8)))
    pressure = pressure_in(coefficient)
    assert pressure.min() > 0.0
    outflow = sum(
        np.sum(2.0 * coefficient[side] * pressure[side]) for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])
    )
    assert outflow == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("reflect", [np.fliplr, np.flipud, np.transpose])
def test_reflecting_the_medium_reflects_the_pressure(reflect):
    coefficient = make_fields(DarcyLognormal(grid=12), 0, 0)["coefficient"]
    np.testing.assert_allclose(pressure_in(reflect(coefficient)), reflect(pressure_in(coefficient)), rtol=1e-10)


def test_the_matrix_is_an_m_matrix():
    matrix, _ = darcy_system(make_fields(DarcyThresholded(grid=8), 0, 0)["coefficient"], np.ones((8, 8)))
    dense = matrix.toarray()
    assert (dense - np.diag(np.diag(dense)) <= 0.0).all()
    assert dense.sum(axis=1).min() > -1e-12


def test_the_two_phases_have_the_two_coefficients():
    coefficient = make_fields(DarcyThresholded(grid=32, high=5.0, low=2.0), 0, 0)["coefficient"]
    assert set(np.unique(coefficient)) == {2.0, 5.0}


def test_normalising_divides_the_logarithm_by_its_deviation():
    plain = make_fields(DarcyLognormal(grid=8), 0, 0)["coefficient"]
    normalised = make_fields(DarcyLognormal(grid=8, normalise=True), 0, 0)["coefficient"]
    np.testing.assert_allclose(np.log(normalised) * field_deviation(2.5, 7.0), np.log(plain), atol=1e-12)


def test_the_parametric_medium_is_made_of_the_longest_waves():
    problem = DarcyParametric(grid=8, modes=3)
    fields = make_fields(problem, 0, 0)
    t = (np.arange(8) + 0.5) / 8
    x_wave, y_wave = np.sqrt(2.0) * np.cos(np.pi * t), np.sqrt(2.0) * np.cos(np.pi * t)[:, None]
    first, second, third = fields["mode_weights"]
    expected = first * x_wave + second * y_wave + third * x_wave * y_wave
    np.testing.assert_allclose(np.log(fields["coefficient"]), expected, atol=1e-13)
    np.testing.assert_array_equal(problem.assemble(fields).parameters, fields["mode_weights"])


def test_the_parametric_medium_of_most_modes_fits_the_smallest_grid():
    assert np.isfinite(make_fields(DarcyParametric(grid=4, modes=14), 0, 0)["coefficient"]).all()
