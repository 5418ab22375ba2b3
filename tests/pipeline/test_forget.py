"""Forgetting a user or a request: nothing of it is anywhere, and everything else is as it was."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pipeline.conftest import NOW, START, Project
from tests.pipeline.forgetting import (
    COMMENT,
    PLANT,
    USER,
    feedback,
    planted_events,
    project_on_store,
    steps_of,
    traces,
)
from tests.unit.store.stores import KINDS, database
from upturn.datasets import Snapshot
from upturn.errors import DataError, StorageError
from upturn.events import Request, Signal
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.forget.snapshots import folders, read_rows
from upturn.pipeline.forgetting import Forgetting, expire, forget
from upturn.pipeline.turn import run_turn
from upturn.pipeline.workspace import read_json
from upturn.privacy import Pseudonyms, Scrubber, ScrubRules
from upturn.store import FeedbackStore

ROWS = (40, 41, 42, 151, 152, 320)
KEY = Pseudonyms(b"a key for tests, 32 bytes of it.")


@dataclass(frozen=True)
class Ready:
    """A project after a turn, and its open store."""

    project: Project
    store: FeedbackStore

    @property
    def workspace(self) -> Path:
        return self.project.root / "mlruns"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.workspace / "ledger.jsonl", clock=lambda: NOW)

    def forget(self, identity: str, **changed: object) -> Forgetting:
        values: dict[str, object] = {
            "store": self.store,
            "folder": self.workspace,
            "pseudonyms": None,
            "clock": lambda: NOW,
        }
        return forget(identity, **{**values, **changed})  # pyright: ignore[reportArgumentType]

    def splits(self) -> dict[str, str]:
        """Row -> the split it is in, of the one snapshot there is."""
        (folder,) = folders(self.workspace / "snapshots")
        return {e.id: split for split, rows in read_rows(folder).items() for e in rows}


@pytest.fixture
def ready(make_project):
    project = project_on_store(make_project, [*planted_events(ROWS), *steps_of("req-0040")])
    run_turn(project.parts("search.n_trials=4"), project.world())
    with FeedbackStore.open(str(project.root / "feedback.db")) as store:
        yield Ready(project, store)


def test_a_user_is_nowhere_afterwards(ready):
    root = ready.project.root
    (root / "rejects").mkdir()
    (root / "rejects" / "in.jsonl").write_text(
        json.dumps({"file": "x", "reason": f"got '{PLANT}-40 \"my\" <b>'", "id": "req-0040"})
        + '\n{"reason": "something else"}\n'
    )
    (root / "upturn-spill").mkdir()
    line = json.dumps({"kind": "request", "id": "req-0041"})
    (root / "upturn-spill" / "1.jsonl").write_text(f"{line}\n")
    with gzip.open(ready.workspace / "kept.txt.gz", "wt") as file:
        file.write(f"req-0042 by {USER}, req-0044 by somebody else")
    assert traces(root, PLANT, COMMENT, USER)
    before = ready.splits()
    assert {before[f"req-{n:04d}"] for n in ROWS} == {"holdout"}  # one user is in one split

    done = ready.forget(USER)

    ids = [f"req-{n:04d}" for n in ROWS]
    assert traces(root, PLANT, COMMENT, USER, *ids) == []
    assert (done.found, done.requests, done.feedback) == (True, 8, 6)
    assert done.left == ()
    after = ready.splits()
    assert after == {i: s for i, s in before.items() if i not in ids}
    rest = (root / "rejects" / "in.jsonl").read_text()
    assert rest == '{"reason": "something else"}\n'
    with gzip.open(ready.workspace / "kept.txt.gz", "rt") as file:
        assert file.read() == "[forgotten] by [forgotten], req-0044 by somebody else"


@pytest.mark.parametrize("split", ["train", "dev", "holdout"])
def test_a_row_of_any_split_goes_and_no_other_row_moves(ready, split):
    before = ready.splits()
    gone = next(i for i in sorted(before) if before[i] == split and int(i[4:]) not in ROWS)
    text = str(ready.store.request(gone).inputs["message"])
    assert traces(ready.project.root, text, gone)
    ready.forget(gone)
    assert ready.splits() == {i: s for i, s in before.items() if i != gone}
    assert traces(ready.project.root, text, gone) == []


def test_what_is_left_of_a_snapshot_is_a_snapshot(ready):
    (old,) = folders(ready.workspace / "snapshots")
    was = Snapshot.load(old)
    done = ready.forget("req-0320")
    (rebuilt,) = done.removed.snapshots
    (folder,) = folders(ready.workspace / "snapshots")
    now = Snapshot.load(folder)
    assert (rebuilt.id, rebuilt.rebuilt_as) == (was.id, now.id)
    assert rebuilt.rows == {"train": 0, "dev": 0, "holdout": 1}
    assert now.manifest["derived_from"] == was.id
    assert now.manifest["dropped"]["forgotten"] == 1
    assert now.holdout.rows == was.holdout.rows - 1
    assert (now.train, now.dev) == (was.train, was.dev)
    stale = read_json(ready.workspace / "snapshots" / f"{old.name}.stale.json")
    assert stale["rebuilt_as"] == now.id
    assert not old.exists()
    assert list(done.removed.turns) == [p.name for p in (ready.workspace / "turns").iterdir()]


def test_a_look_at_a_holdout_is_a_look_at_what_is_left_of_it(ready):
    (rebuilt,) = ready.forget("req-0320").removed.snapshots
    looked = ready.ledger.looks(rebuilt.holdout)
    assert len(looked) == 1
    carried = ready.ledger.looks(rebuilt.new_holdout)
    assert [(x.turn, x.alpha, x.number) for x in carried] == [
        (x.turn, x.alpha, x.number) for x in looked
    ]


def test_the_ledger_knows_that_and_not_what(ready):
    ready.forget(USER)
    assert ready.ledger.verify() > 0
    (entry,) = [e for e in ready.ledger.entries() if e.kind is EntryKind.FORGET]
    assert (entry.data["requests"], entry.data["feedback"]) == (8, 6)
    assert traces(ready.workspace / "ledger.jsonl", PLANT, USER, "req-") == []


def test_what_others_said_word_for_word_stays(ready):
    text = "where is my broken parcel, please?"
    mine, theirs = (
        Request(
            id=f"same-{who}",
            time=START.isoformat(),
            program="tickets",
            inputs={"message": text},
            outputs={"team": "returns"},
            user=who,
        )
        for who in ("somebody-1", "somebody-2")
    )
    ready.store.add([mine, theirs])
    (ready.workspace / "note.txt").write_text(f"same-somebody-1 asked {text}")
    ready.forget("somebody-1")
    assert (ready.workspace / "note.txt").read_text() == f"[forgotten] asked {text}"
    assert ready.store.request("same-somebody-2") == theirs
    assert ready.store.request("same-somebody-1") is None


def test_who_quotes_it_is_named_and_redacted(ready):
    quote = f"an agent wrote: {PLANT}-777 is what I said, see above"
    ready.store.add(
        [
            Request(
                id="quoted-1",
                time=START.isoformat(),
                program="tickets",
                inputs={"message": f"{PLANT}-777 is what I said"},
                outputs={},
                error="no answer",
                user="somebody-7",
            ),
            feedback("req-0001", comment=quote),
        ]
    )
    done = ready.forget("quoted-1")
    assert done.quoted_by == ("note-req-0001",)
    (said,) = [f for f in ready.store.feedback_on("req-0001") if f.id == "note-req-0001"]
    assert said.comment == "an agent wrote: [forgotten], see above"
    assert traces(ready.project.root, f"{PLANT}-777") == []


def test_it_does_not_come_back_with_the_next_import(ready):
    ready.forget(USER)
    again = ready.store.add([*planted_events(ROWS), *steps_of("req-0040")])
    assert (again.requests, again.feedback, again.forgotten) == (0, 0, 14)
    assert traces(ready.project.root, PLANT, COMMENT) == []


def test_a_rater_takes_what_they_said(ready):
    ready.store.add(
        [
            feedback("req-0003", id="said-1", rater="guest-4711", comment="UNIQUE-REMARK of guest"),
            feedback("req-9999", id="said-2", rater="guest-4711", comment="for a request unknown"),
        ]
    )
    done = ready.forget("guest-4711")
    assert (done.requests, done.feedback) == (0, 2)
    assert ready.store.request("req-0003") is not None
    assert traces(ready.project.root, "UNIQUE-REMARK", "guest-4711") == []


def test_a_scrubbed_user_is_found_by_the_plain_id(ready):
    scrubber = Scrubber(ScrubRules(), KEY)
    mark = scrubber.identifier("jane@example.com")
    ready.store.add(
        [
            Request(
                id="req-of-jane",
                time=START.isoformat(),
                program="tickets",
                inputs={"message": "the message of JANE-TEXT"},
                outputs={"team": "billing"},
                user=mark,
            )
        ]
    )
    with pytest.raises(DataError, match="nobody has it"):
        ready.forget("jane@example.com")
    done = ready.forget("jane@example.com", pseudonyms=KEY)
    assert done.requests == 1
    assert traces(ready.project.root, "JANE-TEXT", mark) == []


def test_an_unknown_id_changes_nothing(ready):
    files = {p: p.read_bytes() for p in ready.workspace.rglob("*") if p.is_file()}
    with pytest.raises(DataError, match="nobody has it"):
        ready.forget("cust-9999")
    assert {p: p.read_bytes() for p in ready.workspace.rglob("*") if p.is_file()} == files


class Dying:
    """A store that fails when it is to forget: the last step but one."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def forget(self, **_: object) -> None:
        raise StorageError("the power went")


def test_the_same_command_ends_what_a_kill_interrupted(ready):
    with pytest.raises(StorageError, match="the power went"):
        ready.forget(USER, store=Dying(ready.store))
    assert ready.store.request("req-0040") is not None
    done = ready.forget(USER)
    assert (done.found, done.repeated, done.requests) == (True, True, 8)
    assert len(done.removed.snapshots) == 1
    assert traces(ready.project.root, PLANT, COMMENT, USER) == []
    again = ready.forget(USER)
    assert (again.found, again.repeated, again.requests, again.left) == (False, True, 0, ())
    assert len([e for e in ready.ledger.entries() if e.kind is EntryKind.FORGET]) == 1


def test_without_a_workspace_the_store_alone_forgets(ready):
    done = ready.forget("req-0151", folder=None)
    assert (done.requests, done.removed.snapshots) == (1, [])
    assert ready.store.request("req-0151") is None


def test_what_cannot_be_reached_is_said(ready):
    (ready.workspace / "table.parquet").write_bytes(b"PAR1")
    done = ready.forget(USER)
    assert any("table.parquet" in what for what in done.unreached)
    assert any("backups" in what for what in done.unreached)
    assert any("remote MLflow server" in what for what in done.unreached)


def test_a_binary_file_that_holds_it_is_left_and_named(ready):
    (ready.workspace / "dump.bin").write_bytes(b"\x00\xff" + f"by {USER} ".encode() + b"\x00")
    done = ready.forget(USER)
    assert [what for what in done.left if "dump.bin" in what] == list(done.left)
    assert len(done.left) == 1


def test_age_takes_events_rows_and_texts(ready):
    before = START + timedelta(hours=3 * 100)
    splits = ready.splits()
    done = expire(
        before,
        store=ready.store,
        folder=ready.workspace,
        clock=lambda: datetime(2026, 12, 1, tzinfo=UTC),
    )
    kept = {i: s for i, s in splits.items() if int(i.split("-")[1]) >= 100}
    assert ready.splits() == kept
    assert len(kept) == 230
    assert done.requests == 102  # with the two steps of req-0040
    assert traces(ready.workspace, f"{PLANT}-40", f"{PLANT}-42") == []
    assert ready.store.request("req-0099") is None
    assert ready.store.request("req-0100") is not None
    late = feedback("req-0300", id="old", time=START.isoformat(), signal=Signal.KEPT, value=True)
    assert ready.store.add([late]).forgotten == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_of_any_kind_forgets_and_names_who_quotes(tmp_path, kind):
    said = Request(
        id="mine-001",
        time=START.isoformat(),
        program="tickets",
        inputs={"message": f"{PLANT} is mine alone"},
        outputs={"team": "billing"},
        user=USER,
    )
    other = replace(said, id="other-01", user="other", inputs={"message": "no"})
    quote = feedback("other-01", comment=f"somebody wrote: {PLANT} is mine alone, see there")
    with database(kind, tmp_path) as url, FeedbackStore.open(url) as store:
        store.add([said, other, quote])
        done = forget(USER, store=store, folder=None, pseudonyms=None, clock=lambda: NOW)
        assert (done.requests, store.request("mine-001")) == (1, None)
        left = [what for what in done.left if "note-other-01" in what]
        comment = store.feedback_on("other-01")[0].comment or ""
        if kind == "sqlite":
            assert (comment, done.left) == ("somebody wrote: [forgotten], see there", ())
        else:
            assert len(left) == len(done.left) == 1
            assert "postgres@127.0.0.1" in left[0]
