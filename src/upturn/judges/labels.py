"""The file that says what a judge and what people said of the same answers.

One JSON object a line: ``id``, ``judge`` and ``human``. Verdicts are numbers in [0, 1], true and
false (1 and 0), or words; a pairwise judge says ``first``, ``second`` or ``tie``. Where known:
``group`` (what rows must not be taken as independent of; by default each row is its own), ``again``
(the judge's verdict when it was asked the same once more), ``swapped`` (that of a pairwise judge
when the two answers changed places) and ``length`` (of the answer, in any unit; of a pair, the
first's less the second's).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from upturn.errors import DataError
from upturn.events.problems import found, one_of
from upturn.events.row_files import row_lines, row_text
from upturn.judges.agreement import Verdict
from upturn.records import Json

KEYS = ("id", "judge", "human", "group", "again", "swapped", "length")
#: What a pairwise judge says, and its numeric value: the first answer's share of the win.
PAIRWISE: Mapping[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
#: More different numbers than this are no levels on which two raters could agree.
MAX_LEVELS = 101

_NO_JSON = "leave rows out that have no verdict"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One answer, or one pair of them, that the judge and a person looked at.

    Attributes:
        id: names the row.
        judge, human: their verdicts: both numbers in [0, 1], or both words.
        group: what the row must not be taken as independent of.
        again: the judge's verdict on the same once more; None where it was not asked.
        swapped: a pairwise judge's verdict on the two in the other order; None where not asked.
        length: of the answer; of a pair, the first's less the second's; None where not known.
    """

    id: str
    judge: Verdict
    human: Verdict
    group: str
    again: Verdict | None = None
    swapped: str | None = None
    length: float | None = None


def read_judged(path: Path, scores: Path | None = None) -> tuple[Judged, ...]:
    """Reads a file of labels.

    Args:
        path: the file.
        scores: another file of lines with ``id`` and ``score``: the judge's verdicts of rows that
            have none in ``path``.

    Raises:
        DataError: a line breaks a rule, an id is given twice, or is not among ``scores``.
        StorageError: a file cannot be read.
    """
    known = None if scores is None else _scores(scores)
    rows: dict[str, Judged] = {}
    for where, value in row_lines(path, fix=_NO_JSON):
        row = _row(value, known, str(scores), where)
        if row.id in rows:
            raise DataError(
                f"id must be given once, {row.id!r} was given before",
                where=where,
                fix="keep one line for each answer; several people's verdicts are one, or none",
            )
        rows[row.id] = row
    if not rows:
        raise DataError("a file of labels must hold at least one row, got none", where=str(path))
    _check_kind(rows.values(), path)
    return tuple(rows.values())


def _scores(path: Path) -> dict[str, Verdict]:
    known: dict[str, Verdict] = {}
    for where, value in row_lines(path, fix=_NO_JSON):
        name = row_text(value.get("id"), "id", where)
        if value.get("score") is not None:
            known[name] = _verdict(value["score"], "score", where)
    return known


def _row(
    value: dict[str, Json], known: Mapping[str, Verdict] | None, scores: str, where: str
) -> Judged:
    for key in value:
        if key not in KEYS:
            raise DataError(f"key {one_of(KEYS, key)}", where=where, fix=f"rename or drop {key}")
    name = row_text(value.get("id"), "id", where)
    if value.get("judge") is None and known is not None:
        if name not in known:
            raise DataError(
                f"id must have a score in {scores}, {name!r} has none",
                where=where,
                fix="drop the line, or judge that row, too",
            )
        judge = known[name]
    else:
        judge = _verdict(value.get("judge"), "judge", where)
    again = value.get("again")
    return Judged(
        id=name,
        judge=judge,
        human=_verdict(value.get("human"), "human", where),
        group=row_text(value["group"], "group", where) if value.get("group") is not None else name,
        again=None if again is None else _verdict(again, "again", where),
        swapped=_swapped(value.get("swapped"), judge, where),
        length=_length(value.get("length"), where),
    )


def _verdict(value: Json, key: str, where: str) -> Verdict:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    raise DataError(
        f"{key} must be a number in [0, 1], true, false or a word, got {found(value)}",
        where=where,
        fix="scale it to [0, 1], or leave the row out where there is no verdict",
    )


def _swapped(value: Json, judge: Verdict, where: str) -> str | None:
    if value is None:
        return None
    if value not in PAIRWISE or judge not in PAIRWISE:
        raise DataError(
            f"swapped belongs to a pairwise judge that says {', '.join(PAIRWISE)}, "
            f"got {found(value)} beside judge {found(judge)}",
            where=where,
        )
    return str(value)


def _length(value: Json, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise DataError(f"length must be a number, got {found(value)}", where=where)


def _check_kind(rows: Iterable[Judged], path: Path) -> None:
    verdicts = [v for row in rows for v in (row.judge, row.human, row.again) if v is not None]
    words = sum(isinstance(v, str) for v in verdicts)
    if 0 < words < len(verdicts):
        raise DataError(
            "judge and human must give verdicts of one kind, "
            f"got {words} words among {len(verdicts)} verdicts",
            where=str(path),
            fix="write all of them as numbers in [0, 1], or all as words",
        )
    levels = len(set(verdicts))
    if levels > MAX_LEVELS:
        raise DataError(
            f"verdicts must have at most {MAX_LEVELS} levels, got {levels} different ones",
            where=str(path),
            fix="round scores to two decimals",
        )
