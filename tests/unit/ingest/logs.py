"""Native lines and helpers that the tests of the ingest share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upturn.events import Event
from upturn.ingest import IngestReport, Limits, Options, Record, ingest, open_records
from upturn.store import FeedbackStore

NOW = datetime(2026, 9, 10, tzinfo=UTC)


def request(n: int = 1, **over: Any) -> dict[str, Any]:
    return {
        "upturn": 1,
        "kind": "request",
        "id": f"req-{n}",
        "time": "2026-09-01T10:00:00+00:00",
        "program": "triage",
        "inputs": {"message": f"parcel {n}, größer"},
        "outputs": {"team": "billing"},
        "user": f"c-{n % 7}",
        **over,
    }


def feedback(n: int = 1, **over: Any) -> dict[str, Any]:
    return {
        "upturn": 1,
        "kind": "feedback",
        "id": f"fb-{n}",
        "request_id": f"req-{n}",
        "time": "2026-09-02T10:00:00Z",
        "signal": "thumbs",
        "value": True,
        "by": {"id": "agent-7", "role": "agent"},
        **over,
    }


def jsonl(rows: Iterable[Any]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path | str, limits: Limits | None = None, *, skip: int = 0) -> list[Record]:
    with open_records(str(path), limits or Limits()) as stream:
        return list(stream.records(skip=skip))


def values(records: Sequence[Record]) -> list[Any]:
    return [r.value for r in records if r.value is not None]


def refused(records: Sequence[Record]) -> list[tuple[int, str]]:
    return [(r.line, r.rule) for r in records if r.value is None]


def same(event: Event) -> Event:
    return event


def take(
    store: FeedbackStore | str | Path,
    *paths: Path | str,
    options: Options | None = None,
    **more: Any,
) -> IngestReport:
    """Ingests into a store, or into the one of a url, unscrubbed and on the tests' clock."""
    if not isinstance(store, FeedbackStore):
        with FeedbackStore.open(str(store)) as opened:
            return take(opened, *paths, options=options, **more)
    more.setdefault("scrub", same)
    return ingest(paths, store, options=options or Options(clock=lambda: NOW), **more)


def listed(report: IngestReport) -> list[dict[str, Any]]:
    """Returns the lines of all files of rejects."""
    lines = [line for path in report.rejects for line in Path(path).read_bytes().splitlines()]
    return [json.loads(line) for line in lines]


def check_sums(report: IngestReport, events: int) -> None:
    seen = report.requests + report.feedback + report.duplicates
    assert seen + report.conflicts + report.forgotten == events
    assert len(listed(report)) == report.rejected + report.conflicts
