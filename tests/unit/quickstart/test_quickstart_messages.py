"""What customers write: enough of it, recurring in kind, never in words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import timedelta

import numpy as np

from upturn.quickstart import END, REQUESTS
from upturn.quickstart.generate import Written
from upturn.quickstart.world import issues


def test_eight_weeks_of_many_customers(written: list[Written]) -> None:
    times = [w.visit.time for w in written]
    assert len(written) == REQUESTS >= 1200
    assert len({w.visit.user for w in written}) >= 300
    assert times == sorted(times)
    assert END - timedelta(weeks=8) <= times[0] < END - timedelta(days=54)
    assert END - timedelta(days=2) < times[-1] < END


def test_most_customers_come_in_bursts(written: list[Written]) -> None:
    times = defaultdict(list)
    for w in written:
        times[w.visit.user].append(w.visit.time)
    short = [max(t) - min(t) <= timedelta(days=14) for t in times.values()]
    assert 0.75 < np.mean(short) < 0.97
    assert sum(2 <= len(t) <= 7 for t in times.values()) > 0.6 * len(times)


def test_working_hours_are_busier(written: list[Written]) -> None:
    weekend = np.mean([w.visit.time.weekday() >= 5 for w in written])
    night = np.mean([w.visit.time.hour < 6 for w in written])
    assert weekend < 0.2
    assert night < 0.05


def test_three_or_four_kinds_a_team_each_recur(written: list[Written]) -> None:
    kinds = Counter((w.message.team, w.message.issue) for w in written)
    per_team = Counter(team for team, _ in kinds)
    assert set(kinds) == {(i.team, i.name) for i in issues()}
    assert set(per_team.values()) <= {3, 4}
    assert len(per_team) == 6
    assert min(kinds.values()) >= 20
    assert min(Counter(w.message.team for w in written).values()) > 200


def test_every_priority_is_common(written: list[Written]) -> None:
    shares = Counter(w.message.priority for w in written)
    assert min(shares[p] / len(written) for p in ("low", "normal", "high")) > 0.12


def test_haste_decides_the_priority(written: list[Written]) -> None:
    asap = [w.message for w in written if "asap" in w.message.text.lower()]
    calm = [w.message for w in written if re.search(r"no (rush|hurry)", w.message.text.lower())]
    assert len(asap) > 20
    assert len(calm) > 20
    assert {m.priority for m in asap} == {"high"}
    assert {m.priority for m in calm} == {"low"}


def test_no_template_shows(written: list[Written]) -> None:
    texts = [w.message.text for w in written]
    assert near_duplicates(texts).any(axis=1).mean() < 0.01
    openings = Counter(" ".join(t.lower().split()[:3]) for t in texts)
    assert openings.most_common(1)[0][1] < 0.03 * len(texts)


def test_written_as_people_write(written: list[Written]) -> None:
    texts = [w.message.text for w in written]
    assert 0.3 < np.mean([t[0].isupper() for t in texts]) < 0.7
    low, middle, high = np.percentile([len(t) for t in texts], [1, 50, 99])
    assert low < 0.6 * middle
    assert high > 2 * middle
    assert not [t for t in texts if re.search(r"[{}<>|]|  | [,.?!]", t)]


def near_duplicates(texts: list[str]) -> np.ndarray:
    """Pairs (symmetric, bool) of five-character shingle Jaccard of at least 0.8."""
    sets = [{t[k : k + 5] for k in range(max(1, len(t) - 4))} for t in map(str.lower, texts)]
    index = {s: k for k, s in enumerate(sorted(set().union(*sets)))}
    has_ES = np.zeros((len(texts), len(index)), dtype=np.float32)
    for row, shingles in enumerate(sets):
        has_ES[row, [index[s] for s in shingles]] = 1.0
    both_EE = has_ES @ has_ES.T
    size_E = has_ES.sum(axis=1)
    near = both_EE >= 0.8 * (size_E[:, None] + size_E[None, :] - both_EE)
    np.fill_diagonal(near, False)
    return near
