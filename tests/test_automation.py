"""The automation of the documentation is one that Prefect takes, for the state in which a regression ends."""

from pathlib import Path

import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.events.schemas.automations import AutomationCore

import flows.campaign
from flows.campaign import RegressionError, run_campaign
from flows.study import StudyName
from tasks.study import Size

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "tell-of-a-regression.yaml"


def test_a_campaign_that_regresses_ends_in_the_state_that_the_automation_waits_for(
    prefect_api, dask_cluster, make_root, monkeypatch
):
    def lose(changes):
        return ["a claim held and is now: fails"]

    monkeypatch.setattr(flows.campaign, "lost_claims", lose)
    root = make_root("told")
    with pytest.raises(RegressionError) as caught:
        run_campaign([StudyName("compensated-summation")], size=Size.SMALL, store=root, scheduler=dask_cluster)
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[caught.value.summary["prefect_flow_run"]]))
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_run_filter=chosen)
        flow = client.read_flow(run.flow_id)
    (document,) = yaml.safe_load(EXAMPLE.read_text())["automations"]
    trigger = AutomationCore.model_validate(document).trigger
    assert trigger.expect == {f"prefect.flow-run.{run.state.name}"}
    assert document["trigger"]["match_related"]["prefect.resource.name"] == flow.name
    assert "a claim held and is now: fails" in run.state.message
