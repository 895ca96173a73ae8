"""A study of which everything fails that can, run as a user runs it: what is reported, and what its commands show."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import own_study
import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

from flows import output
from flows.cli_options import Group
from tasks.failures import Failure, Origin, ShardError

REASONS = {
    "raises": "ArithmeticError: no [sum] at all (raise_error, line",
    "overflows": "not finite: NaN or infinity in the data or the iteration (instance",
    "eats": "MemoryError: Unable to allocate 8.00 GiB",
    "sleeps": "it took longer than the limit of 2 s (sleep, failing_study.py line",
}


@pytest.fixture(scope="module")
def assay(tmp_path_factory, prefect_api):
    """The command line with the failing study."""
    folder = tmp_path_factory.mktemp("failing")
    environment = {**os.environ, "PREFECT_API_URL": prefect_api, "PYTHONPATH": str(Path(own_study.__file__).parent)}

    def assay(*arguments):
        program = [sys.executable, own_study.__file__, "failing_study", *arguments]
        return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)

    assay.folder = folder
    return assay


@pytest.fixture(scope="module")
def report(assay, make_root, dask_cluster):
    options = ["--set", "note=a [b]", "--time-limit", "2", "--memory-limit", "1", "--scheduler", dask_cluster]
    ended = assay("run", "failing", "--size", "small", *options, "--store", make_root("failing"), "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def failures(report):
    (results,) = report["results"]
    return {failure["contender"]: failure for failure in results["failures"]}


def test_each_contender_that_failed_is_in_the_report_once_with_all_parts(failures):
    assert failures.keys() == REASONS.keys()
    for name, failure in failures.items():
        assert failure["reason"].startswith(REASONS[name])
        assert failure["worker"].startswith("tcp://127.0.0.1:")
        assert (failure["study"], failure["problem"]) == ("failing", "spoilt-sums")
        assert (failure["shard"], failure["shards"]) == (0, 2)
        assert failure["last_residual"] == (0.25 if name == "overflows" else None)


def test_prefect_has_every_failure_in_the_log_of_the_flow_run(report, failures):
    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[report["prefect_flow_run"]]))
    with get_client(sync_client=True) as prefect:
        lines = [log.message for log in prefect.read_logs(of_run)]
    for name, failure in failures.items():
        for shard in (0, 1):
            (line,) = [
                line for line in lines if line.startswith(f"{name} failed on shard {shard} of failing: spoilt-s")
            ]
            assert REASONS[name] in line
            assert failure["command"].removesuffix("0") + str(shard) in line
    lost = [line for line in lines if line.startswith("sleeps was running on shard") and "the worker was lost" in line]
    assert len(lost) == 2


def test_the_printed_report_has_every_failure_with_its_command(report, failures, capsys):
    output.print_report(report)
    printed = capsys.readouterr().out
    for name, failure in failures.items():
        assert f"{name} failed on shard 0 and 1 more of spoilt-sums: {failure['reason']}" in printed
    assert printed.count(f"alone: {failures['eats']['command']}\n") == 4


def test_the_command_that_is_reported_reproduces_all_the_failures_of_the_shard_alone(assay, failures):
    (command,) = {failure["command"] for failure in failures.values()}
    program, *arguments = shlex.split(command)
    assert program == "assay"
    before = list(assay.folder.iterdir())
    ended = assay(*arguments)
    assert ended.returncode == 1
    for name in ("raises", "overflows", "eats"):
        assert f"  {REASONS[name]}" in ended.stdout
    assert "exact: 2 converged of 2;" in ended.stdout
    assert "overflows: 2 not_finite of 2; 6 steps; last residual 0.25;" in ended.stdout
    assert 'raise ArithmeticError("no [sum] at all")' in ended.stdout
    assert ended.stdout.endswith("sleeps: ")
    assert re.search(r'failing_study.py", line \d+ in sleep', ended.stderr)
    assert list(assay.folder.iterdir()) == before


def test_a_shard_that_cannot_be_computed_ends_the_command_with_status_1_and_one_line():
    @Group("assay").command()
    def command():
        raise ShardError(
            Failure(Origin("darcy", None, ("assay", "generate", "darcy")), 3, "tcp://h:1", "ValueError: no")
        )

    group = Group("assay", commands={"fail": command})
    ended = CliRunner().invoke(group, ["fail"])
    assert ended.exit_code == 1
    assert ended.stderr == (
        "assay: shard 3 of darcy: ValueError: no; last residual none; worker tcp://h:1; "
        "alone: assay generate darcy --shard 3\n"
    )
