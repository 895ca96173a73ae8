import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from kernels.optimization.block_coordinate_descent.forests import (
    colour_classes,
    greedy_forest,
    solve_forest,
    tree_partition,
)

graphs = st.tuples(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.0, 0.6))


def random_matrix(seed, nodes, density):
    """A diagonally dominant matrix with a random graph."""
    random = np.random.default_rng(seed)
    upper = np.triu(random.standard_normal((nodes, nodes)) * (random.random((nodes, nodes)) < density), 1)
    matrix = upper + upper.T
    matrix += np.diag(1.0 + np.abs(matrix).sum(axis=1))
    return sp.csr_array(matrix)


def lattice(side):
    path = sp.diags_array([-np.ones(side - 1), -np.ones(side - 1)], offsets=[-1, 1])
    grid = sp.csr_array(sp.kronsum(path, path, format="csr") + 4.5 * sp.eye_array(side**2))
    grid.sort_indices()
    return grid


def is_forest(matrix, block):
    """Whether the induced graph has as many edges as nodes less components."""
    induced = sp.csr_array(matrix[block][:, block])
    induced.setdiag(0.0)
    induced.eliminate_zeros()
    return induced.nnz // 2 == block.size - connected_components(induced, directed=False)[0]


@given(graphs)
@settings(max_examples=60, derandomize=True)
def test_a_greedy_forest_has_no_cycle_and_no_node_can_be_added(graph):
    matrix = random_matrix(*graph)
    order = np.random.default_rng(graph[0]).permutation(matrix.shape[0])
    taken = greedy_forest(matrix, order)
    assert is_forest(matrix, taken)
    for node in np.setdiff1d(order, taken):
        assert not is_forest(matrix, np.append(taken, node))


@given(graphs)
@settings(max_examples=60, derandomize=True)
def test_message_passing_solves_as_a_dense_solver_does(graph):
    matrix = random_matrix(*graph)
    random = np.random.default_rng(graph[0])
    rhs = random.standard_normal(matrix.shape[0])
    block = greedy_forest(matrix, random.permutation(matrix.shape[0]))
    expected = np.linalg.solve(matrix[block][:, block].toarray(), rhs[block])
    np.testing.assert_allclose(solve_forest(matrix, rhs, block), expected, rtol=1e-9, atol=1e-12)


def test_a_long_path_is_solved_from_any_order_of_its_nodes():
    nodes = 5000
    matrix = sp.csr_array(sp.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(nodes, nodes)))
    rhs = np.random.default_rng(0).standard_normal(nodes)
    block = np.random.default_rng(1).permutation(nodes)
    residual = matrix[block][:, block] @ solve_forest(matrix, rhs, block) - rhs[block]
    assert np.abs(residual).max() < 1e-12


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="close a cycle"):
        solve_forest(lattice(2), np.ones(4), np.arange(4))


def test_a_rhs_of_another_size_is_refused():
    with pytest.raises(ValueError, match="rhs must be"):
        solve_forest(lattice(2), np.ones(3), np.arange(2))


def test_a_node_between_two_trees_joins_them():
    path = sp.csr_array(sp.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(3, 3)))
    assert greedy_forest(path, np.array([0, 2, 1])).tolist() == [0, 2, 1]


@given(graphs)
@settings(max_examples=30, derandomize=True)
def test_a_tree_partition_covers_every_node_once_by_forests(graph):
    matrix = random_matrix(*graph)
    forests = tree_partition(matrix, np.arange(matrix.shape[0]))
    assert sorted(np.concatenate(forests).tolist()) == list(range(matrix.shape[0]))
    assert all(is_forest(matrix, forest) for forest in forests)


@given(graphs)
@settings(max_examples=30, derandomize=True)
def test_no_edge_joins_two_nodes_of_a_colour(graph):
    matrix = random_matrix(*graph)
    classes = colour_classes(matrix)
    assert sorted(np.concatenate(classes).tolist()) == list(range(matrix.shape[0]))
    for nodes in classes:
        induced = matrix[nodes][:, nodes].toarray()
        assert not (induced - np.diag(np.diag(induced))).any()


def test_a_lattice_with_holes_has_two_colours():
    kept = np.setdiff1d(np.arange(144), np.random.default_rng(0).choice(144, 30, replace=False))
    assert len(colour_classes(sp.csr_array(lattice(12)[kept][:, kept]))) == 2


def test_half_of_a_lattice_or_more_is_in_a_greedy_forest():
    assert greedy_forest(lattice(20), np.random.default_rng(0).permutation(400)).size > 200
