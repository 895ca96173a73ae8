import numpy as np
import pytest
import xarray as xr

from flows.studies.optimization.bsvrb import (
    BATCH_SCAN,
    BLOCK_SCAN,
    CHOSEN,
    LOWER_STEPS,
    SPEED_UP,
    STUDY,
    V1,
    V2,
    contender,
    gain_beyond,
    scan_name,
    share_of_best,
    speed_up,
)

SETTINGS = STUDY.settings(instances=1, repetitions=2)


def results(metric, **columns):
    values = np.array([list(columns.values())], float)
    return xr.Dataset({metric: (("instance", "contender"), values)}, coords={"contender": list(columns)})


def test_speed_up_is_the_exponent_of_the_iterations():
    table = results("iterations", one=1600.0, four=400.0, sixteen=100.0)
    assert speed_up(table, contenders=("one", "four", "sixteen"), sizes=(1, 4, 16)) == pytest.approx(-1.0)
    with pytest.raises(KeyError):
        speed_up(table, contenders=("one", "five"), sizes=(1, 5))


def test_a_gain_beyond_anothers_is_the_difference_of_the_exponents():
    table = results("iterations", one=400.0, four=100.0, slow=100.0, slower=100.0)
    found = gain_beyond(table, contenders=("one", "four"), rivals=("slow", "slower"), sizes=(1, 4))
    assert found == pytest.approx(1.0)


def test_the_share_of_the_best_is_that_of_the_least_mean():
    table = results("objective", own=3.0, first=4.0, second=2.0)
    assert share_of_best(table, contender="own", rivals=("first", "second")) == 1.5


def test_scans_differ_in_what_is_sampled_and_have_the_method_in_common():
    contenders = {found.name: found for found in STUDY.contenders(SETTINGS, SPEED_UP)}
    for version in (V1, V2, "rsvrb"):
        for scan in (BLOCK_SCAN, BATCH_SCAN):
            for blocks, batch in scan:
                options = contenders[scan_name(version, blocks, batch)].options
                assert (options["sampled_blocks"], options["batch"]) == (blocks, batch)
                assert ("system_step" in options) == (version != V1)
    assert {found.options["target"] for found in contenders.values() if found.budgeted} == {0.2}


def test_steps_are_points_of_the_grid_and_those_of_the_lower_level_alike():
    for problem, chosen in CHOSEN.items():
        for name, (point, lower) in chosen.items():
            assert 0 <= point < 6
            options = contender(problem, name, (point, lower)).options
            assert options["lower_step"] == LOWER_STEPS[lower]
            assert options.get("system_step", LOWER_STEPS[lower]) == LOWER_STEPS[lower]


def test_all_sample_the_same_where_speed_up_is_not_measured():
    for problem in set(STUDY.problems(SETTINGS)) - {SPEED_UP}:
        budgeted = [found.options for found in STUDY.contenders(SETTINGS, problem) if found.budgeted]
        assert len({(options["sampled_blocks"], options["batch"]) for options in budgeted}) == 1


def test_steps_are_chosen_on_another_seed_than_they_are_tested_on():
    assert all(size["seed"] != 0 for size in STUDY.sizes.values())
