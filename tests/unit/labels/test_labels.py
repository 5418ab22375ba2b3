"""Feedback to labels: which rule wins, with what weight, and when nothing is said."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from upturn.errors import DataError
from upturn.events import Feedback, Log, Request, Role, Signal
from upturn.labels import Labelling, LabelRules, TrustRules, compile_labels

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ASKED = datetime(2026, 9, 1, tzinfo=UTC)
ANSWER = {"team": "billing", "priority": "low"}


def ask(request_id: str = "r1", **over: Any) -> Request:
    values: dict[str, Any] = {
        "id": request_id,
        "time": ASKED.isoformat(),
        "program": "triage",
        "inputs": {"message": "hello"},
        "outputs": ANSWER,
        "user": "c-1",
        **over,
    }
    return Request(**values)


def say(signal: Signal, value: Any = True, *, by: str = "a", hour: int = 1, to: str = "r1"):
    return Feedback(
        id=f"{to}-{by}-{signal}-{hour}",
        request_id=to,
        time=(ASKED + timedelta(hours=hour)).isoformat(),
        signal=signal,
        value=value,
        rater=by,
        role=Role.AGENT,
    )


def correct(by: str = "a", hour: int = 1, **value: str):
    return say(Signal.CORRECTION, value, by=by, hour=hour)


def edit(by: str = "a", hour: int = 1, **value: str):
    return say(Signal.EDIT, value, by=by, hour=hour)


UP, DOWN = say(Signal.THUMBS, by="u"), say(Signal.THUMBS, False, by="d")
KEPT, REOPENED = say(Signal.KEPT, by="sys"), say(Signal.REOPENED, by="sys")


def compiled(*feedback: Feedback, request: Request | None = None, **over: Any) -> Labelling:
    log = Log(requests=(request or ask(),), feedback=feedback)
    return compile_labels(log, **{"now": NOW, "min_age_hours": 72, **over})


@pytest.mark.parametrize(
    ("feedback", "team", "weight", "reason"),
    [
        ([correct(team="returns")], "returns", 0.6, "correction+left_alone"),
        ([correct(team="returns", priority="low")], "returns", 0.95, "correction"),
        ([correct(team="returns"), UP], "returns", 0.6, "correction+left_alone"),
        ([correct(team="returns"), DOWN], "returns", 0.6, "correction+left_alone"),
        ([correct(team="returns"), edit(by="b", team="billing")], "returns", 0.6, None),
        ([correct(team="returns", hour=1), correct(team="tech", hour=2)], "tech", 0.6, None),
        ([UP], "billing", 0.8, "thumbs"),
        ([DOWN, edit(team="returns")], "returns", 0.6, "edit+left_alone"),
        ([edit(team="returns", priority="high")], "returns", 0.7, "edit"),
        ([edit(team="returns"), REOPENED], "returns", 0.6, "edit+left_alone"),
        ([KEPT], "billing", 0.55, "kept"),
        (
            [say(Signal.THUMBS, False, hour=1), say(Signal.THUMBS, True, hour=2)],
            "billing",
            0.8,
            "thumbs",
        ),
    ],
)
def test_evidence_that_is_alone_is_believed_as_far_as_its_rule(
    feedback: list[Feedback], team: str, weight: float, reason: str | None
):
    (row,) = compiled(*feedback).examples()
    assert row.labels["team"] == team
    assert row.weight == pytest.approx(weight)
    assert reason is None or row.reason == reason


def chance(*feedback: Feedback, field: str = "team") -> float:
    (row,) = compiled(*feedback).rows
    return row.fields[field].probability


def test_what_agrees_adds_up_and_what_differs_takes_away():
    alone = chance(correct(team="returns"))
    assert alone == pytest.approx(0.95)
    assert chance(correct(team="returns"), DOWN) > 0.98
    assert chance(correct(team="returns"), edit(by="b", team="returns")) > 0.97
    assert chance(correct(team="billing"), UP) > 0.98
    # The approval is refuted rather than forgotten: it was evidence.
    assert 0.8 < chance(correct(team="returns"), UP) < 0.85
    assert 0.85 < chance(correct(team="returns"), edit(by="b", team="billing")) < 0.9


def test_contradictions_are_resolved_where_one_side_has_more_behind_it():
    two = [correct(by="a", team="x"), correct(by="b", team="x")]
    (row,) = compiled(*two, correct(by="c", team="y")).rows
    assert row.fields["team"].value == "x"
    assert row.fields["team"].probability > 0.95
    ups = [say(Signal.THUMBS, by=name) for name in ("u1", "u2")]
    (row,) = compiled(*ups, DOWN).rows
    assert row.fields["team"].value == "billing"
    assert 0.75 < row.fields["team"].probability < 0.85


@pytest.mark.parametrize(
    ("feedback", "reason"),
    [
        ([], "no_feedback"),
        ([DOWN], "only_negative"),
        ([REOPENED], "only_negative"),
        ([DOWN, REOPENED], "only_negative"),
        ([say(Signal.RETRY, by="c")], "only_negative"),
        ([say(Signal.DWELL, 300.0, by="c")], "says_nothing"),
        ([DOWN, KEPT], "implicit_conflict"),
        ([DOWN, edit(team="billing")], "implicit_conflict"),
        ([correct(team="billing"), DOWN], "implicit_conflict"),
        ([UP, edit(team="returns")], "implicit_conflict"),
        ([UP, REOPENED], "implicit_conflict"),
        ([UP, DOWN], "thumbs_conflict"),
        ([UP, DOWN, KEPT], "thumbs_conflict"),
        ([correct(by="a", team="returns"), correct(by="b", team="tech")], "correction_conflict"),
        ([correct(by="a", team="x"), correct(by="b", team="y"), UP], "correction_conflict"),
        ([edit(by="a", team="returns"), edit(by="b", team="tech")], "implicit_conflict"),
        ([edit(team="returns"), KEPT], "implicit_conflict"),
        ([edit(team="billing"), REOPENED], "implicit_conflict"),
        ([correct(team="billing"), REOPENED], "implicit_conflict"),
        ([KEPT, REOPENED], "implicit_conflict"),
    ],
)
def test_contradictions_and_mere_complaints_abstain(feedback: list[Feedback], reason: str):
    result = compiled(*feedback)
    assert result.rows == ()
    assert result.reasons == {reason: 1}


def test_every_request_is_counted_once():
    requests = (ask("r1"), ask("r2"), ask("r3", error="down", outputs={}))
    log = Log(requests=requests, feedback=(UP,))
    result = compile_labels(log, now=NOW, min_age_hours=0)
    assert [row.request.id for row in result.rows] == ["r1"]
    assert result.abstentions == ()
    assert result.silent == result.reasons == {"no_feedback": 1, "request_error": 1}


def test_a_field_has_its_label_even_where_the_row_has_none():
    verdict = say(Signal.VERDICT, {"team": True}, by="rev")
    (left,) = compiled(verdict).abstentions
    assert left.reason == "says_nothing"
    assert left.fields["team"].value == "billing"  # type: ignore[union-attr]
    assert left.right == pytest.approx(0.9)


def test_the_evidence_names_events_rules_and_weights():
    (row,) = compiled(correct(team="returns"), DOWN).rows
    found = {e.rule: e for e in row.fields["team"].evidence}
    assert found["correction"].events == ("r1-a-correction-1",)
    assert found["correction"].value == "returns"
    assert found["thumbs"].says == "the answer is wrong"
    assert found["thumbs"].weight == pytest.approx(np.log(4), abs=0.1)
    assert [e.rule for e in row.fields["priority"].evidence] == ["left_alone"]


def test_a_row_keeps_its_events_and_its_group():
    row = compiled(correct(team="returns"), DOWN).examples()[0]
    assert row.event_ids == ("r1", "r1-a-correction-1", "r1-d-thumbs-1")
    assert row.group == "c-1"
    alone = compiled(KEPT, request=ask(user=None, slices={"tier": "gold"})).examples()[0]
    assert (alone.group, alone.slices) == ("r1", {"tier": "gold"})


def test_weights_are_the_rules():
    rules = LabelRules().changed(
        {"correction": {"probability": 0.9}, "left_alone": {"probability": 0.7}}
    )
    (row,) = compiled(correct(team="returns"), rules=rules).rows
    assert row.fields["team"].probability == pytest.approx(0.9)
    assert row.fields["priority"].probability == pytest.approx(0.7)
    strict = LabelRules(min_probability=0.8)
    assert compiled(correct(team="returns"), rules=strict).reasons == {"uncertain": 1}


def test_requests_in_error_or_too_young_are_excluded_with_a_reason():
    assert compiled(UP, request=ask(error="down", outputs={})).reasons == {"request_error": 1}
    early = {"now": ASKED + timedelta(hours=71, minutes=59)}
    assert compiled(UP, **early).reasons == {"too_young": 1}
    assert len(compiled(UP, now=ASKED + timedelta(hours=72)).rows) == 1


def test_feedback_after_now_is_not_seen():
    late = correct(team="returns", hour=100)
    then = compiled(UP, late, now=ASKED + timedelta(hours=99))
    assert then.examples()[0].labels["team"] == "billing"
    later = compiled(UP, late, now=ASKED + timedelta(hours=100))
    assert later.examples()[0].labels["team"] == "returns"


def test_all_feedback_contradictory_is_an_error_that_counts_the_reasons():
    with pytest.raises(DataError, match=r"got none of 1: 1 thumbs_conflict") as caught:
        compiled(UP, DOWN).examples()
    assert caught.value.exit_code == 2


def test_the_order_of_events_has_no_effect():
    feedback = [correct(team="returns"), correct(team="tech", hour=2), UP, DOWN, KEPT, REOPENED]
    want = compiled(*feedback)
    for seed in range(10):
        random.Random(seed).shuffle(feedback)
        assert compiled(*feedback) == want


def world(seed: int, votes: int, accuracy: float, *, p_up: float | None = None) -> Log:
    """One rater's thumbs on answers that are right in 75 % of cases, as others' signs show."""
    rng = np.random.default_rng(seed)
    requests, feedback = [], []
    for n in range(votes):
        name = f"r{n}"
        requests.append(ask(name))
        right = rng.random() < 0.75
        sign = say(Signal.KEPT, by="sys", to=name)
        if not right:
            sign = say(Signal.CORRECTION, {"team": "returns"}, by="agent", to=name)
        up = right if rng.random() < accuracy else not right
        if p_up is not None:
            up = rng.random() < p_up
        feedback += [sign, say(Signal.THUMBS, bool(up), by="clicker", to=name)]
    return Log(requests=tuple(requests), feedback=tuple(feedback))


def share_distrusted(votes: int, accuracy: float, p_up: float | None = None) -> float:
    logs = (world(seed, votes, accuracy, p_up=p_up) for seed in range(100))
    results = [compile_labels(log, now=NOW, min_age_hours=0) for log in logs]
    return float(np.mean([bool(r.distrusted) for r in results]))


def test_blind_raters_are_distrusted_and_careful_ones_are_not():
    assert share_distrusted(40, 0.5, p_up=0.5) > 0.75
    assert share_distrusted(40, 0.5, p_up=1.0) > 0.85  # always up: agrees in 75 %, says nothing
    assert share_distrusted(40, 0.85) < 0.03
    assert share_distrusted(5, 0.85) < 0.08


def test_two_who_contradict_each_other_do_not_set_each_other_aside():
    result = compile_labels(world(1, 40, 0.0), now=NOW, min_age_hours=0)
    assert [(r.rater, r.ignored) for r in result.distrusted] == [("clicker", ("thumbs",))]
    corrected = [r for r in result.rows if r.fields["team"].reason == "correction"]
    assert len(corrected) == 11
    assert [r.fields["team"].probability for r in corrected] == pytest.approx([0.95] * 11)


def test_the_interval_of_a_rater_narrows():
    few, many = (compile_labels(world(2, n, 0.85), now=NOW, min_age_hours=0) for n in (10, 160))
    wide, narrow = (r.raters[-1] for r in (few, many))
    assert wide.rater == narrow.rater == "clicker"
    assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)
    assert narrow.low < 0.85 < narrow.high


def test_a_distrusted_rater_is_named_and_their_thumbs_are_ignored():
    log = world(1, 40, 0.0)  # always the opposite of what others show
    extra = ask("only-thumbs")
    vote = say(Signal.THUMBS, by="clicker", to="only-thumbs")
    log = Log(requests=(*log.requests, extra), feedback=(*log.feedback, vote))
    result = compile_labels(log, now=NOW, min_age_hours=0)
    assert result.reasons == {"rater_distrusted": 1}
    (bad,) = result.distrusted
    assert bad.rater == "clicker"
    assert bad.thumbs == 41
    assert bad.right_agreed == bad.wrong_agreed == 0
    assert bad.agreement == pytest.approx(
        (2 / (3 + bad.right_votes) + 2 / (3 + bad.wrong_votes)) / 2
    )
    assert "clicker: thumbs ignored, agreement 0.1" in bad.why


def test_below_the_least_number_of_votes_everybody_is_trusted():
    assert compile_labels(world(1, 4, 0.0), now=NOW, min_age_hours=0).distrusted == ()
    strict = LabelRules(trust=TrustRules(min_votes=4))
    result = compile_labels(world(1, 4, 0.0), now=NOW, min_age_hours=0, rules=strict)
    assert [r.rater for r in result.distrusted] == ["clicker"]


def test_a_rater_is_not_judged_by_their_own_corrections():
    own = [
        f
        for n in range(10)
        for f in (
            say(Signal.THUMBS, True, by="a", to=f"r{n}"),
            say(Signal.CORRECTION, {"team": "returns"}, by="a", to=f"r{n}"),
        )
    ]
    log = Log(requests=tuple(ask(f"r{n}") for n in range(10)), feedback=tuple(own))
    (report,) = compile_labels(log, now=NOW, min_age_hours=0).raters
    assert (report.thumbs, report.claims, report.claims_compared) == (0, 10, 0)
    assert (report.right_votes, report.wrong_votes, report.trusted) == (0, 0, True)
