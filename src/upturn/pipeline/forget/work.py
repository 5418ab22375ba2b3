"""Takes a subject out of all that a workspace holds, in an order that a kill cannot break."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upturn.errors import CorruptionError
from upturn.ledger import Ledger
from upturn.pipeline.forget import snapshots as snap
from upturn.pipeline.forget import versions as ver
from upturn.pipeline.forget.places import sweep
from upturn.pipeline.forget.records import clean_reports
from upturn.pipeline.forget.registry_tags import Version, follow
from upturn.pipeline.forget.subject import Subject
from upturn.pipeline.forget.tables import Swept
from upturn.pipeline.reports import refresh
from upturn.pipeline.workspace import Workspace, read_json
from upturn.records import Example, Json
from upturn.tracking.database import DATABASE


@dataclass(kw_only=True)
class Removed:
    """What was taken out of a workspace.

    Attributes:
        snapshots: those that were rebuilt.
        versions: registered versions that lost demos or texts; learned: those that were searched
            on a snapshot that was rebuilt, as ``program: turn``.
        exports: bundles that were changed.
        candidates: logged candidates that lost demos.
        turns: turns that ran on a snapshot that was rebuilt.
        swept: files and tables that were redacted.
    """

    snapshots: list[snap.Rebuilt] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    exports: list[ver.Changed] = field(default_factory=list)
    candidates: int = 0
    turns: list[str] = field(default_factory=list)
    swept: Swept = field(default_factory=Swept)


@dataclass(frozen=True, kw_only=True)
class Work:
    """One removal.

    Attributes:
        workspace: whose files are changed; the caller holds it.
        ledger: its ledger.
        places: further files and folders that are searched.
        store: the store's file, which may lie in the workspace; it is left as it is, since what is
            to be removed from it is found by the names that are in it.
        mark: hash that stands for the subject.
        gone: tells which rows of snapshots go.
    """

    workspace: Workspace
    ledger: Ledger
    places: Sequence[Path]
    store: Path | None
    mark: str
    gone: Callable[[Example], bool]

    def read(self, subject: Subject) -> None:
        """Adds what snapshots say of a subject: rows that go, and texts that rows share which stay.

        Raises:
            CorruptionError: a snapshot was damaged before.
        """
        rows = [
            e
            for folder in snap.folders(self.workspace.snapshots)
            for some in snap.read_rows(folder).values()
            for e in some
        ]
        for e in rows:
            if self.gone(e):
                subject.add_example(e)
        for e in rows:
            if not self.gone(e):
                subject.keep(e.id, (e.inputs, e.labels))

    def remove(self, subject: Subject) -> Removed:
        """Takes the subject out. May be repeated; what was done stays done."""
        done = Removed()
        needles = subject.needles
        snap.finish(self.workspace.snapshots)
        names = subject.names if subject.user else frozenset[str]()
        for folder in snap.folders(self.workspace.snapshots):
            made = snap.rebuild(
                folder,
                self.gone,
                names=names,
                needles=needles,
                subject=self.mark,
                notes=subject.notes,
            )
            if made is not None:
                done.snapshots.append(made)
        self._finish_snapshots(done)
        self._versions(subject, done)
        clean_reports(self.workspace.folder, subject)
        done.swept = sweep(self.searched, needles, but=self.store)
        refresh(self.workspace.folder)
        done.turns = self._turns({s.id for s in done.snapshots})
        return done

    @property
    def searched(self) -> list[Path]:
        """All places that are searched."""
        return [self.workspace.folder, *self.places]

    def _finish_snapshots(self, done: Removed) -> None:
        """Takes in what an earlier run that was killed has done for the same subject."""
        known = {s.id for s in done.snapshots}
        for path in sorted(self.workspace.snapshots.glob(f"*{snap.STALE}")):
            note: dict[str, Json] = read_json(path)
            if note.pop("forgotten") != self.mark:
                continue
            rebuilt = snap.Rebuilt(**note)
            if rebuilt.id not in known:
                done.snapshots.append(rebuilt)
        for rebuilt in done.snapshots:
            snap.carry_looks(self.ledger, rebuilt)

    def _versions(self, subject: Subject, done: Removed) -> None:
        kept = subject.shared
        inputs = [i for i in subject.inputs if _is_own(i, kept)]
        demos = ver.Demos(needles=subject.needles, inputs=inputs)
        artifacts = self.workspace.folder / "artifacts"
        own = ver.versions_in(artifacts)
        for folder in own:
            ver.change(folder, demos, self.mark)
        done.versions = [
            v for v in follow(self.workspace.folder / DATABASE, own) if v.mark == self.mark
        ]
        for place in self.places:
            for folder in ver.versions_in(place):
                changed = ver.change(folder, demos, self.mark)
                done.exports += [changed] if changed else []
        for path in sorted(artifacts.rglob("candidate.json")) if artifacts.is_dir() else []:
            if path.parent not in own:
                done.candidates += ver.clean_candidate(path, demos) > 0
        stale = {s.id for s in done.snapshots}
        done.learned = sorted(
            f"{folder.relative_to(artifacts).parts[0]}: turn {manifest['turn']}"
            for folder in own
            if (manifest := ver.manifest_of(folder)).get("facts", {}).get("snapshot") in stale
        )

    def _turns(self, snapshots: set[str]) -> list[str]:
        found: list[str] = []
        for turn in self.workspace.turns():
            try:
                result = read_json(self.workspace.turn(turn) / "result.json")
            except CorruptionError:
                continue
            found += [turn] if result.get("snapshot") in snapshots else []
        return found


def _is_own(inputs: Json, shared: set[str]) -> bool:
    """Tells whether inputs say something that nobody else said word for word."""
    texts = [v.strip() for v in inputs.values() if isinstance(v, str)]
    return not texts or any(t not in shared for t in texts)
