from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import xarray as xr

from data.linear_system import LinearSystem
from flows.studies.optimization.bcd_greedy import STUDY
from flows.studies.optimization.block_descent.statistics import (
    SMALLEST_GAP,
    gap_ratio,
    gaps,
    identification,
    identification_ratio,
    relative_objective,
    share_of_gaps_above,
    steps_after_identification,
)
from kernels.result import Result, Status


def results(**objectives):
    """Two instances with these objectives."""
    names = list(objectives)
    values = np.array([objectives[name] for name in names]).T
    return xr.Dataset({"relative_objective": (("instance", "contender"), values)}, coords={"contender": names})


def test_a_gap_is_the_distance_to_the_reference_and_never_below_rounding():
    table = results(reference=[0.5, 0.2], fast=[0.6, 0.2 - 1e-17], slow=[1.0, 1.2])
    np.testing.assert_allclose(gaps(table, "fast"), [0.1, SMALLEST_GAP])
    assert gap_ratio(table, numerator="fast", denominator="slow") == pytest.approx(0.1 / 1.5)


def test_the_share_of_gaps_counts_what_is_not_finite():
    table = results(reference=[0.0, 0.0], good=[1e-13, 1e-14], half=[1e-13, 1e-3], lost=[np.nan, 1e-3])
    shares = [share_of_gaps_above(table, contender=name, limit=1e-12) for name in ("good", "half", "lost")]
    assert shares == [0.0, 0.5, 1.0]


def test_a_missing_contender_is_an_error():
    with pytest.raises(KeyError):
        gap_ratio(results(reference=[0.0]), numerator="fast", denominator="reference")


def test_steps_are_counted_from_the_last_change_of_the_support():
    table = xr.Dataset(
        {
            "iterations": (("instance", "contender"), [[12.0], [8.0]]),
            "identification": (("instance", "contender"), [[10.0], [8.0]]),
        },
        coords={"contender": ["greedy-bcd"]},
    )
    assert steps_after_identification(table, contender="greedy-bcd") == 1.0


def test_identification_is_compared_between_problems():
    table = xr.Dataset(
        {"identification": (("problem", "instance", "contender"), [[[10.0], [20.0]], [[30.0], [60.0]]])},
        coords={"problem": ["great", "small"], "contender": ["pg"]},
    )
    assert identification_ratio(table, contender="pg", small="small", great="great") == 3.0


def test_the_objective_of_a_system_is_relative_to_a_jacobi_step():
    system = LinearSystem(sp.csr_array(np.diag([2.0, 5.0])), np.array([1.0, 3.0]), np.zeros(1))
    exact = Result(np.array([0.5, 0.6]), Status.CONVERGED, np.zeros(1))
    assert relative_objective(system, exact) == pytest.approx(-1.0)


def test_the_objective_of_a_model_is_what_its_fit_says():
    fitted = Result(np.zeros(1), Status.CONVERGED, np.zeros(1), {"relative_objective": 0.25, "identification": 7})
    assert relative_objective(SimpleNamespace(), fitted) == 0.25
    assert identification(SimpleNamespace(), fitted) == 7.0
    assert np.isnan(relative_objective(SimpleNamespace(), Result(np.zeros(1), Status.CONVERGED, np.zeros(1))))


def test_every_rule_and_update_is_compared_at_the_same_steps_and_blocks():
    settings = STUDY.settings(instances=1, repetitions=2, steps=7, block_size=3)
    for problem in ("least-squares", "softmax"):
        compared = [
            contender
            for contender in STUDY.contenders(settings, problem)
            if contender.name.startswith(("fixed", "variable"))
        ]
        assert {contender.options["max_iterations"] for contender in compared} == {7}
        assert {contender.options["block_size"] for contender in compared} == {3}
        assert len(compared) >= 20
