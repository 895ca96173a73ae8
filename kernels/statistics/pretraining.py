"""Unsupervised pretraining: maximum likelihood of a latent-variable model, then least squares on the inferred latent.

J. Ge, S. Tang, J. Fan, C. Jin, "On the Provable Advantage of Unsupervised Pretraining" (ICLR 2024), algorithm 1, for
its three examples: factor models, Gaussian mixtures and contrastive learning.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit

from kernels.result import Result, Status
from kernels.statistics.gaussian_mixture import fit_means, nearest_mean

Array = NDArray[np.float64]


class Regression(Protocol):
    """Labelled inputs, shape (n, d), with labels, shape (n,), and what is known without labels."""

    inputs: Array
    labels: Array
    covariance: Array | None
    pairs: tuple[Array, Array, Array] | None


class Classification(Protocol):
    """Unlabelled (m, d), labelled (n, d) and test inputs (t, d), and the labels (n,) of the labelled."""

    unlabelled: Array
    inputs: Array
    labels: Array
    test_inputs: Array


def pretrained_factor_regression(task: Regression, *, rank: int, norm_bound: float = np.inf) -> Result:
    """Factor model by maximum likelihood on the second moments, least squares on the posterior mean of the factors.

    Parameters
    ----------
    task : Regression
        With ``covariance``, shape (d, d): second moments of the unlabelled inputs, whose noise has unit variance.
    rank : int
        Factors, less than d.
    norm_bound : float
        On the coefficients of the factors.

    Returns
    -------
    Result
        The predictor of a label, linear in the input, shape (d,).

    Raises
    ------
    ValueError
        For shapes that do not fit, or a rank that is not in 1 ... d - 1.
    """
    inputs, labels = _labelled(task)
    covariance = task.covariance
    dimension = inputs.shape[1]
    if covariance is None or covariance.shape != (dimension, dimension):
        raise ValueError(f"task.covariance must have shape ({dimension}, {dimension})")
    _check_rank(rank, dimension)
    if not all(np.isfinite(array).all() for array in (inputs, labels, covariance)):
        return _not_finite(dimension)
    loadings = factor_loadings(covariance, rank)
    return _on_representation(posterior_mean_map(loadings), inputs, labels, norm_bound)


def factor_loadings(covariance: Array, rank: int, noise: float = 1.0) -> Array:
    """Maximum-likelihood loadings, shape (d, rank), of a factor model with noise of known variance.

    Tipping and Bishop, "Probabilistic principal component analysis", J. R. Stat. Soc. B 61 (1999), equation 7.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:] - noise, 0.0)), float)


def posterior_mean_map(loadings: Array, noise: float = 1.0) -> Array:
    """The matrix, shape (d, r), that takes an input to the posterior mean of its factors."""
    rank = loadings.shape[1]
    return np.asarray(np.linalg.solve(noise * np.eye(rank) + loadings.T @ loadings, loadings.T).T, float)


def pretrained_contrastive_regression(
    task: Regression, *, rank: int, norm_bound: float = np.inf, max_iterations: int = 500
) -> Result:
    """Bilinear logistic likelihood of tagged pairs, then least squares on the representation.

    Parameters
    ----------
    task : Regression
        With ``pairs`` (x, x', tags) of shapes (m, d), (m, d), (m,); tags are 0 or 1 with P(1) = sigmoid(f(x).f(x')).
    rank : int
        Of the linear representation f, less than d.
    norm_bound : float
        On the coefficients of the representation.
    max_iterations : int
        Of L-BFGS.

    Returns
    -------
    Result
        As from :func:`pretrained_factor_regression`; ``work`` counts ``iterations``.

    Raises
    ------
    ValueError
        For shapes that do not fit, or a rank that is not in 1 ... d - 1.
    """
    inputs, labels = _labelled(task)
    dimension = inputs.shape[1]
    _check_rank(rank, dimension)
    if task.pairs is None or task.pairs[0].shape[1:] != (dimension,) or task.pairs[0].shape != task.pairs[1].shape:
        raise ValueError(f"task.pairs must be two arrays of shape (m, {dimension}) and m tags")
    first, second, tags = task.pairs
    if not all(np.isfinite(array).all() for array in (inputs, labels, first, second, tags)):
        return _not_finite(dimension)

    def negative_log_likelihood(flat: Array) -> tuple[float, Array]:
        mapping = flat.reshape(dimension, rank)
        left, right = first @ mapping, second @ mapping
        scores = np.einsum("ij,ij->i", left, right)
        excess = (expit(scores) - tags)[:, None]
        gradient = first.T @ (excess * right) + second.T @ (excess * left)
        return float(np.logaddexp(0.0, scores).sum() - tags @ scores) / tags.size, gradient.ravel() / tags.size

    fitted = minimize(
        negative_log_likelihood,
        _spectral_start(first, second, tags, rank).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iterations},
    )
    result = _on_representation(fitted.x.reshape(dimension, rank), inputs, labels, norm_bound)
    status = Status.CONVERGED if fitted.success else Status.ITERATION_LIMIT
    return Result(result.value, status, np.empty(0), {"iterations": fitted.nit})


def _spectral_start(first: Array, second: Array, tags: Array, rank: int) -> Array:
    """The leading eigenvectors of the mean of (tag - 1/2) x x'^T, four times which is Theta Theta' to first order."""
    moment = first.T @ ((tags - 0.5)[:, None] * second) / tags.size
    values, vectors = np.linalg.eigh(2.0 * (moment + moment.T))
    start: Array = vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:], 1e-2))
    return start


def pretrained_mixture_classification(
    task: Classification, *, components: int, random: np.random.Generator, restarts: int = 10
) -> Result:
    """EM for the means of a mixture of unit Gaussians, then the majority label of every component.

    Parameters
    ----------
    task : Classification
    components : int
        Of the mixture.
    random : Generator
        For the starting means.
    restarts : int
        Starts of EM, of which the likeliest is continued.

    Returns
    -------
    Result
        The predicted labels of the test inputs, shape (t,).

    Raises
    ------
    ValueError
        For shapes that do not fit, or more components than unlabelled inputs.
    """
    inputs, labels = _labelled(task)
    if not np.isfinite(task.unlabelled).all() or not np.isfinite(inputs).all():
        return _not_finite(len(task.test_inputs))
    means = fit_means(task.unlabelled, components, random, restarts=restarts)
    assigned = nearest_mean(inputs, means)
    classes = np.unique(labels)
    votes = np.array([[(labels[assigned == k] == c).sum() for c in classes] for k in range(components)])
    return _done(classes[votes.argmax(1)][nearest_mean(task.test_inputs, means)])


def pretrained_factor_classification(task: Classification, *, rank: int) -> Result:
    """Probabilistic principal components of the unlabelled inputs, then least squares of one-hot labels on the latent.

    The noise variance is its maximum-likelihood estimate, the mean of the eigenvalues left out (Tipping and Bishop
    1999, equation 8).

    Parameters
    ----------
    task : Classification
    rank : int
        Of the latent, less than d.

    Returns
    -------
    Result
        The predicted labels of the test inputs, shape (t,).

    Raises
    ------
    ValueError
        For shapes that do not fit, or a rank that is not in 1 ... d - 1.
    """
    inputs, labels = _labelled(task)
    _check_rank(rank, inputs.shape[1])
    if not np.isfinite(task.unlabelled).all() or not np.isfinite(inputs).all():
        return _not_finite(len(task.test_inputs))
    mean = task.unlabelled.mean(0)
    covariance = np.cov(task.unlabelled, rowvar=False)
    noise = float(np.linalg.eigvalsh(covariance)[:-rank].mean())
    mapping = posterior_mean_map(factor_loadings(covariance, rank, noise), noise)
    classes = np.unique(labels)
    one_hot = (labels[:, None] == classes).astype(float)
    features = _with_intercept((inputs - mean) @ mapping)
    coefficients = np.linalg.lstsq(features, one_hot, rcond=None)[0]
    return _done(classes[(_with_intercept((task.test_inputs - mean) @ mapping) @ coefficients).argmax(1)])


def bounded_least_squares(features: Array, labels: Array, norm_bound: float) -> Array:
    """Minimise ``||features @ b - labels||`` over ``||b|| <= norm_bound``, by its secular equation."""
    coefficients = np.asarray(np.linalg.lstsq(features, labels, rcond=None)[0], float)
    if np.linalg.norm(coefficients) <= norm_bound:
        return coefficients
    gram, moment = features.T @ features, features.T @ labels
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ moment

    def excess_norm(multiplier: float) -> float:
        return float(np.linalg.norm(rotated / (values + multiplier)) - norm_bound)

    lowest = 1e-14 * values[-1]
    multiplier = brentq(excess_norm, lowest, np.linalg.norm(moment) / norm_bound)
    bounded: Array = vectors @ (rotated / (values + multiplier))
    return bounded


def _on_representation(mapping: Array, inputs: Array, labels: Array, norm_bound: float) -> Result:
    return _done(mapping @ bounded_least_squares(inputs @ mapping, labels, norm_bound))


def _with_intercept(features: Array) -> Array:
    return np.column_stack([features, np.ones(len(features))])


def _labelled(task: Any) -> tuple[Array, Array]:
    inputs, labels = task.inputs, task.labels
    if inputs.ndim != 2 or inputs.shape[0] == 0 or labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"task.inputs must have shape (n, d) and task.labels (n,), not {inputs.shape} and {labels.shape}"
        )
    return inputs, labels


def _check_rank(rank: int, dimension: int) -> None:
    if not 1 <= rank < dimension:
        raise ValueError(f"rank must be 1 to {dimension - 1}, less than the dimension, not {rank}")


def _done(value: Array) -> Result:
    return Result(value, Status.CONVERGED if np.isfinite(value).all() else Status.NOT_FINITE, np.empty(0))


def _not_finite(size: int) -> Result:
    return Result(np.full(size, np.nan), Status.NOT_FINITE, np.empty(0))
