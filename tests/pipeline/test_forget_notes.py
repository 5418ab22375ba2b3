"""Forgetting what somebody wrote beside their feedback: the note goes, the row may stay."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.pipeline.conftest import NOW, START, events
from tests.pipeline.forgetting import COMMENT, feedback, traces
from upturn.datasets import Snapshot, SplitRules, freeze
from upturn.labels import compile_labels
from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.snapshots import folders, read_rows, rebuild
from upturn.pipeline.forgetting import Forgetting, forget
from upturn.records import Example
from upturn.store import FeedbackStore

GUEST = "guest-4711"
LONG = (
    f"{COMMENT} said\n\tthis   of the lamp, and more than thirty two characters of it, \"all\" 'so'"
)
NOTED = ("req-0003", "req-0004", "req-0005")


def said(request: str, name: str, comment: str, rater: str, hour: int = 1):
    time = (START + timedelta(days=50, hours=hour)).isoformat()
    return feedback(request, id=f"note-{name}", comment=comment, rater=rater, time=time)


COMMENTS = [
    said("req-0003", "long", LONG, GUEST),
    said("req-0003", "other", "the others think so", "agent-0", hour=2),
    said("req-0004", "short", "rude", GUEST),
    said("req-0004", "mine", "rude", "agent-0", hour=2),
    said("req-0005", "shared", "what everybody says", GUEST),
    said("req-0006", "shared-2", "what everybody says", "agent-0"),
    said("req-0007", "quote", f"a guest wrote: {LONG}", "agent-0"),
]


@pytest.fixture
def store(tmp_path: Path):
    with FeedbackStore.open(str(tmp_path / "feedback.db")) as opened:
        opened.add([*events(60), *COMMENTS])
        rows = compile_labels(opened, now=NOW, min_age_hours=72).examples()
        rules = SplitRules(dev=0.1, holdout=0.1)
        freeze(rows, rules=rules, folder=tmp_path / "mlruns" / "snapshots", provenance={})
        yield opened


def notes(root: Path) -> dict[str, tuple[str, ...]]:
    (folder,) = folders(root / "mlruns" / "snapshots")
    Snapshot.load(folder)
    return {e.id: e.notes for rows in read_rows(folder).values() for e in rows if e.notes}


def forgotten(identity: str, root: Path, store: FeedbackStore) -> Forgetting:
    folder = root / "mlruns"
    return forget(identity, store=store, folder=folder, pseudonyms=None, clock=lambda: NOW)


def test_what_a_rater_wrote_goes_and_the_rows_stay(tmp_path, store):
    (old,) = folders(tmp_path / "mlruns" / "snapshots")
    before = {e.id for rows in read_rows(old).values() for e in rows}
    line = " ".join(LONG.split())
    assert notes(tmp_path)["req-0003"] == ("the others think so", line)
    assert notes(tmp_path)["req-0007"] == (f"a guest wrote: {line}",)

    done = forgotten(GUEST, tmp_path, store)

    assert (done.requests, done.feedback, done.left) == (0, 3, ())
    assert notes(tmp_path) == {
        # Of req-0004 the same word of somebody else goes, too: notes do not say whose they are.
        "req-0003": ("the others think so",),
        # What others said word for word is theirs.
        "req-0006": ("what everybody says",),
    }
    (new,) = folders(tmp_path / "mlruns" / "snapshots")
    assert {e.id for rows in read_rows(new).values() for e in rows} == before
    assert traces(tmp_path, COMMENT, GUEST) == []


def test_a_request_takes_the_notes_on_it(tmp_path, store):
    forgotten("req-0003", tmp_path, store)
    assert "req-0003" not in notes(tmp_path)
    assert traces(tmp_path, COMMENT, "the others think so") == []
    assert "req-0004" in notes(tmp_path)


def test_a_snapshot_without_a_note_is_another(tmp_path):
    rows = [
        Example(
            id=f"r{n}",
            inputs={"message": f"message number {n} of these"},
            labels={"team": "billing"},
            group=f"g{n}",
            time=f"2026-01-{n + 1:02d}T00:00:00+00:00",
            notes=("bad", f"note number {n} on it"),
        )
        for n in range(20)
    ]
    made = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={})
    first, second = made.train[0].id, made.train[1].id
    rebuilt = rebuild(
        made.folder,
        lambda e: False,
        names=(),
        needles=Needles([f"note number {second[1:]} on it"], ()),
        subject="mark",
        notes={first: {"bad"}},
    )
    assert rebuilt is not None
    assert rebuilt.rows == {"train": 0, "dev": 0, "holdout": 0}
    assert (rebuilt.id != rebuilt.rebuilt_as, rebuilt.holdout) == (True, rebuilt.new_holdout)
    (folder,) = folders(tmp_path)
    left = {e.id: e.notes for e in Snapshot.load(folder).train}
    assert left[first] == (f"note number {first[1:]} on it",)
    assert left[second] == ("bad",)
