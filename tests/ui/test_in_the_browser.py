"""A headless Chromium through both user interfaces: a study from its form to its curve in MLflow.

With ASSAY_SCREENSHOTS=FOLDER the tests keep the pictures of the README there.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
from assay_up import assay_up, deployments, finish, found, read, request_run
from browser import HEIGHT, Browser, find_browser
from mlflow import MlflowClient

from flows.registry import study_families
from tasks.study import Size

pytestmark = [
    pytest.mark.ui,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("ui"),
    pytest.mark.skipif(
        find_browser() is None, reason="chromium or chromedriver is missing: apt install chromium chromium-driver"
    ),
]

STUDY, CONTENDER, CURVE = "sinkhorn-newton-sparse", "sinkhorn-newton-sparse", "violation of the marginals"
BUSY = "//*[normalize-space(text())='Oops. Something went wrong.']"
LINE = "//*[name()='path'][contains(@class, 'js-line')]"
PROBLEM, CLAIM = "digits-l1", "fewer-iterations"
DEPLOYMENTS = (
    "run-study", "run-skr", "generate-data-set", "solve-systems", "run-campaign", "nightly-campaign", "weekly-skr"
)  # fmt: skip


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with assay_up(tmp_path_factory.mktemp("ui")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(services):
    pictures = os.environ.get("ASSAY_SCREENSHOTS")
    one = Browser(Path(pictures) if pictures else None)
    yield one
    one.close()


def open_form(browser, services, deployment):
    """From the list of deployments to the form of one, by clicks only."""
    browser.open(f"{services.prefect}/deployments")
    browser.click(f"//a[normalize-space(.)='{deployment}']")
    browser.press("Run")
    browser.click("//a[normalize-space(.)='Custom run'] | //*[@role='menuitem'][normalize-space(.)='Custom run']")
    browser.see("//button[normalize-space(.)='Submit']")


def requested_runs(services):
    return {run["id"] for run in found(f"{services.api}/flow_runs/filter") if not run["auto_scheduled"]}


def submit(browser, services):
    """Press Submit; the id of the run that this makes."""
    before = requested_runs(services)
    browser.press("Submit")

    def accepted():
        if not (new := requested_runs(services) - before) and browser.all(BUSY):
            # Prefect's database was busy: its clients ask again, its form leaves that to the person.
            browser.click("//*[contains(@class, 'p-toast')]//button")
            browser.press("Submit")
        return new

    (run,) = browser.wait_for(accepted)
    return run


def open_run(browser, services, run, tab):
    browser.open(f"{services.prefect}/runs/flow-run/{run}")
    browser.click(f"//li[normalize-space(.)='{tab}']")


def open_artifact(browser, services, run, key):
    open_run(browser, services, run, "Artifacts")
    browser.click(f"//a[contains(@href, '/artifacts/artifact/')][contains(normalize-space(.), '{key}')]")


def open_mlflow(browser, services, *path):
    """A page of the MLflow UI, which is to show runs rather than language models."""
    browser.open(f"{services.mlflow}/#/experiments")
    browser.click("//*[normalize-space(text())='Model training']")
    for button in browser.all("//button[@aria-label='Close'][contains(@data-component-id, 'assistant')]"):
        button.click()
    browser.open(f"{services.mlflow}/#/{'/'.join(path)}")


@pytest.fixture(scope="module")
def study_run(browser, services):
    """The id of the run of a study that was started from its form."""
    open_form(browser, services, "run-study")
    browser.choose("study", STUDY)
    browser.choose("size", "small")
    browser.show(browser.field("study"))
    browser.picture("prefect-form")
    run = submit(browser, services)
    state = finish(services, run)
    assert state["type"] == "COMPLETED", state["message"]
    return run


@pytest.fixture(scope="module")
def mlflow_run(services, study_run):
    """Experiment and id of the run that MLflow has of it."""
    (artifact,) = found(
        f"{services.api}/artifacts/filter",
        artifacts={"flow_run_id": {"any_": [study_run]}, "key": {"any_": [f"report-{STUDY}"]}},
    )
    return re.search(r"/#/experiments/(\d+)/runs/(\w+)", artifact["data"]).groups()


def test_all_deployments_are_listed(browser, services):
    browser.open(f"{services.prefect}/deployments")
    for name in DEPLOYMENTS:
        browser.read(name)
    assert deployments(services).keys() == set(DEPLOYMENTS)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_every_field_of_a_form_says_what_it_is(browser, services, deployment):
    open_form(browser, services, deployment)
    for name, schema in deployments(services)[deployment]["parameter_openapi_schema"]["properties"].items():
        said, written = (re.sub(r"\W", "", text) for text in (browser.field(name).text, schema["description"]))
        assert written in said


def test_the_form_of_a_study_offers_what_there_is_and_shows_defaults(browser, services):
    open_form(browser, services, "run-study")
    assert set(browser.choices("study")) == set(study_families())
    assert set(browser.choices("size")) == set(Size)
    assert browser.value("study") == ""
    assert browser.value("size") == "default"
    assert browser.value("scheduler") == "local"
    assert float(browser.value("time_limit")) == 21600


@pytest.mark.parametrize(
    ("deployment", "chosen", "entered", "complaint"),
    [
        ("run-study", {}, {}, "'study' is a required property"),
        ("run-study", {"study": STUDY}, {"time_limit": "-1"}, "field 'time_limit'"),
        ("generate-data-set", {"problem": "poisson"}, {"count": "-3"}, "field 'count'"),
        ("generate-data-set", {"problem": "poisson"}, {"tolerance": "2"}, "field 'tolerance'"),
        ("solve-systems", {}, {"systems": "x.npz", "shard_size": "0"}, "field 'shard_size'"),
    ],
    ids=["no study", "negative time", "negative count", "tolerance above one", "empty shards"],
)
def test_a_wrong_value_is_refused_by_the_form(browser, services, deployment, chosen, entered, complaint):
    before = requested_runs(services)
    open_form(browser, services, deployment)
    for name, value in chosen.items():
        browser.choose(name, value)
    for name, value in entered.items():
        browser.enter(name, value)
    browser.press("Submit")
    browser.read(complaint)
    assert requested_runs(services) == before


def test_settings_that_a_study_has_not_end_its_run_with_one_line(browser, services):
    open_form(browser, services, "run-study")
    browser.choose("study", "compensated-summation")
    browser.enter("settings", '{"lenght": 8}')
    run = submit(browser, services)
    assert finish(services, run)["type"] == "FAILED"
    open_run(browser, services, run, "Logs")
    browser.read("unknown parameter")
    assert "Traceback" not in browser.text()


def test_a_run_from_the_form_is_seen_to_complete(browser, services, study_run):
    browser.open(f"{services.prefect}/runs/flow-run/{study_run}")
    browser.read("Completed")
    browser.read(f"{STUDY}-small")


def test_a_run_shows_a_bar_for_each_stage(browser, services, study_run):
    of_run = {"flow_run_id": {"any_": [study_run]}, "type": {"any_": ["progress"]}}
    stages = found(f"{services.api}/artifacts/filter", artifacts=of_run)
    assert {stage["key"].rsplit("-", 1)[0] for stage in stages} == {"data-sets", "results"}
    open_run(browser, services, study_run, "Artifacts")
    browser.read(f"report-{STUDY}")
    browser.picture("prefect-run")
    browser.resize(3 * HEIGHT)  # what is far below is not drawn
    for stage in stages:
        browser.read(stage["key"])
    browser.resize(HEIGHT)
    browser.open(f"{services.prefect}/artifacts/artifact/{stages[0]['id']}")
    browser.read("Progress: 100%")


def test_a_run_shows_its_claims_in_a_table(browser, services, study_run):
    open_artifact(browser, services, study_run, f"claims-{STUDY}")
    browser.read(CLAIM)
    for column in ("problem", "verdict", "estimate", "lower", "upper", "threshold"):
        browser.see(f"//th[normalize-space(.)='{column}']")


def test_the_report_of_a_run_shows_its_figures(browser, services, study_run):
    open_artifact(browser, services, study_run, f"report-{STUDY}")
    images = browser.wait_for(browser.images)
    assert {"claims", f"convergence-{PROBLEM}"} <= {image.get_attribute("alt") for image in images}
    browser.read("xarray.open_zarr")
    browser.show(images[0])
    browser.picture("prefect-report")


def test_the_report_of_a_run_leads_to_mlflow(browser, services, study_run, mlflow_run):
    open_artifact(browser, services, study_run, f"report-{STUDY}")
    browser.click("//a[contains(normalize-space(.), 'MLflow run')]")
    with browser.new_window():
        browser.read(f"{STUDY} (small)")
        browser.read(study_run[:20])  # the tag that leads back
        address = urlparse(browser.driver.current_url)
        assert f"{address.scheme}://{address.netloc}" == services.mlflow
        assert "/".join(mlflow_run) in address.fragment.replace("/runs/", "/")


def open_view(browser, services, experiment, view):
    open_mlflow(browser, services, "experiments", experiment, "runs")
    browser.press("Views")
    browser.click(f"//*[normalize-space(text())='{view}']")


def test_the_experiment_lists_the_study_with_its_verdicts(browser, services, mlflow_run):
    open_view(browser, services, mlflow_run[0], "Claims")
    for column in ("claims/holds", "claims/fails", "claims/inconclusive"):
        browser.see(f"//*[@role='columnheader'][contains(., '{column}')]")
    browser.picture("mlflow-experiment")


def test_the_curves_of_all_contenders_are_on_one_axis(browser, services, mlflow_run):
    open_view(browser, services, mlflow_run[0], f"Contenders on {PROBLEM}, last run")
    browser.click("//label[.//input[@value='CHART']]")
    browser.wait_for(lambda: len(browser.all(LINE)) > 2)
    browser.picture("mlflow-contenders")


def test_a_contender_shows_its_curve(browser, services, mlflow_run):
    open_mlflow(browser, services, "experiments", mlflow_run[0], "runs", mlflow_run[1])
    browser.click(f"//a[normalize-space(.)='{PROBLEM}: {CONTENDER}']")
    browser.click("//*[@role='tab'][contains(normalize-space(.), 'Model metrics')]")
    browser.see("//input[contains(@placeholder, 'Search metric charts')]").send_keys(CURVE)
    assert browser.see(LINE).get_attribute("d").count("L") > 5
    browser.picture("mlflow-curve")


def test_a_figure_of_a_study_is_seen_in_mlflow(browser, services, mlflow_run):
    open_mlflow(browser, services, "experiments", mlflow_run[0], "runs", mlflow_run[1], "artifacts")
    browser.click("//*[normalize-space(text())='figures']")
    browser.click("//*[normalize-space(text())='claims.png']")
    wide = browser.wait_for(lambda: [image for image in browser.images() if image.rect["width"] > 300])
    assert wide
    browser.picture("mlflow-figure")


def test_comparing_two_runs_of_a_study_shows_what_changed(browser, services, mlflow_run):
    experiment, run = mlflow_run
    again = request_run(services, "run-study", {"study": STUDY, "size": "small", "settings": {"seed": 7}})
    assert finish(services, again.json()["id"])["type"] == "COMPLETED"
    client = MlflowClient(services.mlflow)
    parents = client.search_runs([experiment], "tags.`assay.parent` = 'yes'")
    assert {one.data.params["seed"] for one in parents} == {"0", "7"}
    (other,) = {one.info.run_id for one in parents} - {run}
    open_mlflow(browser, services, f'compare-runs?runs=["{run}","{other}"]&experiments=["{experiment}"]')
    browser.read("Comparing 2 Runs")
    for one in (run, other):
        browser.see(f"//a[normalize-space(.)='{one}']")
    browser.picture("mlflow-compare")


def test_a_data_set_is_made_from_its_form(browser, services):
    open_form(browser, services, "generate-data-set")
    browser.choose("problem", "poisson")
    browser.enter("count", "4")
    browser.enter("settings", '{"grid": 8}')
    run = submit(browser, services)
    assert finish(services, run)["type"] == "COMPLETED"
    assert read(f"{services.api}/flow_runs/{run}").json()["parameters"]["settings"] == {"grid": 8}
    open_artifact(browser, services, run, "generate-poisson")
    browser.read("poisson: 4 instances")


def test_a_campaign_is_started_from_its_form(browser, services, study_run):
    open_form(browser, services, "run-campaign")
    browser.choose("studies", STUDY)
    browser.choose("size", "small")
    run = submit(browser, services)
    assert finish(services, run)["type"] == "COMPLETED"
    open_artifact(browser, services, run, "report-campaign")
    browser.read("1 studies")
