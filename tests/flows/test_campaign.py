import json
from pathlib import Path

import pytest

from flows.campaign import SUMMARY, RegressionError, run_campaign
from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.study import Size
from tasks.tracking import open_tracking

NAME = "compensated-summation"
CLAIM = f"{NAME}/cancelling-sums/beats-recursive"


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("campaign")


@pytest.fixture(scope="module")
def campaign(root, prefect_api, dask_cluster):
    def campaign(**changes):
        return run_campaign([StudyName(NAME)], size=Size.SMALL, store=root, scheduler=dask_cluster, **changes)

    return campaign


@pytest.fixture(scope="module")
def first(campaign):
    return campaign()


def test_the_first_campaign_has_nothing_to_compare_with(first):
    assert first["studies"] == [NAME]
    assert not first["compared_with_last"]
    assert (first["changes"], first["broken"]) == ({}, {})
    assert CLAIM in first["verdicts"]


def test_a_campaign_leads_to_the_runs_of_its_studies(first, root):
    client = open_tracking(root)
    assert client.get_run(first["runs"][NAME]).data.params["size"] == "small"
    summary = client.get_run(first["mlflow"]["run_id"])
    assert summary.data.tags[f"verdict.{CLAIM}"] == first["verdicts"][CLAIM]
    assert summary.data.metrics["holds"] == list(first["verdicts"].values()).count("holds")


def test_nothing_changes_where_nothing_changed(campaign, first):
    again = campaign()
    assert again["compared_with_last"]
    assert again["changes"] == {}
    assert again["mlflow"]["run_id"] != first["mlflow"]["run_id"]


def doctor_last(root, logged, verdict):
    """Let a campaign have found another verdict for the claim."""
    client = open_tracking(root)
    summary = {**logged, "verdicts": {**logged["verdicts"], CLAIM: verdict}}
    client.log_text(logged["mlflow"]["run_id"], json.dumps(summary), SUMMARY)


def test_a_verdict_that_changed_since_the_last_campaign_is_named(campaign, first, root):
    doctor_last(root, campaign(), "inconclusive")
    again = campaign()
    assert again["changes"] == {CLAIM: {"before": "inconclusive", "now": "holds"}}
    assert again["regressions"] == []


def test_a_claim_that_no_longer_holds_fails_the_campaign_after_all_is_logged(campaign, first, root, monkeypatch):
    def run_and_fail(*arguments, **options):
        report = run_study(*arguments, **options)
        return {**report, "claims": [{**claim, "verdict": "fails"} for claim in report["claims"]]}

    campaign()
    monkeypatch.setattr("flows.campaign.run_study", run_and_fail)
    with pytest.raises(RegressionError, match=f"{CLAIM} held and is now: fails") as caught:
        campaign()
    logged = open_tracking(root).get_run(caught.value.summary["mlflow"]["run_id"])
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["regressions"] == len(first["verdicts"])


def test_a_broken_study_is_reported_and_does_not_stop_the_campaign(campaign, first, root):
    plan = plan_study(find_study(NAME), Size.SMALL, {}, root)
    (data_url,) = {plan.data_url(problem) for problem in plan.folders}
    chunk = Path(data_url) / "terms" / "c" / "1" / "0"
    intact = chunk.read_bytes()
    chunk.write_bytes(intact[:-3])
    with pytest.raises(RegressionError, match="is broken") as caught:
        campaign(fresh=True)
    broken = caught.value.summary
    chunk.write_bytes(intact)
    assert broken["broken"].keys() == {NAME}
    assert "shard 1" in broken["broken"][NAME]
    assert "\n" not in broken["broken"][NAME]
    assert broken["verdicts"] == {}
    assert open_tracking(root).get_run(broken["mlflow"]["run_id"]).data.metrics["broken"] == 1
    assert campaign(fresh=True)["broken"] == {}
