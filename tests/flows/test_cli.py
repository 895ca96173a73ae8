"""The command line: what it parses, what it prints and with what status it ends."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.registry import study_families
from flows.study import StudyName, run_study
from tasks.study import Size

COMMANDS = ["list", "show", "run", "generate", "check", "solve", "campaign", "reproduce", "up"]
HEAVY = ["numpy", "scipy", "numba", "zarr", "xarray", "dask", "distributed", "prefect", "mlflow", "matplotlib", "rich"]
STUDY = StudyName("compensated-summation")


def invoke(*arguments):
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def as_json(tmp_path):
    def as_json(*arguments):
        outcome = invoke(*arguments, "--store", str(tmp_path / "store"), "--json")
        assert outcome.exit_code == 0, outcome.output
        return json.loads(outcome.stdout)

    yield as_json
    assert not (tmp_path / "store").exists(), "looking changes nothing"


def test_help_teaches_by_example_and_says_what_the_exit_status_means():
    text = invoke("--help").stdout
    assert "assay run skr --size small" in text
    assert "130 interrupted" in text
    assert all(command in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_explains_itself(command):
    outcome = invoke(command, "--help")
    assert outcome.exit_code == 0
    assert len(outcome.stdout.splitlines()) > 4
    for parameter in main.commands[command].params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{command} {parameter.name}"


def test_without_a_command_the_help_is_shown():
    assert "Usage" in invoke().output


def test_help_imports_nothing_heavy():
    program = f"import sys, flows.cli; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_the_studies_are_listed_with_paper_and_family(as_json):
    rows = {row["study"]: row for row in as_json("list")}
    assert rows["skr"]["family"] == "linear_systems"
    assert rows["skr"]["paper"].startswith("Accelerating Data Generation")
    assert (rows["skr"]["state"], rows["skr"]["last_verdicts"]) == ("works", None)
    assert {row["study"] for row in as_json("list", "--family", "examples")} == {"compensated-summation"}


def test_all_papers_of_the_catalogue_are_listed_with_their_state(as_json):
    rows = as_json("list")
    assert len({row["study"] for row in rows}) == len(rows)
    assert {row["state"] for row in rows} == {"works", "not yet"}
    assert {row["study"] for row in rows if row["state"] == "works"} == set(study_families())


def test_the_problems_are_listed_with_their_settings(as_json):
    rows = {row["problem"]: row for row in as_json("list", "--problems")}
    settings = {setting["name"]: setting for setting in rows["darcy-lognormal"]["settings"]}
    assert settings["grid"]["default"] == 64
    assert settings["grid"]["description"]


def test_a_study_is_shown_with_settings_problems_contenders_and_claims(as_json):
    shown = as_json("show", "skr", "--size", "small", "--set", "family=darcy", "--set", "grid=16")
    settings = {setting["name"]: setting["value"] for setting in shown["settings"]}
    assert (settings["grid"], settings["family"], settings["instances"]) == (16, "darcy", 6)
    (problem,) = shown["problems"]
    assert {contender["contender"] for contender in problem["contenders"]} >= {"skr", "gmres", "sparse-lu", "amg"}
    assert {claim["role"] for claim in shown["claims"]} == {"paper", "practice", "control"}
    assert "plan" not in shown


def test_a_plan_is_shown_and_nothing_is_computed(as_json):
    planned = as_json("run", "skr", "--size", "small", "--set", "family=darcy", "--plan")
    assert [(store["state"], store["shards"], store["shards_present"]) for store in planned] == [("absent", 3, 0)] * 2
    assert as_json("show", "skr", "--size", "small", "--set", "family=darcy", "--dry-run")["plan"] == planned
    (generated,) = as_json("generate", "darcy-lognormal", "--count", "60", "--set", "grid=16", "--plan")
    assert (generated["shards"], generated["state"]) == (2, "absent")


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["list", "--problems"],
        ["show", "skr"],
        ["show", "skr", "--dry-run"],
        ["run", "skr", "--plan"],
        ["generate", "poisson", "--plan"],
    ],
    ids=" ".join,
)
def test_what_is_shown_to_people_is_no_json_and_no_error(command, tmp_path):
    outcome = invoke(*command, "--store", str(tmp_path / "store"))
    assert outcome.exit_code == 0, outcome.output
    assert not outcome.stdout.startswith(("{", "["))
    assert len(outcome.stdout.splitlines()) >= 3


@pytest.fixture
def refuted(assay, dask_cluster, prefect_api):
    """A study of which no claim holds, run before: sums of two terms are exact however they are made."""
    settings = {"length": 2}
    run_study(STUDY, size=Size.SMALL, settings=settings, store=str(assay.store), scheduler=dask_cluster)
    return ["run", STUDY, "--size", "small", "--set", "length=2", "--scheduler", dask_cluster]


def test_a_strict_run_ends_with_1_where_a_claim_does_not_hold_and_says_what_it_reused(assay, refuted):
    ended = assay(*refuted, "--strict")
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout.count("3 of 3 shards reused") == 2
    assert "logged before: nothing is new" in ended.stdout
    assert "fails" in ended.stdout
    assert "holds" not in ended.stdout


@pytest.mark.slow
def test_a_reproduced_run_ends_with_0_and_one_that_differs_with_1(assay, dask_cluster, prefect_api):
    report = run_study(STUDY, size=Size.SMALL, settings={"length": 10}, store=str(assay.store), scheduler=dask_cluster)
    run_id = report["mlflow"]["run_id"]
    agreeing = assay("reproduce", run_id, "--scheduler", dask_cluster)
    assert agreeing.returncode == 0, agreeing.stderr
    assert "numbers agree" in agreeing.stdout

    (logged,) = assay.store.rglob(f"{run_id}/artifacts/report.json")
    logged.write_text(logged.read_text().replace('"additions": 10.0', '"additions": 11.0'))
    differing = assay("reproduce", run_id, "--scheduler", dask_cluster, "--json")
    assert differing.returncode == 1, differing.stderr
    assert "cancelling-sums/exact/additions" in json.loads(differing.stdout)["differing"]


def test_a_campaign_prints_every_claim_with_its_measurement(assay, dask_cluster):
    ended = assay("campaign", "--studies", STUDY, "--size", "small", "--scheduler", dask_cluster, COLUMNS="200")
    assert ended.returncode == 0, ended.stderr
    assert "the first campaign of this size" in ended.stdout
    assert f"Claims: {STUDY}" in ended.stdout
    for column in ("estimate", "95 % interval", "threshold", "verdict"):
        assert column in ended.stdout
