import numpy as np
import pytest
import xarray as xr

from data.validation import InputError
from flows.plan import resolve_settings
from flows.studies.linear_systems.deep_conjugate_directions import METHOD, STUDY, median_history
from tasks.study import Size


def default():
    return resolve_settings(STUDY, Size.DEFAULT, {})


def test_all_problems_share_the_networks_one_to_a_repetition():
    problems = STUDY.problems(default()).values()
    own = {"grid", "matrix"}
    shared = [problem.model_dump(exclude=own) for problem in problems]
    assert all(parameters == shared[0] for parameters in shared)
    assert shared[0]["systems_per_network"] == default().instances


def test_one_problem_has_twice_the_cells_per_side_of_what_is_trained_on():
    problems = STUDY.problems(default())
    assert {name: problem.grid for name, problem in problems.items()} == {
        "pockets": 64,
        "pockets-doubled": 128,
        "gallery-poisson": 64,
        "gallery-diffusion": 64,
    }
    assert {problem.training_grid for problem in problems.values()} == {64}


def test_the_method_and_its_ablations_differ_in_the_directions_kept_alone():
    networked = {c.name: dict(c.options) for c in STUDY.contenders(default(), "pockets") if "conjugated" in c.options}
    kept = {name: options.pop("conjugated") for name, options in networked.items()}
    assert kept == {METHOD: 2, "line-search": 0, "fcg-1": 1, "fcg-20": 20}
    assert all(options == {"tolerance": 1e-4, "max_iterations": 1000} for options in networked.values())


def test_size_independence_allows_half_as_much_again():
    claim = next(claim for claim in STUDY.claims(default()) if claim.name == "independent-of-size")
    for counts, holds in (((20.0, 29.9), True), ((20.0, 30.1), False)):
        table = xr.Dataset(
            {"iterations": (("problem", "instance", "contender"), np.array(counts).reshape(2, 1, 1))},
            {"problem": list(claim.problem), "contender": [METHOD]},
        )
        assert (claim.statistic(table) <= claim.threshold) == holds


def histories(*rows, length):
    padded = np.array([[*row, *[np.nan] * (length - len(row))] for row in rows])
    return xr.Dataset({"history": (("instance", "contender", "step"), padded[:, None])}, {"contender": ["only"]})


def test_the_median_history_ends_where_most_have_ended():
    table = histories([1.0, 0.5, 0.1], [1.0, 0.3], [1.0, 0.1, 0.3, 0.2], length=5)
    np.testing.assert_allclose(median_history(table, "only"), [1.0, 0.3, 0.2])


def test_the_figure_shows_both_sizes():
    shown = {c.name for c in STUDY.contenders(default(), "pockets")}
    table = xr.concat([histories([1.0, 0.1], length=3).assign_coords(contender=[name]) for name in shown], "contender")
    figure = STUDY.figure({"pockets": table, "pockets-doubled": table})
    assert [axes.get_title() for axes in figure.axes] == ["pockets", "pockets-doubled"]
    assert all(len(axes.lines) == 7 for axes in figure.axes)


def test_more_modes_than_cells_are_refused():
    with pytest.raises(InputError, match="ritz_vectors=300 must be at most grid"):
        resolve_settings(STUDY, Size.DEFAULT, {"grid": 16})
