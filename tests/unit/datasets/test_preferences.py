"""Preferences: what was better than what, from rows in train only, without contradictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upturn.datasets.preferences import Preferences, preferences
from upturn.events import Feedback, Request, Role, Signal
from upturn.labels import FieldLabel
from upturn.records import Example

Case = tuple[Request, tuple[Feedback, ...]]


def asked(name: str, text: str, team: str, *said: tuple[Signal, Any], tone: str = "calm") -> Case:
    request = Request(
        id=name,
        time="2026-09-01T10:00:00+00:00",
        program="triage",
        inputs={"message": text},
        outputs={"team": team, "tone": tone},
    )
    feedback = tuple(
        Feedback(
            id=f"{name}-f{n}",
            request_id=name,
            time="2026-09-02T10:00:00+00:00",
            signal=signal,
            value=value,
            rater="ann",
            role=Role.AGENT,
        )
        for n, (signal, value) in enumerate(said)
    )
    return request, feedback


def row(case: Case, team: str, *, weight: float = 0.9, tone: str = "calm") -> Example:
    request = case[0]
    return Example(
        id=request.id,
        inputs=request.inputs,
        labels={"team": team, "tone": tone},
        group=f"user of {request.id}",
        weight=weight,
    )


def made(*pairs: tuple[Case, str], **over: Any) -> Preferences:
    cases = [case for case, _ in pairs]
    return preferences(cases, [row(case, team) for case, team in pairs], **over)


def teams(found: Preferences) -> list[tuple[str, str, str]]:
    return [(p.chosen["team"], p.rejected["team"], p.kind) for p in found.pairs]


def test_a_correction_is_better_than_the_answer():
    case = asked("r1", "hi", "sales", (Signal.CORRECTION, {"team": "billing"}))
    found = made((case, "billing"))
    (pair,) = found.pairs
    assert pair.inputs == {"message": "hi"}
    assert pair.chosen == {"team": "billing", "tone": "calm"}
    assert pair.rejected == {"team": "sales", "tone": "calm"}
    assert (pair.kind, pair.weight, pair.group) == ("correction", 0.9, "user of r1")
    assert pair.event_ids == ("r1", "r1-f0")
    (wrong,) = found.kto
    assert (wrong.completion, wrong.desirable) == ({"team": "sales", "tone": "calm"}, False)


def test_a_correction_that_is_not_the_label_gives_nothing():
    case = asked("r1", "hi", "sales", (Signal.CORRECTION, {"team": "billing"}))
    assert made((case, "sales")).pairs == ()
    assert made((case, "returns")).pairs == ()


def test_what_was_chosen_is_better_than_each_that_was_rejected():
    value = {"chosen": {"team": "a"}, "rejected": [{"team": "b"}, {"team": "c"}, {"team": "a"}]}
    case = asked("r1", "hi", "a", (Signal.CHOSEN, value))
    assert teams(made((case, "a"))) == [("a", "b", "chosen"), ("a", "c", "chosen")]
    contradicted = made((case, "b"))
    assert contradicted.pairs == ()
    assert contradicted.dropped == {"contradict_label": 1}


def test_equal_inputs_judged_right_and_wrong_are_a_pair():
    champion = asked("r1", "hi", "sales", (Signal.VERDICT, False))
    challenger = asked("r2", "hi", "billing", (Signal.THUMBS, True))
    rows = [row(champion, "billing", weight=0.6), row(challenger, "billing", weight=0.8)]
    found = preferences([champion, challenger], rows)
    assert teams(found) == [("billing", "sales", "versus")]
    assert (found.pairs[0].weight, found.pairs[0].event_ids) == (0.6, ("r1", "r2"))
    assert [(k.completion["team"], k.desirable, k.weight) for k in found.kto] == [
        ("billing", True, 0.8),
        ("sales", False, 0.6),
    ]


def test_equal_inputs_with_other_labels_are_no_pair():
    one, other = asked("r1", "hi", "sales"), asked("r2", "hi", "billing")
    found = made((one, "sales"), (other, "tech"))
    assert found.pairs == ()
    assert found.dropped == {"contradict_each_other": 1}


def test_pairs_that_say_the_same_are_one_with_all_events():
    first = asked("r1", "hi", "sales", (Signal.CORRECTION, {"team": "billing"}))
    second = asked("r2", "hi", "sales", (Signal.EDIT, {"team": "billing", "tone": "calm"}))
    found = made((first, "billing"), (second, "billing"))
    assert teams(found) == [("billing", "sales", "correction")]
    assert found.pairs[0].event_ids == ("r1", "r1-f0", "r2", "r2-f0")


def test_reversed_pairs_are_left_out_both():
    one = asked("r1", "hi", "a", (Signal.CORRECTION, {"team": "b"}))
    other = asked("r2", "hi", "b", (Signal.CORRECTION, {"team": "a"}))
    found = made((one, "b"), (other, "a"))
    assert found.pairs == ()
    assert found.dropped["reversed"] == 2


def test_only_rows_in_train_give_preferences():
    inside = asked("r1", "hi", "a", (Signal.THUMBS, True))
    outside = asked("r2", "ho", "a", (Signal.CORRECTION, {"team": "b"}))
    found = preferences([inside, outside], [row(inside, "a")])
    assert (found.pairs, len(found.kto)) == ((), 1)
    assert found.dropped == {"not_in_train": 1}


def test_judgements_that_differ_from_the_label_or_each_other_are_left_out():
    up_but_wrong = asked("r1", "a", "x", (Signal.THUMBS, True))
    both = asked("r2", "b", "x", (Signal.THUMBS, True), (Signal.VERDICT, {"team": False}))
    silent = asked("r3", "c", "x", (Signal.COPY, True))
    one = asked("r4", "d", "x", (Signal.THUMBS, True))
    other = asked("r5", "d", "x", (Signal.THUMBS, False))
    found = made((up_but_wrong, "y"), (both, "x"), (silent, "x"), (one, "x"), (other, "y"))
    assert found.kto == ()
    assert found.dropped["judged_both_ways"] == 4


def test_the_probability_of_labels_is_the_weight_and_a_new_label_drops_the_row():
    case = asked("r1", "hi", "sales", (Signal.CORRECTION, {"team": "billing"}))

    def labels(team: str) -> Mapping[str, Mapping[str, FieldLabel]]:
        sure = {"team": (team, 0.7), "tone": ("calm", 0.95)}
        return {
            "r1": {
                name: FieldLabel(value=value, probability=p, reason="correction", evidence=())
                for name, (value, p) in sure.items()
            }
        }

    assert made((case, "billing"), labels=labels("billing")).pairs[0].weight == 0.7
    changed = made((case, "billing"), labels=labels("tech"))
    assert (changed.pairs, changed.kto) == ((), ())
    assert changed.dropped == {"label_changed": 1}


def test_chosen_never_equals_rejected_whatever_the_order_of_keys():
    value = {"chosen": {"team": "a"}, "rejected": [{"tone": "calm", "team": "a"}]}
    case = asked("r1", "hi", "a", (Signal.CHOSEN, value))
    assert made((case, "a")).pairs == ()


def test_the_order_of_requests_has_no_effect():
    cases = [
        asked(f"r{n}", f"text {n % 3}", "ab"[n % 2], (Signal.CORRECTION, {"team": "c"}))
        for n in range(9)
    ]
    rows = [row(case, "c") for case in cases]
    assert preferences(cases, rows) == preferences(cases[::-1], rows[::-1])
