"""What an attention of any order takes, and the checks and products that its methods share."""

import math
from functools import reduce
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Tokens(Protocol):
    """Queries, keys and values; attention of order m + 1 weighs m-tuples of tokens for every query.

    The weight that query i gives the tuple (j_1 ... j_m) is exp(sum_l Q_il K1_{j_1 l} ... Km_{j_m l} / d), the value of
    the tuple the entrywise product of V1_{j_1} ... Vm_{j_m}. With m = 1 that is matrix attention with the factor 1 / d,
    with m = 2 the tensor attention of Alman and Song (ICLR 2024).
    """

    @property
    def queries(self) -> Array:
        """Shape (n, d), float64."""
        ...

    @property
    def keys(self) -> Array:
        """K1 ... Km stacked, shape (m, n, d), float64."""
        ...

    @property
    def values(self) -> Array:
        """V1 ... Vm stacked, shape (m, n, d), float64."""
        ...


def check_tokens(tokens: Tokens) -> None:
    """Check shapes and types.

    Raises
    ------
    ValueError
        If an array is not float64, empty or of a shape that does not fit the others.
    """
    for name in ("queries", "keys", "values"):
        array = getattr(tokens, name)
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise ValueError(f"{name} must be a float64 array, not {getattr(array, 'dtype', type(array).__name__)}")
    if tokens.queries.ndim != 2 or tokens.queries.size == 0:
        raise ValueError(f"queries must have shape (n, d) and not be empty, not {tokens.queries.shape}")
    tokens_and_entries = tokens.queries.shape
    if tokens.keys.ndim != 3 or tokens.keys.shape[1:] != tokens_and_entries or tokens.keys.shape[0] == 0:
        raise ValueError(
            f"keys must have shape (m, {', '.join(map(str, tokens_and_entries))}), not {tokens.keys.shape}"
        )
    if tokens.values.shape != tokens.keys.shape:
        raise ValueError(f"values must have the shape of keys, {tokens.keys.shape}, not {tokens.values.shape}")


def check_positive(name: str, value: float) -> None:
    """Check that an option is positive and finite.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, not {value}")


def check_count(name: str, count: int, least: int) -> None:
    """Check that an option is an integer no less than ``least``.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {count!r}")


def is_finite(tokens: Tokens) -> bool:
    """Whether no entry is NaN or infinite."""
    return all(bool(np.isfinite(array).all()) for array in (tokens.queries, tokens.keys, tokens.values))


def row_kronecker(factors: Array, entries: int) -> Array:
    """The entrywise products of all tuples of rows, one row of each factor.

    Parameters
    ----------
    factors : ndarray, shape (m, n, d), float64
        Possibly m = 0.
    entries : int
        d.

    Returns
    -------
    ndarray, shape (n**m, d), float64
        The last factor's row changes fastest.
    """
    return reduce(lambda left, right: (left[:, None] * right).reshape(-1, entries), factors, np.ones((1, entries)))
