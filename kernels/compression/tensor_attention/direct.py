"""Exact attention over tuples of tokens: n^(m+1) exponentials, with BLAS and as one compiled loop."""

from collections.abc import Callable

import numpy as np
from numba import njit

from kernels.compression.tensor_attention.types import Array, Tokens, check_tokens, is_finite, row_kronecker
from kernels.result import Result, Status


def direct_attention(tokens: Tokens) -> Result:
    """Attention of any order by its definition, one query at a time: two matrix products and n^m exponentials each.

    Parameters
    ----------
    tokens : Tokens
        n queries of d entries, and keys and values of m factors.

    Returns
    -------
    Result
        ``value`` of shape (n, d); ``work`` counts ``multiplications``. Memory is that of n^m numbers.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """
    return _exact(tokens, _weigh_with_blas)


def running_softmax_attention(tokens: Tokens) -> Result:
    """Attention of any order as a loop over all tuples that keeps the largest exponent so far; memory n^(m-1) d.

    Takes, returns and raises what :func:`direct_attention` does.
    """
    return _exact(tokens, _weigh_in_a_loop)


def _exact(tokens: Tokens, weigh: Callable[[Array, Array, Array, Array, Array], Array]) -> Result:
    check_tokens(tokens)
    n, d = tokens.queries.shape
    if not is_finite(tokens):
        return Result(np.full((n, d), np.nan), Status.NOT_FINITE, np.empty(0))
    # all factors but the last as one, so that every order is a sum over pairs
    left_keys, left_values = row_kronecker(tokens.keys[:-1], d), row_kronecker(tokens.values[:-1], d)
    value = weigh(tokens.queries / d, left_keys, tokens.keys[-1], left_values, tokens.values[-1])
    status = Status.CONVERGED if np.isfinite(value).all() else Status.NOT_FINITE
    multiplications = n * len(left_keys) * n * (2 * d + 1)
    return Result(value, status, np.empty(0), {"multiplications": multiplications})


def _weigh_with_blas(
    queries: Array, left_keys: Array, right_keys: Array, left_values: Array, right_values: Array
) -> Array:
    summed = np.column_stack([right_values, np.ones(len(right_values))])
    weights = np.empty((len(left_keys), len(right_keys)))
    value = np.empty_like(queries)
    for query, row in zip(queries, value, strict=True):
        np.matmul(left_keys * query, right_keys.T, out=weights)
        weights -= weights.max()
        np.exp(weights, out=weights)
        sums = weights @ summed
        np.einsum("jl,jl->l", left_values, sums[:, :-1], out=row)
        row /= sums[:, -1].sum()
    return value


@njit(cache=True, error_model="numpy")
def _weigh_in_a_loop(
    queries: Array, left_keys: Array, right_keys: Array, left_values: Array, right_values: Array
) -> Array:
    n, d = queries.shape
    value = np.zeros((n, d))
    scaled = np.empty(d)
    inner = np.empty(d)
    for i in range(n):
        largest = -np.inf
        total = 0.0
        for j in range(left_keys.shape[0]):
            scaled[:] = queries[i] * left_keys[j]
            inner[:] = 0.0
            for k in range(right_keys.shape[0]):
                exponent = 0.0
                for entry in range(d):
                    exponent += scaled[entry] * right_keys[k, entry]
                if exponent > largest:  # what was summed so far was relative to a smaller maximum
                    shrink = np.exp(largest - exponent)
                    total *= shrink
                    value[i] *= shrink
                    inner *= shrink
                    largest = exponent
                weight = np.exp(exponent - largest)
                total += weight
                for entry in range(d):
                    inner[entry] += weight * right_values[k, entry]
            value[i] += inner * left_values[j]
        value[i] /= total
    return value
