"""Attention over a random sample of tuples of tokens."""

import numpy as np

from kernels.compression.tensor_attention.types import Tokens, check_count, check_tokens, is_finite
from kernels.result import Result, Status

_CHUNK_ENTRIES = 2**17


def sampled_attention(tokens: Tokens, *, samples: int, random: np.random.Generator) -> Result:
    """Attention of any order over uniformly drawn tuples, the same for all queries: a ratio estimator.

    All queries share the tuples, so that their keys and values are multiplied once and the rest is matrix products.

    Parameters
    ----------
    tokens : Tokens
        n queries of d entries, and keys and values of any number of factors.
    samples : int
        Tuples to draw, with replacement.
    random : Generator

    Returns
    -------
    Result
        ``value`` of shape (n, d). ITERATION_LIMIT, since no accuracy is promised. ``work`` counts ``multiplications``.

    Raises
    ------
    ValueError
        If ``samples`` is below one or the arrays do not fit together.
    """
    check_tokens(tokens)
    check_count("samples", samples, 1)
    n, d = tokens.queries.shape
    if not is_finite(tokens):
        return Result(np.full((n, d), np.nan), Status.NOT_FINITE, np.empty(0))
    drawn = random.integers(n, size=(len(tokens.keys), samples))
    factors = np.arange(len(tokens.keys))[:, None]
    keys = np.prod(tokens.keys[factors, drawn], axis=0) / d
    values = np.column_stack([np.prod(tokens.values[factors, drawn], axis=0), np.ones(samples)])
    sums = np.empty((n, d + 1))
    length = max(1, _CHUNK_ENTRIES // samples)
    for start in range(0, n, length):
        exponents = tokens.queries[start : start + length] @ keys.T
        exponents -= exponents.max(axis=1, keepdims=True)
        np.matmul(np.exp(exponents, out=exponents), values, out=sums[start : start + length])
    work = {"multiplications": n * samples * (2 * d + 1)}
    return Result(sums[:, :d] / sums[:, d:], Status.ITERATION_LIMIT, np.empty(0), work)
