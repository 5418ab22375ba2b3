"""Plain labelled data, such as Banking77: JSONL or CSV files, or a data set of the hub."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upturn.errors import DataError, MissingExtraError, StorageError
from upturn.events.problems import Problems, found, nearest, one_of
from upturn.records import Example, Json, canonical_json, content_hash

_Row = tuple[int, Mapping[str, Json]]  # line (1 is the first), columns
_SUFFIXES = (".jsonl", ".csv")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns are read, and which rows are kept.

    Attributes:
        inputs: column -> input field.
        labels: column -> output field.
        keep: column -> the values to keep; None keeps every row.
        allowed: output field -> allowed labels, or None where the text is free; {} checks nothing.
        times: column with the time of a row (ISO 8601 with zone), or "".
    """

    inputs: Mapping[str, str]
    labels: Mapping[str, str]
    keep: Mapping[str, tuple[str, ...]] | None = None
    allowed: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    times: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        times = (self.times,) if self.times else ()
        return tuple(dict.fromkeys([*self.inputs, *self.labels, *(self.keep or {}), *times]))


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Rows sorted by id, and reason -> rows left out."""

    examples: tuple[Example, ...]
    dropped: Mapping[str, int]


def read_labelled(
    source: str | Path,
    columns: Columns,
    *,
    split: str = "train",
    limit: int | None = None,
    load: Callable[[str, str], Any] | None = None,
) -> LabelledData:
    """Reads labelled rows; the id of a row is the hash of its inputs, and so is its group.

    Args:
        source: a ``.jsonl`` or ``.csv`` file, or the name of a data set on the hub.
        columns: what to read.
        split: the hub's split; files have none.
        limit: keeps this many rows, the first by id: a fixed pseudo-random choice.
        load: (name, split) -> a ``datasets.Dataset``; None loads it from the hub.

    Returns:
        The rows, and counts of rows dropped as ``repeated`` (same inputs, same labels),
        ``contradictory`` (same inputs, other labels: all of them), ``over_limit``.

    Raises:
        DataError: the file is missing, a line breaks a rule (one error for all), no row is left,
            or the hub has no such data set.
        MissingExtraError: a hub name was given and ``datasets`` is not installed.
        StorageError: the file cannot be read.
    """
    problems, taken = Problems(), list[Example]()
    for line, row in _rows(source, split, load or _load_from_hub, problems):
        example = _example(row, columns, str(source), line, problems)
        if example is not None:
            taken.append(example)
    problems.raise_if_any()
    examples, dropped = _distinct(taken)
    if not examples:
        raise DataError(
            f"labelled data must hold at least one row, kept 0 of {len(taken)}: {dropped}",
            where=str(source),
        )
    kept = examples if limit is None else examples[:limit]
    dropped["over_limit"] = len(examples) - len(kept)
    return LabelledData(examples=tuple(kept), dropped={k: n for k, n in dropped.items() if n})


def _rows(
    source: str | Path, split: str, load: Callable[[str, str], Any], problems: Problems
) -> Iterable[_Row]:
    path = Path(source)
    if path.suffix in _SUFFIXES or path.exists():
        return _file_rows(path, problems)
    return _hub_rows(str(source), split, load)


def _file_rows(path: Path, problems: Problems) -> Iterator[_Row]:
    if not path.is_file() or path.suffix not in _SUFFIXES:
        rule = "labelled data must be a .jsonl or .csv file, or the name of a data set on the hub"
        raise DataError(f"{rule}; found no such file", where=str(path), fix=f"ls {path.parent}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the file must be UTF-8 text, got: {error}", where=str(path)) from error
    except OSError as error:
        raise StorageError(f"the file must be readable, got: {error}", where=str(path)) from error
    yield from _csv(text) if path.suffix == ".csv" else _jsonl(text, path, problems)


def _csv(text: str) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        yield reader.line_num, row


def _jsonl(text: str, path: Path, problems: Problems) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.add(str(path), number, "", f"must be one whole JSON object, got: {error}")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(str(path), number, "", f"must be a JSON object, got {found(row)}")


def _load_from_hub(name: str, split: str) -> Any:
    try:
        hub = importlib.import_module("datasets")
    except ImportError as error:
        raise MissingExtraError("hub", f"reading {name!r} from the hub") from error
    return hub.load_dataset(name, split=split)


def _hub_rows(name: str, split: str, load: Callable[[str, str], Any]) -> Iterator[_Row]:
    """Yields rows with class numbers turned into names."""
    try:
        data = load(name, split)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"the hub must have this data set and split {split!r}, got: {error}",
            where=name,
            fix="check the name and the network, or give a local .jsonl or .csv file",
        ) from error
    classes = {c: f.names for c, f in data.features.items() if hasattr(f, "names")}
    for number, row in enumerate(data, start=1):
        yield number, {c: classes[c][v] if c in classes else v for c, v in row.items()}


def _example(
    row: Mapping[str, Json], columns: Columns, file: str, line: int, problems: Problems
) -> Example | None:
    """Returns a row as an example, or None where it is not kept or breaks a rule."""
    missing = [c for c in columns.names if row.get(c) in (None, "")]
    for column in missing:
        near = nearest(column, [c for c in row if c not in columns.names])
        hint = f"; did you mean the column {near!r}?" if near else ""
        problems.add(file, line, column, f"must be there, got columns {found(sorted(row))}{hint}")
    if missing or any(row[c] not in values for c, values in (columns.keep or {}).items()):
        return None
    labels = {name: row[c] for c, name in columns.labels.items()}
    if not _allowed(labels, columns, file, line, problems):
        return None
    inputs = {name: row[c] for c, name in columns.inputs.items()}
    row_id = content_hash(inputs, length=16)
    time = str(row[columns.times]) if columns.times else ""
    return Example(
        id=row_id, inputs=inputs, labels=labels, group=row_id, time=time, reason="labelled"
    )


def _allowed(
    labels: Mapping[str, Json], columns: Columns, file: str, line: int, problems: Problems
) -> bool:
    before = problems.total
    for name, value in labels.items():
        allowed = columns.allowed.get(name)
        if allowed is not None and value not in allowed:
            problems.add(file, line, name, one_of(allowed, value))
    return problems.total == before


def _distinct(taken: Iterable[Example]) -> tuple[list[Example], dict[str, int]]:
    by_id: dict[str, list[Example]] = {}
    for example in taken:
        by_id.setdefault(example.id, []).append(example)
    examples: list[Example] = []
    dropped = Counter[str]()
    for row_id in sorted(by_id):
        same = by_id[row_id]
        if len({canonical_json(e.labels) for e in same}) > 1:
            dropped["contradictory"] += len(same)
        else:
            examples.append(min(same, key=lambda e: e.time))
            dropped["repeated"] += len(same) - 1
    return examples, dict(dropped)
