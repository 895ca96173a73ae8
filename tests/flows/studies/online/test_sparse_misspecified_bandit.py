import numpy as np
import pytest
import xarray as xr

from flows.plan import resolve_settings
from flows.studies.online.sparse_misspecified_bandit import (
    STUDY,
    advantage,
    by_problem,
    core_set_bound,
    difference_between_problems,
    growth_per_step,
    root_slope,
    share_beyond,
)
from tasks.study import Size

DIMENSIONS = {"d-4": 4, "d-9": 9, "d-16": 16}


def table(losses, optimum=10.0):
    """Rewards of a contender and of one that finds the optimum, shape (problems, instances)."""
    losses = np.asarray(losses, float)
    rewards = np.stack([optimum - losses, np.full_like(losses, optimum)], axis=2)
    dims = ("problem", "instance", "contender")
    return xr.Dataset(
        {"reward": (dims, rewards), "optimum": (dims, np.full_like(rewards, optimum)), "queries": (dims, rewards)},
        {"problem": list(DIMENSIONS), "contender": ["cover", "best"]},
    )


@pytest.mark.parametrize("slope", [-0.3, 0.0, 2.0])
def test_the_slope_is_that_of_the_mean_loss_on_the_root_of_the_dimension(slope):
    losses = 1.0 + slope * np.sqrt([4.0, 9.0, 16.0])[:, None] + np.array([-0.5, 0.0, 0.5])
    assert root_slope(table(losses), contender="cover", dimensions=DIMENSIONS) == pytest.approx(slope)
    assert root_slope(table(losses), contender="best", dimensions=DIMENSIONS) == pytest.approx(0.0)


def test_the_share_counts_losses_beyond_the_limit_and_those_that_are_missing():
    losses = [[0.0, 4.0, 4.1], [5.0, np.nan, 3.9], [0.0, 0.0, 0.0]]
    assert share_beyond(table(losses), contender="cover", limit=4.0) == pytest.approx(3 / 9)
    assert share_beyond(table(losses), contender="best", limit=4.0) == 0.0


def test_a_missing_reward_leaves_the_other_statistics_undefined():
    losses = np.ones((3, 3))
    losses[1, 1] = np.nan
    assert np.isnan(root_slope(table(losses), contender="cover", dimensions=DIMENSIONS))
    assert np.isnan(advantage(table(losses), contender="cover", rival="best"))


def test_the_advantage_is_the_difference_of_mean_rewards():
    assert advantage(table(np.full((3, 2), 1.5)), contender="best", rival="cover") == pytest.approx(1.5)


def test_the_difference_between_problems_is_that_of_mean_losses():
    losses = [[1.0, 3.0], [0.0, 1.0], [0.0, 0.0]]
    pair = {"higher": "d-4", "lower": "d-9"}
    assert difference_between_problems(table(losses), contender="cover", **pair) == pytest.approx(1.5)


def test_the_growth_per_step_is_a_factor():
    results = table(np.ones((3, 2)))
    results["queries"] = results["queries"] * 0.0 + xr.DataArray([5.0, 15.0, 45.0], dims="problem")
    steps = {"d-4": 1, "d-9": 2, "d-16": 3}
    assert growth_per_step(results, metric="queries", contender="cover", steps=steps) == pytest.approx(3.0)


def test_statistics_of_several_problems_see_them_apart_in_stacked_groups():
    losses = np.sqrt([4.0, 9.0, 16.0])[:, None] * np.ones(4)
    results = table(losses)
    results["repetition"] = ("problem", "instance"), np.tile([0, 0, 1, 1], (3, 1))

    def slope(part):
        return root_slope(part, contender="cover", dimensions=DIMENSIONS)

    values = [by_problem(group, statistic=slope) for _, group in results.groupby("repetition")]
    np.testing.assert_allclose(values, 1.0)
    assert by_problem(results, statistic=slope) == pytest.approx(1.0)


def test_a_contender_that_is_missing_is_a_key_error():
    for statistic in (
        lambda results: root_slope(results, contender="none", dimensions=DIMENSIONS),
        lambda results: share_beyond(results, contender="none", limit=4.0),
        lambda results: advantage(results, contender="none", rival="best"),
    ):
        with pytest.raises(KeyError):
            statistic(table(np.ones((3, 2))))


def test_every_budget_is_what_the_design_needs_and_less_than_all_arms():
    settings = resolve_settings(STUDY, Size.DEFAULT, {})
    for name, made in STUDY.problems(settings).items():
        arms, dimension = made.variables()["arms"].shape
        assert STUDY.budget(settings, name) == {"queries": core_set_bound(dimension)}
        assert dimension <= core_set_bound(dimension) < arms / 2


def test_the_figure_shows_every_dimension():
    contenders = [contender.name for contender in STUDY.contenders(None, "d-5")]
    dims = ("instance", "contender")
    values = {name: (dims, np.ones((2, len(contenders)))) for name in ("suboptimality", "queries")}
    one = xr.Dataset(values, {"contender": contenders})
    figure = STUDY.figure({"d-10": one, "d-5": one, "uniform": one})
    losses, prices = figure.axes
    assert losses.lines[0].get_xdata().tolist() == prices.lines[0].get_xdata().tolist() == [5, 10]
