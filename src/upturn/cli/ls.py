"""``upturn ls``: what this project has: configs, snapshots, turns, versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

if TYPE_CHECKING:
    from upturn.registry import VersionInfo


def ls(
    workspace: WorkspacePath = DEFAULT_WORKSPACE, tracking: Tracking = "", as_json: AsJson = False
) -> None:
    """List configs, snapshots, turns and registered versions."""
    from upturn.pipeline.releases.settling import Settling
    from upturn.pipeline.store import open_ledger, open_registry
    from upturn.pipeline.workspace import Workspace, read_json

    place = Workspace(workspace.resolve())
    turns = [read_json(place.turn(t) / "result.json") for t in place.turns()]
    names = sorted({t["program"] for t in turns})
    versions: list[console.Json] = []
    told: dict[str, str] = {}
    if names:
        with open_registry(workspace, uri=tracking) as registry:
            versions = [_version(v) for name in names for v in registry.versions(name)]
            ledger = open_ledger(workspace)
            told = {name: Settling(registry, ledger, name).report() for name in names}
    found = {
        "configs": sorted(str(p) for p in Path("configs").glob("*.yaml")),
        "snapshots": sorted(p.name for p in place.snapshots.glob("[0-9a-f]*") if p.is_dir()),
        "turns": turns,
        "versions": versions,
        "unsettled": {name: sentence for name, sentence in told.items() if sentence},
    }
    if as_json:
        console.answer(found)
        return
    _show(found)


def _version(found: VersionInfo) -> dict[str, console.Json]:
    return {
        "program": found.program,
        "version": found.version,
        "champion": found.is_champion,
        "verdict": found.verdict,
        "turn": found.turn,
        "stale": found.stale,
        "staged": found.is_staged,
        "override": found.override,
    }


def _show(found: dict[str, console.Json]) -> None:
    console.say("configs    " + (", ".join(found["configs"]) or "none here"))
    console.say("snapshots  " + (", ".join(found["snapshots"]) or "none yet"))
    if found["turns"]:
        rows = [
            [
                t["turn"],
                t["program"],
                t["verdict"],
                _number(t["effect"]),
                str(t["n"]),
                str(t["calls"]),
            ]
            for t in found["turns"]
        ]
        console.table(["turn", "program", "verdict", "effect", "rows", "calls"], rows)
    if found["versions"]:
        rows = [
            [
                v["program"],
                v["version"],
                "champion" if v["champion"] else "staging" if v["staged"] else "",
                v["verdict"] or "as written",
                v["turn"],
                _remark(v),
            ]
            for v in found["versions"]
        ]
        console.table(["program", "version", "alias", "gate", "turn", ""], rows)

    for sentence in found["unsettled"].values():
        console.say(sentence)


def _remark(version: dict[str, console.Json]) -> str:
    told = ["stale: something in it was forgotten"] if version["stale"] else []
    told += [f"OVERRIDE: {version['override']}"] if version["override"] else []
    return "; ".join(told)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
