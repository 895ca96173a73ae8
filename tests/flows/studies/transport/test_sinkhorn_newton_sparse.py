import numpy as np
import pytest
import xarray as xr

from data.problem import make_fields
from flows.plan import resolve_settings
from flows.studies.transport.sinkhorn_newton_sparse import (
    METHOD,
    STUDY,
    convergence_order,
    draw_violations,
    plan_distance,
    relative_gap,
    seconds_per_iteration,
    transport_cost,
    violation,
)
from kernels.result import Result, Status
from tasks.study import Size


def table(contenders, **columns):
    """Two instances; columns hold a pair of values for each contender."""
    variables = {name: (("contender", "instance"), np.array(values, float)) for name, values in columns.items()}
    return xr.Dataset(variables, {"contender": contenders})


def ended(history):
    return Result(np.empty(0), Status.CONVERGED, np.array(history))


@pytest.mark.parametrize(
    ("history", "order"),
    [
        ([1.0, 1e-1, 1e-2, 1e-4, 1e-8], 2.0),
        ([1e-2, 1e-4, 1e-6], 1.0),
        ([1e-2, 1e-3, 1e-2], 0.0),
        ([1e-3, 1e-2, 1e-4], 0.0),
        ([1e-2, 1e-3], 0.0),
    ],
)
def test_the_order_is_that_of_the_last_two_steps(history, order):
    assert convergence_order(None, ended(history)) == pytest.approx(order)


def test_a_history_that_ends_in_zero_has_a_finite_order():
    assert 1.0 < convergence_order(None, ended([1e-2, 1e-4, 0.0])) < np.inf


def test_seconds_are_compared_per_iteration():
    results = table(["fast", "slow"], cpu_seconds=[[1.0, 3.0], [8.0, 8.0]], iterations=[[2, 2], [40, 40]])
    assert seconds_per_iteration(results, contender="fast", peer="slow") == pytest.approx(5.0)
    with pytest.raises(KeyError):
        seconds_per_iteration(results, contender="fast", peer="absent")


def test_the_gap_is_relative_to_what_entropy_explains():
    results = table([METHOD, "exact"], transport_cost=[[0.5, 0.7], [0.4, 0.6]])
    assert relative_gap(results, points=100, eta=10.0) == pytest.approx(0.1 * 10.0 / np.log(100))


def test_the_distance_of_plans_is_the_mass_that_goes_elsewhere():
    assert plan_distance(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])) == 0.25
    assert plan_distance(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == 1.0


def test_cost_and_violation_are_measured_on_the_plan():
    problem = STUDY.problems(resolve_settings(STUDY, Size.SMALL, {}))["assignment-16"]
    instance = problem.assemble(make_fields(problem, 0, 0))
    independent = Result(np.full((16, 16), 1 / 256), Status.CONVERGED, np.empty(0))
    assert transport_cost(instance, independent) == pytest.approx(instance.cost.mean())
    assert violation(instance, independent) == pytest.approx(0.0, abs=1e-15)
    assert violation(instance, Result(np.zeros((16, 16)), Status.CONVERGED, np.empty(0))) == pytest.approx(2.0)


def test_at_the_default_size_the_assignment_is_the_papers():
    problem = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {}))["assignment-500"]
    assert (problem.points, problem.eta) == (500, 1200.0)


def test_the_figure_shows_violations_over_iterations_and_seconds():
    contenders = [METHOD, "dense-newton", "stabilised-sinkhorn", "log-domain-sinkhorn"]
    history = np.full((1, 4, 10), np.nan)
    history[:, :, :5] = np.geomspace(1.0, 1e-8, 5)
    results = xr.Dataset(
        {
            "history": (("instance", "contender", "step"), history),
            "steps": (("instance", "contender"), np.full((1, 4), 5)),
            "cpu_seconds": (("instance", "contender"), np.full((1, 4), 2.0)),
        },
        {"contender": contenders},
    )
    names = STUDY.problems(resolve_settings(STUDY, Size.SMALL, {}))
    figure = draw_violations(dict.fromkeys(names, results))
    assert len(figure.axes) == 6
    iterations, seconds = figure.axes[:2]
    assert [line.get_label() for line in iterations.lines] == contenders
    np.testing.assert_allclose(seconds.lines[0].get_xdata(), [0.5, 1.0, 1.5, 2.0])
