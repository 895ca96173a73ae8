from types import SimpleNamespace

import numpy as np
import pytest
from result_tables import table

from flows.plan import plan_study
from flows.registry import find_study
from flows.regressions import lost_claims, slowdowns, slower_contenders
from flows.study import StudyName, run_study
from tasks.study import Size

NAME = "compensated-summation"


def test_only_claims_that_held_can_be_lost():
    changes = {
        "a": {"before": "holds", "now": "fails"},
        "b": {"before": "holds", "now": "inconclusive"},
        "c": {"before": "fails", "now": "holds"},
        "d": {"before": "inconclusive", "now": "fails"},
    }
    assert lost_claims(changes) == ["a held and is now: fails", "b held and is now: inconclusive"]


def test_a_contender_that_takes_longer_than_its_peers_do_is_found():
    (found,) = slower_contenders("darcy", table(), table(new_seconds=4.0))
    assert (found.problem, found.contender) == ("darcy", "new")
    assert found.ratio == pytest.approx(4.0 / 2.5), "4 for the one, 1 for the other, relative to the median"
    assert "new on darcy takes 1.60 times as long" in str(found)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (table(), table()),
        (table(), table(new_seconds=0.5)),
        (table(), table(new_seconds=3.0, old_seconds=6.0)),
        (table(), table(cpu_seconds=(np.array([1.0, 1.0, 9.0, 9.0]), np.full(4, 2.0)))),
    ],
    ids=["nothing changed", "faster", "the whole machine is slower", "one repetition only"],
)
def test_what_is_no_slowdown_is_not_reported(before, now):
    assert slower_contenders("darcy", before, now) == []


def logged(folder, digest="0123"):
    """What a run in MLflow says of its results."""
    return SimpleNamespace(
        data=SimpleNamespace(tags={"results.sums": folder, "data_set.sums": digest, "role": "method"})
    )


def test_only_two_complete_results_on_the_same_data_are_compared(prefect_api, dask_cluster, make_root, monkeypatch):
    root, folders = make_root("slowdowns"), []
    for fresh in (False, True):
        run_study(StudyName(NAME), size=Size.SMALL, store=root, scheduler=dask_cluster, fresh=fresh)
        folders += plan_study(find_study(NAME), Size.SMALL, {}, root).folders.values()
    compared = []

    def compare(*arguments):
        compared.append(arguments)
        return slower_contenders(*arguments)

    monkeypatch.setattr("flows.regressions.slower_contenders", compare)
    first, second = folders
    slowdowns(logged(first), logged(first))
    slowdowns(logged(first), logged(second, "4567"))
    slowdowns(logged(f"{first}-gone"), logged(second))
    assert compared == []
    slowdowns(logged(first), logged(second))
    assert [problem for problem, *_ in compared] == ["sums"]
