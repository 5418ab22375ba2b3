"""Forgetting somebody, or one request, everywhere; and forgetting what is old.

The store's rows go last: until then the texts that are searched for can be read again, so that the
same command ends what a kill interrupted. Then everything is searched once more, and what is left
is in the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from upturn.errors import DataError
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.forget.answer import Forgetting, entry_of
from upturn.pipeline.forget.places import sweep
from upturn.pipeline.forget.subject import Subject, find
from upturn.pipeline.forget.work import Work
from upturn.pipeline.workspace import Workspace, disk_errors, write_json
from upturn.privacy import Pseudonyms, Scrubber, ScrubRules
from upturn.records import Example, Json, content_hash
from upturn.store import FeedbackStore

__all__ = ["Forgetting", "expire", "forget", "store_file"]

#: Folders beside the workspace and the store that Upturn's commands write to.
BESIDE = ("exported", "rejects", "upturn-rejects", "upturn-spill")
#: What no command on this machine can reach.
BEYOND = (
    "copies of exported bundles, of snapshots and of the store that were taken elsewhere",
    "backups, database logs (PostgreSQL's WAL, its replicas) and file systems that keep old blocks",
    "the artifacts of a remote MLflow server, where a config sets tracking.uri",
    "what a model provider keeps of the calls that were made",
    "weights that were trained, and cue words of instructions that were written, on rows with it",
)


def forget(
    identity: str,
    *,
    store: FeedbackStore,
    folder: Path | None,
    pseudonyms: Pseudonyms | None,
    also: Sequence[Path] = (),
    clock: Callable[[], datetime],
) -> Forgetting:
    """Removes a request with its steps, or all that a user asked and said.

    Args:
        identity: id of a request, user or rater, as the application knows it.
        store: the feedback store.
        folder: the workspace; None, or a folder that does not exist, where there is none.
        pseudonyms: makes the mark that stands for the id where events were scrubbed.
        also: further files and folders that are searched.
        clock: the time now, with zone.

    Raises:
        DataError: nobody and nothing has this id.
        StorageError: something cannot be read or written; the same command goes on from there.
    """
    names = _names(identity, pseudonyms)
    mark = content_hash(["forget", identity])
    subject = find(store, names)
    with _workspace(folder) as workspace:
        work = _work(workspace, store, also, mark, lambda e: _is_of(e, subject), clock)
        if work is not None:
            work.read(subject)
        journal = workspace.folder / "forget" / f"{mark[:16]}.json" if workspace else None
        before = journal is not None and journal.exists()
        if not subject.found and not before:
            raise DataError(
                "a request, user or rater must have this id, nobody has it",
                where=store.where,
                fix="check the id; of a user, give it as the application knows it",
            )
        answer = Forgetting(found=subject.found, repeated=before)
        if journal is not None and not before:
            # Before the first change: a run that comes later must know that this one began.
            write_json(journal, {"subject": mark, "begun": clock().isoformat()})
        _remove(work, subject, answer)
        _from_store(store, subject, answer)
        _search_again(store, work, also, subject, answer)
        # A kill may have come between the store and the ledger: then nothing is found any more.
        if work is not None and (answer.found or not _is_told(work)):
            work.ledger.append_forget(entry_of(mark, answer))
    return answer


def expire(
    before: datetime,
    *,
    store: FeedbackStore,
    folder: Path | None,
    also: Sequence[Path] = (),
    clock: Callable[[], datetime],
) -> Forgetting:
    """Removes everything older than a time, from the store and from what was made of it.

    Args:
        before: with zone; the other arguments are as of :func:`forget`.

    Raises:
        StorageError: something cannot be read or written; the same command goes on from there.
    """
    limit = before.isoformat()
    mark = content_hash(["expire", limit])
    old = {e.id for e in store.exposures() if _is_older(e.time, before)}
    subject = Subject(names=frozenset())
    answer = Forgetting()
    with _workspace(folder) as workspace:

        def gone(example: Example) -> bool:
            return example.id in old or _is_older(example.time, before)

        work = _work(workspace, store, also, mark, gone, clock)
        if work is not None:
            work.read(subject)
        _remove(work, subject, answer)
        counted = store.counts()
        store.expire(limit)
        left = store.counts()
        answer.requests = counted.requests - left.requests
        answer.feedback = counted.feedback - left.feedback
        answer.found = bool(answer.requests or answer.feedback or subject.found)
        _search_again(store, work, also, subject, answer)
        done = answer.found or bool(answer.removed.snapshots or answer.removed.versions)
        if work is not None and (answer.found or (done and not _is_told(work))):
            work.ledger.append_forget({**entry_of(mark, answer), "before": limit})
    return answer


def _names(identity: str, pseudonyms: Pseudonyms | None) -> frozenset[str]:
    """The id as given, and as a scrubber wrote it."""
    if pseudonyms is None:
        return frozenset({identity})
    scrubber = Scrubber(ScrubRules(), pseudonyms)
    return frozenset({identity, scrubber.identifier(identity), scrubber.text(identity)})


@contextmanager
def _workspace(folder: Path | None) -> Generator[Workspace | None]:
    if folder is None or not folder.is_dir():
        yield None
        return
    workspace = Workspace(folder.resolve())
    with workspace.locked(), disk_errors(workspace.folder):
        yield workspace


def _work(
    workspace: Workspace | None,
    store: FeedbackStore,
    also: Sequence[Path],
    mark: str,
    gone: Callable[[Example], bool],
    clock: Callable[[], datetime],
) -> Work | None:
    if workspace is None:
        return None
    ledger = Ledger(workspace.ledger, clock=clock)
    places = [*_beside(workspace.folder.parent), *_beside_store(store), *also]
    return Work(
        workspace=workspace,
        ledger=ledger,
        places=places,
        store=store_file(store),
        mark=mark,
        gone=gone,
    )


def _is_told(work: Work) -> bool:
    """Tells whether the ledger has an entry of this removal."""
    entries = work.ledger.entries()
    return any(e.kind is EntryKind.FORGET and e.data["subject"] == work.mark for e in entries)


def _beside(folder: Path) -> list[Path]:
    return [folder / name for name in BESIDE]


def store_file(store: FeedbackStore) -> Path | None:
    """Returns the file of a SQLite store, None for a server."""
    return None if "://" in store.where else Path(store.where).resolve()


def _beside_store(store: FeedbackStore) -> list[Path]:
    file = store_file(store)
    return [] if file is None else _beside(file.parent)


def _is_of(example: Example, subject: Subject) -> bool:
    if example.id in subject.request_ids or example.id in subject.names:
        return True
    if not subject.feedback_ids.isdisjoint(example.event_ids):
        return True
    # Without events in the store, the name of the group is all that says whose rows they are.
    return not subject.user and example.group in subject.names


def _is_older(time: str, before: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.year > 1970 and moment < before


def _remove(work: Work | None, subject: Subject, answer: Forgetting) -> None:
    answer.quoted_by = tuple(sorted(subject.quoted_by))
    if work is not None:
        answer.removed = work.remove(subject)


def _from_store(store: FeedbackStore, subject: Subject, answer: Forgetting) -> None:
    # A user who asks to be forgotten is forgotten as a rater, too, and the other way round.
    people = () if subject.names & subject.request_ids else subject.names
    gone = store.forget(
        request_ids=subject.request_ids or subject.names, users=people, raters=people
    )
    answer.requests, answer.feedback = gone.requests, gone.feedback


def _search_again(
    store: FeedbackStore,
    work: Work | None,
    also: Sequence[Path],
    subject: Subject,
    answer: Forgetting,
) -> None:
    """Redacts what other rows of the store quote, then looks everywhere once more."""
    needles = subject.needles
    file = store_file(store)
    own = [file] if file is not None else []
    answer.store = sweep(own, needles)
    searched = work.searched if work is not None else list(also)
    last = sweep([*searched, *own], needles, write=False)
    answer.left = tuple(last.left)
    if file is None and answer.quoted_by:
        answer.left += tuple(f"event {i} in {store.where} quotes it" for i in answer.quoted_by)
    unopened = tuple(f"{path} (compressed: not opened)" for path in last.unopened)
    answer.unreached = (*unopened, *_sources(work), *BEYOND)


def _sources(work: Work | None) -> list[str]:
    """Names the logs that snapshots were read from: they are the user's files, not Upturn's."""
    if work is None:
        return []
    found: set[str] = set()
    for path in work.workspace.snapshots.glob("*/manifest.json"):
        manifest: Json = json.loads(path.read_text(encoding="utf-8"))
        for source in manifest.get("provenance", {}).get("sources", ()):
            found.add(f"{source['path']} (a log that snapshots are read from: remove it there)")
    return sorted(found)
