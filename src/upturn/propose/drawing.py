"""How rows are drawn: surer labels first, labels in turn, none twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import numpy as np

from upturn.programs import PredictorFields
from upturn.propose.base import weights_of
from upturn.records import Example


def widest_field(fields: PredictorFields) -> str | None:
    """The closed output field with the most labels, or None where all are free text."""
    closed = {f: len(labels) for f, labels in fields.outputs.items() if labels}
    return max(closed, key=lambda f: closed[f]) if closed else None


def by_label(rows: Iterable[Example], field: str | None) -> dict[str, list[Example]]:
    """Label -> the rows that have it, labels sorted; rows without one are left out.

    Where there is no closed field, all rows are of one kind.
    """
    found: dict[str, list[Example]] = defaultdict(list)
    if field is None:
        found[""] = list(rows)
        return found
    for row in rows:
        if field in row.labels:
            found[str(row.labels[field])].append(row)
    return {label: found[label] for label in sorted(found)}


def shuffled(rows: Sequence[Example], rng: np.random.Generator) -> list[Example]:
    """The rows in a random order in which surer labels tend to come first.

    Sorted by u to the power 1/weight, which is drawing without replacement with these weights
    (Efraimidis and Spirakis 2006).
    """
    keys = rng.random(len(rows)) ** (1.0 / weights_of(rows)) if rows else np.zeros(0)
    return [rows[i] for i in np.argsort(-keys, kind="stable")]


def at_most(rows: Sequence[Example], limit: int, rng: np.random.Generator) -> list[Example]:
    """The rows, or a draw of them in their order: all pairs of too many do not fit in memory."""
    if len(rows) <= limit:
        return list(rows)
    taken = {e.id for e in shuffled(rows, rng)[:limit]}
    return [e for e in rows if e.id in taken]


def in_turn(
    queues: Iterable[Sequence[Example]], rng: np.random.Generator | None = None
) -> list[Example]:
    """One of each queue, then a second of each, and so on; none twice.

    Args:
        rng: shuffles within each round: a fixed order of labels would be a pattern to copy.
    """
    taken: dict[str, Example] = {}
    for turn in zip_longest(*queues):
        present = [e for e in turn if e is not None]
        if rng is not None:
            rng.shuffle(present)  # type: ignore[arg-type]
        taken |= {e.id: e for e in present if e.id not in taken}
    return list(taken.values())


def balanced_draw(
    rows: Sequence[Example], field: str | None, rng: np.random.Generator
) -> list[Example]:
    """All rows in a random order, labels in turn where there is a closed field."""
    return in_turn((shuffled(own, rng) for own in by_label(rows, field).values()), rng)


def part_of(rows: Sequence[Example], share: float, rng: np.random.Generator) -> list[Example]:
    """A random part of the rows, in their order."""
    keep = rng.random(len(rows)) < share
    return [e for e, k in zip(rows, keep, strict=True) if k]
