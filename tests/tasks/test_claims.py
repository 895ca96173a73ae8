import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tasks.claims import (
    Claim,
    Verdict,
    confidence_interval,
    judge,
    mean_of,
    quotient_of_problems,
    ratio,
    ratio_of_means,
    share_above,
)


def results(**columns):
    """Results of contenders a and b on six instances in three repetitions; every metric is a pair of columns."""
    return xr.Dataset(
        {name: (("instance", "contender"), np.array(pair, float).T) for name, pair in columns.items()},
        coords={"contender": ["a", "b"], "repetition": ("instance", [0, 0, 1, 1, 2, 2])},
    )


def claim(statistic, threshold=1.0, comparison=">=", scale="log"):
    return Claim("faster", "a statement", "table 1", "darcy", statistic, threshold, comparison, scale)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.floats(0.5, 0.999))
def test_the_interval_is_that_of_student_for_the_mean(values, confidence):
    values = np.array(values)
    estimate, lower, upper = confidence_interval(values, confidence=confidence)
    error = scipy.stats.sem(values)
    expected = scipy.stats.t.interval(confidence, values.size - 1, values.mean(), error or 1e-300)
    np.testing.assert_allclose([estimate, lower, upper], [values.mean(), *expected], rtol=1e-9, atol=1e-9)


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=50))
def test_on_the_log_scale_the_estimate_is_the_geometric_mean(values):
    values = np.array(values)
    estimate, lower, upper = confidence_interval(values, "log")
    assert estimate == pytest.approx(scipy.stats.gmean(values))
    assert lower * upper == pytest.approx(estimate**2)
    np.testing.assert_allclose([lower, upper], np.exp(confidence_interval(np.log(values))[1:]))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_interval_covers_the_mean_as_often_as_it_says(scale):
    draws = np.random.default_rng(0).normal(1.0, 0.5, (4000, 5))
    draws, centre = (np.exp(draws), np.e) if scale == "log" else (draws, 1.0)
    intervals = np.array([confidence_interval(values, scale) for values in draws])
    coverage = ((intervals[:, 1] <= centre) & (centre <= intervals[:, 2])).mean()
    assert coverage == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("values", [[1.0, np.nan], [1.0, np.inf], [3.0], []])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_what_cannot_be_estimated_leaves_the_interval_unbounded(values, scale):
    assert confidence_interval(np.array(values), scale)[1:] == (-np.inf, np.inf)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_value_without_a_logarithm_leaves_the_interval_unbounded(value):
    estimate, lower, upper = confidence_interval(np.array([1.0, value]), "log")
    assert (lower, upper) == (-np.inf, np.inf)
    assert np.isfinite(estimate)


def test_repetitions_without_scatter_leave_a_point():
    assert confidence_interval(np.array([2.0, 2.0, 2.0]), "log") == pytest.approx((2.0, 2.0, 2.0))


@pytest.mark.parametrize(
    ("comparison", "threshold", "verdict"),
    [
        (">=", 1.0, Verdict.HOLDS),
        (">=", 3.0, Verdict.INCONCLUSIVE),
        (">=", 100.0, Verdict.FAILS),
        ("<=", 1.0, Verdict.FAILS),
        ("<=", 3.0, Verdict.INCONCLUSIVE),
        ("<=", 100.0, Verdict.HOLDS),
    ],
)
def test_the_verdict_follows_from_where_the_interval_lies(comparison, threshold, verdict):
    table = results(seconds=([2.9, 2.9, 3.0, 3.0, 3.1, 3.1], np.ones(6)))
    judgement = judge(claim(ratio("seconds", "a", "b"), threshold, comparison), table)
    assert judgement.estimate == pytest.approx(3.0, rel=0.01)
    assert 2.7 < judgement.lower < judgement.estimate < judgement.upper < 3.3
    assert judgement.repetitions == 3
    assert judgement.verdict is verdict


@pytest.mark.parametrize("comparison", [">=", "<="])
def test_an_interval_that_touches_the_threshold_is_decided_for_the_claim(comparison):
    table = results(seconds=(np.full(6, 2.0), np.ones(6)))
    assert judge(claim(ratio("seconds", "a", "b"), 2.0, comparison, "linear"), table).verdict is Verdict.HOLDS


@pytest.mark.parametrize("comparison", [">=", "<="])
@pytest.mark.parametrize("threshold", [0.0, 1e-300, 1e300])
def test_a_repetition_without_a_number_makes_any_claim_inconclusive(comparison, threshold):
    table = results(seconds=([1, 1, 1, 1, np.nan, np.nan], np.ones(6)))
    judgement = judge(claim(ratio("seconds", "a", "b"), threshold, comparison), table)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    described = judgement.as_dict()
    assert (described["estimate"], described["lower"], described["upper"]) == (None, None, None)


def test_the_repetitions_are_the_units_of_the_interval():
    """Instances that scatter within repetitions of equal means leave no doubt."""
    table = results(seconds=([1, 3, 1, 3, 1, 3], np.ones(6)))
    judgement = judge(claim(ratio("seconds", "a", "b")), table)
    assert judgement.lower == judgement.upper == pytest.approx(2.0)


def test_a_ratio_leaves_out_instances_on_which_either_contender_failed():
    table = results(seconds=([4, np.nan, 8, 1, 1, 1], [2, 5, 4, np.nan, np.inf, 0]))
    value = ratio_of_means(table, metric="seconds", numerator="a", denominator="b")
    assert value == pytest.approx((4 + 8 + 1) / (2 + 4 + 0))


def test_a_ratio_without_a_common_instance_is_not_a_number():
    table = results(seconds=([1, np.nan, 1, np.nan, 1, np.nan], [np.nan, 1, np.nan, 1, np.nan, 1]))
    assert np.isnan(ratio_of_means(table, metric="seconds", numerator="a", denominator="b"))


def test_a_ratio_to_zero_is_not_a_number():
    table = results(error=(np.ones(6), np.zeros(6)))
    assert np.isnan(ratio_of_means(table, metric="error", numerator="a", denominator="b"))


def test_means_below_the_floor_count_as_the_floor():
    table = results(error=(np.full(6, 1e-10), np.zeros(6)))
    assert ratio_of_means(table, metric="error", numerator="a", denominator="b", floor=1e-16) == pytest.approx(1e6)
    assert ratio_of_means(table, metric="error", numerator="a", denominator="b", floor=1e-8) == 1.0


def test_a_share_counts_what_exceeds_the_limit_or_is_no_number():
    table = results(residual=([0.1, 0.2, 0.3, np.nan, np.inf, -np.inf], np.zeros(6)))
    assert share_above(table, metric="residual", contender="a", limit=0.2) == pytest.approx(3 / 6)
    assert share_above(table, metric="residual", contender="b", limit=0.2) == 0.0


@pytest.mark.parametrize(("numerator", "timed"), [("seconds", True), ("iterations", False)])
def test_a_claim_that_needs_times_says_so(numerator, timed):
    table = results(seconds=(np.ones(6), np.ones(6)), iterations=(np.ones(6), np.ones(6)))
    assert judge(claim(ratio(numerator, "a", "b")), table, ["seconds"]).timed is timed


@pytest.mark.parametrize(("factor", "verdict"), [(1e3, Verdict.HOLDS), (1e-3, Verdict.FAILS)])
def test_a_claim_comes_out_either_way(factor, verdict):
    random = np.random.default_rng(1)
    table = results(seconds=(factor * random.uniform(1.0, 2.0, 6), random.uniform(1.0, 2.0, 6)))
    assert judge(claim(ratio("seconds", "a", "b")), table).verdict is verdict


def test_a_judgement_keeps_the_claim_it_judges():
    judgement = judge(claim(ratio("seconds", "a", "b"), 5.0), results(seconds=(np.ones(6), np.ones(6))))
    described = judgement.as_dict()
    assert (described["name"], described["problem"], described["source"]) == ("faster", "darcy", "table 1")
    assert (described["comparison"], described["threshold"], described["role"]) == (">=", 5.0, "paper")
    assert described["verdict"] == "fails"


def test_a_mean_is_that_over_instances_and_not_a_number_where_one_is_missing():
    table = results(error=([1, 2, 3, 4, 5, 9], [0, 0, 0, 0, 0, np.nan]))
    assert mean_of(table, metric="error", contender="a") == 4.0
    assert np.isnan(mean_of(table, metric="error", contender="b"))
    with pytest.raises(KeyError):
        mean_of(table, metric="error", contender="c")
    with pytest.raises(KeyError):
        mean_of(table, metric="seconds", contender="a")


def test_quotients_of_problems_compare_means():
    tables = [results(error=([scale] * 6, [0] * 6)) for scale in (1.0, 4.0)]
    table = xr.concat(tables, "problem", coords="minimal").assign_coords(problem=["first", "second"])
    pair = {"metric": "error", "numerator": "second", "denominator": "first"}
    assert quotient_of_problems(table, contender="a", **pair) == 4.0
    assert np.isnan(quotient_of_problems(table, contender="b", **pair))
