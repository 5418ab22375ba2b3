"""From posteriors to a label or an abstention, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from upturn.events.records import Role
from upturn.labels.judgement import Judgement
from upturn.labels.labelling import Evidence, FieldAbstention, FieldLabel, FieldResult
from upturn.labels.latent import Floats, Ints
from upturn.labels.reading import Reading
from upturn.labels.rule import Says
from upturn.labels.rules import LabelRules
from upturn.labels.table import Case
from upturn.records import Json

#: Evidence that tells less than this, in nats, contradicts nothing.
LEAST_NEWS = 0.05
CHUNK = 20_000


class _Weighed(NamedTuple):
    """A reading that counts, the hypothesis it names, and how much it tells."""

    reading: Reading
    target: int
    news: float

    def is_for(self, top: int) -> bool:
        """Whether it holds if hypothesis ``top`` is true; 0 is that the answer is right."""
        return (top == self.target) is not (self.reading.says is Says.WRONG)


class Resolver:
    """Decides case after case, in the order in which they were judged.

    Args:
        found: the judgement.
        rules: how sure a label must be.
    """

    def __init__(self, found: Judgement, rules: LabelRules) -> None:
        self._rules = rules
        table, model = found.table, found.model
        bent_H = model.posterior if found.curve is None else found.curve(model.posterior)
        top_I, chance_I = _best(model.posterior, table.start)
        best_I = table.start + top_I
        columns = (
            *(model.weight > 0, found.burst, found.distrusted, table.target, found.news),
            *(top_I[table.item], chance_I[table.item], bent_H[best_I][table.item]),
            model.posterior[table.start][table.item],
        )
        self._rows = _rows(columns)

    def resolve(self, case: Case) -> tuple[dict[str, FieldResult], float | None]:
        """Returns what every output field came to, and how probably the answer is right."""
        weighed: dict[str, list[_Weighed]] = {}
        state: dict[str, _Row] = {}
        aside: dict[str, str] = {}
        for reading, row in zip(case.readings, self._rows, strict=False):
            if row.counts:
                state[reading.field] = row
                weighed.setdefault(reading.field, []).append(
                    _Weighed(reading, row.target, row.news)
                )
            elif row.burst or row.distrusted:
                aside[reading.field] = "burst" if row.burst else "rater_distrusted"
        fields: dict[str, FieldResult] = {}
        for name, answer in case.request.outputs.items():
            if name in state:
                fields[name] = self._result(weighed[name], state[name], answer)
            else:
                fields[name] = FieldAbstention(reason=aside.get(name, "says_nothing"))
        right = min((row.right for row in state.values()), default=None)
        return fields, right

    def _result(self, weighed: list[_Weighed], row: _Row, answer: Json) -> FieldResult:
        evidence = tuple(
            Evidence(r.events, r.rater, r.rule.id, str(r.says), r.value, news)
            for r, _, news in weighed
        )
        reviewed = any(w.reading.role is Role.REVIEWER for w in weighed)
        chance = row.chance if reviewed else row.bent
        told = [w for w in weighed if w.news >= LEAST_NEWS]
        speaks_for = [w for w in told if w.is_for(row.top)]
        contradicted = len(speaks_for) < len(told)
        least = self._rules.min_contradicted if contradicted else 0.0
        if not speaks_for or chance < max(self._rules.min_probability, least):
            reason = _conflict([w.reading for w in told]) if contradicted else "uncertain"
            return FieldAbstention(reason=reason, evidence=evidence)
        # What only says that the answer is wrong does not say what is right.
        named = [w for w in speaks_for if not row.top or w.reading.says is Says.VALUE]
        if not named:
            return FieldAbstention(reason="only_negative", evidence=evidence)
        best = max(named, key=lambda w: w.news).reading
        return FieldLabel(
            value=best.value if row.top else answer,
            probability=chance,
            reason=best.rule.id,
            evidence=evidence,
        )


class _Row(NamedTuple):
    """What is known about one reading and its item."""

    counts: bool
    burst: bool
    distrusted: bool
    target: int
    news: float
    top: int
    chance: float
    bent: float
    right: float


def _rows(columns: tuple[NDArray[Any], ...]) -> Iterator[_Row]:
    """Yields plain numbers, some thousands at a time: an array is slow to ask for each of them."""
    for at in range(0, len(columns[0]), CHUNK):
        part = (column[at : at + CHUNK].tolist() for column in columns)
        yield from map(_Row._make, zip(*part, strict=True))


def _best(posterior_H: Floats, start_I: Ints) -> tuple[Ints, Floats]:
    """Returns the most probable hypothesis of each item, the first of several, and how probable."""
    if not len(start_I):
        return start_I, np.zeros(0)
    chance_I = np.maximum.reduceat(posterior_H, start_I)
    size_I = np.diff(start_I, append=len(posterior_H))
    item_H = np.repeat(np.arange(len(start_I)), size_I)
    place_H = np.arange(len(posterior_H)) - start_I[item_H]
    is_best_H = posterior_H >= chance_I[item_H]
    top_I = np.minimum.reduceat(np.where(is_best_H, place_H, len(posterior_H)), start_I)
    return top_I, chance_I


def _conflict(told: list[Reading]) -> str:
    """Names a contradiction by who takes part: values, votes, or only implicit signs."""
    explicit = [r for r in told if not r.rule.implicit]
    named = {r.key for r in explicit if r.says is Says.VALUE}
    voted = {r.says for r in explicit if r.says is not Says.VALUE}
    if len(named) > 1 or (named and voted):
        return "correction_conflict"
    return "thumbs_conflict" if len(voted) > 1 else "implicit_conflict"
