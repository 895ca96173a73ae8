"""G-optimal designs: where to query so that least squares errs least at its worst arm."""

import math

import numpy as np
import scipy.linalg

from kernels.online.misspecified_bandit import Matrix, Vector


def g_optimal_design(arms: Matrix, *, slack: float = 2.0) -> Vector:
    """A distribution over arms whose greatest leverage is at most ``slack`` times the least possible.

    The leverage of an arm is ``a^T V^+ a``, V the second moment of the design. By Kiefer and Wolfowitz its greatest is
    at least the rank of the arms, which the design of the greatest determinant of V attains. Weight is moved to the arm
    of the greatest leverage, by the step that maximises the determinant.

    Parameters
    ----------
    arms : ndarray, shape (n, d), float64
        Finite, not all zero.
    slack : float
        Greater than 1; at 2 the design has few arms, O(d log log d).

    Returns
    -------
    ndarray, shape (n,), float64
        Not negative, of sum 1.

    Raises
    ------
    ValueError
        If ``slack`` is not greater than 1, or all arms are zero.

    References
    ----------
    .. [1] T. Lattimore, C. Szepesvari, G. Weisz, "Learning with good feature representations in bandits and in RL with
       a generative model", ICML 2020, section 3.
    .. [2] V. Fedorov, "Theory of optimal experiments", 1972: the step. M. Todd, "Minimum-volume ellipsoids", 2016,
       chapter 3.
    """
    if not 1.0 < slack < math.inf:
        raise ValueError(f"slack must be greater than 1 and finite, not {slack}")
    features = _in_their_span(arms)
    count, rank = features.shape
    # Rank-many arms that span everything, chosen greedily.
    start = scipy.linalg.qr(features.T, mode="r", pivoting=True)[1][:rank]
    weights = np.zeros(count)
    weights[start] = 1.0 / rank
    inverse = rank * np.linalg.inv(features[start].T @ features[start])
    leverages = np.einsum("ij,ij->i", features @ inverse, features)
    while leverages.max() > slack * rank:
        arm = int(leverages.argmax())
        leverage = leverages[arm]
        step = (leverage / rank - 1.0) / (leverage - 1.0)
        weights *= 1.0 - step
        weights[arm] += step
        # Sherman and Morrison for (1 - step) V + step a a^T
        image = inverse @ features[arm]
        share = step / (1.0 - step + step * leverage)
        inverse = (inverse - share * np.outer(image, image)) / (1.0 - step)
        leverages = (leverages - share * (features @ image) ** 2) / (1.0 - step)
    return weights


def _in_their_span(arms: Matrix) -> Matrix:
    """Coordinates of the arms in an orthonormal basis of their span."""
    moments, axes = np.linalg.eigh(arms.T @ arms)
    significant = moments > moments[-1] * arms.shape[1] * np.finfo(np.float64).eps
    if not (moments[-1] > 0.0):
        raise ValueError("arms must not all be zero")
    return np.asarray(arms @ axes[:, significant])
