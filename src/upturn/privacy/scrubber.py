"""The scrubber: takes personal items out of events before they are stored or leave."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from upturn.errors import DataError
from upturn.events.records import Event, Request
from upturn.privacy.clues import clues
from upturn.privacy.detectors import Detector, all_detectors
from upturn.privacy.names import Analyzer, Names
from upturn.privacy.pseudonyms import MARK, Pseudonyms
from upturn.privacy.rules import ScrubRules
from upturn.records import Json

#: Values may be nested so deep; anything deeper is an attack, not a message.
MAX_DEPTH = 200
_MAX_STEPS = 16
# Keys that say what their value is: {"password": "hunter2x"} has no word inside the value.
_TELLING_KEY = re.compile(
    r"(?i)pass(?:word|wd|wort)|^pwd$|secret|api_?-?key|token$|authorization|phone|telefon|^tel$|"
    r"^t[ée]l|mobile|handy|^fax|whatsapp|^ssn$|social_?security"
)
# Signs that an item in an id has; most ids are words, numbers and UUIDs without any of them.
_ID_SIGN = re.compile(r"[@+.:=_ \uff20]")


class Scrubber:
    """Replaces personal items by their marks; see :mod:`upturn.privacy.pseudonyms`.

    Scrubbing twice is scrubbing once, and what holds nothing personal comes back as the same
    object. Time is linear in the length of the text. Several threads may share one; ``counts`` may
    then miss some.

    Args:
        rules: what to take out.
        pseudonyms: makes the marks.
        analyzer: finds names where the rules ask for them; Presidio's own where None.

    Attributes:
        counts: kind -> items taken out so far.

    Raises:
        MissingExtraError: names are asked for, and neither analyzer nor extra is there.
    """

    def __init__(
        self, rules: ScrubRules, pseudonyms: Pseudonyms, *, analyzer: Analyzer | None = None
    ) -> None:
        self._rules = rules
        self._pseudonyms = pseudonyms
        found = all_detectors()
        self._detectors = [d for d in found if rules.kinds is None or d.kind in rules.kinds]
        self._for_ids = [d for d in self._detectors if d.in_ids]
        self._names = Names(analyzer, languages=rules.languages) if rules.names else None
        self.counts: Counter[str] = Counter()
        self._key = lru_cache(maxsize=4096)(self.text)

    def event(self, event: Event) -> Event:
        """Returns an event without personal items.

        Ids, users, sessions and raters pass ``identifier``; inputs, outputs, values, comments,
        errors, slices and the raw payload are cleaned at any depth, keys included.

        Raises:
            DataError: values are nested deeper than ``MAX_DEPTH``.
        """
        changed: dict[str, Json] = {}
        names = _REQUEST_FIELDS if isinstance(event, Request) else _FEEDBACK_FIELDS
        for name, is_id in names:
            value = getattr(event, name)
            if value is None:
                continue
            clean = self.identifier(value) if is_id else self._value(value, "", MAX_DEPTH)
            if clean is not value:
                changed[name] = clean
        if not changed:
            return event
        return replace(event, **changed)

    def text(self, text: str) -> str:
        """Returns a text with its personal items replaced by marks."""
        if len(text) < 5:
            return text
        return self._until_clean(text, self._once)

    def identifier(self, value: str) -> str:
        """Returns an id, changed only where it holds an e-mail, an international telephone number,
        an address of a machine, an account or a secret. Two ids never become one."""
        if len(value) < 6 or not _is_telling(value):
            return value
        return self._until_clean(value, self._id_once)

    def _until_clean(self, text: str, step: Callable[[str], str]) -> str:
        # What a mark leaves over may be an item of its own. Two steps are enough for what people
        # write; the bound is for those who would have us go over a megabyte for ever.
        for _ in range(_MAX_STEPS):
            clean = step(text)
            if clean == text:
                break
            text = clean
        return text

    def _once(self, text: str) -> str:
        seen = clues(text)
        if not seen and self._names is None:
            return text
        asked = [d for d in self._detectors if d.clue & seen]
        found = [(d, start, end) for d in asked for start, end in d.find(text)]
        if self._names is not None:
            found += [(_NAME, *span) for span in self._names.find(text)]
        return self._marked(text, found) if found else text

    def _id_once(self, value: str) -> str:
        seen = clues(value)
        asked = [d for d in self._for_ids if d.clue & seen]
        found = [(d, *span) for d in asked for span in d.find(value) if _fits_id(d, value, span)]
        return self._marked(value, found) if found else value

    def _marked(self, text: str, found: Iterable[tuple[Detector, int, int]]) -> str:
        """Replaces spans: the lower rank claims first, and nothing inside a mark is claimed."""
        claimed = [m.span() for m in MARK.finditer(text)] if "<" in text else []
        chosen: list[tuple[int, int, str]] = []
        taken = bytearray(len(text))
        for start, end in claimed:
            taken[start:end] = b"\x01" * (end - start)
        for detector, start, end in found:
            item = text[start:end]
            if any(taken[start:end]) or self._rules.keeps(item):
                continue
            taken[start:end] = b"\x01" * (end - start)
            chosen.append((start, end, self._mark(detector, item)))
        if not chosen:
            return text
        parts: list[str] = []
        at = 0
        for start, end, mark in sorted(chosen):
            parts += (text[at:start], mark)
            at = end
        return "".join((*parts, text[at:]))

    def _mark(self, detector: Detector, item: str) -> str:
        self.counts[detector.kind] += 1
        return self._pseudonyms.mark(detector.kind, detector.normal(item))

    def _value(self, value: Json, key: str, depth: int) -> Json:
        """Returns a value cleaned at any depth; the same object where nothing changed."""
        if isinstance(value, str):
            return self._told_by(key, value) if key and _tells(key) else self.text(value)
        if isinstance(value, Mapping | list | tuple):
            if depth == 0:
                raise DataError(f"values must be nested at most {MAX_DEPTH} deep, got more")
            if isinstance(value, Mapping):
                return self._object(value, depth - 1)
            items = [self._value(v, key, depth - 1) for v in value]
            same = all(a is b for a, b in zip(items, value, strict=True))
            return value if same else items
        if key and isinstance(value, int) and not isinstance(value, bool) and _tells(key):
            text = str(value)
            clean = self._told_by(key, text)
            return value if clean == text else clean
        return value

    def _object(self, value: Mapping[str, Json], depth: int) -> Json:
        made: dict[str, Json] = {}
        same = True
        for key, item in value.items():
            clean_key = self._key(key) if len(key) < 256 else self.text(key)
            clean = self._value(item, key, depth)
            same = same and clean is item and clean_key == key
            made[clean_key] = clean
        return value if same else made

    def _told_by(self, key: str, text: str) -> str:
        """Cleans a text as if its key stood before it."""
        head = f"{key.replace('_', ' ')}: "
        whole = self.text(head + text)
        return whole[len(head) :] if whole.startswith(head) else self.text(text)


@lru_cache(maxsize=4096)
def _tells(key: str) -> bool:
    return _TELLING_KEY.search(key) is not None


def _is_telling(value: str) -> bool:
    if _ID_SIGN.search(value) or len(value) >= 40:
        return True
    return value[3:4] == "-" == value[6:7] or (value[:2].isalpha() and value[2:4].isdigit())


def _fits_id(detector: Detector, value: str, span: tuple[int, int]) -> bool:
    """Numbers count in an id where they say what they are: +49…, or the whole id is one."""
    if detector.kind == "PHONE":
        return "+" in value[span[0] : span[0] + 2]
    if detector.kind in ("US_SSN", "IBAN", "IP"):
        return span == (0, len(value)) or value[span[0] - 1] in ":=/"
    return True


_NAME = Detector(kind="NAME", clue=0, find=lambda text: (), normal=str.lower)
_REQUEST_FIELDS = (
    *(("id", True), ("user", True), ("session", True), ("parent", True), ("inputs", False)),
    *(("outputs", False), ("error", False), ("slices", False), ("raw", False)),
)
_FEEDBACK_FIELDS = (
    *(("id", True), ("request_id", True), ("rater", True), ("value", False)),
    *(("comment", False), ("raw", False)),
)
