"""What a foreign value says, by its type."""

import pytest

from upturn.events import EPOCH, Role, Signal
from upturn.importers._judged import Voice, is_label, judged, thumb_of
from upturn.importers.base import RejectedError

VOICE = Voice(origin="x", request_id="r1", rater="ana", role=Role.REVIEWER, raw={"a": 1})


@pytest.mark.parametrize(
    ("text", "thumb"),
    [
        ("👍", True),
        ("👎🏿", False),
        ("👍️", True),
        ("thumbs-up", True),
        ("Thumbs_Down", False),
        ("+1", True),
        ("-1", False),
        ("1", None),
        ("up", None),
        ("🎉", None),
    ],
)
def test_thumbs(text, thumb):
    assert thumb_of(text) is thumb


def test_a_label_is_one_short_line():
    assert is_label("wrong team")
    assert is_label("not at all helpful")
    assert not is_label("it is not at all helpful")
    assert not is_label("two\nlines")
    assert not is_label("x" * 41)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, [(Signal.THUMBS, True)]),
        (0, [(Signal.SCORE, 0)]),
        (0.5, [(Signal.SCORE, 0.5)]),
        ("good", [(Signal.CATEGORY, "good")]),
        ("👎", [(Signal.THUMBS, False)]),
        (["a", "b", "a"], [(Signal.CATEGORY, "a"), (Signal.CATEGORY, "b")]),
        ("This is a whole sentence.", [(Signal.COMMENT, None)]),
        (None, []),
    ],
)
def test_values_become_signals(value, said):
    events = list(judged(VOICE, "quality", value, id="f1"))
    assert [(e.signal, e.value) for e in events] == said
    assert all(e.name == "quality" and e.raw == {"a": 1} and e.time == EPOCH for e in events)
    assert len({e.id for e in events}) == len(events)


@pytest.mark.parametrize("value", [{}, {"a": 1}, [], [1], "", "  ", float("nan"), float("inf")])
def test_other_values_are_rejected_with_the_place(value):
    with pytest.raises(RejectedError) as caught:
        list(judged(VOICE, "quality", value, field="scores.quality"))
    assert caught.value.rejection.field == "scores.quality"


def test_an_id_is_derived_from_what_is_said_and_a_changed_mind_is_another_event():
    first, again, other = (next(judged(VOICE, "q", v)) for v in (0.5, 0.5, 0.6))
    assert first == again
    assert other.id != first.id
    assert next(judged(VOICE, "q", 0.5, id="f1")).id == "f1"


def test_a_comment_keeps_what_was_said_beside_it():
    voice = Voice(
        origin="x", request_id="r1", rater="ana", role=Role.REVIEWER, raw=None, comment="because"
    )
    assert voice.comments("too long").comment == "too long\nbecause"
    assert voice.corrects("right").value == {"output": "right"}
    assert voice.corrects({"team": "billing"}).value == {"team": "billing"}
