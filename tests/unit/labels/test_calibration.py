"""Probabilities against reviews: what is measured, and what is bent."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.labels.test_labels import ASKED, NOW, ask
from upturn.events import Feedback, Log, Role, Signal
from upturn.labels import Labelling, LabelRules, compile_labels, reliability
from upturn.labels.calibration import recalibration


def test_the_diagram_counts_states_and_compares():
    stated = np.array([0.55, 0.58, 0.95, 0.95, 0.95, 1.0])
    right = np.array([True, False, True, True, False, True])
    found = reliability(stated, right)
    assert [(b.low, b.high, b.n) for b in found.bins] == [(0.5, 0.6, 2), (0.9, 1.0, 4)]
    low, high = found.bins
    assert (low.stated, low.right) == (pytest.approx(0.565), 0.5)
    assert (high.stated, high.right) == (pytest.approx(0.9625), 0.75)
    assert found.ece == pytest.approx((2 * 0.065 + 4 * 0.2125) / 6)
    assert found.brier == pytest.approx(np.mean((stated - right) ** 2))


def overconfident(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that are right less often than they say."""
    rng = np.random.default_rng(seed)
    stated = rng.uniform(0.5, 0.99, size=n)
    return stated, rng.random(n) < 0.5 + (stated - 0.5) * 0.5


@pytest.mark.parametrize(("n", "method"), [(300, "platt"), (3000, "isotonic")])
def test_overconfidence_is_bent_and_judged_on_other_labels(n: int, method: str):
    before, after = [], []
    for seed in range(10):
        report, curve = recalibration(*overconfident(seed, n), seed=seed)
        assert (report.method, report.applied) == (method, True)
        assert curve is not None
        fresh, right = overconfident(100 + seed, 4000)
        before.append(reliability(fresh, right).ece)
        after.append(reliability(curve(fresh), right).ece)
        assert report.after.brier < report.before.brier
    assert np.mean(before) > 0.11
    assert np.mean(after) < 0.05
    assert "recalibrated" in report.sentence


def test_what_holds_is_left_alone_mostly():
    rng = np.random.default_rng(0)
    applied = []
    for _ in range(20):
        stated = rng.uniform(0.5, 0.99, size=400)
        applied.append(recalibration(stated, rng.random(400) < stated)[0].applied)
    assert np.mean(applied) < 0.5


def test_where_all_labels_were_right_the_map_claims_no_certainty():
    report, curve = recalibration(np.full(200, 0.7), np.ones(200, dtype=bool))
    assert report.applied
    assert curve is not None
    assert curve(np.array([0.7])) == pytest.approx([201 / 202])


def reviewed_world(reviews: int) -> Labelling:
    """Customers' thumbs on answers of which 90 % are right; they are better than their rule says
    of those who are alone; reviewers look at some."""
    rng = np.random.default_rng(5)
    requests, feedback = [], []
    for n in range(1500):
        name, right = f"r{n:04d}", rng.random() < 0.9
        requests.append(ask(name, outputs={"team": "billing"}))
        up = right if rng.random() < 0.9 else not right
        feedback.append(_feedback(name, f"c{n}", Role.CUSTOMER, Signal.THUMBS, bool(up)))
        if n < reviews:
            feedback.append(_feedback(name, "rev", Role.REVIEWER, Signal.VERDICT, bool(right)))
    log = Log(requests=tuple(requests), feedback=tuple(feedback))
    return compile_labels(log, now=NOW, min_age_hours=0, rules=LabelRules())


def _feedback(to: str, by: str, role: Role, signal: Signal, value: bool) -> Feedback:
    return Feedback(
        id=f"{to}-{by}",
        request_id=to,
        time=ASKED.isoformat(),
        signal=signal,
        value=value,
        rater=by,
        role=role,
    )


def test_labels_are_recalibrated_once_enough_was_reviewed():
    few = reviewed_world(60)
    assert few.calibration is None
    many = reviewed_world(600)
    assert many.calibration is not None
    assert many.calibration.applied
    assert many.calibration.before.ece > 0.1
    assert many.calibration.after.ece < 0.04
    plain = {r.request.id: r.fields["team"].probability for r in few.rows}
    bent = {r.request.id: r.fields["team"].probability for r in many.rows}
    # An approval that nobody reviewed: 0.9 * 0.9 / (0.9 * 0.9 + 0.1 * 0.1) of them are right.
    assert plain["r1000"] == pytest.approx(0.8)
    assert bent["r1000"] == pytest.approx(0.988, abs=0.02)
