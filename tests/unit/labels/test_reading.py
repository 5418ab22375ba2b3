"""What each signal is read as."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.labels.test_labels import NOW, ask, say
from upturn.events import Feedback, Log, Request, Role, Signal
from upturn.labels import Labelling, LabelRules, compile_labels
from upturn.labels.text import similarity

LONG = "Dear customer, your parcel left our house on Monday and should reach you before Friday. "


def labelled(request: Request, *feedback: Feedback, **over: Any) -> Labelling:
    log = Log(requests=(request,), feedback=feedback)
    return compile_labels(log, now=NOW, min_age_hours=0, **over)


def one(value: Any = "billing") -> Request:
    return ask(outputs={"team": value})


@pytest.mark.parametrize(
    ("signal", "value", "label", "probability", "rule"),
    [
        (Signal.STARS, 4, "billing", 0.75, "stars"),
        (Signal.STARS, 5.0, "billing", 0.75, "stars"),
        (Signal.VERDICT, True, "billing", 0.9, "verdict"),
        (Signal.VERDICT, {"team": True}, "billing", 0.9, "verdict"),
        (Signal.RETAINED, 45.0, "billing", 0.55, "retained"),
        (Signal.COPY, True, "billing", 0.6, "copy"),
        (Signal.RESOLVED, True, "billing", 0.6, "resolved"),
        (
            Signal.CHOSEN,
            {"chosen": {"team": "sales"}, "rejected": [{"team": "billing"}]},
            *("sales", 0.8, "chosen"),
        ),
        (Signal.CORRECTION, {"output": "sales"}, "sales", 0.95, "correction"),
        (Signal.EDIT, {"team": "sales"}, "sales", 0.7, "edit"),
    ],
)
def test_a_signal_alone_gives_a_label(
    signal: Signal, value: Any, label: str, probability: float, rule: str
):
    (row,) = labelled(one(), say(signal, value)).rows
    found = row.fields["team"]
    assert (found.value, found.reason) == (label, rule)
    assert found.probability == pytest.approx(probability)


@pytest.mark.parametrize(
    ("signal", "value", "reason"),
    [
        (Signal.STARS, 3, "says_nothing"),
        (Signal.STARS, 1, "only_negative"),
        (Signal.VERDICT, False, "only_negative"),
        (Signal.VERDICT, {"team": False}, "only_negative"),
        (Signal.RESOLVED, False, "only_negative"),
        (Signal.ESCALATED, True, "only_negative"),
        (Signal.REPHRASE, True, "only_negative"),
        (Signal.ABANDON, True, "only_negative"),
        (Signal.RETAINED, 2.0, "says_nothing"),
        (Signal.SCORE, 0.9, "says_nothing"),
        (Signal.CATEGORY, "good", "says_nothing"),
        (Signal.COMMENT, None, "says_nothing"),
        (Signal.DWELL, 12.0, "says_nothing"),
        (Signal.CORRECTION, {"color": "red", "size": "L"}, "says_nothing"),
    ],
)
def test_a_signal_that_says_no_label_abstains(signal: Signal, value: Any, reason: str):
    assert labelled(one(), say(signal, value)).reasons == {reason: 1}


def test_scores_and_categories_speak_once_their_scale_is_named():
    rules = LabelRules().changed(
        {
            "helpful": {"signal": "score", "up_from": 7, "down_to": 3, "probability": 0.7},
            "kind": {"signal": "category", "up": ["good"], "down": ["bad"], "probability": 0.7},
        }
    )
    for signal, value, counts in (
        (Signal.SCORE, 8, {}),
        (Signal.SCORE, 5, {"says_nothing": 1}),
        (Signal.SCORE, 2, {"only_negative": 1}),
        (Signal.CATEGORY, "good", {}),
        (Signal.CATEGORY, "meh", {"says_nothing": 1}),
        (Signal.CATEGORY, "bad", {"only_negative": 1}),
    ):
        assert labelled(one(), say(signal, value), rules=rules).reasons == counts, (signal, value)


def test_a_small_edit_of_a_long_text_confirms_and_a_rewrite_replaces():
    small = labelled(one(LONG), say(Signal.EDIT, {"team": LONG.replace("Friday", "Saturday")}))
    assert small.rows[0].fields["team"].value == LONG
    assert small.rows[0].fields["team"].reason == "small_edit"
    written = "We are sorry. The parcel is lost and we sent another one today, free of charge."
    (row,) = labelled(one(LONG), say(Signal.EDIT, {"team": written})).rows
    assert (row.fields["team"].value, row.fields["team"].reason) == (written, "edit")
    # Two labels of a set are never nearly the same.
    (row,) = labelled(one("delivery late"), say(Signal.EDIT, {"team": "delivery lost"})).rows
    assert row.fields["team"].value == "delivery lost"


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("", "", 1.0),
        ("a b c", "a b c", 1.0),
        ("a b c d", "a x c d", 0.75),
        ("a b", "c d", 0.0),
        ("a b c d", "a b", 2 / 3),
        ("a b c d", "d c b a", 0.25),
    ],
)
def test_similarity_is_the_share_of_words_in_common(before: str, after: str, share: float):
    assert similarity(before, after) == pytest.approx(share)


def test_similarity_of_long_and_hostile_texts_is_bounded():
    a, b = " ".join(["x", "y"] * 20_000), " ".join(["y", "x"] * 20_000)
    assert similarity(a, b) == pytest.approx(1.0)


def test_one_rater_has_one_word_about_a_field():
    alone = labelled(one(), say(Signal.CORRECTION, {"team": "sales"}, by="a"))
    many = labelled(
        one(),
        say(Signal.CORRECTION, {"team": "sales"}, by="a"),
        say(Signal.THUMBS, False, by="a"),
        say(Signal.STARS, 1, by="a"),
    )
    assert many.rows[0].fields["team"].probability == pytest.approx(
        alone.rows[0].fields["team"].probability
    )


def test_a_sign_that_comes_twice_is_one_sign():
    signs = [say(Signal.COPY, by=name) for name in ("a", "b", "c")]
    (row,) = labelled(one(), *signs).rows
    assert row.fields["team"].probability == pytest.approx(0.6)
    assert len(row.to_example().event_ids) == 4


def test_values_of_any_type_are_compared_by_what_they_are():
    request = ask(outputs={"tags": ["a", "b"], "count": 1})
    (row,) = labelled(
        request,
        say(Signal.CORRECTION, {"tags": ["a", "b"], "count": True}, by="a"),
        say(Signal.CORRECTION, {"tags": ["a", "b"], "count": True}, by="b"),
    ).rows
    assert row.fields["tags"].value == ["a", "b"]
    assert row.fields["count"].value is True
    assert row.right < 0.1


def test_what_a_role_says_weighs_as_that_role():
    by_judge = Feedback(
        id="f",
        request_id="r1",
        time=NOW.isoformat(),
        signal=Signal.CORRECTION,
        value={"team": "sales"},
        rater="gpt",
        role=Role.JUDGE,
    )
    (row,) = labelled(one(), by_judge).rows
    assert row.fields["team"].probability == pytest.approx(0.75)
    assert row.fields["team"].reason == "correction_by_judge"
