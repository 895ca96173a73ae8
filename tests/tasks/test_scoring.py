import numpy as np
import pytest
from result_tables import CONVERGED, FAILED, RESULTS, STUCK, histories, table

from tasks.claims import Claim, Verdict, judge, ratio
from tasks.scoring import CURVE_POINTS, in_plain_words, judge_claims, median_curve, summarise


def test_a_row_holds_means_and_maxima():
    new, old = summarise(RESULTS, table())
    assert (new["problem"], new["contender"], new["role"], new["instances"]) == ("darcy", "new", "method", 4)
    assert (new["additions"], new["additions_max"]) == (2.5, 4.0)
    assert (old["additions"], old["cpu_seconds"]) == (5.0, 2.0)
    assert (new["unsolved"], new["failed"]) == (0, 0)
    assert not any(key.endswith("_not_finite") for key in new)


def test_failures_are_counted_and_not_averaged_in():
    new, old = summarise(
        RESULTS,
        table(
            additions=([1, 2, np.nan, np.inf], [np.nan] * 4),
            status=([CONVERGED, STUCK, FAILED, FAILED], [FAILED] * 4),
        ),
    )
    assert (new["unsolved"], new["failed"]) == (3, 2)
    assert (new["additions"], new["additions_max"], new["additions_not_finite"]) == (1.5, 2.0, 2)
    assert (old["additions"], old["additions_max"], old["additions_not_finite"]) == (None, None, 4)


ON_TIME = Claim("faster", "", "", "darcy", ratio("cpu_seconds", "old", "new"), 1.0)
ON_COUNTS = Claim("fewer", "", "", "darcy", ratio("additions", "old", "new"), 1.0)


def said(given, claim=ON_TIME):
    return in_plain_words(summarise(RESULTS, given), [judge(claim, given, ["cpu_seconds"])])


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        (table(), ["new is the fastest of 2 contenders"]),
        (table(new_seconds=3.0), ["old wins, 1.5 times faster than new (2e+03 against 3e+03 ms per instance)"]),
        (
            table(status=([CONVERGED] * 4, [CONVERGED] * 3 + [STUCK])),
            ["old leaves 1 of 4 instances unsolved", "new is the fastest of 1 contenders"],
        ),
        (table(status=([STUCK] + [CONVERGED] * 3, [CONVERGED] * 4)), ["new leaves 1 of 4 instances unsolved"]),
    ],
)
def test_the_outcome_is_said_in_plain_words(given, sentences):
    for line, sentence in zip(said(given), sentences, strict=True):
        assert line.startswith("darcy: ")
        assert sentence in line


def test_nobody_is_called_the_fastest_where_no_claim_is_about_time():
    assert said(table(), ON_COUNTS) == []


def test_claims_are_judged_on_the_table_of_their_problem():
    claims = tuple(Claim("faster", "", "", p, ratio("cpu_seconds", "old", "new"), 1.0) for p in ("darcy", "poisson"))
    curve = ("step", [1.0, 0.1])
    tables = {"darcy": table().assign(history=curve), "poisson": table(new_seconds=8.0).assign(history=curve)}
    darcy, poisson = judge_claims(claims, tables)
    assert (darcy.verdict, poisson.verdict) == (Verdict.HOLDS, Verdict.FAILS)
    assert darcy.timed
    assert darcy.repetitions == 2


def test_the_curve_is_the_median_of_the_histories():
    steps, values = median_curve(histories([1, 0.5, 0.1], [1, 0.4, 0.2], [1, 0.9, 0.3]), "new")
    np.testing.assert_array_equal(steps, [0, 1, 2])
    np.testing.assert_array_equal(values, [1, 0.5, 0.2])


def test_an_instance_that_has_finished_keeps_its_last_value():
    _, values = median_curve(histories([1, 0.5, 0.4, 0.3], [1, 0.1], [1, 0.1]), "new")
    np.testing.assert_array_equal(values, [1, 0.1, 0.1, 0.1])


def test_steps_without_a_finite_median_are_left_out():
    steps, _ = median_curve(histories([1, np.inf, np.nan, 0.1]), "new")
    np.testing.assert_array_equal(steps, [0, 3])


def test_a_method_without_a_history_has_no_curve():
    steps, values = median_curve(histories([], []), "new")
    assert steps.size == values.size == 0


def test_a_failed_instance_does_not_bend_the_curve():
    _, values = median_curve(histories([1, 0.5], [], []), "new")
    np.testing.assert_array_equal(values, [1, 0.5])


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    long = np.geomspace(1.0, 1e-8, 20_000)
    steps, values = median_curve(histories(long, length=20_000), "new")
    assert steps.size <= CURVE_POINTS
    assert (steps[0], steps[-1]) == (0, 19_999)
    assert (np.diff(steps) > 0).all()
    np.testing.assert_array_equal(values, long[steps])


def test_curves_are_the_same_where_the_histories_do_not_fit_into_memory(monkeypatch):
    random = np.random.default_rng(0)
    given = histories(*(list(random.random(length)) for length in (40, 0, 3, 17, 1, 29)), length=50)
    steps, values = median_curve(given, "new")
    monkeypatch.setattr("tasks.scoring.CURVE_BYTES", 1000)
    blockwise = median_curve(given, "new")
    assert np.array_equal(steps, blockwise[0])
    assert np.array_equal(values, blockwise[1])
    assert steps.size == 40
