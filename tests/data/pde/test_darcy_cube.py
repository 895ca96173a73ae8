import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from data.pde.darcy_cube import DarcyCube, darcy_cube_system
from data.problem import make_fields


def pressure_in(coefficient):
    matrix, rhs = darcy_cube_system(coefficient, np.ones_like(coefficient))
    return spsolve(matrix.tocsc(), rhs).reshape(coefficient.shape)


def test_layers_in_series_conduct_exactly():
    layers = np.array([1.0, 100.0, 3.0, 0.1])
    for axis, stride in enumerate((16, 4, 1)):
        coefficient = np.moveaxis(np.tile(layers, (4, 4, 1)), 2, axis)
        matrix, _ = darcy_cube_system(coefficient, np.ones((4, 4, 4)))
        for place in range(3):
            expected = 1.0 / (0.5 / layers[place] + 0.5 / layers[place + 1])
            assert -matrix[place * stride, (place + 1) * stride] == pytest.approx(expected)


@settings(max_examples=10, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 3.0))
def test_the_pressure_is_positive_and_the_flow_out_equals_the_source(seed, spread):
    coefficient = np.exp(spread * np.random.default_rng(seed).standard_normal((4, 4, 4)))
    pressure = pressure_in(coefficient)
    assert pressure.min() > 0.0
    sides = [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]]
    outflow = sum(np.sum(2.0 * coefficient[side] * pressure[side]) for side in sides) / 4  # of faces of area h^2
    assert outflow == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("axes", [(1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_turning_the_medium_turns_the_pressure(axes):
    coefficient = make_fields(DarcyCube(grid=6), 0, 0)["coefficient"]
    np.testing.assert_allclose(pressure_in(coefficient.transpose(axes)), pressure_in(coefficient).transpose(axes))


def test_the_logarithm_has_the_contrast_asked_for():
    logarithms = [np.log(make_fields(DarcyCube(grid=16, contrast=2.0), 0, i)["coefficient"]) for i in range(100)]
    assert np.sqrt(np.mean(np.square(logarithms))) == pytest.approx(2.0, rel=0.05)


def test_the_largest_grid_is_allowed():
    assert DarcyCube(grid=128).solution().shape == (128, 128, 128)
