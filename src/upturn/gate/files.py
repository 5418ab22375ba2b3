"""Two files of rows, decided as a turn decides: no model, no tracker, no ledger.

One JSON object a line: ``id``, ``score`` in [0, 1] (null where ``failed`` is true), and where
wanted ``group`` (what rows must not be taken as independent of; by default each row is its own),
``failed``, ``weight`` (by default 1) and ``human`` (a person's score, where ``score`` is a judge's
and people scored some rows). Both files hold the same ids.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from upturn.errors import ConfigError, DataError
from upturn.events.problems import found, one_of
from upturn.events.row_files import row_lines, row_text
from upturn.gate.report import GateReport
from upturn.gate.rules import GateRules
from upturn.gate.sequence import Holdout, decide_in_stages
from upturn.gate.told import Told
from upturn.records import Evaluation, FailureKind, Json, Look, Outcome, Row

#: The key of a person's score beside the judge's.
HUMAN = "human"
KEYS = ("id", "group", "score", "failed", "weight", HUMAN)
#: Weights between which sums and squares lose nothing.
_LIGHT, _HEAVY = 1e-9, 1e9
_NO_JSON = "write null for a score that is not known, with failed: true"
#: Shared by all rows: a million rows have a million of each otherwise.
_NOTHING: Mapping[str, Json] = {}


def decide_files(
    baseline: str | Path, challenger: str | Path, *, rules: GateRules, seed: int = 0
) -> GateReport:
    """Decides over two files, in one look that may spend all of the rules' alpha.

    Whoever looks at the same rows more than once gives each look a part of it (see ``spending``).

    Args:
        baseline: rows of what runs now.
        challenger: the same rows, answered by what may replace it.
        rules: what it takes.
        seed: of the random subsets.

    Raises:
        DataError: a line, or a row that the two files do not agree on, breaks a rule.
        StorageError: a file cannot be read.
    """
    before = _read(Path(baseline), {})
    after = _read(Path(challenger), before.rows)
    _check_same(before, after)
    look = Look(holdout=_name(before), number=1, alpha=rules.alpha, turn="files")

    def run(groups: frozenset[str]) -> tuple[Evaluation, Evaluation]:
        chosen = [i for i, row in before.rows.items() if row.group in groups]
        sides = (Evaluation(candidate_id=str(s.path), rows=tuple(s.rows[i] for i in chosen))
                 for s in (before, after))  # fmt: skip
        first, second = sides
        return first, second

    scored = any(row.parts for side in (before, after) for row in side.rows.values())
    told = Told(human_part=HUMAN if scored else "")
    decided = decide_in_stages(run, _holdout(before), rules=rules, look=look, seed=seed, told=told)
    report = decided.report
    # A file says nothing of time and money, and a guard that nothing was measured for is no guard.
    return replace(report, guards=tuple(g for g in report.guards if g.name == "failure rate"))


def settings_of(texts: Sequence[str]) -> dict[str, int | float | str]:
    """Reads a design's settings from texts such as ``stages=4``.

    Raises:
        ConfigError: a text is no ``name=value``, or a name is given twice.
    """
    settings: dict[str, int | float | str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value) or name in settings:
            raise ConfigError(
                f"a design's setting must be name=value, each name once, got {text!r}",
                fix="for example --design-setting stages=4 --design-setting futility=0.2",
            )
        settings[name] = _number(value)
    return settings


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass(frozen=True)
class _Side:
    path: Path
    rows: dict[str, Row]
    weights: dict[str, float]


def _holdout(side: _Side) -> Holdout:
    total = math.fsum(side.weights.values())
    if total <= 0:
        raise DataError(
            "the weights of all rows must sum to more than 0, got 0",
            where=str(side.path),
            fix="leave weight out where all rows count the same",
        )
    same = all(w == 1.0 for w in side.weights.values())
    scale = 1.0 if same else len(side.weights) / total
    sizes: defaultdict[str, float] = defaultdict(float)
    for name, row in side.rows.items():
        sizes[row.group] += side.weights[name] * scale
    weights = None if same else {name: w * scale for name, w in side.weights.items()}
    return Holdout(sizes=sizes, weights=weights)


def _name(side: _Side) -> str:
    """A hash of what is asked, not of the answers: it draws the order of a design with stages."""
    digest = hashlib.sha256()
    for name in sorted(side.rows):
        digest.update(orjson.dumps([name, side.rows[name].group, side.weights[name]]))
    return digest.hexdigest()


def _read(path: Path, known: Mapping[str, Row]) -> _Side:
    side = _Side(path, {}, {})
    for where, value in row_lines(path, fix=_NO_JSON):
        row, weight = _row(value, known, where)
        if row.example_id in side.rows:
            raise DataError(
                f"id must be given once, {row.example_id!r} was given before",
                where=where,
                fix="keep one line for each row; runs of the same row may share a group",
            )
        side.rows[row.example_id] = row
        side.weights[row.example_id] = weight
    if not side.rows:
        raise DataError("a file of rows must hold at least one, got none", where=str(path))
    return side


def _row(value: dict[str, Json], known: Mapping[str, Row], where: str) -> tuple[Row, float]:
    for key in value:
        if key not in KEYS:
            raise DataError(f"key {one_of(KEYS, key)}", where=where, fix=f"rename or drop {key}")
    name = row_text(value.get("id"), "id", where)
    group = row_text(value["group"], "group", where) if value.get("group") is not None else name
    failed = value.get("failed", False)
    if not isinstance(failed, bool):
        raise DataError(f"failed must be true or false, got {found(failed)}", where=where)
    twin = known.get(name)
    row = Row(
        # The other side's texts, where it has the row: a million are worth keeping once.
        example_id=twin.example_id if twin else name,
        group=twin.group if twin and twin.group == group else group,
        outcome=Outcome.FAILED if failed else Outcome.SCORED,
        score=_score(value.get("score"), failed, where),
        failure=FailureKind.PROGRAM if failed else None,
        parts=_parts(value.get(HUMAN), failed, where),
        outputs=_NOTHING,
        slices=_NOTHING,
    )
    return row, _weight(value.get("weight", 1.0), where)


def _score(value: Json, failed: bool, where: str) -> float | None:
    if failed and value is None:
        return None
    if failed:
        raise DataError(
            f"score must be null where failed is true, got {found(value)}",
            where=where,
            fix="a failed row counts as 0 by itself",
        )
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(
            f"score must be a number in [0, 1], got {found(value)}",
            where=where,
            fix="say failed: true where there is no score, or scale it to [0, 1]",
        )
    return float(value)


def _parts(value: Json, failed: bool, where: str) -> Mapping[str, float]:
    if value is None:
        return _NOTHING
    if failed or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(
            f"human must be a number in [0, 1], and null where failed is true, got {found(value)}",
            where=where,
            fix="leave human out where nobody scored the answer",
        )
    return {HUMAN: float(value)}


def _weight(value: Json, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (value == 0 or _LIGHT <= value <= _HEAVY):
        raise DataError(
            f"weight must be 0 or a number in [{_LIGHT:g}, {_HEAVY:g}], got {found(value)}",
            where=where,
        )
    return float(value)


def _check_same(before: _Side, after: _Side) -> None:
    for one, other in ((before, after), (after, before)):
        lacking = [name for name in one.rows if name not in other.rows]
        if lacking:
            raise DataError(
                f"both files must hold the same ids, {len(lacking)} are here alone, "
                f"first {lacking[0]!r}",
                where=_place(one, lacking[0]),
                fix=f"add them to {other.path} (failed: true where they could not be run)",
            )
    for name, row in after.rows.items():
        was = (before.rows[name].group, before.weights[name])
        now = (row.group, after.weights[name])
        if was != now:
            key, old, new = (
                ("weight", was[1], now[1]) if was[0] == now[0] else ("group", was[0], now[0])
            )
            raise DataError(
                f"a row must keep its {key}, {before.path} has {old!r}, got {new!r}",
                where=_place(after, name),
                fix=f"write the same {key} into both files",
            )


def _place(side: _Side, name: str) -> str:
    # Found again, since only an error needs it: lines are not kept.
    lines = row_lines(side.path, fix=_NO_JSON)
    return next(where for where, value in lines if str(value.get("id")) == name)
