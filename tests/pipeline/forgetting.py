"""A project on a feedback store with planted events, and a search that leaves nothing out."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.pipeline.conftest import CONFIG, Project, events
from upturn.events import Feedback, Request, Role, Signal
from upturn.store import FeedbackStore

#: Found whatever a file does to quotes, brackets and letters.
PLANT, COMMENT, USER = "PLANTED-7731", "COMMENT-9917", "cust-planted-5"
STORE_CONFIG = CONFIG.replace(
    "kind: feedback_log\n  paths: [log.jsonl]",
    "kind: feedback_store\n  store: feedback.db\n  program: tickets",
)


def message(n: int, cue: str) -> str:
    """A planted text that every format has to escape."""
    return f'{PLANT}-{n} "my" <b>{cue}</b> & ünïcode, it\'s\nthe {cue} number {n} of mine'


def planted_events(rows: tuple[int, ...], n: int = 330) -> list[Request | Feedback]:
    """The usual log, in which some rows carry planted texts of the planted user."""
    made: list[Request | Feedback] = []
    for event in events(n):
        number = int(event.id.split("-")[1])
        if number in rows and isinstance(event, Request):
            cue = next(w for w in reversed(str(event.inputs["message"]).split()) if w.isalpha())
            text = message(number, cue)
            event = replace(event, inputs={"message": text}, user=USER, raw={"said": text})
        elif number in rows and isinstance(event, Feedback):
            event = replace(event, comment=f'{COMMENT} says "{number}" <i>')
        made.append(event)
    return made


def steps_of(request_id: str) -> list[Request | Feedback]:
    """A step of a request that holds its text, and a step of that step."""
    return [
        Request(
            id=f"{request_id}-step-{n}",
            time="2026-08-01T00:00:00+00:00",
            program="retrieve",
            inputs={"query": f"{PLANT} step {n} text"},
            outputs={},
            parent=request_id if n == 1 else f"{request_id}-step-1",
        )
        for n in (1, 2)
    ]


def fill(root: Path, made: list[Request | Feedback]) -> str:
    """Makes the project's store, and returns where it is."""
    (root / "log.jsonl").unlink(missing_ok=True)
    with FeedbackStore.open(str(root / "feedback.db")) as store:
        store.add(made)
    return str(root / "feedback.db")


def feedback(request_id: str, **changed: object) -> Feedback:
    """A comment on a request."""
    values: dict[str, object] = {
        "id": f"note-{request_id}",
        "request_id": request_id,
        "time": "2026-08-01T00:00:00+00:00",
        "signal": Signal.COMMENT,
        "value": None,
        "rater": "agent-0",
        "role": Role.AGENT,
        "comment": "nothing to say here",
    }
    return Feedback(**{**values, **changed})


def traces(root: Path, *needles: str) -> list[str]:
    """Searches every byte of every file, what is packed, and every value of every table."""
    return [
        f"{where}: {needle}"
        for path in sorted(root.rglob("*"))
        if path.is_file()
        for where, content in _contents(path)
        for needle in needles
        if needle.encode() in content
    ]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    data = path.read_bytes()
    yield str(path), data
    if data[:2] == b"\x1f\x8b":
        yield f"{path} unpacked", gzip.decompress(data)
    if data[:6] == b"SQLite":
        with closing(sqlite3.connect(path)) as db:
            tables = db.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in tables:
                for row in db.execute(f'select * from "{table}"').fetchall():
                    text = "\n".join(v if isinstance(v, str) else repr(v) for v in row)
                    yield f"{path}:{table}", text.encode()


def project_on_store(make_project, made: list[Request | Feedback]) -> Project:
    """Returns a project that reads the store."""
    project: Project = make_project(config=STORE_CONFIG)
    fill(project.root, made)
    return project
