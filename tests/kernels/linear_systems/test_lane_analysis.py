import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import arrow, canonical, convection_diffusion, diffusion, poisson, random_dominant, tridiagonal
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.linear_systems.lane_factorization import analyse
from kernels.linear_systems.lane_factorization.analysis import minimum_degree
from kernels.linear_systems.lane_factorization.ordering import nested_dissection
from kernels.linear_systems.lane_factorization.symbolic import analyse_order, elimination_cost

FINE = settings(max_examples=25, derandomize=True, deadline=None)


def graph(size, seed, density):
    random = np.random.default_rng(seed)
    pattern = random.random((size, size)) < density
    return pattern | pattern.T | np.eye(size, dtype=bool)


def csr(pattern):
    pattern = canonical(pattern.astype(float))
    return pattern.indptr, pattern.indices


def eliminate(pattern, order):
    """The factor's pattern by brute force: an eliminated node joins its neighbours to each other."""
    filled = pattern[np.ix_(order, order)].copy()
    for node in range(len(filled)):
        later = np.flatnonzero(filled[node, node:]) + node
        filled[np.ix_(later, later)] = True
    return np.tril(filled)


@FINE
@given(size=st.integers(1, 30), seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0]))
def test_the_structure_covers_the_fill_of_brute_force_elimination(size, seed, density):
    pattern = graph(size, seed, density)
    order = np.random.default_rng(seed).permutation(size).astype(np.int32)
    structure = analyse_order(*csr(pattern), order)
    np.testing.assert_array_equal(np.sort(structure.order), np.arange(size))
    stored = np.zeros((size, size), dtype=bool)
    panels = structure.panels
    for panel, (first, end) in enumerate(itertools.pairwise(panels.first_column)):
        rows = panels.rows[panels.row_start[panel] : panels.row_start[panel + 1]]
        np.testing.assert_array_equal(rows[: end - first], np.arange(first, end))
        assert (np.diff(rows) > 0).all()
        stored[np.ix_(rows, np.arange(first, end))] = True
    fill = eliminate(pattern, structure.order)
    assert not (fill & ~stored).any()
    # an equivalent order: the fill is that of the order that was asked for
    counts = eliminate(pattern, order).sum(axis=0)
    np.testing.assert_array_equal(np.sort(fill.sum(axis=0)), np.sort(counts))
    assert elimination_cost(*csr(pattern), order) == counts @ counts


@FINE
@given(size=st.integers(1, 30), seed=st.integers(0, 10_000), density=st.sampled_from([0.05, 0.1, 0.3]))
def test_without_relaxation_nothing_but_the_fill_is_stored(size, seed, density):
    pattern = graph(size, seed, density)
    structure = analyse_order(*csr(pattern), np.arange(size, dtype=np.int32), relaxed=False)
    widths, heights = np.diff(structure.panels.first_column), np.diff(structure.panels.row_start)
    below_or_on_diagonal = widths * heights - widths * (widths - 1) // 2
    assert below_or_on_diagonal.sum() == eliminate(pattern, structure.order).sum()


@FINE
@given(size=st.integers(1, 120), seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]))
def test_nested_dissection_is_a_permutation(size, seed, density):
    order = nested_dissection(*csr(graph(size, seed, density)))
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


@pytest.mark.parametrize(
    ("pattern", "most_per_unknown"), [(arrow(1500, 0), 4.1), (tridiagonal(1500), 8.0), (poisson(40), 450.0)]
)
def test_nested_dissection_of_large_patterns_is_a_permutation_of_little_fill(pattern, most_per_unknown):
    pattern = canonical(pattern)
    order = nested_dissection(pattern.indptr, pattern.indices)
    np.testing.assert_array_equal(np.sort(order), np.arange(pattern.shape[0]))
    assert elimination_cost(pattern.indptr, pattern.indices, order) < most_per_unknown * pattern.shape[0]


@pytest.mark.parametrize(("stencil", "side"), [(5, 110), (9, 48)])
def test_nested_dissection_of_a_shuffled_grid_beats_the_natural_order_and_minimum_degree(stencil, side):
    line = tridiagonal(side, 1.0, 1.0, 1.0)
    grid = poisson(side) if stencil == 5 else canonical(sp.kron(line, line))
    shuffle = np.random.default_rng(0).permutation(side**2)
    shuffled = canonical(grid[shuffle][:, shuffle])
    order = nested_dissection(shuffled.indptr, shuffled.indices)
    by_dissection = elimination_cost(shuffled.indptr, shuffled.indices, order)
    assert by_dissection < elimination_cost(shuffled.indptr, shuffled.indices, minimum_degree(shuffled))
    natural = np.arange(side**2, dtype=np.int32)
    assert by_dissection < 0.5 * elimination_cost(grid.indptr, grid.indices, natural)


def test_the_order_chosen_is_never_worse_than_minimum_degree():
    for matrix in (poisson(30), convection_diffusion(20), random_dominant(80, 3, symmetric=True)):
        cost = elimination_cost(matrix.indptr, matrix.indices, analyse(matrix).structure.order)
        assert cost <= elimination_cost(matrix.indptr, matrix.indices, minimum_degree(matrix))


def test_an_analysis_is_found_again_by_its_pattern():
    first, second = diffusion(12, 0), diffusion(12, 1)
    assert analyse(first) is analyse(second)
    assert analyse(first) is not analyse(poisson(11))


def test_an_analysis_does_not_change_with_the_callers_arrays():
    matrix = diffusion(9, 0)
    analysis = analyse(matrix)
    matrix.indices[:] = 0
    assert analysis.fits(diffusion(9, 1))
