"""The rows that a challenger fixed and the rows that it broke, and how many of each there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from upturn.records import Evaluation, Example, Json, Row, pair
from upturn.report.words import Part, word_diff

#: A longer text is cut where it is shown.
SHOWN_CHARS = 3_000


@dataclass(frozen=True, kw_only=True)
class FieldDiff:
    """One output field of both answers, in parts."""

    name: str
    before: Sequence[Part]
    after: Sequence[Part]


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """One row on which the two sides differ.

    Attributes:
        example_id: the row.
        inputs: what was asked, as text by field.
        wanted: the label by field.
        before, after: the two answers by field, or what went wrong.
        gain: challenger's score minus champion's.
    """

    example_id: str
    inputs: Mapping[str, str]
    wanted: Mapping[str, str]
    before: Mapping[str, str]
    after: Mapping[str, str]
    gain: float

    @property
    def fields(self) -> list[FieldDiff]:
        """The answers field by field, with the words in which they differ."""
        names = dict.fromkeys((*self.before, *self.after))
        return [
            FieldDiff(name=n, before=parts[0], after=parts[1])
            for n in names
            if (parts := word_diff(shown(self.before.get(n, "")), shown(self.after.get(n, ""))))
        ]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The paired table. Rows on which a side's score is not known are counted apart.

    Attributes:
        wins, losses, ties: rows on which the challenger scored more, less, and the same.
        unknown: rows on which the world or the metric left one of them without a score.
        gained, lost: what the wins and the losses add up to, in rows.
    """

    wins: int
    losses: int
    ties: int
    unknown: int
    gained: float
    lost: float

    @property
    def known(self) -> int:
        return self.wins + self.losses + self.ties


def shown(text: str) -> str:
    """Returns a text as long as a page shows it."""
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{text[:SHOWN_CHARS]}… ({len(text) - SHOWN_CHARS:,} more characters)"


def tally(champion: Evaluation, challenger: Evaluation) -> Tally:
    """Counts wins, losses and ties; own failures count as 0."""
    pairs = [(b.value, c.value) for b, c in pair(champion.rows, challenger.rows)]
    gains = [c - b for b, c in pairs if b is not None and c is not None]
    return Tally(
        wins=sum(g > 0 for g in gains),
        losses=sum(g < 0 for g in gains),
        ties=sum(g == 0 for g in gains),
        unknown=len(pairs) - len(gains),
        gained=sum(g for g in gains if g > 0),
        lost=-sum(g for g in gains if g < 0),
    )


def row_changes(
    champion: Evaluation, challenger: Evaluation, examples: Sequence[Example], *, limit: int = 20
) -> tuple[list[RowChange], list[RowChange]]:
    """Returns the rows fixed and the rows broken, largest change first, ``limit`` of each.

    Only rows whose score is known on both sides are compared; own failures count as 0.
    """
    known = {e.id: e for e in examples}
    found = [
        (c.value - b.value, b, c)
        for b, c in pair(champion.rows, challenger.rows)
        if b.value is not None and c.value is not None and c.value != b.value
    ]
    found.sort(key=lambda f: (-abs(f[0]), f[1].example_id))
    fixed, broken = [f for f in found if f[0] > 0], [f for f in found if f[0] < 0]
    made = [
        [_change(b, c, known.get(b.example_id), gain) for gain, b, c in some[:limit]]
        for some in (fixed, broken)
    ]
    return made[0], made[1]


def _change(before: Row, after: Row, example: Example | None, gain: float) -> RowChange:
    return RowChange(
        example_id=before.example_id,
        inputs=_texts(example.inputs) if example else {},
        wanted=_in_order(_texts(example.labels), after.outputs) if example else {},
        before=_answer(before),
        after=_answer(after),
        gain=gain,
    )


def _in_order(values: dict[str, str], like: Mapping[str, Json]) -> dict[str, str]:
    """What is compared stands in one order."""
    return {k: values[k] for k in (*(k for k in like if k in values), *values)}


def _answer(row: Row) -> Mapping[str, str]:
    return {"failed": f"{row.failure}: {row.message}"} if row.failure else _texts(row.outputs)


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    return {
        k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)
        for k, v in values.items()
    }
