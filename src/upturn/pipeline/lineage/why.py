"""From a version back to the feedback that caused it: release, decision, rows, events.

Stands on what is recorded: the ledger (moves and decisions), the version's files (``origins.json``
names rows and events), the snapshot's rows, and the events themselves where they still are. What
was forgotten is named as forgotten, and the rest of the chain stays.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from upturn.ledger import Entry, EntryKind
from upturn.pipeline.forget.needles import REDACTED
from upturn.pipeline.lineage.events import Events
from upturn.pipeline.lineage.rows import Rows, open_rows
from upturn.pipeline.releases.moves import decision_of, moves_of
from upturn.pipeline.releases.names import ADOPTION, find_version
from upturn.records import Json, canonical_json
from upturn.registry import RegisteredVersion, Registry
from upturn.tracking.versions import ORIGINS


def explain_version(
    program: str,
    name: str,
    *,
    registry: Registry,
    entries: Sequence[Entry],
    snapshots: Path,
    events: Events,
) -> dict[str, Json]:
    """Returns the chain of one version, JSON-ready.

    Args:
        program: whose version.
        name: as ``find_version`` takes it.
        registry: holds the version.
        entries: the whole ledger.
        snapshots: the workspace's snapshots.
        events: where events are looked up.

    Raises:
        InputError: there is no such version.
        CorruptionError: its files, or a snapshot's, do not match their hashes.
    """
    found = find_version(registry, program, name)
    named = registry.aliases(program)
    chain = _Chain(registry, program, snapshots, events)
    rows, parts = chain.rows(found), chain.parts(found)
    stale = found.manifest.get("stale")
    return {
        "program": program,
        "version": found.version,
        "aliases": [a for a in ("champion", "staging") if getattr(named, a) == found.version],
        "turn": found.turn,
        "candidate": found.candidate.id,
        "stale": None if stale is None else {"demos": stale["demos"]},
        "releases": _releases(entries, program, found.version),
        "decision": _decision(entries, program, found),
        "snapshot": rows.to_json(),
        "settings": _settings(found),
        "parts": parts,
        "events": {"where": events.where, **_counted(parts)},
        "forgotten": _forgotten(entries, program, found.version, rows),
    }


class _Chain:
    """Follows parts of prompts to their rows, through the versions that handed them on."""

    def __init__(self, registry: Registry, program: str, snapshots: Path, events: Events) -> None:
        self._registry = registry
        self._program = program
        self._snapshots = snapshots
        self._events = events
        self._rows: dict[str, Rows] = {}

    def parts(self, version: RegisteredVersion) -> list[dict[str, Json]]:
        """Returns every instruction and demo set of a version, with what caused it."""
        out: list[dict[str, Json]] = []
        for name, state in version.candidate.states.items():
            told = self._instruction(version, name)
            head = _head(version, name, "instruction")
            out.append({**head, "text": state.instruction, **told})
            demos, gone = self._demos(version, name)
            if demos or gone:
                head = _head(version, name, "demos")
                out.append({**head, "demos": demos, "demos_forgotten": gone})
        return out

    def rows(self, version: RegisteredVersion) -> Rows:
        """The rows that a version was searched on."""
        snapshot = str(facts_of(version).get("snapshot", ""))
        if snapshot not in self._rows:
            self._rows[snapshot] = open_rows(self._snapshots, snapshot, self._events)
        return self._rows[snapshot]

    def _instruction(self, version: RegisteredVersion, name: str) -> dict[str, Json]:
        written = _written(version, name, "instruction")
        kept = str(written.get("kept_from") or "")
        if kept:
            before = self._registry.load(self._program, kept)
            told = self._instruction(before, name)
            return {**told, "kept_from": told["kept_from"] or kept}
        return {
            "kept_from": "",
            "first_origin": _head(version, name, "instruction")["origin"],
            "rows": [self.rows(version).row(r) for r in written.get("rows", [])],
            "other_events": len(written.get("events", [])),
        }

    def _demos(self, version: RegisteredVersion, name: str) -> tuple[list[dict[str, Json]], int]:
        """Each demo with its rows, and how many demos were forgotten."""
        state = version.candidate.states.get(name)
        shown = [dict(d) for d in state.demos] if state else []
        written = _written(version, name, "demos").get("causes", [])
        causes = _aligned(len(shown), written)
        demos = [self._demo(version, name, d, c) for d, c in zip(shown, causes, strict=True)]
        return demos, max(0, len(written) - len(shown))

    def _demo(
        self,
        version: RegisteredVersion,
        name: str,
        demo: dict[str, Json],
        cause: Mapping[str, Json] | None,
    ) -> dict[str, Json]:
        rows = self.rows(version)
        if cause is None:
            # Not written down, or no longer in step: the rows that show just this say it.
            return {"demo": demo, "kept_from": "", "rows": rows.showing(demo)}
        found, kept = cause.get("rows", []), str(cause.get("kept_from") or "")
        if found or not kept:
            return {"demo": demo, "kept_from": kept, "rows": [rows.row(r) for r in found]}
        known, _ = self._demos(self._registry.load(self._program, kept), name)
        same = [d for d in known if canonical_json(d["demo"]) == canonical_json(demo)]
        return {"demo": demo, "kept_from": kept, "rows": same[0]["rows"] if same else []}


def facts_of(version: RegisteredVersion) -> Mapping[str, Json]:
    """What a version's manifest says besides its hashes."""
    return version.manifest.get("facts", {})


def _written(version: RegisteredVersion, name: str, kind: str) -> Mapping[str, Json]:
    """What ``origins.json`` says of a part; nothing in versions from before there was one."""
    if ORIGINS not in version.files:
        return {}
    parts = json.loads(version.files[ORIGINS])["parts"]
    own = (p for p in parts if (p["predictor"], p["kind"]) == (name, kind))
    return next(own, {})


def _head(version: RegisteredVersion, name: str, kind: str) -> dict[str, Json]:
    unwritten = "as written" if version.turn == ADOPTION else "not recorded"
    return {
        "predictor": name,
        "kind": kind,
        "choice": version.candidate.choices.get(f"{name}.{kind}", ""),
        "origin": str(_written(version, name, kind).get("origin") or unwritten),
    }


def _aligned(shown: int, written: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json] | None]:
    """Which cause is whose, in the order of the prompt; None where nobody can tell.

    ``upturn forget`` takes a demo out of the prompt and the ids out of its cause, which stays.
    """
    if len(written) == shown:
        return list(written)
    left = [w for w in written if not w["rows"] or any(r["row"] != REDACTED for r in w["rows"])]
    return list(left) if len(left) == shown else [None] * shown


def _settings(version: RegisteredVersion) -> list[dict[str, Json]]:
    said = json.loads(version.files[ORIGINS])["settings"] if ORIGINS in version.files else []
    origin = {s["name"]: s["origin"] for s in said}
    return [
        {"name": name, "value": value, "origin": origin.get(name, "not recorded")}
        for name, value in version.candidate.settings.items()
    ]


def _releases(entries: Sequence[Entry], program: str, version: str) -> list[dict[str, Json]]:
    """The moves that made a version the champion."""
    own = moves_of([e for e in entries if e.program == program])
    return [
        {
            "entry": e.number,
            "hash": e.hash,
            "time": e.time,
            "kind": str(e.kind),
            "previous": e.data.get("previous") or "",
            "who": e.data.get("who") or "",
            "because": e.data.get("reason") or "",
            "override": bool(e.data.get("override")),
        }
        for e in own
        if e.data["version"] == version
    ]


def _decision(
    entries: Sequence[Entry], program: str, version: RegisteredVersion
) -> dict[str, Json] | None:
    """The decision of a version's turn, with its look at the holdout."""
    own = [e for e in entries if e.program == program]
    made = decision_of(own, version.turn)
    if made is None:
        return None
    looks = [e for e in own if e.kind is EntryKind.LOOK and e.data["turn"] == version.turn]
    look = {k: looks[0].data[k] for k in ("number", "alpha", "holdout")} if looks else None
    # As they were told: the exact numbers of a later look may be withheld.
    numbers = made.data.get("released") or made.data["report"]
    return {
        "entry": made.number,
        "hash": made.hash,
        "time": made.time,
        "verdict": made.data["verdict"],
        "against": str(facts_of(version).get("champion", "")),
        **{k: numbers.get(k) for k in ("effect", "low", "high", "n")},
        "look": look,
        "evidence": made.data.get("evidence"),
    }


def _forgotten(
    entries: Sequence[Entry], program: str, version: str, rows: Rows
) -> list[dict[str, Json]]:
    """What was forgotten of this version or of its rows: when, and how many events."""
    return [
        {
            "entry": e.number,
            "time": e.time,
            "requests": e.data["requests"],
            "feedback": e.data["feedback"],
        }
        for e in entries
        if e.kind is EntryKind.FORGET
        and (
            [program, version] in e.data.get("versions", [])
            or any(old in rows.ids for old, _ in e.data.get("snapshots", []))
        )
    ]


def _counted(parts: Sequence[Mapping[str, Json]]) -> dict[str, int]:
    """Distinct events behind all parts, by what became of them."""
    rows = [r for p in parts for r in p.get("rows", [])]
    rows += [r for p in parts for d in p.get("demos", []) for r in d["rows"]]
    events = {(r["row"], e["id"], e["kind"]): e for r in rows for e in r["events"]}
    found = Counter(f"{e['kind']}s" for e in events.values() if e["status"] == "found")
    status = Counter(str(e["status"]) for e in events.values())
    return {
        "requests": found["requests"],
        "feedback": found["feedbacks"],
        **{name: status[name] for name in ("missing", "unknown")},
        "forgotten_rows": sum(r["status"] == "forgotten" for r in rows),
    }
