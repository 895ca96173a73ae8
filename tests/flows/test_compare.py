import json

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.compare import compare_runs
from flows.study import StudyName, run_study
from tasks.study import Size
from tasks.tracking import open_tracking

NAME = "compensated-summation"
PLACE = "cancelling-sums"


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("compare")


@pytest.fixture(scope="module")
def run(root, prefect_api, dask_cluster):
    def run(settings, **changes):
        report = run_study(StudyName(NAME), Size.SMALL, settings, root, dask_cluster, **changes)
        return report["mlflow"]["run_id"]

    return run


@pytest.fixture(scope="module")
def first(run):
    return run({})


@pytest.fixture(scope="module")
def longer(run, first):
    """A run with another setting."""
    return run({"length": 2000})


@pytest.fixture(scope="module")
def changed(root, first, longer):
    return compare_runs(first, longer, root)


def of(entries, **keys):
    return [entry for entry in entries if all(entry[key] == value for key, value in keys.items())]


def test_a_setting_that_changed_is_named_with_both_values_and_what_it_changed(changed):
    assert changed["study"] == NAME
    assert changed["settings"] == {"length": {"before": "1000", "after": "2000"}}
    for kind in ("data_sets", "results"):
        (change,) = changed[kind].values()
        assert change["before"] != change["after"]
    assert (changed["provenance"], changed["sources"], changed["options"]) == ({}, {}, {})


def test_every_number_is_there_before_and_after(changed):
    (additions,) = of(changed["metrics"], contender="recursive", metric="additions")
    assert (additions["before"], additions["after"], additions["change"]) == (1000, 2000, 1.0)
    assert not additions["timed"]
    (seconds,) = of(changed["metrics"], contender="recursive", metric="cpu_seconds")
    assert seconds["timed"]
    assert {claim["name"] for claim in changed["claims"]} == {"beats-recursive", "beats-pairwise"}
    for claim in changed["claims"]:
        assert claim["problem"] == PLACE
        assert {claim[when]["verdict"] for when in ("before", "after")} <= {"holds", "fails", "inconclusive"}


def test_nothing_changed_in_a_run_that_is_compared_with_itself(root, first):
    same = compare_runs(first, first, root)
    for kind in ("settings", "provenance", "data_sets", "results", "sources", "options"):
        assert same[kind] == {}
    assert same["slower"] == same["faster"] == []
    assert not any(claim["apart"] for claim in same["claims"])


def test_a_fresh_run_differs_in_its_results_and_times_only(root, run, first):
    fresh = compare_runs(first, run({}, fresh=True), root)
    assert (fresh["settings"], fresh["data_sets"]) == ({}, {})
    assert fresh["results"][PLACE]["after"].endswith("-2")
    assert [m for m in fresh["metrics"] if m["before"] != m["after"] and "seconds" not in m["metric"]] == []


def test_verdicts_code_machine_and_options_that_changed_are_found(root, run, first):
    other = run({"seed": 5})
    client = open_tracking(root)
    report = json.loads(client_text(client, other))
    claim = next(claim for claim in report["claims"] if claim["name"] == "beats-recursive")
    claim |= {"verdict": "fails", "estimate": 0.5, "lower": 0.4, "upper": 0.6}
    client.log_text(other, json.dumps(report), "report.json")
    client.set_tag(other, "machine", "an abacus")
    client.set_tag(other, "packages", "numpy 9.9")
    (child, *_) = client.search_runs(
        [client.get_run(other).info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{other}' and params.contender = 'recursive'",
    )
    client.set_tag(child.info.run_id, "kernel_source", "0123")
    changes = compare_runs(first, other, root)
    assert changes["provenance"]["machine"]["after"] == "an abacus"
    assert changes["provenance"]["numpy"]["after"] == "9.9"
    assert changes["provenance"]["scipy"]["after"] is None
    assert changes["sources"].keys() == {f"{PLACE}/recursive"}
    (lost,) = of(changes["claims"], name="beats-recursive")
    assert (lost["before"]["verdict"], lost["after"]["verdict"], lost["apart"]) == ("holds", "fails", True)
    printed = invoke(root, first, other).output
    assert "exclude each other" in printed
    assert "an abacus" in printed


def client_text(client, run_id):
    from tasks.tracking import read_document

    return json.dumps(read_document(client, run_id, "report.json"))


def invoke(root, *arguments):
    return CliRunner().invoke(main, ["compare", *arguments, "--store", root], env={"COLUMNS": "200"})


def test_the_command_prints_what_changed_and_json_for_machines(root, first, longer, changed):
    printed = invoke(root, first, longer)
    assert printed.exit_code == 0, printed.output
    assert "settings: length: 1000 -> 2000" in printed.output
    assert "+100 %" in printed.output
    assert json.loads(invoke(root, first, longer, "--json").output) == changed


def test_runs_of_different_studies_and_runs_that_do_not_exist_are_refused_in_one_line(root, first, changed):
    client = open_tracking(root)
    other = client.create_run(client.create_experiment("skr")).info.run_id
    client.log_text(other, json.dumps({"study": "skr", "size": "small", "settings": {}}), "report.json")
    children = client.search_runs([client.get_run(first).info.experiment_id], f"tags.`mlflow.parentRunId` = '{first}'")
    cases = {"0" * 32: "has no run", other: "different studies", children[0].info.run_id: "not the parent run"}
    for run_id, complaint in cases.items():
        for pair in ((first, run_id), (run_id, first)):
            ended = invoke(root, *pair)
            assert ended.exit_code == 2
            assert complaint in ended.output
            assert ended.output.count("\n") == 1
