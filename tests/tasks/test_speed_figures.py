from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from result_tables import CONVERGED, RESULTS, STUCK, histories, table

from tasks.speed_figures import (
    RANGE,
    speed_up_figure,
    speed_ups,
    times_to_levels,
    work_precision,
    work_precision_figure,
)
from tasks.study import Contender

NAN = np.nan


def drawn(figure):
    """Render the figure, so that a value that cannot be drawn shows."""
    FigureCanvasAgg(figure).draw()
    return figure.axes


def seconds(new, old):
    return table(cpu_seconds=(np.array(new, float), np.array(old, float)))


def test_the_speed_up_is_the_geometric_mean_of_paired_ratios():
    (found,) = speed_ups(RESULTS, seconds([1, 1, 2, 1], [2, 8, 4, 32]))
    assert found.contender == "old"
    assert found.ratio == pytest.approx(np.sqrt(4 * 8)), "sqrt(2 * 8) in one repetition, sqrt(2 * 32) in the other"
    assert found.lower < found.ratio < found.upper


@pytest.mark.parametrize("missing", [NAN, 0.0])
def test_instances_without_two_times_are_left_out(missing):
    (found,) = speed_ups(RESULTS, seconds([1, missing, 1, 1], [2, 9, 2, missing]))
    assert (found.ratio, found.lower, found.upper) == pytest.approx((2.0, 2.0, 2.0))


def test_one_repetition_has_a_ratio_and_no_interval():
    one = table().assign_coords(repetition=("instance", [0, 0, 0, 0]))
    (found,) = speed_ups(RESULTS, one)
    assert (found.ratio, found.lower, found.upper) == (2.0, -np.inf, np.inf)
    (panel,) = drawn(speed_up_figure({"darcy": RESULTS}, {"darcy": one}))
    assert [line.get_color() for line in panel.lines] == ["tab:gray", "black"], "a point, and the line at one"


@pytest.mark.parametrize("times", [[NAN] * 4, [0.0] * 4], ids=["missing", "zero"])
def test_a_contender_without_any_time_is_left_out_and_so_is_an_empty_figure(times):
    assert speed_ups(RESULTS, seconds([1] * 4, times)) == []
    assert speed_up_figure({"darcy": RESULTS}, {"darcy": seconds([1] * 4, times)}) is None


def test_a_problem_without_a_method_has_no_speed_up():
    baselines = replace(RESULTS, contenders=tuple(replace(c, role="baseline") for c in RESULTS.contenders))
    assert speed_ups(baselines, table()) == []


def test_colours_say_who_is_faster_and_hollow_points_who_solved_not_all():
    fast, slow = (seconds([1, 2, 1, 2], [a, 2 * a, 1.1 * a, 2.2 * a]) for a in (5, 0.2))
    stuck = table(status=([CONVERGED] * 4, [STUCK, *[CONVERGED] * 3]))
    tables = {"fast": fast, "slow": slow, "stuck": stuck}
    panels = drawn(speed_up_figure(dict.fromkeys(tables, RESULTS), tables))
    points = [next(line for line in panel.lines if line.get_marker() == "o") for panel in panels]
    assert [point.get_color() for point in points] == ["tab:green", "tab:red", "tab:green"]
    assert [point.get_markerfacecolor() for point in points] == ["tab:green", "tab:red", "w"]
    assert [text.get_text() for text in panels[2].texts] == [" 2 (1 unsolved)"]


def test_a_level_is_reached_when_the_median_instance_first_reaches_it():
    history = np.array([[1.0, 0.1, 0.5, 0.01], [1.0, 0.5, 0.01, NAN], [1.0, 0.9, NAN, NAN]])
    times = times_to_levels(history, np.array([4, 3, 2]), np.array([3.0, 20.0, 5.0]), np.array([0.9, 0.1, 0.01, 0.001]))
    # the first instance makes a step a second, the second one in ten, the third reaches 0.9 at its end
    assert times.tolist() == [5.0, 20.0, 20.0, np.inf]


def iterating(*rows, contenders=("new", "old"), **columns):
    """Instances on which all contenders have the histories of ``histories``, and a second."""
    made = histories(*rows, contenders=contenders)
    full = np.ones((len(rows), len(contenders)))
    shape = ("instance", "contender")
    return made.assign(
        {"cpu_seconds": (shape, full)} | {name: (shape, full * value) for name, value in columns.items()}
    )


def test_work_against_precision_ends_at_the_whole_time_and_the_best_value():
    curves = work_precision(RESULTS, iterating([1.0, 0.1, 0.01]))
    assert curves.keys() == {"new", "old"}
    times, levels = curves["new"]
    assert (times[-1], levels[-1]) == pytest.approx((1.0, 0.01))
    assert (np.diff(times) >= 0).all()
    assert (np.diff(levels) < 0).all()


@pytest.mark.parametrize(
    "rows",
    [[[1.0, 2.0, 3.0]], [[1.0, 0.9, 0.8]], [[NAN, NAN]], [[-1.0, -2.0]], [[1.0]], [[]]],
    ids=["growing", "hardly falling", "not finite", "negative", "one entry", "none"],
)
def test_histories_that_do_not_fall_have_no_work_against_precision(rows):
    assert work_precision(RESULTS, iterating(*rows)) == {}
    assert work_precision_figure({"darcy": RESULTS}, {"darcy": iterating(*rows)}, ("new",)) is None


@pytest.mark.parametrize("missing", [NAN, 0.0])
def test_contenders_without_a_time_have_no_curve(missing):
    assert work_precision(RESULTS, iterating([1.0, 0.01], cpu_seconds=missing)) == {}


@pytest.mark.parametrize("last", [1e-200, 0.0])
def test_levels_end_where_differences_are_rounding(last):
    times, levels = work_precision(RESULTS, iterating([1.0, 1e-3, last]))["new"]
    assert (times[-1], levels[-1]) == pytest.approx((1.0, RANGE))


def test_the_figure_has_a_panel_a_problem_and_bold_curves_of_the_headline():
    results = replace(RESULTS, contenders=(*RESULTS.contenders, *(Contender(f"c{i}", abs) for i in range(10))))
    names = tuple(contender.name for contender in results.contenders)
    made = iterating([1.0, 0.1, 0.001], [1.0, 0.2, 0.002], contenders=names)
    made["steps"].loc[{"contender": "old"}] = 0  # solves directly
    panels = drawn(work_precision_figure(dict.fromkeys("abcd", results), dict.fromkeys("abcd", made), ("new",)))
    assert [panel.get_title() for panel in panels] == list("abcd")
    assert [line.get_linewidth() for line in panels[0].lines if line.get_marker() != "o"][:2] == [2.2, 1.0]
    assert [line.get_linestyle() for line in panels[0].lines].count(":") == 1
    assert all(panel.get_ylabel() == "error" for panel in panels)
