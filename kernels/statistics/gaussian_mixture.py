"""Expectation maximisation for the means of an even mixture of Gaussians with unit covariance."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]

SHORT = 10
"""Steps of each start before the likeliest is continued."""


def fit_means(
    observed: Array, components: int, random: np.random.Generator, *, restarts: int = 10, tolerance: float = 1e-6
) -> Array:
    """Means of likely maximum likelihood: short runs from k-means++ starts, the best of them to convergence.

    Parameters
    ----------
    observed : ndarray, shape (m, d)
    components : int
        At most m.
    random : Generator
    restarts : int
        At least 1.
    tolerance : float
        EM ends where the mean log-likelihood grows by less.

    Returns
    -------
    ndarray, shape (components, d)

    Raises
    ------
    ValueError
        For no observations, more components than observations, or no restarts.

    References
    ----------
    A. Dempster, N. Laird, D. Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    D. Arthur, S. Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    """
    if observed.ndim != 2 or not 1 <= components <= len(observed):
        raise ValueError(f"components must be 1 to the number of observations, {len(observed)}, not {components}")
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, not {restarts}")
    starts = [_run(observed, _spread_start(observed, components, random), SHORT, tolerance) for _ in range(restarts)]
    best = max(starts, key=lambda start: start[1])
    return _run(observed, best[0], 1000, tolerance)[0]


def nearest_mean(inputs: Array, means: Array) -> NDArray[np.intp]:
    """The likeliest component of every input, shape (n,)."""
    nearest: NDArray[np.intp] = _log_densities(inputs, means).argmax(1)
    return nearest


def mean_log_likelihood(observed: Array, means: Array) -> float:
    """Of the mixture, up to the constants of the Gaussian density and of the observations."""
    return float(logsumexp(_log_densities(observed, means), axis=1).mean())


def _run(observed: Array, means: Array, steps: int, tolerance: float) -> tuple[Array, float]:
    likelihood = -np.inf
    for _ in range(steps):
        densities = _log_densities(observed, means)
        totals = logsumexp(densities, axis=1)
        previous, likelihood = likelihood, float(totals.mean())
        if likelihood - previous < tolerance:
            break
        shares = np.exp(densities - totals[:, None])
        means = shares.T @ observed / np.maximum(shares.sum(0), 1e-300)[:, None]
    return means, likelihood


def _log_densities(inputs: Array, means: Array) -> Array:
    densities: Array = inputs @ means.T - 0.5 * (means**2).sum(1)
    return densities


def _spread_start(observed: Array, components: int, random: np.random.Generator) -> Array:
    """Each further mean is an observation drawn by its squared distance to the nearest mean so far."""
    means = [observed[random.integers(len(observed))]]
    distances = np.full(len(observed), np.inf)
    for _ in range(components - 1):
        distances = np.minimum(distances, ((observed - means[-1]) ** 2).sum(1))
        cumulative = np.cumsum(distances)
        means.append(observed[min(np.searchsorted(cumulative, random.random() * cumulative[-1]), len(observed) - 1)])
    return np.array(means)
