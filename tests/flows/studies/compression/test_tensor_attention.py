import numpy as np
import pytest
import xarray as xr

from data.validation import InputError
from flows.plan import resolve_settings
from flows.studies.compression.tensor_attention import (
    STUDY,
    largest_difference,
    proven_share,
    quotient_of_relative_errors,
    relative_error,
)
from tasks.study import Size


def table(error, bound=1.0, entry=0.5):
    values = {"distance_to_reference": [error, 0.0], "error_bound": [bound, np.nan], "largest_entry": [9.0, entry]}
    columns = {name: (("instance", "contender"), [column, column]) for name, column in values.items()}
    return xr.Dataset(columns, {"contender": ["polynomial", "reference"]})


def joined(first, second):
    return xr.concat([first, second], "problem").assign_coords(problem=["first", "second"])


def test_the_relative_error_is_that_of_the_reference_s_largest_entry():
    assert relative_error(table(0.1), contender="polynomial") == pytest.approx(0.2)
    assert np.isnan(relative_error(table(np.nan), contender="polynomial"))


def test_a_bound_that_is_broken_once_is_seen():
    worse = table(0.1)
    worse["distance_to_reference"][1, 0] = 2.0
    assert proven_share(table(0.1), contender="polynomial") == pytest.approx(0.1)
    assert proven_share(worse, contender="polynomial") == pytest.approx(2.0)
    assert np.isnan(proven_share(table(np.nan), contender="polynomial"))


def test_quotients_of_relative_errors_compare_problems():
    results = joined(table(0.1, entry=1.0), table(0.4, entry=0.5))
    pair = {"contender": "polynomial", "numerator": "second", "denominator": "first"}
    assert quotient_of_relative_errors(results, **pair) == pytest.approx(8.0)


@pytest.mark.parametrize("missing", ["distance_to_reference", "largest_entry"])
def test_a_statistic_without_its_variable_is_a_key_error(missing):
    with pytest.raises(KeyError):
        relative_error(table(0.1).drop_vars(missing), contender="polynomial")


def test_the_largest_difference_is_that_of_one_entry():
    assert largest_difference(np.array([[1.0, -2.0]]), np.array([[1.5, 1.0]])) == 3.0


def test_the_numbers_of_tokens_double_and_those_solved_directly_are_fewer():
    problems = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {}))
    lengths = [problem.tokens for name, problem in problems.items() if name.startswith("n-")]
    assert lengths == [64, 128, 256, 512, 2048, 4096, 8192, 16384]
    with pytest.raises(InputError, match="must exceed 8 times fewest"):
        resolve_settings(STUDY, Size.DEFAULT, {"fewest": 256, "fewest_fast": 2048})


def test_the_bounds_of_the_entries_are_those_in_the_names():
    problems = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {}))
    bounds = {name: (problem.bound, problem.order) for name, problem in problems.items() if "b-" in name}
    assert bounds == {
        **{f"b-{bound:g}": (bound, 3) for bound in (0.5, 1.0, 1.5, 2.0, 3.0)},
        "matrix-b-2": (2.0, 2),
    }
