"""The log as a whole: reproducible, really answered, with the feedback that life brings."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from tests.unit.quickstart.guessing import Events, guess
from upturn.errors import DataError
from upturn.events import Feedback, FieldRules, Request, Role, Signal, read_log, write_log
from upturn.labels import compile_labels
from upturn.quickstart import END, REQUESTS, generate
from upturn.quickstart.generate import Written
from upturn.quickstart.reactions import AGENTS, CARELESS, PRIORITIES, TEAMS

FIELDS = FieldRules(inputs=("message",), outputs={"team": TEAMS, "priority": PRIORITIES})


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_log(tmp_path / name, generate(seed, guess, requests=200))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_answers_are_the_answerers(requests: list[Request]) -> None:
    asked = [r.inputs["message"] for r in requests]
    given = guess(asked)
    assert [r.outputs or None for r in requests] == given
    assert {r.model for r in requests} == {"guess@1"}
    failed = [r for r in requests if r.error]
    assert len(failed) == given.count(None) == REQUESTS // 40
    assert all(not r.outputs for r in failed)


def test_one_answer_a_message() -> None:
    with pytest.raises(DataError, match="20 messages must get as many answers, got 19"):
        generate(0, lambda messages: guess(messages)[1:], requests=20)


def test_every_signal_comes(feedback: list[Feedback]) -> None:
    counts = Counter(f.signal for f in feedback)
    kept = {Signal.KEPT, Signal.REOPENED, Signal.EDIT, Signal.THUMBS, Signal.CORRECTION}
    assert set(counts) == kept
    assert counts[Signal.CORRECTION] > 600
    assert min(counts.values()) > 20
    assert {f.role for f in feedback} == set(Role) - {Role.JUDGE}
    thumbs = {f.value for f in feedback if f.signal is Signal.THUMBS and f.role is Role.CUSTOMER}
    assert thumbs == {True, False}


def test_some_say_nothing(requests: list[Request], feedback: list[Feedback]) -> None:
    spoken = {f.request_id for f in feedback}
    silent = [r for r in requests if r.id not in spoken]
    assert 0.05 < len(silent) / len(requests) < 0.5


def test_feedback_follows_its_request_some_of_it_late(
    requests: list[Request], feedback: list[Feedback]
) -> None:
    asked = {r.id: datetime.fromisoformat(r.time) for r in requests}
    delay_days = np.array(
        [
            (datetime.fromisoformat(f.time) - asked[f.request_id]).total_seconds() / 86_400
            for f in feedback
        ]
    )
    assert delay_days.min() >= 0
    assert np.mean(delay_days < 3) > 0.6
    assert (delay_days > 6).sum() > 50
    assert max(datetime.fromisoformat(f.time) for f in feedback) < END


def test_raters_contradict_each_other(feedback: list[Feedback]) -> None:
    teams: dict[str, set[str]] = defaultdict(set)
    for f in feedback:
        if f.signal is Signal.CORRECTION and "team" in f.value:
            teams[f.request_id].add(f.value["team"])
    assert 10 < sum(len(t) > 1 for t in teams.values()) < 150


def test_one_user_clicks_at_random(feedback: list[Feedback]) -> None:
    careless = [f for f in feedback if f.rater == CARELESS]
    others = Counter(f.rater for f in feedback if f.signal is Signal.THUMBS)
    assert {f.signal for f in careless} == {Signal.THUMBS}
    assert len(careless) > 90
    assert 0.35 < np.mean([f.value for f in careless]) < 0.65
    assert others[CARELESS] == max(others.values())


def test_agents_know_the_truth_mostly(events: Events, written: list[Written]) -> None:
    requests = [e for e in events if isinstance(e, Request)]
    truth = {r.id: w.message.team for r, w in zip(requests, written, strict=True)}
    said = [
        f.value["team"] == truth[f.request_id]
        for f in events
        if isinstance(f, Feedback)
        and f.rater in AGENTS
        and f.signal is Signal.CORRECTION
        and "team" in f.value
    ]
    # Those who are mistaken are more likely to correct a right answer: a little under 0.97.
    assert 0.93 < np.mean(said) < 0.99


def test_the_log_reads_and_gives_enough_labels(tmp_path: Path, events: Events) -> None:
    write_log(tmp_path / "log.jsonl", events)
    log = read_log(tmp_path / "log.jsonl", fields=FIELDS, program="ticket_triage", now=END)
    labelling = compile_labels(log, now=END, min_age_hours=72.0)
    assert (len(log.requests), len(log.orphans)) == (REQUESTS, 0)
    assert len(labelling.rows) > 1000
    assert labelling.reasons["correction_conflict"] > 5
    assert [r.rater for r in labelling.distrusted if r.rater == CARELESS] == [CARELESS]
