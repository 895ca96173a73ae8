"""All monomials up to a degree, built by one multiplication each."""

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from kernels.compression.tensor_attention.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class MonomialBasis:
    """The monomials x^a of d variables with |a| <= g, sorted by degree, within a degree by the first variable.

    In this order the monomials of degree k whose first variable is l are x_l times a suffix of those of degree k - 1:
    those that do not contain the variables before l.

    Attributes
    ----------
    variables, degree : int
        d and g.
    offsets : ndarray, shape (g + 2,), int64
        Monomials of degree k are those from ``offsets[k]`` to ``offsets[k + 1]``.
    products : tuple of (target start, target end, variable, source start, source end)
        The multiplications that build all monomials but the first, in order.
    multinomials : ndarray, shape (offsets[-1],), float64
        |a|! / a!: the coefficient of the monomial in (x_1 + ... + x_d)^|a|.
    """

    variables: int
    degree: int
    offsets: NDArray[np.int64]
    products: tuple[tuple[int, int, int, int, int], ...]
    multinomials: Array

    def evaluate(self, points: Array) -> Array:
        """The monomials at points of shape (p, d), shape (monomials, p)."""
        columns = np.ascontiguousarray(points.T)
        monomials = np.empty((self.offsets[-1], points.shape[0]))
        monomials[0] = 1.0
        for start, end, variable, source, source_end in self.products:
            np.multiply(monomials[source:source_end], columns[variable], out=monomials[start:end])
        return monomials


def monomial_count(variables: int, degree: int) -> int:
    """How many monomials of d variables have a degree of at most g: C(d + g, g)."""
    return comb(variables + degree, degree)


@lru_cache(maxsize=16)
def monomial_basis(variables: int, degree: int) -> MonomialBasis:
    """The monomials of ``variables`` variables, at least one, up to ``degree``, at least zero."""
    offsets = np.array([0, *(monomial_count(variables, k) for k in range(degree + 1))], dtype=np.int64)
    exponents = np.zeros((offsets[-1], variables), dtype=np.int16)
    products = []
    first_variable_starts = [0] * variables
    for k in range(1, degree + 1):
        start, source_end = int(offsets[k]), int(offsets[k])
        starts = []
        for variable, source in enumerate(first_variable_starts):
            end = start + source_end - source
            products.append((start, end, variable, source, source_end))
            exponents[start:end] = exponents[source:source_end]
            exponents[start:end, variable] += 1
            starts.append(start)
            start = end
        first_variable_starts = starts
    logarithms = gammaln(exponents.sum(axis=1) + 1.0) - gammaln(exponents + 1.0).sum(axis=1)
    return MonomialBasis(variables, degree, offsets, tuple(products), np.exp(logarithms))
