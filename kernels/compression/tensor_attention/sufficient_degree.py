"""The degree that would have sufficed, known only to those who have the exact attention."""

import numpy as np

from kernels.compression.tensor_attention.direct import direct_attention
from kernels.compression.tensor_attention.exponentials import exponential_coefficients
from kernels.compression.tensor_attention.features import PowerFeatures
from kernels.compression.tensor_attention.monomials import monomial_count
from kernels.compression.tensor_attention.types import Tokens, check_count, check_positive
from kernels.result import Result, Status


def sufficient_degree(tokens: Tokens, *, relative_tolerance: float = 1e-3, max_degree: int = 40) -> Result:
    """Polynomial attention with the least degree of Taylor's polynomial that has the accuracy asked for.

    Parameters
    ----------
    tokens : Tokens
        n queries of d entries, and keys and values of any number of factors.
    relative_tolerance : float
        Largest error allowed of an entry, relative to the largest entry of the exact attention.
    max_degree : int

    Returns
    -------
    Result
        ``value`` of shape (n, d). CONVERGED if a degree sufficed, else ITERATION_LIMIT. ``history`` holds the largest
        error of degrees 0, 1 ...; ``work`` the ``degree`` and its ``features``.

    Raises
    ------
    ValueError
        If an option is out of range or the arrays do not fit together.
    """
    check_positive("relative_tolerance", relative_tolerance)
    check_count("max_degree", max_degree, 0)
    exact = direct_attention(tokens)
    if not exact.converged:
        return exact
    d = tokens.queries.shape[1]
    features = PowerFeatures.of(tokens, max_degree)
    taylor = exponential_coefficients("taylor", features.scale, max_degree)
    partial_sums = np.cumsum(taylor[:, None, None] * features.mean_powers(), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        attention = partial_sums[:, :, :d] / partial_sums[:, :, d:]
    errors = np.abs(attention - exact.value).max(axis=(1, 2))
    sufficient = np.flatnonzero(errors <= relative_tolerance * np.abs(exact.value).max())
    degree = int(sufficient[0]) if sufficient.size else max_degree
    status = Status.CONVERGED if sufficient.size else Status.ITERATION_LIMIT
    work = {"degree": degree, "features": monomial_count(d, degree)}
    return Result(attention[degree], status, errors[: degree + 1], work)
