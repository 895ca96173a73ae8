import numpy as np
import pytest
import xarray as xr

from tasks.claims import Claim, Verdict, judge, select_results
from tasks.rates import growth, log_log_slope

SIZES = {"small": 10.0, "middle": 100.0, "big": 1000.0}


def tables(exponent=1.5, missing=()):
    """Cost that grows as a power of the size, in two repetitions of two instances each, for two contenders."""
    made = {}
    for name, size in SIZES.items():
        cost = size**exponent * np.array([[1.0, 5.0], [3.0, 5.0], [1.0, 5.0], [3.0, 5.0]])
        made[name] = xr.Dataset(
            {"cost": (("instance", "contender"), cost), "repetition": ("instance", [0, 0, 1, 1])},
            {"contender": ["new", "old"]},
        )
        if name in missing:
            made[name] = made[name].sel(contender=["old"])
    return made


def claim(contender="new", threshold=1.6):
    return Claim("growth", "", "", tuple(SIZES), growth("cost", contender, SIZES), threshold, "<=", "linear")


@pytest.mark.parametrize("exponent", [-2.0, 0.0, 0.5, 3.0])
def test_the_exponent_of_a_power_is_found(exponent):
    sizes = np.array([1.0, 2.0, 7.0])
    assert log_log_slope(sizes, 4.0 * sizes**exponent) == pytest.approx(exponent)


@pytest.mark.parametrize(
    ("sizes", "values"),
    [([2.0, 2.0], [1.0, 3.0]), ([1.0, 2.0], [1.0, 0.0]), ([1.0, 2.0], [1.0, np.nan]), ([3.0], [1.0])],
)
def test_there_is_no_slope_where_it_is_undefined(sizes, values):
    assert np.isnan(log_log_slope(sizes, values))


@pytest.mark.parametrize(("threshold", "verdict"), [(1.6, Verdict.HOLDS), (1.4, Verdict.FAILS)])
def test_a_claim_on_growth_reads_all_its_problems(threshold, verdict):
    judgement = judge(claim(threshold=threshold), select_results(claim(), tables()))
    assert judgement.estimate == pytest.approx(1.5)
    assert judgement.problem == "small..big"
    assert judgement.verdict is verdict


def test_a_contender_that_a_problem_lacks_leaves_no_verdict():
    judgement = judge(claim(), select_results(claim(), tables(missing=["middle"])))
    assert judgement.verdict is Verdict.INCONCLUSIVE
