"""A tracker and a registry that keep everything in memory: same contracts, no MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from upturn.records import Candidate, Evaluation, Example, Json
from upturn.tracking.base import RunKind, RunRecord, TurnInfo, TurnStatus
from upturn.tracking.database import DATABASE, prepare
from upturn.tracking.mlflow_client import installed_schema
from upturn.tracking.mlflow_store import MlflowStore, open_store
from upturn.tracking.versions import (
    Aliases,
    RegisteredVersion,
    VersionInfo,
    build_files,
    describe,
    read_version,
    unknown_version,
)


def migrated_store(cache: Path, root: Path) -> MlflowStore:
    """Opens a fresh MLflow store in ``root`` without paying for its migrations again.

    Args:
        cache: folder that keeps one migrated database for all tests; safe to share by processes.
        root: the runs folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(prepare(cache, installed_schema()), root / DATABASE)
    return open_store(root)


@dataclass(kw_only=True)
class MemoryRun:
    """One logged run, as tests look at it."""

    id: str
    record: RunRecord
    rows: Evaluation | None
    examples: tuple[Example, ...]


@dataclass(kw_only=True)
class MemoryTurn:
    """One turn, as tests look at it."""

    info: TurnInfo
    runs: dict[tuple[str, str], MemoryRun] = field(default_factory=dict)
    series: dict[str, list[float | None]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    decision: str = ""
    verdict: str = ""
    status: TurnStatus | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)


class MemoryTracker:
    """Keeps turns in ``turns``, by id. Implements ``Tracker``."""

    def __init__(self) -> None:
        self.turns: dict[str, MemoryTurn] = {}
        self._current = ""

    @property
    def turn(self) -> MemoryTurn:
        """The turn that was started last."""
        return self.turns[self._current]

    def start_turn(self, info: TurnInfo) -> str:
        self.turns.setdefault(info.turn, MemoryTurn(info=info)).status = None
        self._current = info.turn
        return f"run-{info.turn}"

    def log_candidate(
        self,
        record: RunRecord,
        rows: Evaluation | None = None,
        examples: Sequence[Example] = (),
    ) -> str:
        run_id = f"run-{self._current}-{record.kind}-{record.name}"
        run = MemoryRun(id=run_id, record=record, rows=rows, examples=tuple(examples))
        return self.turn.runs.setdefault((record.kind, record.name), run).id

    def log_series(self, name: str, values: Sequence[float | None]) -> None:
        self.turn.series[name] = list(values)

    def log_files(self, files: Mapping[str, bytes]) -> None:
        self.turn.files.update(files)

    def finish_turn(
        self,
        decision: str,
        status: TurnStatus,
        *,
        verdict: str = "",
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        self.turn.decision, self.turn.status, self.turn.verdict = decision, status, verdict
        self.turn.metrics.update(metrics or {})

    def links(self) -> dict[str, str]:
        if not self._current:
            return {}
        kinds = {kind for kind, _ in self.turn.runs}
        pages = {"turn": f"memory://{self._current}"}
        if {RunKind.CHAMPION, RunKind.CHALLENGER} <= kinds:
            pages["champion vs challenger"] = f"memory://{self._current}/compare"
        return pages


class MemoryRegistry:
    """Keeps versions as the same files that MLflow would hold. Implements ``Registry``."""

    def __init__(self) -> None:
        self.stored: dict[str, list[dict[str, bytes]]] = {}
        self._keys: dict[tuple[str, str, str], str] = {}
        self._aliases: dict[str, Aliases] = {}
        self._overrides: dict[tuple[str, str], str] = {}
        self._heads: dict[str, str] = {}

    def register(
        self,
        candidate: Candidate,
        *,
        program: str,
        turn: str,
        report_json: Mapping[str, Json],
        files: Mapping[str, bytes],
        facts: Mapping[str, Json] | None = None,
        run_id: str = "",
    ) -> str:
        key = (program, turn, candidate.id)
        if key not in self._keys:
            content = build_files(
                candidate, turn=turn, report_json=report_json, files=files, facts=facts or {}
            )
            versions = self.stored.setdefault(program, [])
            versions.append(content)
            self._keys[key] = str(len(versions))
        return self._keys[key]

    def champion(self, program: str) -> RegisteredVersion | None:
        version = self.aliases(program).champion
        return self.load(program, version) if version else None

    def set_champion(self, program: str, version: str) -> None:
        self.load(program, version)
        self._aliases[program] = replace(self.aliases(program), champion=version)

    def aliases(self, program: str) -> Aliases:
        return self._aliases.get(program, Aliases())

    def set_staging(self, program: str, version: str) -> None:
        if version:
            self.load(program, version)
        self._aliases[program] = replace(self.aliases(program), staging=version)

    def settle(self, program: str, entry: str) -> None:
        self._aliases[program] = replace(self.aliases(program), settled=entry)

    def heads(self) -> dict[str, str]:
        return dict(self._heads)

    def mirror(self, program: str, head: str) -> None:
        self._heads[program] = head

    def mark_override(self, program: str, version: str, because: str) -> None:
        self._overrides[program, version] = because

    def versions(self, program: str) -> list[VersionInfo]:
        named, stored = self.aliases(program), self.stored.get(program, [])
        return [
            describe(
                program, str(n), content, named, override=self._overrides.get((program, str(n)), "")
            )
            for n, content in reversed(list(enumerate(stored, start=1)))
        ]

    def load(self, program: str, version: str) -> RegisteredVersion:
        known = self.stored.get(program, [])
        if not version.isdigit() or not 1 <= int(version) <= len(known):
            raise unknown_version(program, version, [str(n + 1) for n in range(len(known))])
        return read_version(program, version, known[int(version) - 1], where="memory")
