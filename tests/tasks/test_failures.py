import json
import shlex

import pytest

from tasks.failures import MOST_LOGGED, Failure, Failures, Origin

ORIGIN = Origin("darcy", "skr", ("assay", "run", "skr", "--set", "name=it's; rm -rf *"), "darcy:")


def failure(shard, contender="gmres", **changes):
    return Failure(ORIGIN, shard, "tcp://127.0.0.1:1 (process 2 of host)", "ArithmeticError: no", contender, **changes)


@pytest.fixture
def told():
    return []


@pytest.fixture
def failures(told):
    return Failures(lambda line, *_: told.append(line))


def test_the_command_of_a_shard_is_safe_to_paste_into_a_shell():
    assert shlex.split(ORIGIN.command(3)) == [*ORIGIN.arguments, "--shard", "darcy:3"]


def test_one_line_has_all_that_is_needed_to_act():
    line = str(failure(3, last_residual=1.5e-7))
    for part in (
        "gmres failed",
        "shard 3",
        "skr: darcy",
        "ArithmeticError: no",
        "1.5e-07",
        "tcp://127.0.0.1:1",
        "assay",
    ):
        assert part in line
    assert "last residual none" in str(failure(3))


def test_as_a_document_it_has_every_part_under_its_name():
    document = json.loads(json.dumps(failure(3).as_dict()))
    assert document == {
        "study": "skr",
        "problem": "darcy",
        "contender": "gmres",
        "shard": 3,
        "worker": "tcp://127.0.0.1:1 (process 2 of host)",
        "reason": "ArithmeticError: no",
        "last_residual": None,
        "tried_again": False,
        "command": ORIGIN.command(3),
    }


def test_the_first_few_failures_of_each_contender_are_told_and_the_others_counted(failures, told):
    for shard in range(10):
        failures.add(failure(shard))
    failures.add(failure(4, "cg"))
    failures.tell_the_rest()
    assert told == [
        *(str(failure(shard)) for shard in range(MOST_LOGGED)),
        str(failure(4, "cg")),
        f"gmres failed on 10 shards, of which {MOST_LOGGED} are named above",
    ]


def test_the_report_keeps_the_first_shard_of_each_contender_and_how_many_there_are(failures):
    for shard in (5, 2, 9):
        failures.add(failure(shard))
    failures.add(failure(4, "cg"))
    assert failures.report() == [{**failure(2).as_dict(), "shards": 3}, {**failure(4, "cg").as_dict(), "shards": 1}]


def test_a_lost_worker_is_reported_unless_the_contender_that_it_ran_failed_in_the_end(failures, told):
    for lost in (failure(2, tried_again=True), failure(3, tried_again=True), failure(4, None, tried_again=True)):
        failures.lose(lost)
    failures.add(failure(2))
    assert [(row["contender"], row["shard"], row["tried_again"]) for row in failures.report()] == [
        ("gmres", 2, False),
        ("gmres", 3, True),
        (None, 4, True),
    ]
    assert len(told) == 4


def test_where_nothing_fails_nothing_is_told(failures, told):
    failures.tell_the_rest()
    assert (failures.report(), told) == ([], [])
