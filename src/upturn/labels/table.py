"""From readings to arrays: items, hypotheses about them, and the votes of each source.

An item is one output field of one answer. Its hypotheses are that the answer is right, or one of
the other values that somebody named, or, where nobody who counts named any, that something else is.
Before anybody speaks, the answer is as probable as all other values together.

A source is one rater under one explicit rule, or one implicit rule for everybody. A source that
names values, or gives an implicit sign, has one number: how often that holds. A source that says
right or wrong has two, one on right answers and one on wrong ones: who always says "right" agrees
often, and tells nothing.

Whoever names a wrong value names one of ``spread`` (or of as many as the field has). So somebody
who is alone is believed as far as they are reliable, and two who name the same value, not knowing
of each other, are believed the more, the more other values there were.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from upturn.events.records import Request, Role
from upturn.labels.latent import Floats, Ints, Votes
from upturn.labels.notes import Note
from upturn.labels.reading import Key, Reading, value_key
from upturn.labels.rule import Rule, Says

Flags = NDArray[np.bool_]


class Case(NamedTuple):
    """One answer that somebody spoke of, what was read from that, and what they wrote."""

    request: Request
    readings: tuple[Reading, ...]
    notes: tuple[Note, ...] = ()


def two_sided(rule: Rule) -> bool:
    """Whether a source of this rule is judged apart on right and on wrong answers."""
    return not rule.implicit and rule.says is not Says.VALUE


@dataclass
class Sources:
    """Numbers the sources, and keeps the prior of each of their rows."""

    row_of: dict[tuple[str, str], int] = field(default_factory=dict)
    rater_of: dict[str, int] = field(default_factory=dict)
    rule_of: dict[str, int] = field(default_factory=dict)
    priors: list[tuple[float, float]] = field(default_factory=list)
    paired: list[int] = field(default_factory=list)

    def row(self, reading: Reading) -> int:
        """Returns the first row of a reading's source."""
        rule = reading.rule
        key = ("" if rule.implicit else reading.rater, rule.id)
        row = self.row_of.get(key)
        if row is None:
            row = self.row_of[key] = len(self.priors)
            agree = rule.probability * rule.strength
            self.priors += [(agree, rule.strength - agree)] * (1 + two_sided(rule))
            if two_sided(rule):
                self.paired.append(row)
        return row

    def group(self, reading: Reading) -> int:
        """Returns whose vote it is: a person's, or one of the signs that a system gives."""
        if reading.rule.implicit and reading.role is Role.SYSTEM:
            return 2 * self.rule_of.setdefault(reading.rule.id, len(self.rule_of)) + 1
        return 2 * self.rater_of.setdefault(reading.rater, len(self.rater_of))


@dataclass(frozen=True, kw_only=True)
class Table:
    """All readings (N) as votes on the hypotheses (H) of items (I), in the order of the cases.

    Attributes:
        item, target: N, the item of each reading, and the hypothesis it names (0: the answer).
        first_row, two_rows: N, the first row of each source, and 1 where it has another one.
        value, down: N, whether it names a value, and whether it says "wrong".
        group, share: N, whose it is, and 1 over the fields that its signal speaks of.
        start, size: I, the first hypothesis of each item, and how many it has.
        other: I, whether the last of them is "something else".
        log_spread: I, log of how many wrong values an error may fall on.
        sources: whose votes these are.
    """

    item: Ints
    target: Ints
    first_row: Ints
    two_rows: Ints
    value: Flags
    down: Flags
    group: Ints
    share: NDArray[np.float32]
    start: Ints
    size: Ints
    other: Flags
    log_spread: Floats
    sources: Sources

    def votes(self, weight_N: Floats) -> Votes:
        """Returns the problem in which only readings with a weight > 0 count.

        The order of its votes is that of those readings.
        """
        keep = np.flatnonzero(weight_N > 0).astype(np.int32)
        item = self.item[keep]
        from_P = np.repeat(keep, self.size[item])
        begin_V = np.cumsum(self.size[item]) - self.size[item]
        place_P = np.arange(len(from_P), dtype=np.int32) - np.repeat(begin_V, self.size[item])
        named_P = place_P == self.target[from_P]
        holds_P = named_P ^ self.down[from_P]
        row_P = self.first_row[from_P] + self.two_rows[from_P] * (place_P > 0)
        hypothesis_P = self.start[self.item[from_P]] + place_P
        possible, log_prior = self._hypotheses(hypothesis_P, named_P & self.value[from_P])
        priors_RC = np.asarray(self.sources.priors, dtype=np.float64).reshape(-1, 2)
        weight_P = weight_N[from_P]
        return Votes(
            item_of=np.repeat(np.arange(len(self.size), dtype=np.int32), self.size),
            hypothesis=hypothesis_P,
            cell=2 * row_P + ~holds_P,
            weight=weight_P,
            count=weight_P * self.share[from_P],
            shift=-self.log_spread[self.item[from_P]] * (~holds_P & self.value[from_P]),
            possible=possible,
            log_prior=log_prior,
            group=self.group[from_P],
            row_of=np.repeat(np.arange(len(priors_RC)), 2),
            prior=priors_RC.ravel(),
        )

    def _hypotheses(self, hypothesis_P: Ints, names_P: Flags) -> tuple[Flags, Floats]:
        """Returns which hypotheses somebody stands for, and how probable they are at first."""
        total = int(self.size.sum())
        item_H = np.repeat(np.arange(len(self.size)), self.size)
        named_H = np.bincount(hypothesis_P[names_P], minlength=total) > 0
        named_H[self.start] = False
        any_I = np.bincount(item_H[named_H], minlength=len(self.size)) > 0
        possible_H = named_H.copy()
        possible_H[self.start] = True
        possible_H[(self.start + self.size - 1)[self.other]] = ~any_I[self.other]
        return possible_H, np.where(named_H, -self.log_spread[item_H], 0.0)


def build(cases: Sequence[Case], *, spread: float = 1.0) -> Table:
    """Lays out all readings of all cases.

    Args:
        cases: in any order.
        spread: over how many wrong values errors spread, >= 1.
    """
    rows, spreads = _Rows(), _spreads(cases, spread)
    for case in cases:
        by_field: dict[str, list[Reading]] = {}
        for reading in case.readings:
            by_field.setdefault(reading.field, []).append(reading)
        places = {
            name: rows.item(value_key(case.request.outputs[name]), many, spreads[name])
            for name, many in by_field.items()
        }
        for reading in case.readings:
            rows.reading(reading, *places[reading.field])
    return rows.table()


def _spreads(cases: Sequence[Case], most: float) -> dict[str, float]:
    """Returns, per field, the log of how many wrong values an error may fall on."""
    known: dict[str, set[Key]] = {}
    for case in cases:
        for name, value in case.request.outputs.items():
            values = known.setdefault(name, set())
            if len(values) <= most:
                values.add(value_key(value))
        for reading in case.readings:
            if reading.says is Says.VALUE and len(known[reading.field]) <= most:
                known[reading.field].add(reading.key)
    return {name: log(min(most, max(len(values) - 1, 1))) for name, values in known.items()}


class _Rows:
    """Columns that grow by reading and by item, and become arrays at the end."""

    def __init__(self) -> None:
        self._sources = Sources()
        codes = ("item", "target", "first_row", "two_rows", "value", "down", "group")
        self._codes = {n: array("i") for n in codes}
        self._share, self._log_spread = array("f"), array("d")
        self._size, self._other = array("i"), array("b")

    def item(
        self, answer: Key, many: list[Reading], log_spread: float
    ) -> tuple[int, Mapping[Key, int]]:
        """Adds an item, and returns its number and the hypotheses that somebody named."""
        places: dict[Key, int] = {answer: 0}
        signs = False
        for reading in many:
            if reading.says is Says.VALUE:
                places.setdefault(reading.key, len(places))
            else:
                signs = True
        # Where only values were named, there is nothing else to tell once nobody names any.
        other = signs or len(places) == 1
        self._size.append(len(places) + other)
        self._other.append(other)
        self._log_spread.append(log_spread)
        return len(self._size) - 1, places

    def reading(self, reading: Reading, item: int, places: Mapping[Key, int]) -> None:
        names = reading.says is Says.VALUE
        codes = self._codes
        codes["item"].append(item)
        codes["target"].append(places[reading.key] if names else 0)
        codes["first_row"].append(self._sources.row(reading))
        codes["two_rows"].append(two_sided(reading.rule))
        codes["value"].append(names)
        codes["down"].append(reading.says is Says.WRONG)
        codes["group"].append(self._sources.group(reading))
        self._share.append(1.0 / reading.fields)

    def table(self) -> Table:
        codes = {n: np.asarray(a, dtype=np.int32) for n, a in self._codes.items()}
        size_I = np.asarray(self._size, dtype=np.int32)
        return Table(
            item=codes["item"],
            target=codes["target"],
            first_row=codes["first_row"],
            two_rows=codes["two_rows"],
            value=codes["value"] == 1,
            down=codes["down"] == 1,
            group=codes["group"],
            share=np.asarray(self._share, dtype=np.float32),
            start=(np.cumsum(size_I) - size_I).astype(np.int32),
            size=size_I,
            other=np.asarray(self._other, dtype=np.int8) == 1,
            log_spread=np.asarray(self._log_spread, dtype=np.float64),
            sources=self._sources,
        )
