"""``upturn forget`` where the store lies in the workspace, and where a kill came in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pipeline.forgetting import COMMENT, PLANT, USER, planted_events, traces
from tests.pipeline.test_forget import ROWS, Ready, ready
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.forget.snapshots import STALE, folders
from upturn.store import FeedbackStore

__all__ = ["ready"]


def forgets(made: Ready) -> list[object]:
    entries = made.ledger.entries()
    return [e.data["requests"] for e in entries if e.kind is EntryKind.FORGET]


def test_a_store_in_the_workspace_forgets_whole_events(ready):
    """Its rows are removed, not redacted: a redacted row is found by no name, and stays."""
    with FeedbackStore.open(str(ready.workspace / "feedback.db")) as store:
        store.add(planted_events(ROWS))
        before = store.counts()
        done = ready.forget(USER, store=store)
        after = store.counts()
        assert (done.requests, done.feedback, done.left) == (6, 6, ())
        assert (before.requests - after.requests, before.feedback - after.feedback) == (6, 6)
        store.add(planted_events(ROWS))
        assert store.counts() == after
    (ready.project.root / "feedback.db").unlink()
    assert traces(ready.workspace, PLANT, COMMENT, USER) == []


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def test_a_snapshot_that_was_half_removed_is_none_and_goes(ready, monkeypatch):
    (old,) = folders(ready.workspace / "snapshots")
    removed: list[str] = []

    def dying(name, *args, _unlink=os.unlink, **more):
        if Path(name).parent == old or Path(name).name in {p.name for p in old.iterdir()}:
            if removed:
                raise Killed
            removed.append(Path(name).name)
        _unlink(name, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", dying)
        with pytest.raises(Killed):
            ready.forget(USER)
    assert removed == ["manifest.json"]
    assert old.is_dir()
    assert old.with_name(old.name + STALE).exists()
    (made,) = folders(ready.workspace / "snapshots")
    done = ready.forget(USER)
    assert (done.requests, done.left, old.exists()) == (8, (), False)
    assert folders(ready.workspace / "snapshots") == [made]
    assert traces(ready.project.root, PLANT, COMMENT, USER) == []


def test_a_kill_before_the_ledger_heard_of_it_is_told_by_the_next_run(ready, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append_forget", _die)
        with pytest.raises(Killed):
            ready.forget(USER)
    assert forgets(ready) == []
    ready.forget(USER)
    assert forgets(ready) == [0]
    ready.forget(USER)
    assert forgets(ready) == [0]


def _die(self: Ledger, data: object) -> None:
    raise Killed
