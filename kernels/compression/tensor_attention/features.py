"""Sums of powers of exponents over all tuples of tokens, factored over queries and keys."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels.compression.tensor_attention.monomials import MonomialBasis, monomial_basis
from kernels.compression.tensor_attention.types import Array, Tokens

_CHUNK_ENTRIES = 2**17  # of monomials at a time: 1 MiB, so that they are multiplied while in the cache


@dataclass(frozen=True, slots=True, eq=False)
class PowerFeatures:
    """The factors of the means over all tuples of s^k and of s^k times the values, s = exponent / scale.

    s^k is the sum over monomials a of degree k of (k! / a!) d^-k Q^a K1^a K2^a, so its mean over tuples is a product of
    monomials of the query and a mean over each factor's keys. Queries and keys are divided by their largest entries,
    lest a power overflow; the scale is the product of these.

    Attributes
    ----------
    basis : MonomialBasis
    queries : ndarray, shape (n, d), float64
        Scaled.
    key_means : ndarray, shape (monomials, d + 1), float64
        The last column belongs to s^k alone.
    scale : float
    """

    basis: MonomialBasis
    queries: Array
    key_means: Array
    scale: float

    @classmethod
    def of(cls, tokens: Tokens, degree: int) -> PowerFeatures:
        """The features of tokens up to a degree, at the cost of O(n d) for each of the C(d + degree, degree)."""
        n, d = tokens.queries.shape
        basis = monomial_basis(d, degree)
        powers = np.repeat(float(d) ** np.arange(degree + 1), np.diff(basis.offsets))
        key_means = np.repeat((basis.multinomials / powers)[:, None], d + 1, axis=1)
        for keys, values in zip(tokens.keys, tokens.values, strict=True):
            key_means *= _sum_over_tokens(basis, keys / _largest(keys), np.column_stack([values, np.ones(n)])) / n
        largest_query = _largest(tokens.queries)
        scale = largest_query * float(np.prod([_largest(keys) for keys in tokens.keys]))
        return cls(basis, tokens.queries / largest_query, key_means, scale)

    def mean_polynomial(self, coefficients: Array) -> Array:
        """The means over tuples of p(s) times the values, and of p(s) in the last column.

        Parameters
        ----------
        coefficients : ndarray, shape (degree + 1,), float64
            Those of 1, s, s^2 ... in p.

        Returns
        -------
        ndarray, shape (n, d + 1), float64
        """
        weighted = self.key_means * np.repeat(coefficients, np.diff(self.basis.offsets))[:, None]
        means = np.empty((self.queries.shape[0], weighted.shape[1]))
        for rows in _chunks(self.queries.shape[0], self.basis):
            np.matmul(self.basis.evaluate(self.queries[rows]).T, weighted, out=means[rows])
        return means

    def mean_powers(self) -> Array:
        """The means over tuples of every power of s times the values, shape (degree + 1, n, d + 1), float64."""
        offsets = self.basis.offsets
        means = np.empty((self.basis.degree + 1, self.queries.shape[0], self.key_means.shape[1]))
        for rows in _chunks(self.queries.shape[0], self.basis):
            monomials = self.basis.evaluate(self.queries[rows])
            for k, (start, end) in enumerate(pairwise(offsets)):
                np.matmul(monomials[start:end].T, self.key_means[start:end], out=means[k, rows])
        return means


def _largest(matrix: Array) -> float:
    return float(np.abs(matrix).max()) or 1.0


def _sum_over_tokens(basis: MonomialBasis, points: Array, weights: Array) -> Array:
    total = np.zeros((basis.multinomials.size, weights.shape[1]))
    for rows in _chunks(points.shape[0], basis):
        total += basis.evaluate(points[rows]) @ weights[rows]
    return total


def _chunks(rows: int, basis: MonomialBasis) -> list[slice]:
    length = max(16, _CHUNK_ENTRIES // basis.multinomials.size)
    return [slice(start, min(start + length, rows)) for start in range(0, rows, length)]
