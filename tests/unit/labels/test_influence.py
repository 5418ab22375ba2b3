"""Nobody weighs more than their share, and bursts from few accounts are set aside."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.unit.labels.test_labels import ASKED, NOW, ask
from upturn.events import EPOCH, Feedback, Log, Role, Signal
from upturn.labels import InfluenceRules, Labelling, LabelRules, compile_labels
from upturn.labels.influence import bursts

RULES = InfluenceRules()
DAY = 86_400.0


def vote(n: int, by: str, at: datetime | str, up: bool = False, role: Role = Role.CUSTOMER):
    time = at if isinstance(at, str) else at.isoformat()
    return Feedback(
        id=f"f-{n}-{by}",
        request_id=f"r{n:04d}",
        time=time,
        signal=Signal.THUMBS,
        value=up,
        rater=by,
        role=role,
    )


def labelled(requests: int, feedback: list[Feedback], **over: Any) -> Labelling:
    asked = tuple(ask(f"r{n:04d}", outputs={"team": "billing"}) for n in range(requests))
    log = Log(requests=asked, feedback=tuple(feedback))
    return compile_labels(log, now=NOW, min_age_hours=0, **over)


def week(requests: int) -> list[Feedback]:
    """One approval of another customer every hour."""
    return [
        vote(n, f"c{n}", ASKED + timedelta(hours=n), up=True) for n in range(min(requests, 168))
    ]


def test_a_burst_of_few_new_accounts_is_set_aside_and_named():
    raid = ASKED + timedelta(days=5)
    hostile = [
        vote(n, f"new-{n % 4}", raid + timedelta(seconds=20 * n), up=False) for n in range(60)
    ]
    calm = labelled(200, week(168))
    result = labelled(200, week(168) + hostile)
    assert len(result.rows) == len(calm.rows) == 168
    assert {r.rater: r.burst for r in result.raters if r.burst} == {
        f"new-{k}": 15 for k in range(4)
    }
    assert "15 signals set aside as part of a burst" in result.raters[-1].why


def test_a_request_with_nothing_but_a_burst_abstains_for_that_reason():
    raid = ASKED + timedelta(days=5)
    hostile = [
        vote(180 + n % 20, f"new-{n // 20}", raid + timedelta(seconds=n), up=True)
        for n in range(60)
    ]
    result = labelled(200, week(168) + hostile)
    # One honest newcomer votes the same way in that very hour, and goes with them.
    assert result.reasons == {"burst": 21, "no_feedback": 12}


@pytest.mark.parametrize("role", [Role.AGENT, Role.REVIEWER])
def test_people_at_work_are_no_burst(role: Role):
    shift = ASKED + timedelta(days=5)
    work = [vote(n, "new-agent", shift + timedelta(seconds=20 * n), role=role) for n in range(60)]
    result = labelled(200, week(168) + work)
    assert not any(r.burst for r in result.raters)


def test_events_without_a_time_are_in_no_window():
    result = labelled(60, [vote(n, f"c{n % 3}", EPOCH, up=True) for n in range(60)])
    assert len(result.rows) == 60


def traffic(rng: np.random.Generator, days: int = 28) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Honest customers: rater, direction and time of signals that come by day more than by night,
    on weekdays more than on Sundays, three quarters of them positive, from few busy people and
    many who vote once, with a day on which the product was down and most complain."""
    n = int(rng.integers(300, 3000))
    day = rng.integers(days, size=4 * n)
    hour = rng.integers(24, size=4 * n)
    keep = rng.random(4 * n) < (0.2 + 0.8 * ((hour > 7) & (hour < 20))) * (
        0.4 + 0.6 * (day % 7 > 0)
    )
    at = (day * DAY + hour * 3600 + rng.uniform(0, 3600, 4 * n))[keep][:n]
    down = int(rng.integers(days))
    is_down = (at // DAY).astype(int) == down
    way = np.where(is_down, rng.random(len(at)) < 0.8, rng.random(len(at)) < 0.25).astype(int)
    busy = rng.random(len(at)) < 0.3
    rater = np.where(busy, rng.integers(40, size=len(at)), 40 + np.arange(len(at)))
    return rater, way, at


def alarms(rater: np.ndarray, way: np.ndarray, at: np.ndarray) -> np.ndarray:
    ones = np.ones(len(at))
    return bursts(rater, way, at, ones == 1, ones, RULES)


def test_honest_traffic_raises_almost_no_alarm():
    found = [alarms(*traffic(np.random.default_rng(seed))).any() for seed in range(300)]
    assert np.mean(found) <= 0.01


def test_raids_are_found():
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rater, way, at = traffic(rng)
        size = 40
        raid = 10**6 + rng.integers(5, size=size)
        when = rng.uniform(3, 26) * DAY + rng.uniform(0, 1800, size)
        flags = alarms(
            np.concatenate([rater, raid]),
            np.concatenate([way, np.ones(size, dtype=int)]),
            np.concatenate([at, when]),
        )
        found.append(flags[-size:].mean() > 0.9)
    assert np.mean(found) >= 0.9


def test_votes_beyond_the_days_share_count_less():
    rules = LabelRules(influence=InfluenceRules(per_day={Role.CUSTOMER: 10}, burst_votes=1000))
    many = [vote(n, "eager", ASKED + timedelta(minutes=n), up=True) for n in range(40)]
    (first, *_) = labelled(40, many, rules=rules).rows
    odds = np.log(0.8 / 0.2) * 10 / 40
    assert first.fields["team"].probability == pytest.approx(1 / (1 + np.exp(-odds)))
    (few, *_) = labelled(10, many[:10], rules=rules).rows
    assert few.fields["team"].probability == pytest.approx(0.8)
