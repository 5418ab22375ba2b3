"""What is searched for after something was forgotten: its texts and ids, in every form in which a
file may hold them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

#: What stands where something forgotten stood.
REDACTED = "[forgotten]"
#: Shorter texts say nothing about anybody, and would be found everywhere.
MIN_TEXT = 12
#: A longer text is also searched by its beginning: reports cut texts.
PIECE = 32
# So many forms are looked up one by one; more of them by their first characters.
_FEW = 400
_RUN = re.compile(r"[A-Za-z0-9]{2,}")


class Needles:
    """Finds and redacts forgotten texts and ids.

    Args:
        texts: texts, and pieces of them; those of less than ``MIN_TEXT`` characters are left out.
        ids: ids of requests, feedback and users. One counts only where it stands alone; one that
            is a number or short only between quotes, tags or commas.
    """

    def __init__(self, texts: Iterable[str], ids: Iterable[str]) -> None:
        self.texts = tuple(sorted({t for t in texts if len(t) >= MIN_TEXT}))
        self.ids = tuple(sorted({i for i in ids if i}))

    def __bool__(self) -> bool:
        return bool(self.texts or self.ids)

    def in_text(self, text: str) -> bool:
        """Tells whether a text holds something forgotten."""
        return self._may_hold(text) and any(True for _ in self._spans(text))

    def redact(self, text: str) -> tuple[str, int]:
        """Returns the text without anything forgotten, and how many places were redacted."""
        parts: list[str] = []
        at = places = 0
        for start, end in sorted(self._spans(text), key=lambda s: (s[0], -s[1])):
            if end <= at:
                continue
            parts += (text[at : max(at, start)], "" if start < at else REDACTED)
            places += start >= at
            at = end
        return ("".join((*parts, text[at:])), places) if places else (text, 0)

    def _may_hold(self, text: str) -> bool:
        """Looks for one word of each needle, which every form of it holds: far fewer look-ups."""
        anchors = self._anchors
        if anchors is None or len(anchors) > _FEW:
            return True
        # A loop: any() over a generator takes three times as long, and this runs once a row.
        for anchor in anchors:  # noqa: SIM110
            if anchor in text:
                return True
        return False

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._text_spans(text)
        if self._ids is not None:
            for match in self._ids.finditer(text):
                yield match.span("id") if match["id"] is not None else match.span("short")

    def _text_spans(self, text: str) -> Iterator[tuple[int, int]]:
        if len(self._forms) <= _FEW:
            for form, rest in self._forms.items():
                at = text.find(form)
                while at >= 0:
                    if _stands_alone(text, at, at + len(form), cut=bool(rest)):
                        yield at, _reach(text, at + len(form), rest)
                    at = text.find(form, at + 1)
            return
        for at in range(len(text) - MIN_TEXT + 1):
            for form in self._by_head.get(text[at : at + MIN_TEXT], ()):
                end, rest = at + len(form), self._forms[form]
                if text.startswith(form, at) and _stands_alone(text, at, end, cut=bool(rest)):
                    yield at, _reach(text, end, rest)

    @cached_property
    def _forms(self) -> dict[str, str]:
        """Form -> how its text goes on, where it is the beginning of one; else ""."""
        found: dict[str, str] = {}
        wholes = {t[:PIECE]: t for t in self.texts if len(t) > PIECE}
        for text in self.texts:
            whole = wholes.get(text, text) if len(text) == PIECE else text
            for form, full in zip(forms(text), forms(whole), strict=True):
                found.setdefault(form, full[len(form) :] if full.startswith(form) else "")
        return found

    @cached_property
    def _by_head(self) -> dict[str, list[str]]:
        heads: dict[str, list[str]] = {}
        for form in self._forms:
            heads.setdefault(form[:MIN_TEXT], []).append(form)
        return heads

    @cached_property
    def _anchors(self) -> frozenset[str] | None:
        """The longest run of plain letters and digits of each needle; no form changes these."""
        runs = [max(_RUN.findall(n), key=len, default="") for n in (*self.texts, *self.ids)]
        return None if "" in runs else frozenset(runs)

    @cached_property
    def _ids(self) -> re.Pattern[str] | None:
        telling = sorted({f for i in self.ids if _is_telling(i) for f in forms(i)})
        short = sorted({f for i in self.ids if not _is_telling(i) for f in forms(i)})
        never = r"(?!)"
        long_part = "|".join(map(re.escape, reversed(telling))) or never
        short_part = "|".join(map(re.escape, reversed(short))) or never
        if not (telling or short):
            return None
        return re.compile(
            rf"(?<![\w\-])(?P<id>{long_part})(?![\w\-])"
            rf"|(?<=[\"'>,\x01])(?P<short>{short_part})(?=[\"'<,\x01\\])"
        )


def _is_telling(identifier: str) -> bool:
    """An id that no sentence holds by chance: six characters and more, not digits alone."""
    return len(identifier) >= 6 and not identifier.isdigit()


def _stands_alone(text: str, start: int, end: int, *, cut: bool) -> bool:
    """Tells whether a place is no part of longer words: "day 44" is not in "day 443"."""
    before, first = text[max(0, start - 2) : start], text[start]
    if first.isalnum() and before[-1:].isalnum() and before not in _ESCAPED:
        return False
    return cut or not (text[end - 1].isalnum() and text[end : end + 1].isalnum())


def _reach(text: str, end: int, rest: str) -> int:
    """Returns where a beginning that was found stops being the text's own."""
    length = 0
    while length < len(rest) and text[end + length : end + length + 1] == rest[length]:
        length += 1
    return end + length


# A letter that is the end of an escape is none of a word.
_ESCAPED = ("\\n", "\\t", "\\r", "\\f", "\\b")


def pieces(text: str) -> tuple[str, ...]:
    """Returns a text without blanks around it, and where it is long its beginning and its lines:
    what reports that cut texts may show."""
    stripped = text.strip()
    found = [stripped]
    if len(stripped) > PIECE + 8:
        found.append(stripped[:PIECE])
    if "\n" in stripped:
        found += [s for line in stripped.split("\n") if len(s := line.strip()) > PIECE]
    return tuple(found)


def forms(text: str) -> tuple[str, ...]:
    """Returns a text as plain text, JSON, JSON in JSON, HTML and CSV have it, in fixed order."""
    once = tuple(escape(text) for escape in _ESCAPES)
    twice = tuple(escape(form) for form in once for escape in _ESCAPES[1:5])
    return once + twice


def repr_inside(text: str) -> str:
    """Returns a text as Python's ``repr`` shows it, without the quotes around it."""
    return repr(text)[1:-1]


_ESCAPES: tuple[Callable[[str], str], ...] = (
    str,
    lambda t: json.dumps(t)[1:-1],
    lambda t: json.dumps(t, ensure_ascii=False)[1:-1],
    html.escape,
    lambda t: html.escape(t).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    lambda t: html.escape(t, quote=False),
    lambda t: t.replace('"', '""'),
    repr_inside,
)
