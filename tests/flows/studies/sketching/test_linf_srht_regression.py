from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from flows.plan import resolve_settings
from flows.studies.sketching.linf_srht_regression import (
    ERROR,
    MULTIPLES,
    STUDY,
    coordinate_error,
    quantile_growth,
    quantile_ratio,
    quantile_slope,
    residual_excess,
)
from tasks.study import Size


def table(srht, sparse):
    """Errors of two contenders, one instance a row."""
    return xr.Dataset(
        {ERROR: (("instance", "contender"), np.stack([srht, sparse], axis=1))}, {"contender": ["srht", "sparse"]}
    )


def test_what_one_in_twenty_exceeds_is_compared_and_not_the_mean():
    errors = np.ones(101)
    heavy = errors.copy()
    heavy[:10] = 4.0
    rare = errors.copy()
    rare[:2] = 1e6
    assert quantile_ratio(table(errors, heavy), numerator="sparse", denominator="srht") == 4.0
    assert quantile_ratio(table(errors, rare), numerator="sparse", denominator="srht") == 1.0


def test_a_missing_error_leaves_the_ratio_undefined():
    errors = np.ones(10)
    assert np.isnan(quantile_ratio(table(errors, np.full(10, np.nan)), numerator="sparse", denominator="srht"))
    with pytest.raises(KeyError):
        quantile_ratio(table(errors, errors), numerator="dense", denominator="srht")


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 1.0])
def test_slope_and_growth_are_those_of_the_quantiles(exponent):
    sizes = {"a": 1.0, "b": 2.0, "c": 4.0}
    joined = xr.concat(
        [table(size**exponent * np.ones(5), np.ones(5)).assign_coords(problem=name) for name, size in sizes.items()],
        "problem",
    )
    assert quantile_slope(joined, contender="srht", sizes=sizes) == pytest.approx(exponent)
    assert quantile_growth(joined, contender="srht", first="a", last="c") == pytest.approx(4.0**exponent)


def test_the_coordinate_error_is_the_eps_of_the_guarantee():
    instance = SimpleNamespace(
        matrix=np.diag([2.0, 4.0, 4.0])[:, :2],
        rhs=np.array([2.0, 4.0, 3.0]),
        solution=np.ones(2),
        residual_norm=3.0,
        smallest_singular_value=2.0,
    )
    result = SimpleNamespace(value=np.array([1.0, 1.5]))
    eps = coordinate_error(instance, result)
    assert eps == pytest.approx(0.5 * np.sqrt(2) * 2.0 / 3.0)
    assert residual_excess(instance, result) == pytest.approx(np.hypot(2.0, 3.0) / 3.0)


def test_the_spikes_are_as_many_as_the_rows_of_the_sketch_ask_for():
    settings = resolve_settings(STUDY, Size.DEFAULT, {})
    problems = STUDY.problems(settings)
    assert [problems[name].spikes for name in MULTIPLES] == [1, 2, 4]
    assert [problems[name].columns for name in ("spiky-half-d", "spiky-m-8d", "spiky-double-d")] == [16, 32, 64]
    for name, problem in problems.items():
        columns = next(iter(STUDY.contenders(settings, name))).options["rows"] / MULTIPLES.get(name, 8)
        assert columns == getattr(problem, "columns", 10)


@pytest.mark.parametrize("settings", [{"rows": 256, "columns": 32}, {"columns": 5}, {"columns": 2}])
def test_sizes_whose_sketches_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match="columns"):
        resolve_settings(STUDY, Size.DEFAULT, settings)
