"""Saved views: what MLflow's user interface offers under "Views" on the page of an experiment's runs.

MLflow keeps a view as a tag of the experiment, which its interface of 3.17 reads: the columns of the table with their
order and widths, the condition on runs, the order of rows and the charts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

TAG = "mlflow.sharedViewState."
LONGEST_TAG = 20_000  # MLflow refuses longer ones

_PIXELS_A_LETTER = 7.5


def saved_view(
    name: str,
    columns: Sequence[str],
    condition: str,
    order_by: str,
    *,
    ascending: bool = True,
    rank: int = 0,
    curve: str = "",
) -> str:
    """The value of the tag of a view.

    Parameters
    ----------
    name : str
        As it is listed.
    columns : sequence of str
        From left to right, such as ``metrics.cpu_seconds``, ``params.size`` or ``tags.role``; those at the end are left
        out where the view would be longer than MLflow allows.
    condition : str
        On the runs that it shows, in MLflow's search syntax.
    order_by : str
        The column, or ``attributes.start_time``, by which rows are sorted.
    ascending : bool
        Whether the least comes first.
    rank : int
        Views are listed from the highest rank to the lowest.
    curve : str
        The metric whose curves the chart view draws on one axis; none where it is empty.
    """
    columns = [_key(column) for column in columns]
    while len(value := _envelope(name, rank, _state(columns, condition, order_by, ascending, curve))) > LONGEST_TAG:
        columns = columns[:-1]
    return value


def _state(columns: Sequence[str], condition: str, order_by: str, ascending: bool, curve: str) -> Mapping[str, Any]:
    return {
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _width(column) for column in columns},
        "searchFilter": condition,
        "orderByKey": order_by if order_by.startswith("attributes.") else _key(order_by),
        "orderByAsc": ascending,
        "runsHiddenMode": "SHOW_ALL",
        **(_charts(curve) if curve else {}),
    }


def _charts(curve: str) -> Mapping[str, Any]:
    """One chart of a metric's curves against their steps, with a logarithmic scale, and one of processor time."""
    section = {"uuid": "assay", "name": "Contenders on one axis", "display": True, "isReordered": True}
    common = {"metricSectionId": "assay", "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    line = {
        **common,
        "type": "LINE",
        "uuid": "assay-curves",
        "metricKey": curve,
        "selectedMetricKeys": [curve],
        "scaleType": "log",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "selectedXAxisMetricKey": "",
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "useGlobalXaxisKey": False,
    }
    bars = {**common, "type": "BAR", "uuid": "assay-times", "metricKey": "cpu_seconds"}
    return {"compareRunCharts": [line, bars], "compareRunSections": [section], "isAccordionReordered": True}


def _envelope(name: str, rank: int, state: Mapping[str, Any]) -> str:
    return json.dumps({"name": name, "createdAt": rank, "updatedAt": rank, "state": json.dumps(state)})


def _key(column: str) -> str:
    kind, _, name = column.partition(".")
    return f"{kind}.`{name}`"


def _width(column: str) -> int:
    return max(90, round(_PIXELS_A_LETTER * len(column.partition(".")[2])) + 30)
