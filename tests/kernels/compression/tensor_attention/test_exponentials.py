import math

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebinterpolate, chebval

from kernels.compression.tensor_attention.exponentials import exponential_coefficients, truncation_errors

T = np.linspace(-1.0, 1.0, 2001)
CASES = [(0.0, 0), (0.0, 3), (0.1, 2), (1.0, 0), (1.0, 4), (6.0, 12), (6.0, 3), (20.0, 30)]


@pytest.mark.parametrize("expansion", ["taylor", "chebyshev"])
@pytest.mark.parametrize(("radius", "degree"), CASES)
def test_the_largest_error_is_the_one_stated(expansion, radius, degree):
    coefficients = exponential_coefficients(expansion, radius, degree)
    errors = np.abs(np.polynomial.polynomial.polyval(T, coefficients) - np.exp(radius * T))
    stated = truncation_errors(expansion, radius, degree)[degree] * math.exp(radius)
    np.testing.assert_allclose(errors.max(), stated, rtol=1e-6, atol=1e-13 * math.exp(radius))


def test_taylors_coefficients_are_powers_over_factorials():
    expected = [2.5**k / math.factorial(k) for k in range(20)]
    np.testing.assert_allclose(exponential_coefficients("taylor", 2.5, 19), expected, rtol=1e-13)


def test_chebyshevs_series_is_near_the_interpolant_in_chebyshevs_points():
    interpolant = chebinterpolate(lambda t: np.exp(3.0 * t), 14)
    ours = np.polynomial.polynomial.polyval(T, exponential_coefficients("chebyshev", 3.0, 14))
    np.testing.assert_allclose(ours, chebval(T, interpolant), atol=1e-8)


@pytest.mark.parametrize("radius", [0.5, 3.0, 10.0, 40.0])
def test_chebyshev_needs_a_lower_degree_than_taylor(radius):
    taylor, chebyshev = (truncation_errors(name, radius, 200) for name in ("taylor", "chebyshev"))
    assert (np.diff(taylor) <= 0).all()
    assert (np.diff(chebyshev) <= 0).all()
    needed = [int(np.argmax(errors < 1e-6)) for errors in (chebyshev, taylor)]
    assert needed[0] < needed[1]


def test_the_largest_radius_is_no_overflow():
    for expansion in ("taylor", "chebyshev"):
        errors = truncation_errors(expansion, 700.0, 10)
        assert np.isfinite(errors).all()
        assert np.isfinite(exponential_coefficients(expansion, 700.0, 10)).all()
        assert 0.98 < errors[0] <= 1.0
