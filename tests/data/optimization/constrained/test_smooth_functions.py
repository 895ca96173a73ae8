import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.optimization.constrained.smooth_functions import (
    LinearFormPowers,
    LogarithmOfSquare,
    Polynomial,
    SineOfForm,
    Sum,
)

FUNCTIONS = [
    LinearFormPowers([[1, 2, 0], [0, -1, 3]], [1, 2], [4, 1]),
    Polynomial([2, -3, 1], [[2, 1, 0], [0, 0, 3], [0, 0, 0]]),
    LogarithmOfSquare(1),
    SineOfForm([1, -2, 0.5]),
    Sum((SineOfForm([0, 1, 1]), Polynomial([1], [[1, 1, 1]]))),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: type(function).__name__)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(x=st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_derivatives_are_those_of_differences(function, x):
    x, step = np.array(x), 1e-5
    slopes = [(function.value(x + step * e) - function.value(x - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(function.gradient(x), slopes, rtol=1e-5, atol=1e-5)
    curvatures = [(function.gradient(x + step * e) - function.gradient(x - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(function.hessian(x), curvatures, rtol=1e-5, atol=1e-5)


def test_values_are_those_of_formulas():
    x = np.array([2.0, -1.0, 0.5])
    assert FUNCTIONS[0].value(x) == (2 - 2 - 1) ** 4 + (1 + 1.5 - 2)
    assert FUNCTIONS[1].value(x) == 2 * 4 * -1 - 3 * 0.125 + 1
    assert FUNCTIONS[2].value(x) == np.log(2.0)
    assert FUNCTIONS[3].value(x) == np.sin(4.25)


def test_powers_of_zero_have_finite_derivatives():
    function = Polynomial([1, 1], [[1, 0], [0, 3]])
    np.testing.assert_array_equal(function.gradient(np.zeros(2)), [1.0, 0.0])
    np.testing.assert_array_equal(function.hessian(np.zeros(2)), np.zeros((2, 2)))
