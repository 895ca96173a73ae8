import numpy as np
import pytest
import xarray as xr

from data.problem import make_fields
from flows.plan import resolve_settings
from flows.studies.optimization.adasketch_newton import STUDY
from flows.studies.optimization.constrained.contenders import contenders
from flows.studies.optimization.constrained.figure import rates_and_costs
from flows.studies.optimization.constrained.problems import CONTROLS, LOGISTIC, SMALL_PROBLEMS
from flows.studies.optimization.constrained.statistics import (
    acceleration,
    distance,
    faster_growth,
    flops_per_step_ratio,
    kkt_residual,
    late_shortfall,
    median,
    more_unsolved,
    rate,
    relative_rate,
)
from kernels.result import Result, Status
from tasks.claims import mean_of
from tasks.study import Size


def table(contenders, **columns):
    """Two instances; columns hold a pair of values for each contender."""
    variables = {name: (("contender", "instance"), np.array(values, float)) for name, values in columns.items()}
    return xr.Dataset(variables, {"contender": contenders})


def ended(history=(1.0,), **work):
    return Result(np.empty(0), Status.CONVERGED, np.array(history), work)


@pytest.fixture(scope="module")
def default():
    return resolve_settings(STUDY, Size.DEFAULT, {})


def test_the_rate_is_the_median_factor_of_the_last_five_steps():
    assert rate(None, ended([1.0, 0.9, 0.09, 0.009, 0.0009, 0.00027, 0.0001])) == pytest.approx(0.1)
    assert rate(None, ended([1.0, 0.5])) == 0.5
    assert rate(None, ended()) == 1.0


def test_acceleration_compares_the_last_factor_with_that_of_two_steps_before():
    assert acceleration(None, ended([1.0, 1e-1, 1e-3, 1e-7])) == pytest.approx(1e-3)
    assert acceleration(None, ended([1.0, 1e-1, 1e-2, 1e-3])) == pytest.approx(1.0)
    assert acceleration(None, ended([1.0, 1e-1, 1e-3])) == 1.0


def test_a_residual_of_zero_counts_as_rounding():
    assert acceleration(None, ended([1.0, 1e-1, 1e-2, 0.0])) == pytest.approx(1e-11)


def test_the_shortfall_is_what_the_shortest_late_step_lacks():
    assert late_shortfall(None, ended(late_step_length=0.25)) == 0.75
    assert np.isnan(late_shortfall(None, ended()))


def test_the_residual_is_measured_on_variables_and_multipliers(default):
    problem = STUDY.problems(default)[SMALL_PROBLEMS]
    instance = problem.assemble(make_fields(problem, 0, 0))
    solved = Result(np.array([1.0, 1.0, 0.0]), Status.CONVERGED, np.empty(0))
    assert kkt_residual(instance, solved) == 0.0
    # the constraint is 10 and the Lagrangian's gradient (-2, 0) + 2 (0, 10)
    other = Result(np.array([0.0, 1.0, 2.0]), Status.CONVERGED, np.empty(0))
    assert kkt_residual(instance, other) == pytest.approx(np.sqrt(100 + 4 + 400))


def test_rates_are_relative_to_the_inner_accuracy():
    results = table(["a"], rate=[[0.09, 0.11]])
    assert relative_rate(results, contender="a", accuracy=0.1) == pytest.approx(1.0)
    assert relative_rate(results, contender="a", accuracy=0.05) == pytest.approx(2.0)


def test_operations_are_compared_per_step():
    results = table(["a", "b"], inner_flops=[[10.0, 30.0], [8.0, 8.0]], inner_steps=[[1, 3], [4, 4]])
    assert flops_per_step_ratio(results, contender="a", peer="b") == pytest.approx(5.0)


def test_what_is_unsolved_is_compared():
    results = table(["a", "b"], kkt_residual=[[1e-5, np.nan], [1e-5, 1e-6]])
    assert more_unsolved(results, contender="a", peer="b", limit=1e-4) == 0.5
    assert more_unsolved(results, contender="b", peer="a", limit=1e-4) == -0.5


def test_growth_is_compared_by_exponents():
    sizes = {"p": 10.0, "q": 100.0}
    parts = [table(["a", "b"], inner_flops=[[n**3, n**3], [n**2, n**2]]) for n in sizes.values()]
    results = xr.concat(parts, xr.DataArray(list(sizes), dims="problem", name="problem"))
    assert faster_growth(results, metric="inner_flops", contender="a", peer="b", sizes=sizes) == pytest.approx(1.0)


@pytest.mark.parametrize("statistic", [mean_of, median])
def test_averages_need_their_contender_and_keep_what_is_missing(statistic):
    results = table(["a"], rate=[[1.0, np.nan]])
    assert np.isnan(statistic(results, metric="rate", contender="a"))
    with pytest.raises(KeyError):
        statistic(results, metric="rate", contender="b")


def test_distances_are_relative_to_large_references_only():
    assert distance(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
    assert distance(np.array([0.01]), np.array([0.0])) == 0.01


def test_twelve_instances_are_one_round_of_the_small_problems(default):
    assert default.instances == 12
    assert default.repetitions >= 5


def test_accuracies_are_the_published_ones(default):
    by_name = {contender.name: contender.options for contender in contenders(default, LOGISTIC)}
    assert by_name["kaczmarz"]["least_curvature"] == 1e-2
    assert [by_name[f"linear-{d}"]["accuracy"] for d in ("0.3", "0.1", "0.03")] == [0.3, 0.1, 0.03]
    assert by_name["sharpened"]["sharpening"] == "residual"
    assert "constants" not in by_name["kaczmarz"]  # the literal ones


def test_the_figure_shows_rates_and_costs():
    settings = resolve_settings(STUDY, Size.SMALL, {})
    tables = {}
    for problem in (SMALL_PROBLEMS, LOGISTIC, CONTROLS[-1]):
        names = [contender.name for contender in contenders(settings, problem)]
        history = np.full((2, len(names), 8), np.nan)
        history[:, :, :4] = np.geomspace(1.0, 1e-6, 4)
        tables[problem] = xr.Dataset(
            {
                "history": (("instance", "contender", "step"), history),
                "steps": (("instance", "contender"), np.full((2, len(names)), 4)),
                "evaluations": (("instance", "contender"), np.full((2, len(names)), 9.0)),
                "inner_flops": (("instance", "contender"), np.full((2, len(names)), 1e4)),
            },
            {"contender": names},
        )
    figure = rates_and_costs(tables)
    assert len(figure.axes) == 3
    curves = figure.axes[0].lines
    assert [line.get_label() for line in curves][:4] == ["linear-0.3", "linear-0.1", "linear-0.03", "sharpened"]
    assert all(line.get_xdata().size == 4 for line in curves)
