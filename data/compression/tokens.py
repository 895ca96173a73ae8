"""The instance that problems of attention assemble: queries, keys and values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.problem import Fields, Variable


@dataclass(frozen=True, slots=True, eq=False)
class AttentionTokens:
    """The inputs of attention of order m + 1.

    Attributes
    ----------
    queries : ndarray, shape (n, d), float64
    keys, values : ndarray, shape (m, n, d), float64
        One matrix for each of the m tokens that a query looks at together.
    """

    queries: NDArray[np.float64]
    keys: NDArray[np.float64]
    values: NDArray[np.float64]


def token_variables(tokens: int, dimension: int, order: int) -> dict[str, Variable]:
    """The arrays of an instance."""
    stacked = (order - 1, tokens, dimension)
    return {
        "queries": Variable(("token", "entry"), (tokens, dimension), "queries"),
        "keys": Variable(("factor", "token", "entry"), stacked, "keys, one matrix a factor"),
        "values": Variable(("factor", "token", "entry"), stacked, "values, one matrix a factor"),
    }


def assemble_tokens(fields: Fields) -> AttentionTokens:
    """The instance from its arrays."""
    queries, keys, values = (np.ascontiguousarray(fields[name], np.float64) for name in ("queries", "keys", "values"))
    return AttentionTokens(queries, keys, values)
