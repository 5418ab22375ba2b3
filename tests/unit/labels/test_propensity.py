"""Who gives feedback is not who uses the product: weighting mends what features explain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from upturn.events.source import Exposure
from upturn.labels.propensity import SelectionReport, selection_report

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)


def world(seed: int, *, selected: bool) -> tuple[SelectionReport, float]:
    """6,000 requests; the new version is right more often, and (if ``selected``) gets feedback
    four times as often. Returns the report and the true share of right answers."""
    rng = np.random.default_rng(seed)
    exposures, right, truth = [], {}, []
    for n in range(6000):
        new, gold = bool(rng.random() < 0.3), bool(rng.random() < 0.4)
        is_right = rng.random() < (0.9 if new else 0.5)
        truth.append(is_right)
        tells = rng.random() < ((0.4 if new else 0.1) if selected else 0.2)
        if tells:
            right[f"r{n}"] = float(is_right)
        exposures.append(
            Exposure(
                id=f"r{n}",
                time=(BEGIN + timedelta(minutes=7 * n)).isoformat(),
                user=f"u{rng.integers(1500)}",
                version="v2" if new else "v1",
                slices={"tier": "gold"} if gold else {},
                has_feedback=tells,
            )
        )
    report = selection_report(exposures, right)
    assert report is not None
    return report, float(np.mean(truth))


def test_weighting_mends_a_known_selection_where_counting_does_not():
    naive, weighted = [], []
    for seed in range(12):
        report, _ = world(seed, selected=True)
        naive.append((report.naive.share - 0.62) / report.naive.se)
        weighted.append((report.weighted.share - 0.62) / report.weighted.se)
    # The mean of 12 standardised errors is within 2 standard errors of 0.
    assert abs(np.mean(weighted)) < 2 / np.sqrt(12)
    assert np.mean(naive) > 5
    assert np.mean(np.abs(weighted) < 2) > 0.8


def test_the_warning_says_which_way_and_how_sure():
    report, _ = world(1, selected=True)
    assert report.requests == 6000
    assert report.judged == pytest.approx(1140, abs=120)
    assert report.effective < 0.8 * report.judged
    assert report.weighted.share - report.naive.share < -0.08
    assert report.warning.startswith("The requests that get feedback are not like the others:")
    assert "The program does worse than its feedback says." in report.warning
    assert report.warning in report.sentence


def test_without_selection_there_is_rarely_a_warning():
    warned = [bool(world(seed, selected=False)[0].warning) for seed in range(12)]
    assert sum(warned) <= 1


def test_weights_are_clipped_and_errors_left_out():
    exposures = [
        Exposure(id=f"r{n}", time=BEGIN.isoformat(), version="a" if n < 900 else "b")
        for n in range(1000)
    ] + [Exposure(id="broken", time=BEGIN.isoformat(), error=True)]
    right = {f"r{n}": 1.0 for n in range(900, 990)} | {"r1": 0.0}
    report = selection_report(exposures, right, max_weight=5.0)
    assert report is not None
    assert (report.requests, report.judged) == (1000, 91)
    assert report.clipped == pytest.approx(1 / 91)
    loose = selection_report(exposures, right, max_weight=1000.0)
    assert loose is not None
    assert loose.clipped == 0
    assert loose.weighted.share < report.weighted.share < report.naive.share


def test_nothing_can_be_weighted_where_nobody_or_everybody_tells():
    exposures = [Exposure(id=f"r{n}", time=BEGIN.isoformat()) for n in range(5)]
    assert selection_report(exposures, {}) is None
    assert selection_report(exposures, {e.id: 1.0 for e in exposures}) is None
