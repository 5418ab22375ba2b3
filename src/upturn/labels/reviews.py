"""Labels made without the reviewers, against what the reviewers found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from upturn.events.records import Role
from upturn.labels.calibration import CalibrationReport, Curve, recalibration
from upturn.labels.latent import Floats
from upturn.labels.model import fit_model
from upturn.labels.reading import Key, Reading, value_key
from upturn.labels.rule import Says
from upturn.labels.table import Case, Table


class Review(NamedTuple):
    """The last review of one item, and the values that its hypotheses stand for."""

    item: int
    keys: Mapping[int, Key]
    reading: Reading


def check_against_reviews(
    cases: Sequence[Case], table: Table, weight_N: Floats, least: int
) -> tuple[CalibrationReport | None, Curve | None]:
    """Returns how far the probabilities hold, and what bends them where that helps.

    Args:
        cases, table, weight_N: the readings, and how much each counts.
        least: reviewed labels below which nothing can be said.
    """
    by_reviewer = (r.role is Role.REVIEWER for case in cases for r in case.readings)
    out_N = np.fromiter(by_reviewer, dtype=bool, count=len(weight_N))
    if out_N.sum() < least:
        return None, None
    model = fit_model(table, np.where(out_N, 0.0, weight_N))
    heard = set(table.item[model.weight > 0].tolist())
    stated, right = list[float](), list[bool]()
    for review in _reviews(cases, table):
        if review.item not in heard:
            continue
        start = table.start[review.item]
        chances = model.posterior[start : start + table.size[review.item]]
        top = int(np.argmax(chances))
        agrees = _agrees(review, top)
        if agrees is not None:
            stated.append(float(chances[top]))
            right.append(agrees)
    if len(stated) < least:
        return None, None
    return recalibration(np.asarray(stated), np.asarray(right))


def _reviews(cases: Sequence[Case], table: Table) -> Iterator[Review]:
    """Yields one review an item. A verdict of "wrong" on several fields is about none of them."""
    place = 0
    for case in cases:
        items = table.item[place : place + len(case.readings)].tolist()
        targets = table.target[place : place + len(case.readings)].tolist()
        place += len(case.readings)
        found: dict[int, Reading] = {}
        for reading, item in zip(case.readings, items, strict=True):
            if reading.role is Role.REVIEWER and not reading.rule.implicit:
                old = found.get(item)
                told = reading.says is not Says.WRONG or reading.fields == 1
                if told and (old is None or not reading.at < old.at):
                    found[item] = reading
        for item, review in found.items():
            keys = {0: value_key(case.request.outputs[review.field])}
            for reading, other, target in zip(case.readings, items, targets, strict=True):
                if other == item and reading.says is Says.VALUE:
                    keys[target] = reading.key
            yield Review(item, keys, review)


def _agrees(review: Review, top: int) -> bool | None:
    """Whether a reviewer found the same value; None where that cannot be told."""
    key = review.keys.get(top)
    if key is None or (review.reading.says is Says.WRONG and top):
        return None
    return review.reading.confirms(key, top == 0)
