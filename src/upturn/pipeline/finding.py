"""The stored report that a person means by a turn, a version or a program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upturn.errors import InputError
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.reports import PAGE, RECORD, read_document
from upturn.pipeline.store import existing, open_registry
from upturn.pipeline.workspace import Workspace
from upturn.records import Json
from upturn.report import Document, render_decision, render_page


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A turn's report as it was stored, and what became of its version since.

    Attributes:
        document: the report.
        path: of its page.
        overrides: promotions of its version without the gate's word, a sentence each.
    """

    document: Document
    path: Path
    overrides: tuple[str, ...]

    def page(self) -> str:
        """Returns it as one HTML file."""
        return render_page(self.document, overrides=self.overrides)

    def markdown(self) -> str:
        """Returns it as Markdown."""
        return render_decision(self.document.turn, overrides=self.overrides)

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON."""
        return {**self.document.to_json(), "overrides": list(self.overrides)}


def find_report(folder: Path, run: str, *, uri: str = "") -> Stored:
    """Returns the report of a turn.

    Args:
        folder: the workspace.
        run: a turn's id or its first letters, ``program@version``, or a program: its latest turn.
        uri: the MLflow server, where versions are there.

    Raises:
        InputError: no turn, or more than one, or it has no stored report.
        CorruptionError: the report was changed.
        StorageError: the registry cannot be read.
    """
    workspace = existing(folder)
    name, _, version = run.partition("@")
    turn = _of_version(folder, name, version, uri) if version else _turn(workspace, run)
    record = workspace.turn(turn) / RECORD
    if not record.exists():
        raise InputError(
            f"turn {turn} must have a stored report, found no {RECORD}",
            where=str(record.parent),
            fix=f"open {record.with_name(PAGE)}: turns of earlier releases have that page alone",
        )
    document = read_document(record)
    own = version or document.turn.version
    ledger = Ledger(workspace.ledger, clock=lambda: datetime.now(UTC))
    return Stored(
        document=document,
        path=record.with_name(PAGE),
        overrides=_overrides(ledger, document.turn.program, own),
    )


def _turn(workspace: Workspace, run: str) -> str:
    """The turn whose id begins so, or the latest of a program."""
    turns = sorted((workspace.folder / "turns").glob(f"*/{PAGE}"), key=lambda p: p.stat().st_mtime)
    names = [p.parent.name for p in turns]
    found = [name for name in names if run and name.startswith(run)]
    if run in found or len(found) == 1:
        return run if run in found else found[0]
    if found:
        raise InputError(
            f"a turn must be named without doubt, {run} may be {', '.join(sorted(found)[:4])}",
            fix="give more of its letters; `upturn ls` lists the turns",
        )
    of_program = [p for p in turns if _program(p.with_name(RECORD)) == run]
    if not of_program:
        raise InputError(
            f"there must be a turn, a version or a program of this name, got {run!r}",
            where=str(workspace.folder),
            fix="upturn ls",
        )
    return of_program[-1].parent.name


def _program(record: Path) -> str:
    return read_document(record).turn.program if record.exists() else ""


def _of_version(folder: Path, program: str, version: str, uri: str) -> str:
    with open_registry(folder, uri=uri) as registry:
        turn = registry.load(program, version).turn
    if not turn or not (Workspace(folder.resolve()).turn(turn) / PAGE).exists():
        raise InputError(
            f"a report must be a turn's: {program} version {version} was adopted as written, or "
            "its turn ran in another workspace",
            fix=f"upturn report {program}",
        )
    return turn


def _overrides(ledger: Ledger, program: str, version: str) -> tuple[str, ...]:
    return tuple(
        f"version {version} was promoted on {e.time[:10]} without the gate's word, by "
        f"{e.data.get('who') or 'somebody unnamed'}: {e.data.get('reason') or 'no reason given'}"
        for e in ledger.entries(program)
        if e.kind == EntryKind.PROMOTION
        and e.data.get("override")
        and str(e.data.get("version")) == version
    )
