"""Row samples that keep ||A x||_p for all x: which rows, and with what weights."""

from collections.abc import Callable

import numpy as np
import scipy.linalg

from kernels.sketching.leverage import leverage_scores
from kernels.sketching.sensitivities import check_exponent, lewis_weights, lp_sensitivities
from kernels.sketching.types import Matrix, Vector, check_count, check_tall

MOST_STAGES = 8


def uniform_scores(matrix: Matrix, p: float) -> Vector:  # noqa: ARG001 - the signature of scores
    """All rows alike."""
    return np.ones(matrix.shape[0])


def squared_leverage(matrix: Matrix, p: float) -> Vector:  # noqa: ARG001 - the signature of scores
    """The leverage scores, which are right for p = 2."""
    return leverage_scores(matrix)


def sensitivity_and_leverage(matrix: Matrix, p: float) -> Vector:
    """The sum of sensitivity and leverage score, for p > 2."""
    return lp_sensitivities(matrix, p) + leverage_scores(matrix)


def root_leverage(matrix: Matrix, p: float) -> Vector:
    """The leverage scores to the power p / 2, for p < 2; they are applied again and again."""
    scores: Vector = leverage_scores(matrix) ** (p / 2.0)
    return scores


SCORES: dict[str, Callable[[Matrix, float], Vector]] = {
    "sensitivity": lp_sensitivities,
    "sensitivity_and_leverage": sensitivity_and_leverage,
    "root_leverage": root_leverage,
    "lewis": lewis_weights,
    "leverage": squared_leverage,
    "uniform": uniform_scores,
}


class RowSampler:
    """Draws nested samples of the rows of one matrix, of any size.

    Row i is kept independently with probability ``q_i = min(1, alpha * score_i)``, alpha such that the probabilities
    sum to the number of rows asked for, and a kept row has weight ``1 / q_i``, so that ``sum_i w_i |a_i^T x|^p`` is
    unbiased. Larger samples contain smaller ones, but for root leverage scores: these are computed anew on the sample
    that was drawn before, from n down to the size asked for, through sizes that go as the bound
    ``rows^(p/2) size^(1 - p/2)`` of their sum.

    Parameters
    ----------
    matrix : ndarray, shape (n, d), float64, finite
        n >= d, of full column rank.
    p : float
        At least 1 and finite; less than 2 for root leverage scores.
    scheme : {"sensitivity", "sensitivity_and_leverage", "root_leverage", "lewis", "leverage", "uniform"}
    random : numpy.random.Generator
        Draws the uniform numbers, once.

    Raises
    ------
    ValueError
        If the matrix is not tall or its columns are dependent, p is out of range, or the scheme is unknown.

    References
    ----------
    D. P. Woodruff, T. Yasuda (2023), Sharper bounds for l_p sensitivity sampling, ICML: sensitivity sampling, root
    leverage score sampling (p < 2); the combination for p > 2 with weights of its own.
    """

    def __init__(self, matrix: Matrix, p: float, *, scheme: str, random: np.random.Generator) -> None:
        size, _ = check_tall("matrix", matrix)
        check_exponent(p)
        if scheme not in SCORES:
            raise ValueError(f"scheme must be one of {', '.join(SCORES)}, not {scheme!r}")
        if scheme == "root_leverage" and p >= 2.0:
            raise ValueError(f"p must be less than 2 for root leverage scores, not {p}")
        self._matrix = matrix
        self._p = p
        self._recursive = scheme == "root_leverage"
        self._uniforms = random.random((MOST_STAGES if self._recursive else 1, size))
        self.scores = SCORES[scheme](matrix, p)

    def weights(self, rows: int) -> Vector:
        """The weights of a sample of so many rows in expectation, shape (n,); zero for a row that is not in it.

        Raises
        ------
        ValueError
            If ``rows`` is not between 1 and n.
        """
        check_count("rows", rows, 1, self.scores.size)
        if not self._recursive:
            return _drawn(inclusion_probabilities(self.scores, rows), self._uniforms[0])
        weights = np.ones(self.scores.size)
        scores, kept = self.scores, np.arange(self.scores.size)
        target = float(kept.size)
        for stage in range(MOST_STAGES):
            target = rows ** (self._p / 2.0) * target ** (1.0 - self._p / 2.0)
            last = target < 2.0 * rows or stage == MOST_STAGES - 1
            expected = min(rows if last else target, kept.size)
            weights[kept] *= _drawn(inclusion_probabilities(scores, expected), self._uniforms[stage, kept])
            kept = np.flatnonzero(weights)
            if last or kept.size <= rows:
                break
            scores = _sample_leverage(weights[kept, None] ** (1.0 / self._p) * self._matrix[kept]) ** (self._p / 2.0)
        return weights


def inclusion_probabilities(scores: Vector, expected: float) -> Vector:
    """Probabilities ``min(1, alpha * score_i)`` that sum to ``expected``, or to the number of positive scores.

    Parameters
    ----------
    scores : ndarray, shape (n,), float64, nonnegative
    expected : float
        Positive.

    Returns
    -------
    ndarray, shape (n,), float64
    """
    positive = int(np.count_nonzero(scores))
    if expected >= positive:
        return (scores > 0).astype(np.float64)
    descending = np.sort(scores)[::-1]
    # with k rows certain, alpha = (expected - k) / (sum of the others); the right k is the first that caps no other
    certain = np.arange(positive)
    rest = np.cumsum(descending[::-1])[::-1][:positive]
    factors = (expected - certain) / rest
    fits = (factors * descending[:positive] <= 1.0) & (certain < expected)
    probabilities: Vector = np.minimum(1.0, factors[np.argmax(fits)] * scores)
    return probabilities


def _sample_leverage(sample: Matrix) -> Vector:
    """The leverage scores of a sample of rows, which may have lost rank."""
    left, singular_values, _ = scipy.linalg.svd(sample, full_matrices=False, check_finite=False)
    rank = np.count_nonzero(singular_values > sample.shape[0] * np.finfo(np.float64).eps * singular_values[0])
    return np.asarray(np.einsum("ij,ij->i", left[:, :rank], left[:, :rank]), np.float64)


def _drawn(probabilities: Vector, uniforms: Vector) -> Vector:
    """One over the probabilities of the rows whose uniform number lies below, zero for the others."""
    kept = uniforms < probabilities
    return np.where(kept, 1.0 / np.where(kept, probabilities, 1.0), 0.0)
