from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from data.validation import InputError
from flows.plan import resolve_settings
from flows.studies.adapters.lora_gradient_nearlinear import (
    STUDY,
    break_even_length,
)
from kernels.adapters.exact import exact_multiplications
from kernels.result import Result, Status
from tasks.study import Size


def table(error):
    return xr.Dataset(
        {"distance_to_reference": (("instance", "contender"), [[error, 0.0], [3.0 * error, 0.0]])},
        {"contender": ["chained", "blocked"]},
    )


def joined(first, second):
    return xr.concat([first, second], "problem").assign_coords(problem=["first", "second"])


def test_at_the_break_even_length_both_multiply_alike():
    instance = SimpleNamespace(inputs=np.empty((100, 8)))
    per_token = 7000
    result = Result(np.empty(0), Status.CONVERGED, np.empty(0), {"multiplications": 100 * per_token})
    length = break_even_length(instance, result)
    assert exact_multiplications(int(length), 8) == per_token * int(length)
    assert np.isnan(break_even_length(instance, Result(np.empty(0), Status.CONVERGED, np.empty(0))))


def test_the_problems_are_those_of_their_names():
    problems = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {}))
    lengths = {name: p for name, p in problems.items() if name.startswith("L-")}
    assert [p.tokens for p in lengths.values()] == [1024, 4096, 8192, 16384, 32768]
    assert {(p.dimension, p.largest_score) for p in lengths.values()} == {(8, 1.0)}
    scores = {name: p.largest_score for name, p in problems.items() if name.startswith("gamma-")}
    assert scores == {f"gamma-{score:g}": score for score in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)}


def test_random_features_and_landmarks_are_as_many_as_monomials_of_degree_four():
    settings = resolve_settings(STUDY, Size.DEFAULT, {})
    for problem, features in (("L-32768", 495), ("gamma-4", 70), ("digits", 35)):
        options = {c.name: c.options for c in STUDY.contenders(settings, problem)}
        assert options["performer"]["features"] == options["nystroem"]["landmarks"] == features


def test_lengths_that_are_no_whole_shares_are_refused():
    with pytest.raises(InputError, match="must be a multiple of 32"):
        resolve_settings(STUDY, Size.DEFAULT, {"longest": 1000})
