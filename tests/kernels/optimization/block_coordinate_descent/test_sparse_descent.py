from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from kernels.optimization.block_coordinate_descent.sparse_descent import (
    BLOCKS,
    forest_descent,
    nearly_descending,
    relative_quadratic_value,
)
from kernels.result import Status


def lattice_system(side=10, seed=0):
    path = sp.diags_array([-np.ones(side - 1), -np.ones(side - 1)], offsets=[-1, 1])
    matrix = sp.csr_array(sp.kronsum(path, path, format="csr") + 4.3 * sp.eye_array(side**2))
    matrix.sort_indices()
    return SimpleNamespace(matrix=matrix, rhs=np.random.default_rng(seed).standard_normal(side**2))


def tree_system(nodes=40, seed=0):
    random = np.random.default_rng(seed)
    parents = [int(random.integers(node)) for node in range(1, nodes)]
    edges = sp.coo_array((-np.ones(nodes - 1), (parents, np.arange(1, nodes))), shape=(nodes, nodes))
    matrix = sp.csr_array(edges + edges.T)
    matrix = sp.csr_array(matrix + sp.diags_array(0.1 - np.asarray(matrix.sum(axis=1))))
    matrix.sort_indices()
    return SimpleNamespace(matrix=matrix, rhs=random.standard_normal(nodes))


def descend(system, **options):
    return forest_descent(system, **{"random": np.random.default_rng(0), **options})


@pytest.mark.parametrize("blocks", BLOCKS)
def test_it_solves_the_system(blocks):
    system = lattice_system()
    result = descend(system, blocks=blocks)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.value, spsolve(system.matrix.tocsc(), system.rhs), atol=1e-7)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_every_step_lowers_the_objective(blocks):
    system = lattice_system()
    values = [
        relative_quadratic_value(system, descend(system, blocks=blocks, max_iterations=steps).value)
        for steps in range(1, 8)
    ]
    assert values[0] < 0.0
    assert (np.diff(values) < 0.0).all()


def test_a_tree_is_solved_in_one_step():
    result = descend(tree_system(), tolerance=1e-12)
    assert (result.status, result.work["iterations"]) == (Status.CONVERGED, 1)


def test_a_step_by_message_passing_is_that_by_superlu():
    system = lattice_system()
    ours, theirs = (
        descend(system, max_iterations=1, block_solver=solver).value for solver in ("message_passing", "sparse_lu")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_history_is_the_relative_residual():
    system = lattice_system()
    result = descend(system, max_iterations=4)
    residual = system.rhs - system.matrix @ result.value
    assert result.status is Status.ITERATION_LIMIT
    assert result.history.size == 5
    assert result.history[-1] == pytest.approx(np.linalg.norm(residual) / np.linalg.norm(system.rhs))


def test_a_rhs_of_zeros_is_solved_at_once():
    system = lattice_system()
    system.rhs[:] = 0.0
    result = descend(system)
    assert (result.status, result.work["iterations"]) == (Status.CONVERGED, 0)


def test_data_that_are_not_finite_end_so():
    system = lattice_system()
    system.rhs[3] = np.nan
    assert descend(system).status is Status.NOT_FINITE


def test_a_diagonal_that_is_not_positive_breaks_down():
    system = lattice_system()
    system.matrix.setdiag(-1.0)
    assert descend(system).status is Status.BREAKDOWN


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": "stars"}, "blocks must be one of"),
        ({"block_solver": "guess"}, "block_solver must be one of"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"blocks": "random_forest", "random": None}, "random must be"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        descend(lattice_system(), **options)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_scores_are_sorted_to_a_percent_whatever_their_scale(scale):
    scores = scale * np.random.default_rng(0).random(1000) ** 4
    ordered = scores[nearly_descending(scores)]
    assert (np.maximum.accumulate(ordered[::-1])[::-1] <= ordered * (1 + 1 / 100)).all()


def test_scores_of_zero_keep_their_order():
    assert nearly_descending(np.zeros(5)).tolist() == [0, 1, 2, 3, 4]
