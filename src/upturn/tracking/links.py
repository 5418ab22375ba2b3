"""Deep links into the MLflow UI: pages a person would otherwise have to click together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

DEFAULT_UI = "http://127.0.0.1:5000"


def runs_link(
    ui: str,
    experiment_id: str,
    *,
    where: str = "",
    order_by: str = "dev/score",
    chart: bool = False,
) -> str:
    """Returns the runs table, filtered (MLflow's search language) and sorted, best first.

    With ``chart`` it opens as one bar chart per metric beside the runs' names.
    """
    query = f"orderByKey={quote(f'metrics.`{order_by}`', safe='')}&orderByAsc=false"
    if where:
        query = f"searchFilter={quote(where, safe='')}&{query}"
    mode = "&compareRunsMode=CHART" if chart else ""
    return f"{ui}/#/experiments/{experiment_id}/runs?{query}{mode}"


def run_link(ui: str, experiment_id: str, run_id: str) -> str:
    return f"{ui}/#/experiments/{experiment_id}/runs/{run_id}"


def compare_link(ui: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Returns the page that puts runs side by side."""
    runs = quote(json.dumps(list(run_ids), separators=(",", ":")), safe="")
    experiments = quote(json.dumps([experiment_id]), safe="")
    return f"{ui}/#/compare-runs?runs={runs}&experiments={experiments}"


def model_link(ui: str, program: str, version: str = "") -> str:
    """Returns a registered model's page, or that of one version."""
    page = f"{ui}/#/models/{quote(program, safe='')}"
    return f"{page}/versions/{version}" if version else page
