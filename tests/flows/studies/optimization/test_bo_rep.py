import numpy as np
import pytest
import xarray as xr

from flows.studies.optimization.bilevel.measures import (
    average_decay,
    decay,
    early_progress,
    final_progress,
    objective,
    root_mean_square_distance,
)
from flows.studies.optimization.bo_rep import (
    CHOSEN,
    GRID,
    GRID_POINTS,
    LARGEST_LOSS,
    LEAST_STEPS,
    METHOD,
    STUDY,
    grid_step,
    loss_over_steps,
    more_loss_over_steps,
)
from kernels.result import Result, Status

SETTINGS = STUDY.settings(instances=1, repetitions=2)


def results(**finals):
    """One instance of the grid with these F."""
    names = [f"{name}-{point}" for name in finals for point in range(GRID_POINTS)]
    values = np.array([[value for column in finals.values() for value in column]], float)
    return xr.Dataset({"objective": (("instance", "contender"), values)}, coords={"contender": names})


def test_the_loss_over_steps_is_that_of_the_best_factor_of_ten():
    flat, sharp = [9, 1.1, 1, 1.05, 3, 9], [9, 4, 1, 5, 9, np.inf]
    table = results(flat=flat, sharp=sharp)
    assert loss_over_steps(table, name="flat") == pytest.approx(1.1)
    assert loss_over_steps(table, name="sharp") == pytest.approx(5.0)
    assert more_loss_over_steps(table, name="flat", other="sharp") == pytest.approx(5.0 / 1.1)


def test_what_diverged_counts_as_the_largest_loss():
    table = results(lost=[np.nan, np.inf, 1, np.nan, np.inf, 1e20])
    assert loss_over_steps(table, name="lost") == LARGEST_LOSS


def test_a_missing_step_is_an_error():
    with pytest.raises(KeyError):
        loss_over_steps(results(flat=[1] * 6), name="other")


def run(history, value=(0.0,)):
    return Result(np.array(value), Status.CONVERGED, np.asarray(history, float))


def test_progress_is_averaged_over_the_first_and_the_last_tenth():
    history = np.arange(101.0)
    assert early_progress(None, run(history)) == np.arange(1, 11).mean()
    assert final_progress(None, run(history)) == np.arange(91, 101).mean()
    assert np.isnan(final_progress(None, run([])))


def test_decay_is_the_exponent_from_a_tenth_of_the_budget_on():
    steps = np.maximum(np.arange(101.0), 1.0)
    history = np.where(steps < 10, 7.0, steps**-0.5)
    assert decay(None, run(history)) == pytest.approx(-0.5)
    assert average_decay(None, run(np.full(101, 3.0))) == pytest.approx(0.0)
    assert decay(None, run([1.0, 0.5])) == 0.0


def test_a_point_that_is_not_finite_has_an_infinite_objective():
    assert objective(None, run([1.0], (np.nan,))) == np.inf


def test_distances():
    assert root_mean_square_distance(np.array([3.0, 4.0]), np.zeros(2)) == pytest.approx(np.sqrt(12.5))


def test_every_method_has_six_steps_and_the_chosen_ones_are_among_them():
    for problem, chosen in CHOSEN.items():
        assert chosen.keys() == LEAST_STEPS[problem].keys()
        assert all(0 <= point < GRID_POINTS for point in chosen.values())
        for contender in STUDY.contenders(SETTINGS, problem):
            if contender.budgeted and contender.name in chosen:
                assert contender.options["step"] == grid_step(problem, contender.name, chosen[contender.name])
    labels = {contender.name for contender in STUDY.contenders(SETTINGS, GRID)}
    assert {f"{METHOD}-{point}" for point in range(GRID_POINTS)} <= labels


def test_methods_differ_in_nothing_but_what_is_their_own():
    for problem in STUDY.problems(SETTINGS):
        budgeted = [contender for contender in STUDY.contenders(SETTINGS, problem) if contender.budgeted]
        for option in ("lower_step", "batch"):
            assert len({contender.options[option] for contender in budgeted}) == 1


def test_steps_are_chosen_on_another_seed_than_they_are_tested_on():
    assert all(size["seed"] != 0 for size in STUDY.sizes.values())


def test_without_sequences_jax_is_not_needed():
    without = STUDY.settings(instances=1, repetitions=2, sequences=0)
    assert "recurrent" not in STUDY.problems(without)
    assert not any("recurrent" in claim.problems for claim in STUDY.claims(without))
    assert "recurrent" in STUDY.problems(SETTINGS)
