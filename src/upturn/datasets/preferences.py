"""Preferences from feedback: pairs for DPO, and answers that are wanted or not for KTO.

Only rows in train of a snapshot give any: an answer that dev or the holdout knows must teach
nobody. Three kinds of pairs:

    correction   the label against the answer that somebody corrected or edited
    chosen       the answer that somebody chose against each that they rejected
    versus       of two requests with equal inputs, such as to champion and challenger: the answer
                 that was right against the one that was wrong

An answer is right where it equals its row's labels. Whatever contradicts that label, or another
pair, is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from upturn.events.records import Feedback, Request, Signal
from upturn.labels.labelling import FieldLabel
from upturn.records import Example, Json, canonical_json

Kind = Literal["correction", "chosen", "versus"]
_Answer = Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one input, of which the first is better.

    Attributes:
        inputs: what was asked.
        chosen, rejected: output field -> answer; they differ.
        weight: how sure it is, in (0, 1]: the probability of the least certain label behind it.
        kind: where it comes from.
        event_ids: the events behind it, sorted.
        group: the group of its row, which is in train.
    """

    inputs: _Answer
    chosen: _Answer
    rejected: _Answer
    weight: float
    kind: Kind
    event_ids: tuple[str, ...]
    group: str


@dataclass(frozen=True, kw_only=True)
class KtoRow:
    """One answer, and whether it is wanted; fields as of :class:`Pair`."""

    inputs: _Answer
    completion: _Answer
    desirable: bool
    weight: float
    event_ids: tuple[str, ...]
    group: str


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Pairs and judged answers, each in a fixed order, and reason -> what was left out."""

    pairs: tuple[Pair, ...]
    kto: tuple[KtoRow, ...]
    dropped: Mapping[str, int]


def preferences(
    joined: Iterable[tuple[Request, Sequence[Feedback]]],
    train: Sequence[Example],
    *,
    labels: Mapping[str, Mapping[str, FieldLabel]] | None = None,
) -> Preferences:
    """Makes preferences from the feedback on rows of train.

    Args:
        joined: each request with its feedback, such as ``EventSource.joined`` gives them.
        train: the train rows of a snapshot, whose ids are those of requests.
        labels: request id -> output field -> label, for its probability; where it is None, the
            weight of the row counts, which balancing may have lowered.

    Returns:
        The preferences, and counts of requests ``not_in_train``, with a ``label_changed`` since
        the snapshot, choices that ``contradict_label``, equal inputs with labels that
        ``contradict_each_other``, pairs that others reverse (``reversed``), and answers that are
        judged both ways (``judged_both_ways``).
    """
    rows = {row.id: row for row in train}
    dropped = Counter[str]()
    cases: list[_Case] = []
    for request, feedback in joined:
        row = rows.get(request.id)
        if row is None:
            dropped["not_in_train"] += 1
            continue
        certain = _certainty(row, (labels or {}).get(request.id))
        if certain is None:
            dropped["label_changed"] += 1
        elif all(name in request.outputs for name in row.labels):
            cases.append(_Case(row, request, tuple(feedback), certain))
    pairs = [pair for case in cases for pair in (*case.correction(), *case.chosen(dropped))]
    pairs += _versus(cases, dropped)
    judged = [row for case in cases for row in case.judged(dropped)]
    kept = _without_reversed(_merged(pairs), dropped)
    kto = _without_both_ways(judged, dropped)
    left = {reason: n for reason, n in sorted(dropped.items()) if n}
    return Preferences(pairs=kept, kto=kto, dropped=left)


def _certainty(row: Example, labels: Mapping[str, FieldLabel] | None) -> float | None:
    """Returns the probability of the least certain label; None where one is no longer the row's."""
    if labels is None:
        return row.weight
    for name, value in row.labels.items():
        if name not in labels or _key(labels[name].value) != _key(value):
            return None
    return min(labels[name].probability for name in row.labels)


class _Case:
    """One train row with its request and feedback."""

    def __init__(
        self, row: Example, request: Request, feedback: tuple[Feedback, ...], weight: float
    ) -> None:
        self.row = row
        self.answer: _Answer = {name: request.outputs[name] for name in row.labels}
        self.right = _key(self.answer) == _key(row.labels)
        self.weight = weight
        self._feedback = feedback

    def pair(self, chosen: _Answer, rejected: _Answer, kind: Kind, events: Iterable[str]) -> Pair:
        return Pair(
            inputs=self.row.inputs,
            chosen=chosen,
            rejected=rejected,
            weight=self.weight,
            kind=kind,
            event_ids=tuple(sorted({self.row.id, *events})),
            group=self.row.group,
        )

    def correction(self) -> Iterator[Pair]:
        """Yields the label against the answer, where somebody named the label."""
        spoken = (Signal.CORRECTION, Signal.EDIT)
        events = [f.id for f in self._feedback if f.signal in spoken and self._agrees(f.value)]
        if events and not self.right:
            yield self.pair(self.row.labels, self.answer, "correction", events)

    def chosen(self, dropped: Counter[str]) -> Iterator[Pair]:
        """Yields what was chosen against each that was rejected, made whole by the label."""
        for f in self._feedback:
            if f.signal is not Signal.CHOSEN:
                continue
            if not self._agrees(f.value["chosen"]):
                dropped["contradict_label"] += 1
                continue
            for other in f.value["rejected"]:
                part = {k: v for k, v in other.items() if k in self.row.labels}
                rejected = {**self.row.labels, **part}
                if _key(rejected) != _key(self.row.labels):
                    yield self.pair(self.row.labels, rejected, "chosen", [f.id])

    def judged(self, dropped: Counter[str]) -> Iterator[KtoRow]:
        """Yields the answer, where all who judged it agree with the label."""
        said = {f.id: side for f in self._feedback if (side := self._side(f)) is not None}
        if any(side is not self.right for side in said.values()):
            dropped["judged_both_ways"] += 1
        elif said:
            yield KtoRow(
                inputs=self.row.inputs,
                completion=self.answer,
                desirable=self.right,
                weight=self.weight,
                event_ids=tuple(sorted({self.row.id, *said})),
                group=self.row.group,
            )

    def _side(self, f: Feedback) -> bool | None:
        """Returns whether feedback calls the answer right; None where it does not judge it."""
        if f.signal is Signal.THUMBS:
            return bool(f.value)
        if f.signal is Signal.VERDICT:
            return all(f.value.values()) if isinstance(f.value, dict) else bool(f.value)
        if f.signal is Signal.CORRECTION:
            named = {k: v for k, v in f.value.items() if k in self.answer}
            return all(_key(self.answer[k]) == _key(v) for k, v in named.items())
        return None

    def _agrees(self, part: _Answer) -> bool:
        """Tells whether values for some fields are those of the label."""
        named = {k: v for k, v in part.items() if k in self.row.labels}
        return bool(named) and all(_key(self.row.labels[k]) == _key(v) for k, v in named.items())


def _versus(cases: Sequence[_Case], dropped: Counter[str]) -> Iterator[Pair]:
    """Yields right answers against wrong ones to the same inputs."""
    alike: dict[str, list[_Case]] = {}
    for case in cases:
        alike.setdefault(_key(case.row.inputs), []).append(case)
    for same in alike.values():
        if len({_key(case.row.labels) for case in same}) > 1:
            dropped["contradict_each_other"] += 1
            continue
        best = max((c for c in same if c.right), key=lambda c: (c.weight, c.row.id), default=None)
        for wrong in (c for c in same if not c.right):
            if best is not None:
                made = best.pair(best.answer, wrong.answer, "versus", [wrong.row.id])
                yield replace(made, weight=min(best.weight, wrong.weight))


def _merged(pairs: Iterable[Pair]) -> list[Pair]:
    """Joins pairs that say the same: the surest stays, with the events of all."""
    same: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        same.setdefault((_key(pair.inputs), _key(pair.chosen), _key(pair.rejected)), []).append(
            pair
        )
    merged: list[Pair] = []
    for key in sorted(same):
        best = max(same[key], key=lambda p: (p.weight, p.kind, p.event_ids))
        events = {event for pair in same[key] for event in pair.event_ids}
        merged.append(replace(best, event_ids=tuple(sorted(events))))
    return merged


def _without_reversed(pairs: Sequence[Pair], dropped: Counter[str]) -> tuple[Pair, ...]:
    stated = {_keys(pair) for pair in pairs}
    kept = tuple(p for p in pairs if _turned(_keys(p)) not in stated)
    dropped["reversed"] += len(pairs) - len(kept)
    return kept


def _without_both_ways(rows: Sequence[KtoRow], dropped: Counter[str]) -> tuple[KtoRow, ...]:
    sides: dict[tuple[str, str], set[bool]] = {}
    for row in rows:
        sides.setdefault((_key(row.inputs), _key(row.completion)), set()).add(row.desirable)
    kept = [r for r in rows if len(sides[_key(r.inputs), _key(r.completion)]) == 1]
    dropped["judged_both_ways"] += len(rows) - len(kept)
    return tuple(sorted(kept, key=lambda r: (_key(r.inputs), _key(r.completion), r.event_ids)))


def _turned(keys: tuple[str, str, str]) -> tuple[str, str, str]:
    return keys[0], keys[2], keys[1]


def _keys(pair: Pair) -> tuple[str, str, str]:
    return _key(pair.inputs), _key(pair.chosen), _key(pair.rejected)


def _key(value: Json) -> str:
    return canonical_json(dict(value) if isinstance(value, Mapping) else value)
