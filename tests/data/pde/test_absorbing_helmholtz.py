import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.absorbing_helmholtz import AbsorbingHelmholtz, absorbing_system
from data.pde.helmholtz import Helmholtz
from data.problem import make_fields


def complex_matrix(wave_number):
    """-Laplace - k^2 over the cells, times h^2, face by face."""
    cells = len(wave_number)
    matrix = np.zeros((cells, cells, cells, cells), dtype=complex)
    for y in range(cells):
        for x in range(cells):
            kh = wave_number[y, x] / cells
            matrix[y, x, y, x] -= kh**2
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < cells and 0 <= u < cells:
                    matrix[y, x, y, x] += 1.0
                    matrix[y, x, v, u] -= 1.0
                else:
                    matrix[y, x, y, x] -= 1j * kh / (1.0 - 0.5j * kh)
    return matrix.reshape(cells**2, cells**2)


def test_the_real_system_is_equivalent_to_the_complex_one():
    random = np.random.default_rng(0)
    wave_number, source = random.uniform(2.0, 8.0, (5, 5)), random.standard_normal((5, 5)) + 1j
    matrix, rhs = absorbing_system(wave_number, source)
    solution = spsolve(matrix.tocsc(), rhs).reshape(5, 5, 2)
    expected = np.linalg.solve(complex_matrix(wave_number), source.ravel() / 25).reshape(5, 5)
    np.testing.assert_allclose(solution[..., 0] + 1j * solution[..., 1], expected, atol=1e-13)


def test_every_entry_is_a_block_of_two():
    wave_number = np.random.default_rng(0).uniform(2.0, 8.0, (4, 4))
    dense = absorbing_system(wave_number, np.ones((4, 4)) + 0j)[0].toarray().reshape(16, 2, 16, 2)
    expected = complex_matrix(wave_number)
    np.testing.assert_allclose(dense[:, 0, :, 0], expected.real, atol=1e-15)
    np.testing.assert_allclose(dense[:, 0, :, 1], -expected.imag, atol=1e-15)
    np.testing.assert_allclose(dense[:, 1, :, 0], expected.imag, atol=1e-15)
    np.testing.assert_allclose(dense[:, 1, :, 1], expected.real, atol=1e-15)


def test_waves_lose_energy_through_the_sides_only():
    problem = AbsorbingHelmholtz(grid=24)
    fields = make_fields(problem, 0, 0)
    system = problem.assemble(fields)
    parts = spsolve(system.matrix.tocsc(), system.rhs).reshape(24, 24, 2)
    wave = parts[..., 0] + 1j * parts[..., 1]
    power = np.sum((fields["source"] * wave.conj()).imag) / 24**2
    outflow = 0.0
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        kh = fields["wave_number"][side] / 24
        outflow += np.sum(kh * np.abs(wave[side] / (1.0 - 0.5j * kh)) ** 2)
    assert power == pytest.approx(-outflow, rel=1e-9)


def test_reflections_are_weak_where_the_medium_is_uniform():
    problem = AbsorbingHelmholtz(grid=48, amplitude=0.0)
    line = (np.arange(48) + 0.5) / 48
    source = np.exp(-0.5 * np.add.outer((line - 0.5) ** 2, (line - 0.5) ** 2) / 0.05**2)
    system = problem.assemble({"wave_number": np.full((48, 48), 25.0), "source": source})
    wave = np.linalg.norm(spsolve(system.matrix.tocsc(), system.rhs).reshape(48, 48, 2), axis=-1)
    outer = wave[24, 32:46]  # a wave that only leaves has no nodes
    assert outer.min() > 0.5 * outer.max()


def test_medium_and_source_are_those_of_the_closed_square_at_the_cell_centres():
    absorbing = make_fields(AbsorbingHelmholtz(grid=32), 0, 0)
    closed = make_fields(Helmholtz(grid=32), 0, 0)
    assert absorbing["source"].shape == (32, 32)
    peaks = [np.unravel_index(fields["source"].argmax(), fields["source"].shape) for fields in (absorbing, closed)]
    np.testing.assert_allclose((np.array(peaks[0]) + 0.5) / 32, (np.array(peaks[1]) + 1.0) / 32, atol=1.0 / 32)
    corners = 0.25 * sum(absorbing["wave_number"][y : y + 31, x : x + 31] for y in (0, 1) for x in (0, 1))
    np.testing.assert_allclose(corners, closed["wave_number"], rtol=0.05)
