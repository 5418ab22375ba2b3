"""From feedback to readings: what each signal says of one output field, by which rule.

One rater has one explicit reading a field: their last word of each kind, and of several kinds the
one that says most. An implicit sign that comes twice is one sign.

A signal about the answer as a whole speaks of every field, with one exception: where a correction
or an edit changed something, it speaks of what was changed. A complaint is then explained, an
approval refuted, and neither tells anything about the fields that were left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from math import nan
from typing import NamedTuple

from upturn.events.records import EPOCH, Feedback, Request, Role, Signal
from upturn.labels.rule import Rule, Says
from upturn.labels.rules import LabelRules
from upturn.labels.text import similarity
from upturn.records import Json, canonical_json

Key = str | tuple[str]


def value_key(value: Json) -> Key:
    """Returns what tells a value from others, whatever its type; a text stands for itself."""
    return value if type(value) is str else (canonical_json(value),)


class Reading(NamedTuple):
    """What one signal says of one output field.

    ``says`` is never EITHER or NOTHING; ``value`` and ``key`` matter where it is VALUE. ``at`` is
    when, in seconds, NaN where unknown; ``events`` are the ids behind it; ``fields`` is how many
    fields the signal speaks of.
    """

    field: str
    rule: Rule
    says: Says
    key: Key
    value: Json
    rater: str
    role: Role
    at: float
    events: tuple[str, ...]
    fields: int

    def confirms(self, key: Key | None, answer: bool) -> bool:
        """Whether this holds if a value (None: unknown) is the right one; ``answer``: it is what
        was answered."""
        if self.says is Says.VALUE:
            return self.key == key
        return answer if self.says is Says.RIGHT else not answer


class _Said(NamedTuple):
    """A signal that was read, before it is known which fields it speaks of."""

    rule: Rule
    says: Says
    rater: str
    role: Role
    at: float
    events: tuple[str, ...]
    value: Json = None


class Reader:
    """Reads the feedback of one request after the other.

    Args:
        rules: what each signal says.
        share: returns one object for equal texts, where many readings are to be held.
    """

    def __init__(self, rules: LabelRules, share: Callable[[Json], Json] = lambda value: value):
        self._share = share
        self._rule = cache(rules.find)
        self._text = rules.text
        self._derived = {r.id: r for r in rules.rules if r.signal is None}

    def read(self, request: Request, feedback: Iterable[Feedback]) -> tuple[Reading, ...]:
        """Returns the readings of one answer.

        Args:
            request: the request, with its answer.
            feedback: by time; a later word replaces an earlier one.
        """
        outputs = request.outputs
        by_field: dict[tuple[str, str, Signal], _Said] = {}
        whole: dict[tuple[str, Signal], _Said] = {}
        for f in feedback:
            rule = self._rule(f.signal, f.role, f.name)
            if rule is None or rule.says is Says.NOTHING:
                continue
            values = _values(f, outputs)
            if values is None:
                says = judged(rule, f.value)
                if says is not None:
                    whole[f.rater, f.signal] = self._word(rule, says, f)
                continue
            for name, value in values.items():
                by_field[name, f.rater, f.signal] = self._said(rule, f, value, outputs[name])
        return self._gather(by_field, whole, outputs)

    def _said(self, rule: Rule, f: Feedback, value: Json, answer: Json) -> _Said:
        """Reads a signal about one field."""
        if rule.says is Says.EITHER:
            return self._word(rule, Says.RIGHT if value else Says.WRONG, f)
        small = self._derived.get("small_edit")
        if f.signal is Signal.EDIT and small is not None and self._is_small(answer, value):
            return self._word(small, Says.RIGHT, f)
        return self._word(rule, Says.VALUE, f, value)

    def _word(self, rule: Rule, says: Says, f: Feedback, value: Json = None) -> _Said:
        at = nan if f.time == EPOCH else datetime.fromisoformat(f.time).timestamp()
        return _Said(rule, says, self._share(f.rater), f.role, at, (f.id,), self._share(value))

    def _is_small(self, answer: Json, value: Json) -> bool:
        if not isinstance(answer, str) or not isinstance(value, str) or answer == value:
            return False
        free = min(len(answer), len(value)) >= self._text.free_from
        return free and similarity(answer, value) >= self._text.confirms_from

    def _gather(
        self,
        by_field: Mapping[tuple[str, str, Signal], _Said],
        whole: Mapping[tuple[str, Signal], _Said],
        outputs: Mapping[str, Json],
    ) -> tuple[Reading, ...]:
        kept = _Kept()
        named = [(name, said) for (name, _, signal), said in by_field.items() if signal in _NAMING]
        for (name, _, _), said in by_field.items():
            kept.add(name, said, 1)
        changed = {
            name
            for name, said in named
            if said.says is Says.VALUE and value_key(said.value) != value_key(outputs[name])
        }
        about = [n for n in outputs if n in changed] or list(outputs)
        for said in whole.values():
            for name in about:
                kept.add(name, said, len(about))
        left = self._derived.get("left_alone")
        if named and left is not None:
            touched = {name for name, _ in named}
            for name in outputs:
                if name not in touched:
                    for _, said in named:
                        kept.add(name, said._replace(rule=left, says=Says.RIGHT, value=None), 1)
        return kept.readings()


_NAMING = (Signal.CORRECTION, Signal.EDIT)


class _Kept:
    """The readings that count, by whoever gave them."""

    def __init__(self) -> None:
        self._explicit: dict[tuple[str, str], Reading] = {}
        self._implicit: dict[tuple[str, str, Says, str], Reading] = {}

    def add(self, name: str, said: _Said, fields: int) -> None:
        rule, says, rater, role, at, events, value = said
        key = value_key(value) if says is Says.VALUE else ""
        made = Reading(name, rule, says, key, value, rater, role, at, events, fields)
        if not rule.implicit:
            old = self._explicit.get((name, rater))
            if old is None or _rank(made) >= _rank(old):
                self._explicit[name, rater] = made
            return
        # A value is one person's; a sign is a sign, whoever it is from.
        place = (name, rule.id, says, rater if says is Says.VALUE else "")
        old = self._implicit.get(place)
        if old is not None and says is not Says.VALUE:
            new = tuple(e for e in events if e not in old.events)
            made = old._replace(events=(*old.events, *new))
        self._implicit[place] = made

    def readings(self) -> tuple[Reading, ...]:
        """Returns the explicit readings, and the implicit ones of whoever did not judge."""
        spoken = self._explicit
        silent = [
            r
            for r in self._implicit.values()
            if r.role is Role.SYSTEM or (r.field, r.rater) not in spoken
        ]
        return (*spoken.values(), *silent)


def _rank(reading: Reading) -> tuple[bool, float]:
    return (reading.says is Says.VALUE, reading.rule.probability)


def judged(rule: Rule, value: Json) -> Says | None:
    """Returns whether a value says right or wrong by a rule; None where it says neither."""
    if isinstance(value, bool):
        if rule.says is Says.EITHER:
            return Says.RIGHT if value else Says.WRONG
        return rule.says if value else None
    if isinstance(value, str):
        if value in rule.up:
            return Says.RIGHT
        return Says.WRONG if value in rule.down else None
    if isinstance(value, int | float):
        if rule.up_from is not None and value >= rule.up_from:
            return Says.RIGHT
        return Says.WRONG if rule.down_to is not None and value <= rule.down_to else None
    return None


def _values(f: Feedback, outputs: Mapping[str, Json]) -> dict[str, Json] | None:
    """Returns output field -> what is said of it; None where all of the answer is meant."""
    value = f.value
    if f.signal is Signal.CHOSEN:
        value = value["chosen"]
    elif f.signal not in (*_NAMING, Signal.VERDICT) or not isinstance(value, Mapping):
        return None
    known = {name: v for name, v in value.items() if name in outputs}
    if not known and len(value) == 1 and len(outputs) == 1:
        # Text that came without a field's name means the only field there is.
        return dict(zip(outputs, value.values(), strict=True))
    return known


def seen(feedback: Sequence[Feedback], until: str) -> Sequence[Feedback]:
    """Returns the feedback given up to a time (ISO 8601, UTC)."""
    if all(f.time <= until for f in feedback):
        return feedback
    return [f for f in feedback if f.time <= until]
