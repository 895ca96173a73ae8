import itertools
import math

import numpy as np
import pytest

from kernels.compression.tensor_attention.monomials import monomial_basis, monomial_count


def brute_force(points, degree):
    """Every monomial by its exponents, with its multinomial coefficient."""
    found = []
    for exponents in itertools.product(range(degree + 1), repeat=points.shape[1]):
        if sum(exponents) <= degree:
            coefficient = math.factorial(sum(exponents)) / math.prod(map(math.factorial, exponents))
            found.append((sum(exponents), np.prod(points ** np.array(exponents), axis=1), coefficient))
    return found


@pytest.mark.parametrize(("variables", "degree"), [(1, 5), (2, 3), (3, 4), (5, 2), (4, 0)])
def test_every_monomial_is_there_once_with_its_coefficient(variables, degree):
    points = np.random.default_rng(0).uniform(-2.0, 2.0, (3, variables))
    basis = monomial_basis(variables, degree)
    evaluated = basis.evaluate(points)
    assert evaluated.shape == (monomial_count(variables, degree), 3) == (math.comb(variables + degree, degree), 3)
    degrees = np.repeat(np.arange(degree + 1), np.diff(basis.offsets))
    ours = sorted(zip(degrees, evaluated[:, 0], evaluated[:, 1], basis.multinomials, strict=True))
    theirs = sorted((k, values[0], values[1], coefficient) for k, values, coefficient in brute_force(points, degree))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_monomials_of_a_degree_sum_to_the_power_of_a_scalar_product():
    random = np.random.default_rng(1)
    left, right = random.standard_normal((2, 7, 4))
    basis = monomial_basis(4, 6)
    products = basis.evaluate(left) * basis.evaluate(right) * basis.multinomials[:, None]
    powers = np.add.reduceat(products, basis.offsets[:-1], axis=0)
    scalar = (left * right).sum(axis=1)
    np.testing.assert_allclose(powers, scalar ** np.arange(7)[:, None], rtol=1e-11, atol=1e-13)
