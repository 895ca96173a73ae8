import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kernels.linear_systems import ordering
from kernels.linear_systems.ordering import (
    ORDERINGS,
    greedy_order,
    grouped_order,
    hilbert_index,
    hilbert_order,
    order_sequence,
    path_length,
    reduce_fields,
    shuffled_order,
)

# Few values, so that duplicates and ties are common; few decimals, so that distances are exact.
PARAMETERS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8).filter(lambda shape: shape[0] > 0),
    elements=st.integers(-4, 4).map(lambda value: value / 2),
)


def options_of(name):
    return {"shuffled": {"seed": 3}, "grouped": {"group_size": 3}}.get(name, {})


def brute_force_greedy(parameters, start):
    order = [start]
    while len(order) < len(parameters):
        left = [j for j in range(len(parameters)) if j not in order]
        order.append(min(left, key=lambda j: (np.sum((parameters[j] - parameters[order[-1]]) ** 2), j)))
    return np.array(order)


@pytest.mark.parametrize("name", ORDERINGS)
@settings(max_examples=40, derandomize=True, deadline=None)
@given(parameters=PARAMETERS)
def test_every_ordering_is_a_permutation_and_deterministic(name, parameters):
    order = order_sequence(parameters, name, **options_of(name))
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(len(parameters)))
    np.testing.assert_array_equal(order_sequence(parameters, name, **options_of(name)), order)


@pytest.mark.parametrize("rows_for_a_gram_matrix", [0, 4096], ids=["differences", "gram"])
@settings(max_examples=40, derandomize=True, deadline=None)
@given(parameters=PARAMETERS, data=st.data())
def test_greedy_equals_brute_force_with_ties_to_the_lowest_index(rows_for_a_gram_matrix, parameters, data):
    start = data.draw(st.integers(0, len(parameters) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "GRAM_ROWS", rows_for_a_gram_matrix)
        patch.setattr(ordering, "GRAM_COORDINATES", 1)
        order = greedy_order(parameters, start)
    np.testing.assert_array_equal(order, brute_force_greedy(parameters, start))


@pytest.mark.parametrize("size", [3, 150, 400])
def test_greedy_equals_brute_force_on_long_rows_far_from_the_origin(size):
    random = np.random.default_rng(0)
    # The Gram matrix rounds at 1e6 times the squared distances: only exact differences tell neighbours apart.
    parameters = 1e4 + 1e-4 * random.standard_normal((40, size))
    np.testing.assert_array_equal(greedy_order(parameters, 7), brute_force_greedy(parameters, 7))


@pytest.mark.parametrize("name", ["greedy", "grouped", "hilbert"])
@pytest.mark.parametrize("exponent", [-900, 900])
@pytest.mark.parametrize("size", [3, 200])
def test_magnitudes_whose_squares_overflow_or_underflow_are_ordered_alike(name, exponent, size):
    parameters = np.random.default_rng(1).standard_normal((20, size))
    order = order_sequence(parameters, name, **options_of(name))
    np.testing.assert_array_equal(order_sequence(np.ldexp(parameters, exponent), name, **options_of(name)), order)


def test_greedy_walks_along_a_line():
    positions = np.random.default_rng(2).permutation(50)
    order = greedy_order(positions[:, None].astype(float), start=int(np.flatnonzero(positions == 0)[0]))
    np.testing.assert_array_equal(positions[order], np.arange(50))


@pytest.mark.parametrize("name", ["greedy", "grouped", "hilbert"])
@pytest.mark.parametrize("seed", range(3))
def test_sorted_paths_are_much_shorter_than_shuffled_ones(name, seed):
    parameters = np.random.default_rng(seed).random((500, 2))
    shuffled = path_length(parameters, shuffled_order(500, seed))
    options = {"group_size": 100} if name == "grouped" else {}
    assert path_length(parameters, order_sequence(parameters, name, **options)) < 0.2 * shuffled


def test_grouped_order_with_one_group_is_a_greedy_chain_from_the_start_of_the_curve():
    parameters = np.random.default_rng(3).random((80, 4))
    start = int(hilbert_order(parameters)[0])
    np.testing.assert_array_equal(grouped_order(parameters, group_size=80), greedy_order(parameters, start))


def test_grouped_order_visits_the_groups_of_the_curve_one_after_the_other():
    parameters = np.random.default_rng(4).random((95, 3))
    curve, order = hilbert_order(parameters), grouped_order(parameters, group_size=10)
    for begin in range(0, 95, 10):
        assert set(order[begin : begin + 10]) == set(curve[begin : begin + 10])


def test_grouped_order_takes_groups_linearly_many(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        ordering,
        "_follow_nearest",
        lambda rows, estimates, margin, start: sizes.append(len(rows)) or np.roll(np.arange(len(rows)), -start),
    )
    grouped_order(np.random.default_rng(5).random((5050, 2)), group_size=100)
    assert sizes == [100] * 50 + [50]


def test_twenty_thousand_systems_can_be_ordered():
    parameters = np.random.default_rng(6).random((20_000, 3))
    order = grouped_order(parameters, group_size=200)
    assert path_length(parameters, order) < 0.1 * path_length(parameters, np.arange(20_000))


@pytest.mark.parametrize(("dimensions", "bits"), [(1, 5), (2, 1), (2, 4), (3, 3), (4, 2), (7, 1)])
def test_the_hilbert_curve_fills_the_grid_in_unit_steps(dimensions, bits):
    cells = np.array(list(itertools.product(range(2**bits), repeat=dimensions)), dtype=np.int64)
    index = hilbert_index(cells, bits)
    np.testing.assert_array_equal(np.sort(index), np.arange(len(cells)))
    steps = np.abs(np.diff(cells[np.argsort(index)], axis=0))
    assert (steps.sum(axis=1) == 1).all()


def test_the_hilbert_index_of_the_finest_grids_does_not_overflow():
    corners = np.array([[0, 0], [2**31 - 1, 0], [2**31 - 1, 2**31 - 1]], dtype=np.int64)
    index = hilbert_index(corners, 31)
    assert index[0] == 0
    assert sorted(set(index)) == sorted(index)
    assert (index >= 0).all()
    assert index.max() == 2**62 - 1


def test_hilbert_order_does_not_depend_on_a_shift_or_a_common_scale():
    parameters = np.random.default_rng(7).random((200, 5))
    np.testing.assert_array_equal(hilbert_order(parameters), hilbert_order(8.0 * parameters + 4.0))


@pytest.mark.parametrize("shape", [(30, 5), (5, 30)], ids=["tall", "wide"])
def test_principal_components_are_those_of_the_singular_value_decomposition(shape):
    parameters = np.random.default_rng(8).standard_normal(shape)
    left, singular, _ = np.linalg.svd(parameters - parameters.mean(axis=0), full_matrices=False)
    scores = ordering.principal_components(parameters, 3)
    np.testing.assert_allclose(np.abs(scores), np.abs(left[:, :3] * singular[:3]), atol=1e-10)
    assert (scores[np.abs(scores).argmax(axis=0), range(3)] > 0).all()


def test_reduced_fields_keep_the_distances_of_smooth_fields():
    random = np.random.default_rng(9)
    grid = np.arange(32) / 32
    waves = np.array([np.cos(2 * np.pi * (a * grid[:, None] + b * grid)) for a, b in [(1, 0), (0, 2), (3, 1)]])
    fields = np.tensordot(random.standard_normal((20, 3)), waves, axes=1)
    reduced = reduce_fields(fields)
    assert reduced.shape == (20, 7)
    distances = np.linalg.norm(fields[:, None] - fields[None], axis=(2, 3))
    np.testing.assert_allclose(np.linalg.norm(reduced[:, None] - reduced[None], axis=2), distances, atol=1e-6)


def test_reduced_fields_forget_waves_finer_than_the_kept_modes():
    grid = np.arange(32) / 32
    fine = np.cos(2 * np.pi * 9 * grid)[:, None] * np.random.default_rng(10).standard_normal((8, 1, 32))
    np.testing.assert_allclose(reduce_fields(fine, modes=12), 0.0, atol=1e-6)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (3, 2), (4, 16)])
def test_reduced_fields_have_no_more_components_than_there_are(count, size):
    fields = np.random.default_rng(11).standard_normal((count, size, size))
    assert reduce_fields(fields).shape == (count, min(7, count, 2 * min(12, size) ** 2))


def test_the_shuffled_order_depends_on_the_seed_alone():
    np.testing.assert_array_equal(shuffled_order(100, 5), shuffled_order(100, 5))
    assert (shuffled_order(100, 5) != shuffled_order(100, 6)).any()


@pytest.mark.parametrize("name", ORDERINGS)
def test_parameters_without_columns_keep_their_order_unless_shuffled(name):
    order = order_sequence(np.empty((6, 0)), name, **options_of(name))
    expected = shuffled_order(6, 3) if name == "shuffled" else np.arange(6)
    np.testing.assert_array_equal(order, expected)


def test_path_length_is_the_sum_of_the_steps():
    parameters = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    assert path_length(parameters, np.array([0, 2, 1])) == 7.0
    assert path_length(parameters[:1], np.array([0])) == 0.0


@pytest.mark.parametrize("name", ORDERINGS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (np.array([[1.0], [np.nan]]), "row 1 holds NaN"),
        (np.array([[np.inf]]), "row 0"),
        (np.zeros(3), "one row a system"),
        (np.zeros((0, 3)), "at least one"),
        (np.zeros((2, 2), dtype=int), "float64"),
    ],
)
def test_bad_parameters_are_refused_by_every_ordering(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        order_sequence(parameters, name, **options_of(name))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: order_sequence(p, "sorted"), "none, greedy.*not 'sorted'"),
        (lambda p: greedy_order(p, start=5), "start must be an integer between 0 and 4, not 5"),
        (lambda p: greedy_order(p, start=-1), "start"),
        (lambda p: greedy_order(p, start=True), "start"),
        (lambda p: hilbert_order(p, dimensions=0), "dimensions"),
        (lambda p: grouped_order(p, group_size=0), "group_size"),
        (lambda p: shuffled_order(0, 1), "count"),
        (lambda p: shuffled_order(3, -1), "seed"),
        (lambda p: path_length(p, np.array([0, 1, 2, 3, 3])), "permutation"),
        (lambda p: path_length(p, np.arange(4)), "permutation"),
        (lambda p: reduce_fields(p), r"\(N, s, s\)"),
        (lambda p: reduce_fields(np.full((2, 3, 3), np.nan)), "fields must be finite"),
        (lambda p: reduce_fields(np.zeros((2, 3, 3)), modes=0), "modes"),
        (lambda p: hilbert_index(np.array([[4, 0]]), 2), "between 0 and 3"),
        (lambda p: hilbert_index(np.array([[0, 0]]), 32), "bits"),
        (lambda p: hilbert_index(np.zeros((2, 0), dtype=np.int64), 2), "cells"),
    ],
)
def test_a_bad_option_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.arange(10.0).reshape(5, 2))
