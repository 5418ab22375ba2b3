"""Turns foreign judgements into feedback by the type of their value; one rule for all formats.

    true, false, a thumb      THUMBS
    a number                  SCORE, with the name of what it measures
    a label                   CATEGORY, with that name (a list of labels: one each)
    free text                 COMMENT
    a right answer            CORRECTION

A text is a label where it is one line of at most 40 characters and 4 words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from upturn.events import EPOCH, Event, Feedback, Role, Signal
from upturn.events.problems import found
from upturn.importers.base import RejectedError, Rejection
from upturn.importers.fields import (
    derived_id,
    fields,
    number,
    optional_time,
    salvage,
)
from upturn.records import Json

_UP = frozenset({"👍", "thumbs up", "thumbsup", "+1"})
_DOWN = frozenset({"👎", "thumbs down", "thumbsdown", "-1"})
#: Five skin tones that may follow a thumb, and the sign that asks for a coloured one.
_TONES = dict.fromkeys(map(ord, "🏻🏼🏽🏾🏿️"))


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Who says something about which request, and when: what all feedback of one object shares.

    Attributes:
        origin: the format's name.
        request_id, rater, role, raw: as of :class:`~upturn.events.Feedback`.
        time: when; None where the format does not say.
        comment: what was said beside the judgement.
    """

    origin: str
    request_id: str
    rater: str
    role: Role
    raw: Json
    time: str | None = None
    comment: str | None = None

    def says(
        self, signal: Signal, value: Json, *, id: str | None, name: str | None = None
    ) -> Feedback:
        """Returns one thing that was said; without an id it is named by all that it says."""
        time = self.time or EPOCH
        parts = (self.origin, self.request_id, self.rater, time, str(signal), name, value)
        return Feedback(
            id=id or derived_id(*parts, self.comment),
            request_id=self.request_id,
            time=time,
            signal=signal,
            value=value,
            rater=self.rater,
            role=self.role,
            comment=self.comment,
            name=name,
            origin=self.origin,
            raw=self.raw,
        )

    def comments(self, text: str, *, id: str | None = None, name: str | None = None) -> Feedback:
        """Returns free text, with what was said beside it on lines of its own."""
        joined = f"{text}\n{self.comment}" if self.comment else text
        return replace(self, comment=joined).says(Signal.COMMENT, None, id=id, name=name)

    def said(self, name: str, *, id: str | None = None) -> Feedback:
        """Returns a comment of which ``comment`` is all there is."""
        return self.says(Signal.COMMENT, None, id=id, name=name)

    def corrects(self, answer: Json, *, id: str | None = None, field: str = "value") -> Feedback:
        """Returns the answer that would have been right, by output field.

        Raises:
            RejectedError: there is no field in it; ``field`` says where it stands.
        """
        right = fields(answer, "output")
        if not right:
            raise RejectedError(field, f"must be an answer, got {found(answer)}")
        return self.says(Signal.CORRECTION, right, id=id)


def judged(
    voice: Voice, name: str, value: Json, *, id: str | None = None, field: str = "value"
) -> Iterator[Feedback]:
    """Yields what a value says, as the head of this module has it; null says nothing.

    Args:
        voice: who says it, about what.
        name: what a number or a label measures.
        value: the foreign value.
        id: the foreign id, if there is one.
        field: where the value stands, for a rejection.

    Raises:
        RejectedError: the value is none of these.
    """
    if isinstance(value, bool):
        yield voice.says(Signal.THUMBS, value, id=id, name=name)
    elif isinstance(value, int | float):
        yield voice.says(Signal.SCORE, number(value, field), id=id, name=name)
    elif isinstance(value, str) and value.strip():
        yield _text(voice, name, value, id)
    elif isinstance(value, list) and value and all(isinstance(v, str) and v for v in value):
        for label in dict.fromkeys(value):
            own = derived_id(id, label) if id else None
            yield voice.says(Signal.CATEGORY, label, id=own, name=name)
    elif value is not None:
        rule = f"must be true, false, a number, a text or a list of texts, got {found(value)}"
        raise RejectedError(field, rule)


def _text(voice: Voice, name: str, value: str, id: str | None) -> Feedback:
    thumb = thumb_of(value)
    if thumb is not None:
        return voice.says(Signal.THUMBS, thumb, id=id, name=name)
    if is_label(value):
        return voice.says(Signal.CATEGORY, value, id=id, name=name)
    return voice.comments(value, id=id, name=name)


def thumb_of(text: str) -> bool | None:
    """Returns what a thumb says, in any skin tone or spelled out; None where a text is none."""
    plain = text.translate(_TONES).strip().lower().replace("_", " ")
    plain = plain if plain == "-1" else plain.replace("-", " ")
    return True if plain in _UP else False if plain in _DOWN else None


def is_label(text: str) -> bool:
    """Whether a text is a label and not a sentence."""
    return len(text) <= 40 and "\n" not in text and len(text.split()) <= 4


def within(
    place: str, part: Callable[[], Iterable[Event | Rejection]]
) -> Iterator[Event | Rejection]:
    """Yields what a part of a record gives; its rejections say where it stands: ``place.field``."""
    for outcome in salvage([part]):
        if isinstance(outcome, Rejection):
            field = f"{place}.{outcome.field}" if outcome.field else place
            outcome = Rejection(field, outcome.rule)
        yield outcome


def is_page(
    record: Mapping[str, Json], key: str, is_row: Callable[[Mapping[str, Json]], bool]
) -> bool:
    """Whether a record is a page of an API: rows of a format in a list under ``key``."""
    rows = record.get(key)
    return isinstance(rows, list) and any(isinstance(r, dict) and is_row(r) for r in rows)


def known_time(record: Mapping[str, Json], *keys: str) -> str | None:
    """Returns the first time among some keys of the record that feedback without one stands in.

    None where it is broken too: that is a problem of the record, and not of the feedback.
    """
    try:
        return optional_time(record, *keys)
    except RejectedError:
        return None


def without(values: Mapping[str, Json], *keys: str) -> dict[str, Json]:
    """Returns metadata less what has a field of its own, so that it is no slice as well."""
    return {k: v for k, v in values.items() if k not in keys}
