import numpy as np
import pytest
import xarray as xr

from flows.plan import resolve_settings
from flows.studies.discrete.dynamic_submodular import (
    CALLS,
    STUDY,
    calls_figure,
    cost_of_stress,
    mean_value,
    shortfall,
    worst_share,
)
from kernels.result import Result, Status
from tasks.study import Size

CONTENDERS = ["dynamic-levels", "single-pivot", "greedy", "incremental-greedy", "sieve-streaming"]


def column(name, values, dims=("instance",)):
    return xr.Dataset({name: ((*dims, "contender"), np.asarray(values)[..., None])}, {"contender": ["dynamic-levels"]})


def test_the_shortfall_is_the_largest_at_any_time():
    reference = np.array([0.0, 10.0, 20.0])
    assert shortfall(np.array([0.0, 9.0, 15.0]), reference) == 0.25
    assert shortfall(np.array([0.0, 11.0, 21.0]), reference) == 0.0


def test_the_worst_share_is_that_of_the_worst_stream():
    assert worst_share(column("distance_to_reference", [0.1, 0.4, 0.2])) == pytest.approx(0.6)
    assert worst_share(column("distance_to_reference", [0.1, 7.0])) == 0.0
    assert np.isnan(worst_share(column("distance_to_reference", [0.1, np.nan])))


def test_stress_costs_the_calls_of_the_last_problem_over_those_of_the_first():
    calls = column(CALLS, [[10.0, 30.0], [50.0, 70.0]], ("problem", "instance"))
    assert cost_of_stress(calls) == 3.0


@pytest.mark.parametrize("statistic", [worst_share, cost_of_stress])
def test_a_statistic_needs_the_method(statistic):
    with pytest.raises(KeyError):
        statistic(column("mean_value", [1.0]))


def test_the_mean_value_is_over_the_stream():
    assert mean_value(None, Result(np.array([1.0, 5.0]), Status.CONVERGED, np.zeros(1))) == 3.0


@pytest.mark.parametrize("size", list(Size))
def test_the_streams_grow_with_the_elements_and_fit_their_history(size):
    settings = resolve_settings(STUDY, size, {})
    problems = STUDY.problems(settings)
    growing = [problem for name, problem in problems.items() if name.startswith(("churn-", "peel-"))]
    assert [problem.elements for problem in growing] == 2 * [settings.largest // part for part in (8, 4, 2, 1)]
    assert all(problem.updates == 5 * problem.elements // 2 for problem in growing)
    for name, problem in problems.items():
        for contender in STUDY.contenders(settings, name):
            assert problem.updates // contender.options["every"] < STUDY.history_length(settings)
            assert contender.options["cardinality"] <= problem.elements


def test_the_large_size_has_a_hundred_thousand_updates():
    problems = STUDY.problems(resolve_settings(STUDY, Size.LARGE, {}))
    assert max(problem.updates for problem in problems.values()) == 100_000


def test_the_figure_shows_the_calls_of_every_contender_at_every_size():
    tables = {
        f"{pattern}-{size}": xr.Dataset(
            {CALLS: (("instance", "contender"), np.full((2, 5), float(size)))}, {"contender": CONTENDERS}
        )
        for pattern in ("churn", "peel")
        for size in (50, 100)
    }
    figure = calls_figure(tables)
    assert [len(axes.lines) for axes in figure.axes] == [5, 5]
    np.testing.assert_array_equal(figure.axes[1].lines[2].get_xydata(), [[50, 50], [100, 100]])
