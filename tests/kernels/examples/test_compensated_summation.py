import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.examples.compensated_summation import compensated_sum, exact_sum, pairwise_sum, recursive_sum
from kernels.result import Status

EPS = np.finfo(float).eps / 2
SUMS = [compensated_sum, recursive_sum, pairwise_sum, exact_sum]
numbers = st.lists(st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-200), min_size=1, max_size=60)


@given(numbers)
def test_the_exact_sum_is_correctly_rounded(terms):
    assert exact_sum(np.array(terms)).value[0] == float(sum(map(Fraction, terms)))


@given(numbers)
def test_the_error_of_the_compensated_sum_is_bounded_as_neumaier_proves(terms):
    exact = sum(map(Fraction, terms))
    magnitude = float(sum(abs(Fraction(term)) for term in terms))
    error = abs(float(Fraction(compensated_sum(np.array(terms)).value[0]) - exact))
    assert error <= 2 * EPS * abs(float(exact)) + 3 * (len(terms) * EPS) ** 2 * magnitude


@given(numbers)
def test_the_recursive_sum_is_that_of_the_loop(terms):
    total = 0.0
    for term in terms:
        total += term
    assert recursive_sum(np.array(terms)).value[0] == total


def test_compensation_recovers_what_the_loop_loses():
    terms = np.array([1.0, 1e100, 1.0, -1e100])
    assert recursive_sum(terms).value[0] == 0.0
    assert compensated_sum(terms).value[0] == exact_sum(terms).value[0] == 2.0


@pytest.mark.parametrize("method", SUMS)
def test_a_sum_counts_its_additions_and_converges(method):
    result = method(np.ones(10))
    assert result.value.tolist() == [10.0]
    assert result.converged
    assert result.work["additions"] == (40 if method is compensated_sum else 10)


@pytest.mark.parametrize("method", [compensated_sum, recursive_sum, pairwise_sum])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_terms_that_are_not_finite_give_a_result_that_says_so(method, bad):
    assert method(np.array([1.0, bad, 2.0])).status is Status.NOT_FINITE


def test_the_exact_sum_says_so_too_where_the_terms_are_not_finite():
    assert exact_sum(np.array([1.0, math.inf])).status is Status.NOT_FINITE
    assert exact_sum(np.array([math.inf, -math.inf])).status is Status.NOT_FINITE


@pytest.mark.parametrize("method", SUMS)
def test_an_empty_sum_is_zero(method):
    assert method(np.empty(0)).value.tolist() == [0.0]


@pytest.mark.parametrize("method", SUMS)
def test_terms_of_a_wrong_shape_are_refused(method):
    with pytest.raises(ValueError, match=r"terms must have shape \(n,\), not \(2, 2\)"):
        method(np.ones((2, 2)))
