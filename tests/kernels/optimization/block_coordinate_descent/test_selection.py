from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigvalsh

from kernels.optimization.block_coordinate_descent.block_systems import largest_eigenvalue, solve_semidefinite
from kernels.optimization.block_coordinate_descent.objectives import Quadratic
from kernels.optimization.block_coordinate_descent.partitions import PARTITIONS, fixed_blocks
from kernels.optimization.block_coordinate_descent.selection import FIXED_RULES, VARIABLE_RULES, block_rule

seeds = st.integers(0, 10**6)


def random_quadratic(seed, size=8):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((size + 2, size)) * np.exp(2.0 * random.standard_normal(size))
    return Quadratic(matrix.T @ matrix, np.zeros(size)), random.standard_normal(size)


def progress(rule, curvature, gradient, block):
    """The bound on the decrease that a rule maximises, from its definition."""
    square, part = curvature[np.ix_(block, block)], gradient[block]
    scale = {
        "gs": np.eye(len(block)),
        "gsl": eigvalsh(square)[-1] * np.eye(len(block)),
        "gsd": len(block) * np.diag(np.diag(square)),
        "gsd_rows": np.diag(np.abs(square).sum(axis=1)),
        "gsq": square,
    }[rule]
    return part @ np.linalg.solve(scale, part)


@given(seeds, st.sampled_from(["gs", "gsl", "gsd", "gsd_rows", "gsq"]), st.sampled_from(PARTITIONS))
@settings(max_examples=60, derandomize=True)
def test_a_fixed_block_has_the_greatest_bound_of_all_blocks(seed, rule, partition):
    objective, gradient = random_quadratic(seed)
    chosen = block_rule(objective, rule, partition, 3, None)(gradient)
    blocks = fixed_blocks(partition, np.diag(objective.curvature), 3)
    bounds = [progress(rule, objective.curvature, gradient, block) for block in blocks]
    assert progress(rule, objective.curvature, gradient, chosen) == pytest.approx(max(bounds))


@given(seeds, st.sampled_from(["gs", "gsd"]))
@settings(max_examples=30, derandomize=True)
def test_a_variable_block_has_the_greatest_bound_of_all_subsets(seed, rule):
    objective, gradient = random_quadratic(seed)
    chosen = block_rule(objective, rule, "variable", 3, None)(gradient)
    bounds = [progress(rule, objective.curvature, gradient, list(block)) for block in combinations(range(8), 3)]
    assert progress(rule, objective.curvature, gradient, chosen) == pytest.approx(max(bounds))


@given(seeds)
@settings(max_examples=30, derandomize=True)
def test_hard_thresholding_returns_as_many_coordinates_as_asked_for(seed):
    objective, gradient = random_quadratic(seed)
    chosen = block_rule(objective, "gsq", "variable", 3, None)(gradient)
    assert np.unique(chosen).size == 3


def test_hard_thresholding_finds_the_best_block_of_a_diagonal_curvature():
    objective = Quadratic(np.diag([1.0, 1.1, 0.9, 1.05]), np.zeros(4))
    chosen = block_rule(objective, "gsq", "variable", 2, None)(np.array([3.0, 1.0, 2.0, 0.5]))
    assert chosen.tolist() == [0, 2]


@pytest.mark.parametrize("kind", PARTITIONS)
@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_a_partition_covers_every_coordinate_once(kind, block_size):
    blocks = fixed_blocks(kind, np.random.default_rng(0).random(7), block_size)
    assert sorted(np.concatenate(blocks).tolist()) == list(range(7))
    assert max(block.size for block in blocks) == block_size


def test_sorted_blocks_descend_and_average_blocks_mix():
    lipschitz = np.array([5.0, 1.0, 4.0, 2.0, 6.0, 3.0])
    assert [lipschitz[block].tolist() for block in fixed_blocks("sort", lipschitz, 2)] == [[6, 5], [4, 3], [2, 1]]
    assert [lipschitz[block].sum() for block in fixed_blocks("average", lipschitz, 2)] == [7.0, 7.0, 7.0]


def test_cyclic_blocks_are_all_taken_before_any_returns():
    objective, gradient = random_quadratic(0)
    select = block_rule(objective, "cyclic", "sort", 2, np.random.default_rng(0))
    for _ in range(3):
        assert sorted(np.concatenate([select(gradient) for _ in range(4)]).tolist()) == list(range(8))


def test_blocks_are_drawn_in_proportion_to_their_lipschitz_constants():
    objective = Quadratic(np.diag([1.0, 9.0]), np.zeros(2))
    select = block_rule(objective, "lipschitz", "order", 1, np.random.default_rng(0))
    drawn = np.mean([select(np.zeros(2))[0] for _ in range(4000)])
    assert drawn == pytest.approx(0.9, abs=0.02)


def test_coordinates_of_zero_curvature_are_never_preferred():
    objective = Quadratic(np.diag([0.0, 2.0, 3.0]), np.zeros(3))
    for rule in VARIABLE_RULES:
        assert block_rule(objective, rule, "variable", 1, None)(np.array([0.0, 1.0, 0.5])).tolist() == [1]
    for rule in ("gs", "gsl", "gsd", "gsd_rows", "gsq"):
        assert block_rule(objective, rule, "order", 1, None)(np.array([0.0, 1.0, 0.5])).tolist() == [1]


@pytest.mark.parametrize(
    ("rule", "blocks", "block_size", "message"),
    [
        ("gsl", "variable", 2, "rule must be one of"),
        ("best", "sort", 2, "rule must be one of"),
        ("gs", "alphabetical", 2, "blocks must be one of"),
        ("gs", "variable", 9, "block_size must be an integer between 1 and 8"),
        ("gs", "sort", 0, "block_size"),
        ("cyclic", "sort", 2, "random must be a Generator"),
    ],
)
def test_bad_input_is_named(rule, blocks, block_size, message):
    with pytest.raises(ValueError, match=message):
        block_rule(random_quadratic(0)[0], rule, blocks, block_size, None)


def test_the_names_of_rules_are_those_that_work():
    objective, gradient = random_quadratic(1)
    random = np.random.default_rng(0)
    for rule in FIXED_RULES:
        assert block_rule(objective, rule, "sort", 3, random)(gradient).size in (2, 3)


@given(seeds)
@settings(max_examples=30, derandomize=True)
def test_singular_systems_are_solved_by_the_pseudo_inverse(seed):
    random = np.random.default_rng(seed)
    factor = random.standard_normal((3, 5))
    matrix, rhs = factor.T @ factor, factor.T @ random.standard_normal(3)
    np.testing.assert_allclose(solve_semidefinite(matrix, rhs), np.linalg.pinv(matrix) @ rhs, rtol=1e-6, atol=1e-8)
    assert largest_eigenvalue(matrix) == pytest.approx(eigvalsh(matrix)[-1])
