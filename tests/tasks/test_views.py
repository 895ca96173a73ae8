import json

import pytest

from tasks.views import LONGEST_TAG, saved_view

CLAIMS = ["params.size", "metrics.claims/holds", "tags.verdict.darcy.headline"]


def opened(view):
    envelope = json.loads(view)
    return envelope, json.loads(envelope["state"])


def test_a_view_names_its_columns_from_left_to_right_its_runs_and_their_order():
    envelope, state = opened(
        saved_view("Claims", CLAIMS, "tags.`assay.parent` = 'yes'", "attributes.start_time", ascending=False, rank=7)
    )
    assert (envelope["name"], envelope["createdAt"]) == ("Claims", 7)
    keys = ["params.`size`", "metrics.`claims/holds`", "tags.`verdict.darcy.headline`"]
    assert state["selectedColumns"] == state["columnOrder"] == keys == list(state["columnWidths"])
    assert state["searchFilter"] == "tags.`assay.parent` = 'yes'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("attributes.start_time", False)
    assert "compareRunCharts" not in state


def test_a_view_with_a_curve_draws_all_its_runs_on_one_axis():
    _, state = opened(saved_view("Contenders", CLAIMS, "", "metrics.cpu_seconds", curve="relative residual"))
    line, bars = state["compareRunCharts"]
    assert (line["type"], line["selectedMetricKeys"], line["scaleType"]) == ("LINE", ["relative residual"], "log")
    assert (bars["type"], bars["metricKey"]) == ("BAR", "cpu_seconds")
    assert {line["metricSectionId"], bars["metricSectionId"]} == {state["compareRunSections"][0]["uuid"]}
    assert state["orderByKey"] == "metrics.`cpu_seconds`"


@pytest.mark.parametrize("count", [3, 1000])
def test_columns_are_left_out_at_the_end_where_mlflow_would_refuse_the_view(count):
    columns = [f"tags.verdict.problem-{i}.claim" for i in range(count)]
    view = saved_view("Claims", columns, "", "attributes.start_time")
    _, state = opened(view)
    assert len(view) <= LONGEST_TAG
    kept = len(state["selectedColumns"])
    assert kept == 3 if count == 3 else 50 < kept < 1000
    assert state["selectedColumns"] == [f"tags.`verdict.problem-{i}.claim`" for i in range(kept)]
