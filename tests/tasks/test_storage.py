import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import BitRound

from data.validation import InputError, validated
from tasks.storage import EVERY_BIT, Storage, round_mantissa, rounding_error

normal = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).filter(lambda x: abs(x) < 1e308)


@settings(derandomize=True, max_examples=100)
@given(st.lists(normal, min_size=1, max_size=20), st.integers(1, 52))
def test_rounding_keeps_the_error_that_is_stated_and_the_bits_that_are_asked_for(numbers, bits):
    values = np.array(numbers)
    rounded = round_mantissa(values, bits)
    assert (np.abs(rounded - values) <= rounding_error(bits) * np.abs(values)).all()
    assert (rounded.view(np.int64) & ((1 << (52 - bits)) - 1) == 0).all()
    np.testing.assert_array_equal(round_mantissa(rounded, bits), rounded)


def test_the_stated_error_is_reached():
    halfway = np.array([1.0 + 2.0**-4])
    assert abs(round_mantissa(halfway, 3) - halfway)[0] == rounding_error(3)


@pytest.mark.parametrize("bits", [1, 10, 23, 51])
def test_rounding_is_that_of_numcodecs(bits):
    values = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(round_mantissa(values, bits), BitRound(bits).decode(BitRound(bits).encode(values)))


def test_rounding_to_23_bits_is_rounding_to_single_precision():
    values = np.random.default_rng(1).standard_normal(1000)
    np.testing.assert_array_equal(round_mantissa(values, 23), values.astype(np.float32))


def test_what_is_not_finite_and_zero_stay_what_they_are():
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    assert round_mantissa(values, 7).tobytes() == values.tobytes()


def test_the_default_describes_nothing_and_rounds_nothing():
    assert EVERY_BIT.description() == {}
    assert EVERY_BIT.attributes(None) == {}


def test_an_encoding_describes_what_differs_and_its_error():
    assert Storage(solution_bits=12, level=5).description() == {"solution_bits": 12, "level": 5}
    assert Storage().attributes(12)["largest_relative_rounding_error"] == 2.0**-13
    assert Storage(dtype="float32").attributes(None)["largest_relative_rounding_error"] == 2.0**-24


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dtype": "float16"}, "dtype"),
        ({"solution_bits": 0}, "solution_bits=0"),
        ({"parameter_bits": 53}, "parameter_bits=53"),
        ({"dtype": "float32", "solution_bits": 24}, "float32 has 23"),
        ({"level": 23}, "level=23"),
        ({"chunk": 0}, "chunk=0"),
        ({"keepbits": 3}, "keepbits"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_one_line(values, words):
    with pytest.raises(InputError, match=words) as caught:
        validated(Storage, values)
    assert "\n" not in str(caught.value)
