"""Which values each signal may carry."""

from __future__ import annotations

import math
from collections.abc import Callable

from upturn.events.problems import found
from upturn.events.records import Feedback, Signal
from upturn.records import Json


def broken_value_rule(feedback: Feedback) -> str:
    """Returns the rule that a feedback's value breaks, with the value; "" where it breaks none."""
    rule, holds = _RULES[feedback.signal]
    if not holds(feedback.value):
        return f"must be {rule}, got {found(feedback.value)}"
    if feedback.signal in (Signal.SCORE, Signal.CATEGORY) and not feedback.name:
        return f"must have a name beside it that says what the {feedback.signal} measures"
    if feedback.signal is Signal.COMMENT and not feedback.comment:
        return "must be null beside a comment, and the comment is empty"
    return ""


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_fields(value: Json) -> bool:
    return isinstance(value, dict) and bool(value)


def _is_choice(value: Json) -> bool:
    if not isinstance(value, dict) or set(value) != {"chosen", "rejected"}:
        return False
    rejected = value["rejected"]
    many = isinstance(rejected, list) and rejected and all(_is_fields(r) for r in rejected)
    return bool(many) and _is_fields(value["chosen"])


def _is_verdict(value: Json) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(isinstance(v, bool) for v in value.values())
    return isinstance(value, bool)


_FIELDS = ("an object of output fields", _is_fields)
_BOOL = ("true or false", lambda v: isinstance(v, bool))
_DONE = ("true", lambda v: v is True)
_AMOUNT = ("a number >= 0", lambda v: _is_number(v) and v >= 0)

_RULES: dict[Signal, tuple[str, Callable[[Json], bool]]] = {
    Signal.CORRECTION: _FIELDS,
    Signal.EDIT: _FIELDS,
    Signal.THUMBS: _BOOL,
    Signal.RESOLVED: _BOOL,
    Signal.STARS: ("a number from 1 to 5", lambda v: _is_number(v) and 1 <= v <= 5),
    Signal.CHOSEN: ('{"chosen": {...}, "rejected": [{...}, ...]}', _is_choice),
    Signal.VERDICT: ("true, false, or an object of them by output field", _is_verdict),
    Signal.SCORE: ("a finite number", _is_number),
    Signal.CATEGORY: ("a non-empty string", lambda v: isinstance(v, str) and v != ""),
    Signal.COMMENT: ("null", lambda v: v is None),
    Signal.RETAINED: _AMOUNT,
    Signal.DWELL: _AMOUNT,
    **dict.fromkeys(
        (
            *(Signal.KEPT, Signal.COPY, Signal.RETRY, Signal.REPHRASE, Signal.ABANDON),
            *(Signal.ESCALATED, Signal.REOPENED),
        ),
        _DONE,
    ),
}
