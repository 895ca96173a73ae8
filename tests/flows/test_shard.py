"""`--shard`: one shard alone, in this process, and nothing written."""

import json
import shlex
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from data_sets import generate
from failing_study import SpoiltSums, raise_error
from result_sets import compute_results
from sequences import COUNT, save_npz

from flows.cli import main
from flows.cli_options import settings_of
from flows.data_set_plan import plan_data_sets
from flows.plan import plan_study
from flows.registry import find_study
from flows.shard import Shard, compute_shard, data_set_shard, show_shard, study_shard
from flows.shard_commands import data_set_origin, solve_origin, study_origin
from flows.solve_plan import plan_solutions
from tasks.datasets import DataSet, draw_instances, load_instances
from tasks.limits import Limits
from tasks.results import results_url
from tasks.store import open_store
from tasks.study import Contender, Size

RUN = ["run", "compensated-summation", "--size", "small", "--set", "length=10"]
GENERATE = ["generate", "darcy-lognormal", "--count", "5", "--shard-size", "2", "--set", "grid=8"]


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Runs a command in an empty folder, which stays empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    yield lambda *arguments: CliRunner().invoke(main, arguments)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".npz"]


def test_the_contenders_of_a_study_run_in_their_order_on_the_shard(invoke):
    ended = invoke(*RUN, "--shard", "cancelling-sums:1", "--json")
    assert ended.exit_code == 0, ended.output
    document = json.loads(ended.stdout)
    assert [row["contender"] for row in document["contenders"]] == ["recursive", "pairwise", "exact", "compensated"]
    assert (document["study"], document["shard"], document["first_instance"]) == ("compensated-summation", 1, 8)
    for row in document["contenders"]:
        assert (row["status"], row["instances"], row["failure"]) == ({"converged": 8}, 8, "")
        assert row["seconds"] > 0


def test_people_read_one_line_a_contender(invoke):
    ended = invoke(*GENERATE, "--solver", "cg", "--shard", "2")
    assert ended.exit_code == 0, ended.output
    (line,) = ended.stdout.splitlines()
    assert line.startswith("cg: 1 converged of 1; ")
    assert "last residual " in line


def test_the_last_residual_is_the_largest_of_all_instances_where_nothing_fails(invoke):
    ended = invoke(*GENERATE, "--solver", "cg", "--tolerance", "1e-5", "--shard", "0", "--json")
    (row,) = json.loads(ended.stdout)["contenders"]
    assert 0 < row["last_residual"] <= 1e-5
    assert row["steps"] > row["instances"]


def test_nothing_of_the_services_is_needed(invoke, monkeypatch):
    for name in ("prefect", "mlflow", "flows.session", "flows.study", "tasks.stages", "tasks.tracking"):
        monkeypatch.setitem(sys.modules, name, None)
    assert invoke(*RUN, "--shard", "cancelling-sums:0").exit_code == 0
    assert invoke(*GENERATE, "--shard", "0").exit_code == 0


def test_data_that_cannot_be_drawn_show_their_traceback():
    data_set = DataSet(SpoiltSums(length=10, note="spoil"), 0, 4, 2)
    document = compute_shard(Shard(data_set, 1, [Contender("raises", raise_error)]), Limits(60.0))
    assert document["traceback"].endswith("ValueError: nothing to draw from\n")
    assert (document["shard"], document["first_instance"], document["contenders"]) == (1, 2, [])


def test_a_contender_that_fails_is_shown_with_its_traceback_and_ends_the_command_with_status_1(capsys):
    shard = Shard(DataSet(SpoiltSums(length=10), 0, 4, 2), 1, [Contender("raises", raise_error)])
    with pytest.raises(SystemExit, match="1"):
        show_shard(shard, Limits(60.0), as_json=False)
    shown = capsys.readouterr().out
    assert shown.startswith(
        "raises: 2 failed of 2; 0 steps; last residual none; 0 s\n  ArithmeticError: no [sum] at all"
    )
    assert 'raise ArithmeticError("no [sum] at all")' in shown


def test_the_data_are_the_same_to_the_last_bit_as_those_of_the_run(tmp_path):
    plan = plan_study(find_study("skr"), Size.SMALL, {"grid": 8, "family": "darcy"}, str(tmp_path))
    (results,) = plan.result_sets.values()
    generate(results.data_set, str(tmp_path / "a.zarr"))
    drawn, stored = draw_instances(results.data_set, 1), load_instances(results.data_set, str(tmp_path / "a.zarr"), 1)
    for one, other in zip(drawn, stored, strict=True):
        assert one.matrix.data.tobytes() == other.matrix.data.tobytes()
        assert one.rhs.tobytes() == other.rhs.tobytes()


def test_what_the_contenders_do_is_what_they_did_in_the_run(tmp_path):
    plan = plan_study(find_study("skr"), Size.SMALL, {"grid": 8, "family": "darcy"}, str(tmp_path))
    ((name, results),) = plan.result_sets.items()
    generate(results.data_set, str(tmp_path / "a.zarr"))
    compute_results(results, str(tmp_path / "a.zarr"), str(tmp_path / "results"))
    stored = open_store(results_url(str(tmp_path / "results")), "r")
    rows = results.layout().rows(1)
    alone = {row["contender"]: row for row in compute_shard(study_shard(plan, f"{name}:1"), Limits(60.0))["contenders"]}
    for column, contender in enumerate(results.contenders):
        steps = np.asarray(stored["steps"][rows.start : rows.stop, column])
        history = np.asarray(stored["history"][rows.start : rows.stop, column])
        last = [float(curve[length - 1]) for curve, length in zip(history, steps, strict=True) if length]
        assert alone[contender.name]["steps"] == steps.sum()
        assert alone[contender.name]["last_residual"] == max(last, default=None)


def data_set_plans(root, **changes):
    request = {
        "problem": "darcy-lognormal", "count": 5, "valid": 0, "test": 3, "settings": {"grid": 8, "sigma": 0.5},
        "solver": "cg", "preconditioner": "ssor", "tolerance": 1e-6, "sampling": "sobol", "seed": 3, "shard_size": 2,
        "root": str(root), "out": "",
    }  # fmt: skip
    return plan_data_sets(**{**request, **changes})


@pytest.mark.parametrize("split", [0, 1])
def test_the_command_of_a_data_set_computes_its_shard(invoke, tmp_path, split):
    plan = data_set_plans(tmp_path / "store", settings={"grid": 8})[split]
    program, *arguments = shlex.split(data_set_origin(plan, 30.0, 1.5).command(1))
    ended = invoke(*arguments, "--json")
    assert (program, ended.exit_code) == ("assay", 0), ended.output
    document = json.loads(ended.stdout)
    (row,) = document["contenders"]
    shard = data_set_shard(data_set_plans(tmp_path / "store", settings={"grid": 8}), ["1", "test:1"][split])
    (expected,) = compute_shard(shard, Limits(60.0))["contenders"]
    assert (document["first_instance"], row["instances"]) == (2, [2, 1][split])
    assert row | {"seconds": 0} == expected | {"seconds": 0}


def test_the_command_of_own_systems_computes_their_shard(invoke, tmp_path):
    systems = save_npz(tmp_path / "my systems.npz")
    plan = plan_solutions(
        systems=systems, solver="skr", preconditioner="", tolerance=1e-8, shard_size=2, root=str(tmp_path), out=""
    )
    _, *arguments = shlex.split(solve_origin(plan).command(COUNT // 2 - 1))
    ended = invoke(*arguments, "--json")
    assert ended.exit_code == 0, ended.output
    (row,) = json.loads(ended.stdout)["contenders"]
    assert (row["contender"], row["status"]) == ("skr", {"converged": 2})


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "darcy", "grid": 16, "tolerance": 1e-5},
        {"text": "5", "truth": "true", "nothing": "null", "quoted": '"', "spaced": "a b", "empty": ""},
        {"list": [1, "2", None], "nested": {"braces": "{shard}"}, "flag": False, "equation": "a=b=c"},
    ],
)
def test_the_settings_in_a_command_are_read_as_they_were_given(settings):
    origin = study_origin({"study": "skr", "size": "small", "settings": settings}, "darcy")
    arguments = shlex.split(origin.command(0))
    assignments = tuple(arguments[i + 1] for i, argument in enumerate(arguments) if argument == "--set")
    assert settings_of(assignments) == settings
    assert arguments[-2:] == ["--shard", "darcy:0"]


def test_limits_that_are_not_the_default_are_part_of_the_command():
    request = {"study": "skr", "size": "small", "settings": {}}
    assert study_origin(request, "darcy").command(0) == "assay run skr --size small --shard darcy:0"
    held = study_origin(request, "darcy", 2.5, 0.25).command(0)
    assert held == "assay run skr --size small --time-limit 2.5 --memory-limit 0.25 --shard darcy:0"


REFUSED = {
    (*RUN, "--shard", "1"): "--shard '1' is not of the form PROBLEM:N, such as cancelling-sums:0",
    (*RUN, "--shard", "cancelling-sum:1"): "did you mean 'cancelling-sums'",
    (*RUN, "--shard", "cancelling-sums:3"): "must lie between 0 and 2",
    (*RUN, "--shard", "cancelling-sums:-1"): "must lie between 0 and 2",
    (*RUN, "--shard", "cancelling-sums:"): "must lie between 0 and 2",
    (*RUN, "--shard", "cancelling-sums:x"): "must lie between 0 and 2",
    (*RUN, "--shard", "cancelling-sums:1", "--memory-limit", "0"): "--memory-limit",
    (*GENERATE, "--shard", "3"): "must lie between 0 and 2",
    (*GENERATE, "--shard", "test:0"): "unknown split 'test'",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_a_shard_that_is_not_there_is_refused_in_one_line(invoke, arguments):
    ended = invoke(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("assay: ")
    assert REFUSED[arguments] in line
