import numpy as np
import pytest
import xarray as xr

from flows.plan import resolve_settings
from flows.studies.linear_systems.learning_to_relax import STUDY, last_fifth, regret_slope
from tasks.study import Size


def costs(learner, best):
    table = np.stack([learner, best], axis=1)
    return xr.Dataset({"iterations": (("instance", "contender"), table)}, {"contender": ["learner", "best"]})


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_the_slope_is_the_exponent_of_the_regret(power):
    rounds = np.arange(1, 5001)
    regret = 100.0 * rounds**power
    measured = regret_slope(costs(50.0 + np.diff(regret, prepend=0.0), np.full(5000, 50.0)), **of("learner", "best"))
    assert measured == pytest.approx(power, abs=1e-9)


def test_a_learner_that_beats_the_comparator_has_no_growing_regret():
    assert regret_slope(costs(np.full(100, 40.0), np.full(100, 50.0)), **of("learner", "best")) == 0.0


def test_a_missing_cost_leaves_the_slope_undefined():
    paid = np.full(100, 60.0)
    paid[50] = np.nan
    assert np.isnan(regret_slope(costs(paid, np.full(100, 50.0)), **of("learner", "best")))


def of(learner, comparator):
    return {"learner": learner, "comparator": comparator}


@pytest.mark.parametrize(("length", "counted"), [(100, 20), (3, 1)])
def test_the_last_fifth_is_what_is_measured(length, counted):
    table = costs(np.arange(length, dtype=float), np.ones(length))
    seen = last_fifth(table, statistic=lambda part: part["iterations"].sel(contender="learner").values.tolist())
    assert seen == list(range(length - counted, length))


def test_on_the_papers_grid_the_shifts_are_the_papers():
    problems = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {}))
    assert {(p.least_shift, p.greatest_shift) for p in problems.values()} == {(-0.15, 0.45)}
    assert [(p.alpha, p.beta) for p in problems.values()] == [(0.5, 1.5), (2.0, 6.0), (0.5, 1.5)]


@pytest.mark.parametrize("grid", [4, 7, 30, 200])
def test_on_every_grid_all_systems_are_positive_definite(grid):
    assert STUDY.problems(resolve_settings(STUDY, Size.SMALL, {"grid": grid}))
