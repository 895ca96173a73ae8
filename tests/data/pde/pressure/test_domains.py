import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.pde.poisson import poisson_matrix
from data.pde.pressure.domains import draw_divergence, draw_liquid, pressure_matrix
from data.pde.random_fields import gaussian_field


def generator(seed=0):
    return np.random.default_rng(seed)


@given(seed=st.integers(0, 999), rows=st.integers(1, 5), columns=st.integers(1, 5))
@settings(max_examples=20, derandomize=True)
def test_the_matrix_couples_neighbours_in_the_liquid_and_keeps_the_rest_apart(seed, rows, columns):
    liquid = generator(seed).random((rows, columns)) < 0.7
    expected = np.eye(rows * columns)
    for y, x in np.argwhere(liquid):
        cell = y * columns + x
        expected[cell, cell] = 4.0
        for other_y, other_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= other_y < rows and 0 <= other_x < columns and liquid[other_y, other_x]:
                expected[cell, other_y * columns + other_x] = -1.0
    matrix = pressure_matrix(liquid)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.has_canonical_format
    assert np.linalg.eigvalsh(expected)[0] > 0.0


def test_without_pockets_it_is_poissons_matrix():
    liquid = np.ones((7, 7), np.bool_)
    np.testing.assert_array_equal(pressure_matrix(liquid).toarray(), poisson_matrix(8).toarray())


@pytest.mark.parametrize("seed", range(30))
def test_there_is_liquid_and_a_pocket_and_refining_keeps_them(seed):
    coarse, fine = draw_liquid(generator(seed), 32), draw_liquid(generator(seed), 64)
    assert 0.4 < coarse.mean() < 1.0
    blocks = fine.reshape(32, 2, 32, 2).mean((1, 3))
    assert (coarse[blocks == 1.0]).mean() > 0.98
    assert (~coarse[blocks == 0.0]).mean() > 0.9
    assert abs(coarse.mean() - fine.mean()) < 0.02


def test_the_divergence_is_what_flows_through_the_sides_of_every_cell():
    divergence, random = draw_divergence(generator(), 6, 3.0, 5.0), generator()
    upward, rightward = (gaussian_field(stream, 6, 3.0, 5.0, "vertices") for stream in random.spawn(2))
    for y in range(6):
        for x in range(6):
            out = upward[y + 1, x : x + 2].mean() - upward[y, x : x + 2].mean()
            out += rightward[y : y + 2, x + 1].mean() - rightward[y : y + 2, x].mean()
            assert divergence[y, x] == pytest.approx(-out / 6, abs=1e-14)


def test_on_finer_grids_the_divergence_goes_with_the_square_of_the_spacing():
    coarse, fine = draw_divergence(generator(), 32, 4.0, 5.0), draw_divergence(generator(), 64, 4.0, 5.0)
    sums = fine.reshape(32, 2, 32, 2).sum((1, 3))
    assert np.linalg.norm(sums - coarse) < 0.05 * np.linalg.norm(coarse)
