"""The native format (docs/native-format.md): reads a log, every rule checked, and writes one."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from upturn.errors import DataError, StorageError
from upturn.events.checks import (
    LineCheck,
    check_feedback,
    check_kind,
    check_labels,
    check_request,
    check_request_fields,
)
from upturn.events.lines import Line, log_files, read_lines
from upturn.events.problems import Problems
from upturn.events.records import Feedback, FieldRules, Log, Request, Signal, Source
from upturn.records import canonical_json


@dataclass(kw_only=True)
class _Reading:
    """What was read so far: id -> (record, the line it stood in)."""

    now: datetime | None
    problems: Problems = field(default_factory=Problems)
    sources: list[Source] = field(default_factory=list)
    requests: dict[str, tuple[Request, Line]] = field(default_factory=dict)
    feedback: dict[str, tuple[Feedback, Line]] = field(default_factory=dict)
    duplicates: int = 0

    def check(self, line: Line) -> LineCheck:
        return LineCheck(line, self.problems, self.now)


def read_log(
    paths: str | Path | Sequence[str | Path],
    *,
    fields: FieldRules,
    program: str | None = None,
    now: datetime | None = None,
) -> Log:
    """Reads and checks logs in the native format, plain or gzipped.

    Args:
        paths: files, or folders of ``*.jsonl`` and ``*.jsonl.gz``; read as one log.
        fields: the program's fields and labels, which requests and feedback must use.
        program: reads only this program's requests; None reads them all.
        now: where given, times more than a day later are problems.

    Raises:
        DataError: lines break rules (one error names up to 20 and counts all), a path does not
            exist, or the log holds no request.
        StorageError: a file cannot be read.
    """
    files, reading = log_files(paths), _Reading(now=now)
    for path in files:
        for line in read_lines(path, reading.problems, reading.sources):
            _take(reading, line)
    log = _checked(reading, fields, program)
    reading.problems.raise_if_any()
    if not log.requests:
        _raise_empty(reading, files, program)
    return log


def _take(reading: _Reading, line: Line) -> None:
    """Keeps one line's record, unless it repeats an id."""
    check = reading.check(line)
    kind = check_kind(check)
    if kind == "request":
        request = check_request(check)
        if request is not None and _is_new(reading, check, reading.requests.get(request.id)):
            reading.requests[request.id] = (request, line)
    elif kind == "feedback":
        feedback = check_feedback(check)
        if feedback is not None and _is_new(reading, check, reading.feedback.get(feedback.id)):
            reading.feedback[feedback.id] = (feedback, line)


def _is_new(
    reading: _Reading, check: LineCheck, other: tuple[Request | Feedback, Line] | None
) -> bool:
    if other is None:
        return True
    if other[1].text == check.line.text:
        reading.duplicates += 1
        return False
    first = f"{other[1].file}:{other[1].number}"
    check.fail("id", f"must name one event, but {other[0].id!r} also names another in {first}")
    return False


def _checked(reading: _Reading, fields: FieldRules, program: str | None) -> Log:
    """Checks fields now that all requests are known: feedback may stand before its request."""
    ours = {k: v for k, v in reading.requests.items() if program is None or v[0].program == program}
    for request, line in ours.values():
        check_request_fields(reading.check(line), request, fields)
    attached: list[Feedback] = []
    orphans: list[Feedback] = []
    for feedback, line in reading.feedback.values():
        if feedback.request_id not in reading.requests:
            orphans.append(feedback)
        elif feedback.request_id in ours:
            attached.append(feedback)
            if feedback.signal in (Signal.CORRECTION, Signal.EDIT):
                check_labels(reading.check(line), "value", feedback.value, fields)
    others = len(reading.requests) - len(ours)
    others += len(reading.feedback) - len(attached) - len(orphans)
    return Log(
        requests=tuple(_only(ours[k][0], fields) for k in sorted(ours)),
        feedback=tuple(sorted(attached, key=lambda f: f.id)),
        orphans=tuple(sorted(orphans, key=lambda f: f.id)),
        duplicates=reading.duplicates,
        other_programs=others,
        sources=tuple(reading.sources),
    )


def _only(request: Request, fields: FieldRules) -> Request:
    """Leaves out what the program does not have, so that a log's extras never reach a snapshot."""
    inputs = {k: v for k, v in request.inputs.items() if k in fields.inputs}
    outputs = {k: v for k, v in request.outputs.items() if k in fields.outputs}
    return replace(request, inputs=inputs, outputs=outputs)


def _raise_empty(reading: _Reading, files: Sequence[Path], program: str | None) -> None:
    names = ", ".join(str(f) for f in files)
    seen = sorted({r.program for r, _ in reading.requests.values()})
    of = f" of program {program!r}" if program else ""
    raise DataError(
        f"a log must hold at least one request{of}, got "
        f"{sum(s.lines for s in reading.sources)} lines, requests of: {', '.join(seen) or 'none'}",
        where=names,
        fix="point the config at the log that your application writes (docs/native-format.md)",
    )


def write_log(path: str | Path, events: Iterable[Request | Feedback]) -> None:
    """Writes events in the native format: canonical, sorted by time and id, all or nothing.

    The same events give the same bytes, in whatever order they come. A name that ends in ``.gz``
    is gzipped.

    Raises:
        StorageError: the folder is missing, full or read-only; the file is then as it was.
    """
    target = Path(path)
    ordered = sorted(events, key=lambda e: (e.time, isinstance(e, Feedback), e.id))
    text = "".join(f"{canonical_json(e.to_json())}\n" for e in ordered)
    data = gzip.compress(text.encode(), mtime=0) if target.suffix == ".gz" else text.encode()
    try:
        _replace(target, data)
    except OSError as error:
        raise StorageError(f"the log must be writable, got: {error}", where=str(target)) from error


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
