from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from kernels.result import Status
from kernels.sketching.lp_regression import (
    lp_regression,
    lp_regression_at_distortion,
    median_regression_highs,
    median_regression_statsmodels,
    sampled_lp_regression,
)


def regression(rows=200, columns=3, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows, columns))
    return SimpleNamespace(
        matrix=matrix, rhs=matrix @ random.standard_normal(columns) + noise * random.standard_t(2, rows)
    )


def cost(instance, value, p):
    return (np.abs(instance.matrix @ value - instance.rhs) ** p).sum()


def sampled(instance, p=1.0, rows=60, scheme="lewis", seed=0):
    return sampled_lp_regression(instance, p=p, rows=rows, scheme=scheme, random=np.random.default_rng(seed))


def test_all_median_regressions_reach_the_cost_of_the_linear_program():
    instance = regression()
    rows, columns = instance.matrix.shape
    split = linprog(
        np.r_[np.zeros(columns), np.ones(2 * rows)],
        A_eq=np.hstack([instance.matrix, np.eye(rows), -np.eye(rows)]),
        b_eq=instance.rhs,
        bounds=[(None, None)] * columns + [(0, None)] * (2 * rows),
    )
    for method in (partial(lp_regression, p=1.0), median_regression_highs, median_regression_statsmodels):
        result = method(instance)
        assert result.converged
        assert cost(instance, result.value, 1.0) == pytest.approx(split.fun, rel=1e-5)
        assert result.work["rows"] == rows


def test_for_p_2_it_is_least_squares():
    instance = regression()
    np.testing.assert_allclose(
        lp_regression(instance, p=2.0).value, np.linalg.lstsq(instance.matrix, instance.rhs)[0], rtol=1e-10
    )


@pytest.mark.parametrize("p", [1.5, 3.0, 4.0, 6.0])
def test_for_other_p_the_cost_is_that_of_a_general_optimiser(p):
    instance = regression()
    found = minimize(lambda x: cost(instance, x, p) ** (1 / p), np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    value = lp_regression(instance, p=p).value
    assert cost(instance, value, p) ** (1 / p) == pytest.approx(found.fun, rel=1e-6)


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0])
def test_a_consistent_system_is_solved_exactly_also_on_a_sample(p):
    instance = regression(noise=0.0)
    exact = np.linalg.lstsq(instance.matrix, instance.rhs)[0]
    np.testing.assert_allclose(lp_regression(instance, p=p).value, exact, rtol=1e-9)
    np.testing.assert_allclose(sampled(instance, p=p).value, exact, rtol=1e-9)


@pytest.mark.parametrize("scheme", ["sensitivity", "root_leverage", "lewis", "leverage", "uniform"])
def test_a_sample_costs_a_little_more_than_all_rows(scheme):
    instance = regression(rows=400)
    least = cost(instance, median_regression_highs(instance).value, 1.0)
    results = [sampled(instance, rows=100, scheme=scheme, seed=seed) for seed in range(5)]
    excess = [cost(instance, result.value, 1.0) / least - 1 for result in results]
    assert all(-1e-6 < value < 0.2 for value in excess)
    assert all(60 < result.work["rows"] < 140 for result in results)


def test_heavy_rows_are_lost_by_a_uniform_sample_alone():
    instance = regression(rows=400)
    instance.matrix[:3] = 100.0 * np.eye(3)
    instance.rhs[:3] = 100.0 * np.ones(3)
    least = cost(instance, median_regression_highs(instance).value, 1.0)
    excess = {
        scheme: max(cost(instance, sampled(instance, rows=60, scheme=scheme, seed=s).value, 1.0) for s in range(5))
        / least
        - 1
        for scheme in ("sensitivity", "root_leverage", "uniform")
    }
    assert excess["sensitivity"] < 0.1
    assert excess["root_leverage"] < 0.1
    assert excess["uniform"] > 0.1


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_a_smaller_distortion_takes_more_rows_and_is_kept(p):
    instance = regression(rows=500)
    needed = {}
    for distortion in (0.1, 0.5):
        result = lp_regression_at_distortion(
            instance, p=p, distortion=distortion, scheme="lewis", random=np.random.default_rng(0)
        )
        assert result.converged
        assert result.history.tolist() <= [distortion]
        needed[distortion] = result.work["rows"]
    assert 3 <= needed[0.5] < needed[0.1] <= 500


def test_a_distortion_that_no_sample_keeps_takes_all_rows():
    result = lp_regression_at_distortion(
        regression(), p=1.0, distortion=1e-12, scheme="uniform", random=np.random.default_rng(0)
    )
    assert result.work["rows"] == 200


def test_a_sample_without_full_rank_says_so():
    instance = SimpleNamespace(matrix=np.repeat(np.eye(2), [199, 1], axis=0), rhs=np.ones(200))
    result = sampled(instance, rows=10, scheme="uniform", seed=1)
    assert result.status is Status.BREAKDOWN
    np.testing.assert_allclose(result.value, [1.0, 0.0], atol=1e-12)


METHODS = {
    "regression": partial(lp_regression, p=1.0),
    "sampled": sampled,
    "distortion": lambda i: lp_regression_at_distortion(
        i, p=1.0, distortion=0.5, scheme="lewis", random=np.random.default_rng(0)
    ),
    "highs": median_regression_highs,
    "statsmodels": median_regression_statsmodels,
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("where", ["matrix", "rhs"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_end_with_a_status(method, where, bad):
    instance = regression()
    getattr(instance, where).flat[5] = bad
    result = method(instance)
    assert result.status is Status.NOT_FINITE
    assert np.isnan(result.value).all()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_what_is_no_regression_problem_is_refused(method):
    with pytest.raises(ValueError, match="matrix must have shape"):
        method(SimpleNamespace(matrix=np.ones((2, 3)), rhs=np.ones(2)))
    with pytest.raises(ValueError, match="rhs must be an array of shape"):
        method(SimpleNamespace(matrix=np.ones((300, 3)), rhs=np.ones(200)))


@pytest.mark.parametrize("rows", [2, 201, 7.5])
def test_samples_of_impossible_sizes_are_refused(rows):
    with pytest.raises(ValueError, match="rows must be an integer between 3 and 200"):
        sampled(regression(), rows=rows)


@pytest.mark.parametrize("distortion", [0.0, -1.0, np.nan])
def test_an_impossible_distortion_is_refused(distortion):
    with pytest.raises(ValueError, match="distortion must be positive"):
        lp_regression_at_distortion(
            regression(), p=1.0, distortion=distortion, scheme="lewis", random=np.random.default_rng(0)
        )
