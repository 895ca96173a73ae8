"""deployment.yaml says what Prefect will do, the check refuses a file that does not, and the forms are typed."""

import pytest
import yaml
from prefect.utilities.callables import parameter_schema

from data.registry import problems
from data.sampling import Sampling
from flows.campaign import run_campaign
from flows.deployments import check_deployment_file
from flows.generate import generate_data_set
from flows.prefect_setup import DEAD_RUNS, DEPLOYMENT_FILE, WORK_POOL
from flows.registry import study_families
from flows.solve import solve_systems
from flows.solvers import PreconditionerName, Solver
from flows.study import run_study
from tasks.study import Size

NIGHTLY_SCHEDULE = """    schedules:
      - slug: nightly
        cron: "0 2 * * *"
        timezone: Etc/UTC
        active: true
"""
FORMS = {"study": run_study, "generate": generate_data_set, "solve": solve_systems, "campaign": run_campaign}


@pytest.fixture(scope="module")
def deployments():
    return {entry["name"]: entry for entry in yaml.safe_load(DEPLOYMENT_FILE.read_text())["deployments"]}


@pytest.fixture
def check_with(tmp_path):
    """Check the deployment file after a piece of its text was replaced."""

    def check(piece, replacement):
        text = DEPLOYMENT_FILE.read_text()
        assert piece in text
        doctored = tmp_path / "deployment.yaml"
        doctored.write_text(text.replace(piece, replacement, 1))
        return check_deployment_file(doctored)

    return check


def test_the_deployment_file_has_no_problems():
    assert check_deployment_file(DEPLOYMENT_FILE) == []


def test_nightly_and_weekly_runs_start_afresh(deployments):
    scheduled = [entry for entry in deployments.values() if "schedules" in entry]
    assert {entry["name"] for entry in scheduled} == {"nightly-campaign", "weekly-skr"}
    assert all(entry["parameters"]["fresh"] is True for entry in scheduled)


def test_the_nightly_schedule_is_active_and_the_weekly_one_is_not(deployments):
    active = {
        name: [s["active"] for s in entry["schedules"]] for name, entry in deployments.items() if "schedules" in entry
    }
    assert active == {"nightly-campaign": [True], "weekly-skr": [False]}


def test_every_flow_can_be_run_on_demand(deployments):
    on_demand = {entry["entrypoint"] for entry in deployments.values() if "schedules" not in entry}
    assert on_demand == {
        "flows.study.run_study",
        "flows.generate.generate_data_set",
        "flows.solve.solve_systems",
        "flows.campaign.run_campaign",
    }


def test_all_runs_go_to_the_pool_that_assay_up_serves_one_at_a_time(deployments):
    assert {entry["work_pool"]["name"] for entry in deployments.values()} == {WORK_POOL}
    assert {entry["concurrency_limit"]["limit"] for entry in deployments.values()} == {1}


def test_every_run_carries_the_tag_that_dead_runs_are_found_by(deployments):
    tag = DEAD_RUNS["trigger"]["match_related"]["prefect.resource.id"].removeprefix("prefect.tag.")
    assert all(tag in entry["tags"] for entry in deployments.values())


@pytest.mark.parametrize(
    ("piece", "replacement", "complaint"),
    [
        ("pull: []", "pul: []", "unknown key 'pul': did you mean 'pull'?"),
        ("deployments:", "deployment:", "unknown key 'deployment': did you mean 'deployments'?"),
        ("    schedules:", "    schedulez:", "nightly-campaign: unknown key 'schedulez'"),
        ("cron:", "crom:", "nightly-campaign: unknown key 'crom': did you mean 'cron'?"),
        ("active: true", "actve: true", "nightly-campaign: unknown key 'actve': did you mean 'active'?"),
        ("limit: 1", "limits: 1", "nightly-campaign: unknown key 'limits': did you mean 'limit'?"),
        ("name: assay", "nmae: assay", "nightly-campaign: unknown key 'nmae': did you mean 'name'?"),
        ("pull: []", "", "nightly-campaign: pull is missing"),
        ("        timezone: Etc/UTC\n", "", "nightly-campaign: schedules.0.timezone: Field required"),
        ("slug: nightly\n        cron", "cron", "nightly-campaign: schedules.0.slug: Field required"),
        ("        active: true\n", "", "nightly-campaign: schedules.0.active: Field required"),
        ("timezone: Etc/UTC", "timezone: Etc/UCT1", "nightly-campaign: schedule 'nightly': Invalid timezone"),
        ('"0 2 * * *"', '"0 25 * * *"', "nightly-campaign: schedule 'nightly': Invalid cron"),
        (NIGHTLY_SCHEDULE, "    schedules: []\n", "nightly-campaign: schedules: List should have at least 1 item"),
        (NIGHTLY_SCHEDULE, '    schedule:\n      cron: "0 2 * * *"\n', "nightly-campaign: schedule: "),
        ("collision_strategy: CANCEL_NEW", "collision_strategy: SKIP", "concurrency_limit.collision_strategy"),
        ("limit: 1", "limit: 0", "nightly-campaign: concurrency_limit.limit: "),
        ("    tags: [assay, scheduled]\n", "", "nightly-campaign: tags: Field required"),
        ("fresh: true", "frehs: true", "nightly-campaign: unknown parameter 'frehs': did you mean 'fresh'?"),
        ("fresh: true", "fresh: perhaps", "nightly-campaign: parameters.fresh: 'perhaps' is not of type 'boolean'"),
        ("size: default", "size: huge", "nightly-campaign: parameters.size: 'huge' is not one of"),
        ("      study: skr\n", "", "weekly-skr: parameters: 'study' is a required property"),
        ("campaign.run_campaign", "campain.run_campaign", "nightly-campaign: entrypoint 'flows.campain.run_campaign'"),
        ("campaign.run_campaign", "campaign.EXPERIMENT", "is not a flow"),
        ("name: weekly-skr", "name: run-study", "run-study: appears 2 times"),
    ],
)  # fmt: skip
def test_a_doctored_file_is_refused(check_with, piece, replacement, complaint):
    assert any(complaint in problem for problem in check_with(piece, replacement))


@pytest.mark.parametrize("text", ["", "- a list", "deployments: [", "deployments: []", "deployments: [7]"])
def test_a_file_that_describes_no_deployments_is_refused(tmp_path, text):
    path = tmp_path / "deployment.yaml"
    path.write_text(text)
    assert check_deployment_file(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "cannot be read" in check_deployment_file(tmp_path / "deployment.yaml")[0]


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """The fields of a flow's form as Prefect's server stores them."""
    return parameter_schema(FORMS[request.param]).model_dump_for_openapi()


def choices(flow, field):
    schema = parameter_schema(flow).model_dump_for_openapi()
    definition = schema["properties"][field].get("items", schema["properties"][field])
    return schema["definitions"][definition["$ref"].rsplit("/", 1)[-1]]["enum"]


@pytest.mark.parametrize(
    ("flow", "field", "allowed"),
    [
        (run_study, "study", list(study_families())),
        (run_study, "size", list(Size)),
        (run_campaign, "studies", list(study_families())),
        (run_campaign, "size", list(Size)),
        (generate_data_set, "problem", list(problems())),
        (generate_data_set, "solver", list(Solver)),
        (generate_data_set, "preconditioner", list(PreconditionerName)),
        (generate_data_set, "sampling", list(Sampling)),
        (solve_systems, "solver", list(Solver)),
        (solve_systems, "preconditioner", list(PreconditionerName)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_form_offers_exactly_what_exists(flow, field, allowed):
    assert choices(flow, field) == allowed


def test_numbers_are_bounded_in_the_form():
    fields = parameter_schema(generate_data_set).model_dump_for_openapi()["properties"]
    assert fields["count"]["minimum"] == 1
    assert fields["count"]["maximum"] == 10**8
    assert fields["tolerance"]["exclusiveMinimum"] == 0
    assert fields["tolerance"]["exclusiveMaximum"] == 1


def test_bounds_are_said_where_they_are_checked(form):
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    for field in form["properties"].values():
        for schema in field.get("anyOf", [field]):
            said = {words[key] for key in words.keys() & schema.keys()}
            assert all(word in field["description"] for word in said)


def test_every_field_of_a_form_is_described(form):
    assert [name for name, field in form["properties"].items() if not field.get("description")] == []


def test_only_what_a_run_is_about_must_be_chosen():
    required = {name: parameter_schema(flow).required for name, flow in FORMS.items()}
    assert required == {"study": ["study"], "generate": ["problem"], "solve": ["systems"], "campaign": []}
