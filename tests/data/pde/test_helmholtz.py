import numpy as np
import pytest
import scipy.linalg

from data.pde.helmholtz import Helmholtz, helmholtz_system
from data.problem import make_fields


def test_the_operator_is_indefinite():
    problem = Helmholtz(grid=32)
    matrix = problem.assemble(make_fields(problem, 0, 0)).matrix
    eigenvalues = scipy.linalg.eigvalsh(matrix.toarray())
    assert eigenvalues[0] < 0.0 < eigenvalues[-1]


def test_the_eigenvalues_for_a_constant_wave_number_are_known():
    cells, k = 9, 7.0
    matrix, _ = helmholtz_system(np.full((cells - 1, cells - 1), k), np.zeros((cells - 1, cells - 1)))
    waves = 4.0 * np.sin(np.arange(1, cells) * np.pi / (2 * cells)) ** 2
    expected = np.sort((waves[:, None] + waves - (k / cells) ** 2).ravel())
    np.testing.assert_allclose(scipy.linalg.eigvalsh(matrix.toarray()), expected, atol=1e-12)


def test_waves_that_the_grid_does_not_resolve_are_refused():
    message = "grid=16 gives 4.0 points per wavelength at wave_number=25; at least 6 are needed"
    with pytest.raises(ValueError, match=message):
        Helmholtz(grid=16)


def test_six_points_per_wavelength_are_enough():
    assert Helmholtz(grid=24, wave_number=25.0).points_per_wavelength > 6.0


def test_the_wave_number_stays_within_its_clipped_range():
    problem = Helmholtz(grid=32, wave_number=20.0, amplitude=0.39)
    fields = [make_fields(problem, 0, index)["wave_number"] for index in range(20)]
    assert np.min(fields) >= 20.0 * (1.0 - 2.5 * 0.39) > 0.0
    assert np.max(fields) <= 20.0 * (1.0 + 2.5 * 0.39)


def test_without_amplitude_the_medium_is_uniform():
    assert set(np.unique(make_fields(Helmholtz(amplitude=0.0), 0, 0)["wave_number"])) == {25.0}


def test_the_source_is_the_same_on_a_finer_grid():
    coarse, fine = (make_fields(Helmholtz(grid=grid), 0, 0)["source"] for grid in (32, 64))
    np.testing.assert_allclose(fine[1::2, 1::2], coarse, atol=1e-14)
