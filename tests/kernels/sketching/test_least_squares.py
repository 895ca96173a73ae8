from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.result import Status
from kernels.sketching.least_squares import (
    count_sketch_least_squares,
    exact_least_squares,
    gaussian_least_squares,
    leverage_least_squares,
    normal_equations,
    osnap_least_squares,
    srht_least_squares,
)

SKETCHED = {
    "srht": srht_least_squares,
    "gaussian": gaussian_least_squares,
    "count": count_sketch_least_squares,
    "osnap": partial(osnap_least_squares, nonzeros=4),
    "leverage": leverage_least_squares,
}
EXACT = {"exact": exact_least_squares, "normal-equations": normal_equations}


@pytest.fixture(params=SKETCHED.values(), ids=SKETCHED)
def sketched(request):
    return request.param


def regression(rows=300, columns=4, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows, columns))
    return SimpleNamespace(
        matrix=matrix, rhs=matrix @ random.standard_normal(columns) + noise * random.standard_normal(rows)
    )


@pytest.mark.parametrize("method", EXACT.values(), ids=EXACT)
def test_the_exact_solution_is_that_of_the_library(method):
    instance = regression()
    result = method(instance)
    assert result.converged
    np.testing.assert_allclose(result.value, np.linalg.lstsq(instance.matrix, instance.rhs)[0], rtol=1e-11)


def test_a_consistent_system_is_solved_exactly_by_every_sketch(sketched):
    instance = regression(noise=0.0)
    result = sketched(instance, rows=64, random=np.random.default_rng(1))
    assert result.converged
    np.testing.assert_allclose(result.value, exact_least_squares(instance).value, rtol=1e-10)


def test_the_error_of_a_sketch_is_of_the_order_of_its_embedding(sketched):
    instance = regression(rows=1000)
    exact = exact_least_squares(instance).value
    residual = np.linalg.norm(instance.matrix @ exact - instance.rhs)
    squares = []
    for seed in range(200):
        error = sketched(instance, rows=120, random=np.random.default_rng(seed)).value - exact
        squares.append(np.sum((instance.matrix @ error) ** 2) / residual**2)
    # a Gaussian sketch: d / (m - d - 1) on average
    assert 0.6 < np.mean(squares) * (120 - 4 - 1) / 4 < 1.5


def test_the_right_hand_side_moves_the_solution_by_what_it_is_moved_along_the_columns(sketched):
    instance, shift = regression(), np.array([1.0, -2.0, 3.0, 4.0])
    moved = SimpleNamespace(matrix=instance.matrix, rhs=instance.rhs + instance.matrix @ shift)
    first, second = (sketched(i, rows=64, random=np.random.default_rng(2)).value for i in (instance, moved))
    np.testing.assert_allclose(second - first, shift, rtol=1e-10)


def test_only_a_sparse_sketch_puts_a_spike_on_one_coordinate():
    matrix = np.eye(1024, 16) + 1e-6 * np.random.default_rng(0).standard_normal((1024, 16))
    instance = SimpleNamespace(matrix=matrix, rhs=np.eye(1024)[200])
    worst = {
        name: max(np.abs(method(instance, rows=256, random=np.random.default_rng(s)).value).max() for s in range(80))
        for name, method in {"count": count_sketch_least_squares, "srht": srht_least_squares}.items()
    }
    assert worst["count"] > 0.99
    assert worst["srht"] < 0.5


def test_work_counts_what_the_sketch_costs():
    instance, random = regression(rows=300), np.random.default_rng(0)
    assert srht_least_squares(instance, rows=20, random=random).work["sketch_operations"] == 512 * 9 * 5
    assert gaussian_least_squares(instance, rows=20, random=random).work["sketch_operations"] == 2 * 20 * 300 * 5


def test_a_sketch_that_loses_rank_says_so_and_returns_the_solution_of_least_norm():
    instance = SimpleNamespace(matrix=np.eye(40, 3), rhs=np.ones(40))
    results = [count_sketch_least_squares(instance, rows=3, random=np.random.default_rng(s)) for s in range(40)]
    broken = [result for result in results if result.status is Status.BREAKDOWN]
    assert 0 < len(broken) < 40
    assert all(np.isfinite(result.value).all() for result in results)


def test_dependent_columns_break_every_solver_down():
    instance = SimpleNamespace(matrix=np.ones((40, 2)), rhs=np.arange(40.0))
    assert exact_least_squares(instance).status is Status.BREAKDOWN
    np.testing.assert_allclose(exact_least_squares(instance).value, [9.75, 9.75])
    assert srht_least_squares(instance, rows=8, random=np.random.default_rng(0)).status is Status.BREAKDOWN
    zero = SimpleNamespace(matrix=np.zeros((40, 2)), rhs=np.arange(40.0))
    assert normal_equations(zero).status is Status.BREAKDOWN


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["matrix", "rhs"])
def test_data_that_are_not_finite_end_with_a_status(sketched, where, bad):
    instance = regression()
    getattr(instance, where).flat[3] = bad
    result = sketched(instance, rows=64, random=np.random.default_rng(0))
    assert result.status is Status.NOT_FINITE
    assert np.isnan(result.value).all()
    assert exact_least_squares(instance).status is normal_equations(instance).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("matrix", "rhs", "words"),
    [
        (np.ones((3, 4)), np.ones(3), "matrix must have shape"),
        (np.ones((0, 0)), np.ones(0), "matrix must have shape"),
        (np.ones((5, 2), np.float32), np.ones(5), "matrix must be float64"),
        (np.ones((5, 2)), np.ones(4), r"rhs must be an array of shape \(5,\), not \(4,\)"),
        (np.ones((5, 2)), np.ones((5, 1)), "rhs must be an array of shape"),
        (np.ones((5, 2)), np.ones(5, int), "rhs must be float64"),
    ],
)
def test_what_is_no_regression_problem_is_refused(sketched, matrix, rhs, words):
    instance = SimpleNamespace(matrix=matrix, rhs=rhs)
    for method in (partial(sketched, rows=4, random=np.random.default_rng(0)), exact_least_squares, normal_equations):
        with pytest.raises(ValueError, match=words):
            method(instance)


@pytest.mark.parametrize("rows", [3, 0, -1, 8.0])
def test_fewer_rows_than_columns_are_refused(sketched, rows):
    with pytest.raises(ValueError, match="rows must be an integer at least 4"):
        sketched(regression(), rows=rows, random=np.random.default_rng(0))
