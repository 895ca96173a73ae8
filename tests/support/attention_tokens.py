"""Tokens of attention, and attention by its definition with arrays of n^(m+1) numbers."""

import string
from dataclasses import dataclass

import numpy as np


@dataclass
class Tokens:
    queries: np.ndarray
    keys: np.ndarray
    values: np.ndarray


def make_tokens(n=20, d=4, bound=1.0, order=3, seed=0):
    random = np.random.default_rng(seed)
    factors = (order - 1, n, d)
    return Tokens(
        random.uniform(-bound, bound, (n, d)), random.uniform(-bound, bound, factors), random.normal(size=factors)
    )


def exponents(tokens):
    """Of shape (n, n, ... n): one axis for queries and one for each factor."""
    axes = string.ascii_lowercase[: 1 + len(tokens.keys)]
    terms = ",".join(f"{axis}z" for axis in axes)
    return np.einsum(f"{terms}->{axes}", tokens.queries, *tokens.keys) / tokens.queries.shape[1]


def brute_force(tokens, function=np.exp):
    """Attention with any function in place of exp."""
    weights = function(exponents(tokens))
    axes = string.ascii_lowercase[: weights.ndim]
    terms = ",".join(f"{axis}z" for axis in axes[1:])
    total = weights.sum(axis=tuple(range(1, weights.ndim)))
    return np.einsum(f"{axes},{terms}->az", weights, *tokens.values) / total[:, None]
