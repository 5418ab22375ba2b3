"""The rows of a snapshot, or of what ``upturn forget`` left of it, with the events behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from upturn.datasets import Snapshot
from upturn.datasets.snapshot import FILES
from upturn.events import Feedback, Request
from upturn.pipeline.forget.needles import REDACTED
from upturn.pipeline.forget.snapshots import STALE
from upturn.pipeline.lineage.events import Events
from upturn.pipeline.workspace import read_json
from upturn.propose.sources import Sources
from upturn.records import Example, Json


class Rows:
    """Train and dev rows of one snapshot; the holdout stays sealed.

    Args:
        ids: of the snapshot, and of those that it was rebuilt as since, the newest last.
        snapshot: the newest; None where it is no longer in the workspace.
        events: where events are looked up.
    """

    def __init__(self, ids: Sequence[str], snapshot: Snapshot | None, events: Events) -> None:
        self.ids = tuple(ids)
        self._snapshot = snapshot
        self._events = events
        splits = {"train": snapshot.train, "dev": snapshot.dev} if snapshot else {}
        self._rows = {e.id: (split, e) for split, some in splits.items() for e in some}
        self._sources = Sources(snapshot.train if snapshot else ())

    def to_json(self) -> dict[str, Json]:
        """Returns which snapshot it is, how large, and where its rows came from."""
        if self._snapshot is None:
            return {"ids": list(self.ids), "there": False, "sizes": {}, "source": {}}
        manifest = self._snapshot.manifest
        source = manifest["provenance"]
        sizes = {split: manifest["sizes"][split]["rows"] for split in FILES}
        shown = {k: source[k] for k in ("kind", "config", "program", "events") if k in source}
        return {"ids": list(self.ids), "there": True, "sizes": sizes, "source": shown}

    def row(self, written: Mapping[str, Json]) -> dict[str, Json]:
        """Returns a row that a version names, with its events as they are now.

        Args:
            written: its ``row`` and ``events``, ids both.
        """
        row_id = str(written["row"])
        if row_id == REDACTED:
            return {"row": REDACTED, "status": "forgotten", "events": []}
        split, example = self._rows.get(row_id, ("", None))
        return {
            "row": row_id,
            "status": "there" if example else "gone",
            "split": split,
            "label": None if example is None else dict(example.labels),
            "label_reason": example.reason if example else "",
            "weight": example.weight if example else None,
            "events": self._looked_up(row_id, [str(i) for i in written["events"]]),
        }

    def showing(self, demo: Mapping[str, Json]) -> list[dict[str, Json]]:
        """Returns the train rows that a demo shows."""
        return [self.row(_named(e)) for e in self._sources.of([demo])]

    def _looked_up(self, row_id: str, ids: Sequence[str]) -> list[dict[str, Json]]:
        if not self._events.known:
            return [_event(i, _kind(i, row_id), "unknown") for i in ids]
        request = self._events.request(row_id)
        said = {f.id: f for f in self._events.feedback_on(row_id)}
        return [_told(i, row_id, request, said) for i in ids]


def open_rows(snapshots: Path, snapshot_id: str, events: Events) -> Rows:
    """Finds a snapshot, or what it was rebuilt as after something of it was forgotten.

    Args:
        snapshots: the workspace's.
        snapshot_id: as a version names it; "" where it names none.
        events: where events are looked up.

    Raises:
        CorruptionError: the snapshot is damaged.
    """
    ids = [snapshot_id] if snapshot_id else []
    while ids:
        folder = snapshots / ids[-1][:12]
        if (folder / "manifest.json").is_file():
            return Rows(ids, Snapshot.load(folder), events)
        mark = snapshots / f"{folder.name}{STALE}"
        if not mark.is_file() or (now := str(read_json(mark)["rebuilt_as"])) in ids:
            break
        ids.append(now)
    return Rows(ids, None, events)


def _named(example: Example) -> dict[str, Json]:
    return {"row": example.id, "events": list(example.event_ids)}


def _kind(event_id: str, row_id: str) -> str:
    return "request" if event_id == row_id else "feedback"


def _told(
    event_id: str, row_id: str, request: Request | None, said: Mapping[str, Feedback]
) -> dict[str, Json]:
    """Who did what when, as far as it is still there."""
    kind = _kind(event_id, row_id)
    if event_id == REDACTED:
        return _event(event_id, "feedback", "forgotten")
    if kind == "request":
        if request is None:
            return _event(event_id, kind, "missing")
        return {**_event(event_id, kind, "found"), "time": request.time, "who": request.user or ""}
    f = said.get(event_id)
    if f is None:
        return _event(event_id, kind, "missing")
    told = {"time": f.time, "who": f.rater, "role": str(f.role)}
    return {**_event(event_id, kind, "found"), **told, "signal": str(f.signal), "value": f.value}


def _event(event_id: str, kind: str, status: str) -> dict[str, Json]:
    return {"id": event_id, "kind": kind, "status": status}
