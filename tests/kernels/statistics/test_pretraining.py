from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from kernels.result import Status
from kernels.statistics.gaussian_mixture import fit_means, mean_log_likelihood, nearest_mean
from kernels.statistics.pretraining import (
    bounded_least_squares,
    factor_loadings,
    posterior_mean_map,
    pretrained_contrastive_regression,
    pretrained_factor_classification,
    pretrained_factor_regression,
    pretrained_mixture_classification,
)
from kernels.statistics.supervised import known_representation, least_squares, principal_component_regression, ridge


@pytest.fixture
def random():
    return np.random.default_rng(7)


def factor_task(random, *, m=400, n=40, d=6, r=2):
    loadings = random.standard_normal((d, r))
    unlabelled = random.standard_normal((m, r)) @ loadings.T + random.standard_normal((m, d))
    factors = random.standard_normal((n, r))
    inputs = factors @ loadings.T + random.standard_normal((n, d))
    labels = factors @ np.ones(r) + 0.1 * random.standard_normal(n)
    return SimpleNamespace(
        inputs=inputs, labels=labels, covariance=unlabelled.T @ unlabelled / m, pairs=None, loadings=loadings
    ), unlabelled


def gaussian_log_likelihood(covariance, second_moments):
    return -0.5 * (np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, second_moments)))


def test_the_loadings_have_the_greatest_likelihood(random):
    task, _ = factor_task(random)
    fitted = factor_loadings(task.covariance, 2)

    def negative(flat):
        loadings = flat.reshape(6, 2)
        return -gaussian_log_likelihood(loadings @ loadings.T + np.eye(6), task.covariance)

    best = minimize(negative, task.loadings.ravel())
    assert negative(fitted.ravel()) == pytest.approx(best.fun, abs=1e-8)


def test_the_loadings_are_those_of_scikit_learn_with_its_noise(random):
    _, unlabelled = factor_task(random)
    reference = PCA(2).fit(unlabelled)
    covariance = np.cov(unlabelled, rowvar=False)
    loadings = factor_loadings(covariance, 2, reference.noise_variance_)
    np.testing.assert_allclose(
        loadings @ loadings.T + reference.noise_variance_ * np.eye(6), reference.get_covariance()
    )


def test_the_representation_is_the_posterior_mean(random):
    loadings = random.standard_normal((6, 2))
    by_conditioning = np.linalg.solve(loadings @ loadings.T + np.eye(6), loadings)
    np.testing.assert_allclose(posterior_mean_map(loadings), by_conditioning, atol=1e-12)


def test_with_the_population_covariance_pretraining_is_the_oracle(random):
    task, _ = factor_task(random)
    task.covariance = task.loadings @ task.loadings.T + np.eye(6)
    pretrained = pretrained_factor_regression(task, rank=2)
    oracle = known_representation(task, mapping="posterior-mean")
    assert pretrained.converged
    np.testing.assert_allclose(pretrained.value, oracle.value, atol=1e-10)


def test_a_covariance_without_factors_gives_the_zero_predictor(random):
    task, _ = factor_task(random)
    task.covariance = 0.5 * np.eye(6)
    np.testing.assert_array_equal(pretrained_factor_regression(task, rank=2).value, np.zeros(6))


@pytest.mark.parametrize("bound", [0.1, 0.5, 100.0])
def test_bounded_least_squares_is_the_constrained_minimum(random, bound):
    features, labels = random.standard_normal((20, 4)), random.standard_normal(20)
    found = bounded_least_squares(features, labels, bound)
    reference = minimize(
        lambda b: ((features @ b - labels) ** 2).sum(),
        np.zeros(4),
        constraints={"type": "ineq", "fun": lambda b: bound**2 - b @ b},
        options={"ftol": 1e-14},
    )
    assert np.linalg.norm(found) <= bound * (1 + 1e-9)
    np.testing.assert_allclose(found, reference.x, atol=1e-4)


def contrastive_task(random, *, m=4000, n=30, d=5, r=2):
    loadings = np.linalg.qr(random.standard_normal((d, r)))[0]
    first, second = random.standard_normal((2, m, d))
    likeness = 1 / (1 + np.exp(-((first @ loadings) * (second @ loadings)).sum(1)))
    inputs = random.standard_normal((n, d))
    return SimpleNamespace(
        inputs=inputs,
        labels=inputs @ loadings @ np.ones(r),
        covariance=None,
        pairs=(first, second, (random.random(m) < likeness).astype(float)),
        loadings=loadings,
    )


def test_pairs_reveal_the_representation(random):
    task = contrastive_task(random)
    result = pretrained_contrastive_regression(task, rank=2)
    assert result.converged
    assert np.linalg.norm(result.value - task.loadings @ np.ones(2)) < 0.2


def test_tags_that_say_nothing_reveal_nothing(random):
    task = contrastive_task(random)
    first, second, tags = task.pairs
    task.pairs = (first, second, random.permutation(tags))
    informed, uninformed = contrastive_task(np.random.default_rng(7)), task
    target = task.loadings @ np.ones(2)
    errors = [
        np.linalg.norm(pretrained_contrastive_regression(t, rank=2).value - target) for t in (informed, uninformed)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_em_reaches_the_likelihood_of_scikit_learn(random):
    means = 3.0 * random.standard_normal((3, 4))
    observed = means[random.integers(3, size=600)] + random.standard_normal((600, 4))
    fitted = fit_means(observed, 3, random)
    reference = GaussianMixture(3, covariance_type="spherical", n_init=5, random_state=0).fit(observed)
    assert mean_log_likelihood(observed, fitted) >= mean_log_likelihood(observed, reference.means_) - 1e-4
    assert set(nearest_mean(means, fitted)) == {0, 1, 2}


def classification_task(random):
    means = 4.0 * np.eye(3)
    hidden, tested = random.integers(3, size=300), random.integers(3, size=100)
    known = np.arange(6) % 3
    return SimpleNamespace(
        unlabelled=means[hidden] + random.standard_normal((300, 3)),
        inputs=means[known] + random.standard_normal((6, 3)),
        labels=10.0 + known,
        test_inputs=means[tested] + random.standard_normal((100, 3)),
        test_labels=10.0 + tested,
    )


def test_components_get_the_labels_of_their_members(random):
    task = classification_task(random)
    result = pretrained_mixture_classification(task, components=3, random=random)
    assert (result.value == task.test_labels).mean() > 0.95
    assert set(result.value) <= {10.0, 11.0, 12.0}


def test_factors_classify_what_least_squares_separates(random):
    task = classification_task(random)
    assert (pretrained_factor_classification(task, rank=2).value == task.test_labels).mean() > 0.8


def test_least_squares_and_ridge_find_a_noiseless_predictor(random):
    inputs = random.standard_normal((30, 4))
    task = SimpleNamespace(inputs=inputs, labels=inputs @ np.arange(4.0))
    np.testing.assert_allclose(least_squares(task).value, np.arange(4.0), atol=1e-10)
    np.testing.assert_allclose(ridge(task).value, np.arange(4.0), atol=1e-2)
    np.testing.assert_allclose(principal_component_regression(task, rank=4).value, np.arange(4.0), atol=1e-10)


@pytest.mark.parametrize(
    ("method", "options", "changes", "message"),
    [
        (pretrained_factor_regression, {"rank": 6}, {}, "rank must be 1 to 5"),
        (pretrained_factor_regression, {"rank": 0}, {}, "rank must be 1 to 5"),
        (
            pretrained_factor_regression,
            {"rank": 2},
            {"covariance": np.eye(3)},
            r"task.covariance must have shape \(6, 6\)",
        ),
        (pretrained_factor_regression, {"rank": 2}, {"labels": np.zeros(3)}, "task.inputs must have shape"),
        (pretrained_factor_regression, {"rank": 2}, {"inputs": np.zeros((0, 6))}, "task.inputs must have shape"),
        (pretrained_contrastive_regression, {"rank": 2}, {}, "task.pairs must be two arrays"),
        (principal_component_regression, {"rank": 7}, {}, "rank must be 1 to 6"),
    ],
)
def test_what_does_not_fit_is_refused(random, method, options, changes, message):
    task, _ = factor_task(random)
    vars(task).update(changes)
    with pytest.raises(ValueError, match=message):
        method(task, **options)


@pytest.mark.parametrize(("components", "restarts", "message"), [(11, 1, "components"), (2, 0, "restarts")])
def test_a_mixture_needs_observations_and_restarts(random, components, restarts, message):
    with pytest.raises(ValueError, match=message):
        fit_means(np.zeros((10, 2)), components, random, restarts=restarts)


def test_data_that_are_not_finite_end_with_that_status(random):
    task, _ = factor_task(random)
    task.labels[0] = np.nan
    assert pretrained_factor_regression(task, rank=2).status is Status.NOT_FINITE
    classes = classification_task(random)
    classes.unlabelled[0, 0] = np.inf
    assert pretrained_factor_classification(classes, rank=2).status is Status.NOT_FINITE
    assert pretrained_mixture_classification(classes, components=3, random=random).status is Status.NOT_FINITE
