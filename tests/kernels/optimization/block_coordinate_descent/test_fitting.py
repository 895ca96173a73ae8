from types import SimpleNamespace

import numpy as np
import pytest

from kernels.optimization.block_coordinate_descent.fitting import SOLVERS, fit
from kernels.result import Status


def model(loss="squared", ridge=0.0, penalty=0.0, examples=30, features=8, seed=0):
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((examples, features))
    responses = matrix @ random.standard_normal((features, 3)) + random.standard_normal((examples, 3))
    targets = {
        "squared": responses[:, 0],
        "logistic": np.sign(responses[:, 0]),
        "softmax": responses.argmax(axis=1).astype(float),
    }[loss]
    return SimpleNamespace(features=matrix, targets=targets, loss=loss, ridge=ridge, penalty=penalty)


def agree(problem, runs):
    results = [fit(problem, **run) for run in runs]
    for result in results:
        assert result.status is Status.CONVERGED
        np.testing.assert_allclose(result.value, results[0].value, atol=1e-5)
        assert result.work["relative_objective"] == pytest.approx(results[0].work["relative_objective"], rel=1e-9)


def test_least_squares_solvers_agree():
    agree(model(), [{"method": name} for name in ("scipy_lstsq", "scipy_lbfgs", "block_coordinate_descent")])


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_classifiers_agree(loss):
    runs = [
        {"method": "sklearn_logistic", "solver": "newton-cholesky"},
        {"method": "scipy_lbfgs"},
        {"method": "block_coordinate_descent", "update": "newton", "max_iterations": 50_000},
    ]
    agree(model(loss, ridge=0.5), runs)


def test_nonnegative_lasso_solvers_agree():
    names = ("active_set_reference", "celer_lasso", "sklearn_lasso", "scipy_lbfgsb", "bounded_block_coordinate_descent")
    agree(model(penalty=2.0), [{"method": name} for name in names])


def test_nonnegative_least_squares_solvers_agree():
    runs = [
        {"method": "active_set_reference"},
        {"method": "scipy_nonnegative"},
        {"method": "scipy_lbfgsb"},
        {"method": "bounded_block_coordinate_descent"},
    ]
    agree(model(), runs)


def test_lsq_linear_stays_just_inside_the_bounds():
    inside = fit(model(), method="scipy_nonnegative", solver="lsq_linear")
    np.testing.assert_allclose(inside.value, fit(model(), method="scipy_nonnegative").value, atol=1e-5)


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_data_that_are_not_finite_end_so(name):
    bounded = name in ("celer_lasso", "sklearn_lasso", "active_set_reference")
    problem = model("softmax", 0.5) if name == "sklearn_logistic" else model(penalty=1.0 if bounded else 0.0)
    problem.features[0, 0] = np.nan
    assert fit(problem, method=name).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("problem", "options", "message"),
    [
        (model(), {"method": "magic"}, "method must be one of"),
        (model(), {"method": "celer_lasso"}, "penalty must be positive"),
        (model(penalty=1.0), {"method": "scipy_nonnegative"}, "penalty must be 0"),
        (model(), {"method": "scipy_nonnegative", "solver": "guess"}, "solver must be"),
        (model(), {"method": "sklearn_logistic"}, "loss must be logistic or softmax"),
        (model("logistic", 1.0), {"method": "scipy_lstsq"}, "loss must be squared"),
        (model(), {"method": "scipy_lbfgs", "tolerance": 0.0}, "tolerance"),
    ],
)
def test_bad_input_is_named(problem, options, message):
    with pytest.raises(ValueError, match=message):
        fit(problem, **options)


def test_a_library_that_stops_early_does_not_claim_to_have_converged():
    result = fit(model("logistic", ridge=0.5), method="scipy_lbfgs", tolerance=1e-15)
    assert result.status is Status.ITERATION_LIMIT
