"""The rate of fresh rows, from a log as a turn reads it."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import NOW
from upturn.pipeline.rate import rows_per_day


def test_a_log_of_one_request_in_three_hours_brings_eight_rows_a_day(project):
    parts = project.parts()
    snapshot = parts.snapshot(NOW)
    assert sum(snapshot.manifest["sizes"][s]["rows"] for s in ("train", "dev", "holdout")) == 330
    share = parts.config.split.holdout
    assert rows_per_day(snapshot) == pytest.approx(8.0 * share)
