import numpy as np
import pytest
import xarray as xr

from data.problem import make_fields
from flows.plan import resolve_settings
from flows.studies.low_rank.completion.measures import (
    hidden_error,
    recovery_lost,
    relative_error,
    share_recovered,
)
from flows.studies.low_rank.robust_altmin_completion import DENSE, STUDY
from kernels.result import Result, Status
from tasks.study import Size


def errors(**columns):
    values = np.array(list(columns.values()), float).T
    return xr.Dataset({"relative_error": (("instance", "contender"), values)}, {"contender": list(columns)})


def test_what_did_not_end_is_not_recovered():
    assert share_recovered(errors(a=[1e-9, 1e-2, 0.011, np.nan]), contender="a") == 0.5


def test_recovery_can_be_lost_and_gained():
    table = errors(a=[1e-9, 1.0, 1.0, 1.0], b=[1e-9, 1e-9, 1.0, 1.0])
    assert recovery_lost(table, contender="a", reference="b") == 0.25
    assert recovery_lost(table, contender="b", reference="a") == -0.25


def test_the_hidden_error_reads_hidden_entries_alone():
    settings = resolve_settings(STUDY, Size.SMALL, {})
    problem = STUDY.problems(settings)["low-rank"]
    matrix = problem.assemble(make_fields(problem, 0, 0))
    value = np.zeros(matrix.shape)
    value[matrix.rows, matrix.columns] = matrix.truth[matrix.rows, matrix.columns]
    result = Result(value, Status.CONVERGED, np.ones(1))
    assert hidden_error(matrix, result) == pytest.approx(1.0)
    assert 0.0 < relative_error(matrix, result) < 1.0


@pytest.mark.parametrize("side", [60, 300, 1500])
def test_on_every_side_ranks_differ_and_dense_rows_hold_the_square_of_the_rank(side):
    problems = STUDY.problems(resolve_settings(STUDY, Size.DEFAULT, {"side": side}))
    assert len({problems[name].rank for name in DENSE}) == len(DENSE)
    assert all(problems[name].rank ** 2 <= problems[name].entries / (2 * side) for name in DENSE)
    assert problems["high-rank"].rank == 4 * problems["low-rank"].rank
