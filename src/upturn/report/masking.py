"""Personal items in the texts of a report: it travels further than the data, so it shows none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from upturn.privacy import Pseudonyms, Scrubber, ScrubRules
from upturn.records import Candidate, Json, PromptState
from upturn.report.rows import RowChange


class _Kinds(Pseudonyms):
    """Marks that say the kind alone: a report needs no key, and nobody is followed through it."""

    def mark(self, kind: str, normal: str) -> str:
        """Returns the mark of every item of a kind."""
        return f"[{kind}]"


@cache
def _scrubber() -> Scrubber:
    return Scrubber(ScrubRules(), _Kinds(bytes(16)))


def mask(text: str) -> str:
    """Returns a text with e-mails, telephone numbers, cards, keys and the like as ``[EMAIL]``.

    A text gives the same masked text everywhere. What was taken out before is left as it is.
    """
    return _scrubber().text(text)


def masked_row(row: RowChange) -> RowChange:
    """Returns a row's texts without personal items."""
    return replace(
        row,
        inputs=_texts(row.inputs),
        wanted=_texts(row.wanted),
        before=_texts(row.before),
        after=_texts(row.after),
    )


def masked_candidate(candidate: Candidate) -> Candidate:
    """Returns a candidate for reading only: its id is another one where anything was masked."""
    states = {
        name: PromptState(instruction=mask(s.instruction), demos=tuple(_values(d) for d in s.demos))
        for name, s in candidate.states.items()
    }
    return replace(candidate, states=states)


def _texts(values: Mapping[str, str]) -> dict[str, str]:
    return {k: mask(v) for k, v in values.items()}


def _values(values: Mapping[str, Json]) -> dict[str, Json]:
    return {k: _value(v) for k, v in values.items()}


def _value(value: Json) -> Json:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {k: _value(v) for k, v in value.items()}
    return [_value(v) for v in value] if isinstance(value, list | tuple) else value
