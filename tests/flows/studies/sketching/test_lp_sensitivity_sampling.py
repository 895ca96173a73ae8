from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from flows.plan import resolve_settings
from flows.studies.sketching.lp_sensitivity_sampling import (
    CASES,
    LEAST_EXCESS,
    PAIRS,
    STUDY,
    excess_cost,
    exponent_in_sensitivity,
    growth_beyond,
    mean_excess,
)
from tasks.study import Size

PAIR = PAIRS["gaussian"]


def joined(rows, totals):
    """Rows needed by two contenders and the total sensitivity on the two problems of a pair."""
    parts = [
        xr.Dataset(
            {
                "rows": (("instance", "contender"), np.array([[needed, 2.0 * needed]] * 2)),
                "total_score": (("instance", "contender"), np.array([[total, np.nan]] * 2)),
            },
            {"contender": ["sensitivity", "root-leverage"], "problem": name},
        )
        for name, needed, total in zip(PAIR, rows, totals, strict=True)
    ]
    return xr.concat(parts, "problem")


def test_rows_that_grow_as_the_bound_are_not_beyond_it():
    growth = {"contender": "sensitivity", "pair": PAIR}
    table = joined(rows=(10.0, 90.0), totals=(2.0, 6.0))
    assert growth_beyond(table, **growth, score_power=2.0, width_power=0.0) == pytest.approx(1.0)
    assert growth_beyond(table, **growth, score_power=1.0, width_power=1.0) == pytest.approx(9.0 / (3.0 * 4.0))


def test_other_contenders_are_held_against_their_columns():
    table = joined(rows=(10.0, 80.0), totals=(2.0, 6.0))
    growth = growth_beyond(table, contender="root-leverage", pair=PAIR, score_power=0.0, width_power=1.0)
    assert growth == pytest.approx(2.0)


@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_the_exponent_is_that_of_the_rows_in_the_total_sensitivity(exponent):
    table = joined(rows=(10.0, 10.0 * 3.0**exponent), totals=(2.0, 6.0))
    assert exponent_in_sensitivity(table, pair=PAIR) == pytest.approx(exponent)


def test_there_is_no_exponent_where_the_total_sensitivity_stays():
    assert np.isnan(exponent_in_sensitivity(joined(rows=(10.0, 20.0), totals=(2.0, 2.0)), pair=PAIR))


def test_a_missing_contender_or_value_is_no_number():
    table = joined(rows=(10.0, np.nan), totals=(2.0, 6.0))
    assert np.isnan(exponent_in_sensitivity(table, pair=PAIR))
    with pytest.raises(KeyError):
        growth_beyond(table, contender="uniform", pair=PAIR, score_power=1.0, width_power=1.0)
    with pytest.raises(KeyError):
        mean_excess(table, contender="sensitivity")


def test_the_excess_is_that_over_the_least_cost_and_at_least_what_solvers_leave():
    random = np.random.default_rng(0)
    instance = SimpleNamespace(matrix=random.standard_normal((50, 2)), rhs=random.standard_normal(50), p=2.0)
    least = np.linalg.lstsq(instance.matrix, instance.rhs)[0]
    assert excess_cost(instance, SimpleNamespace(value=least)) == LEAST_EXCESS
    shifted = least + 1.0
    costs = [np.linalg.norm(instance.matrix @ x - instance.rhs) for x in (shifted, least)]
    assert excess_cost(instance, SimpleNamespace(value=shifted)) == pytest.approx(costs[0] / costs[1] - 1)


def test_the_problems_of_a_pair_differ_in_their_columns_alone():
    for first, last in PAIRS.values():
        assert CASES[first]._replace(widths=CASES[last].widths) == CASES[last]
        assert CASES[first].widths < CASES[last].widths


@pytest.mark.parametrize("size", list(Size))
def test_every_sample_is_smaller_than_its_matrix(size):
    settings = resolve_settings(STUDY, size, {})
    for name, problem in STUDY.problems(settings).items():
        for contender in STUDY.contenders(settings, name):
            assert contender.options.get("rows", 0) < problem.rows


def test_sizes_whose_samples_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="rows=600 must be at least 64 times width=10"):
        resolve_settings(STUDY, Size.DEFAULT, {"rows": 600, "width": 10})
