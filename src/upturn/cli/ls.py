"""``upturn ls``: what this project has: configs, snapshots, turns, versions."""

from __future__ import annotations

from pathlib import Path

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, WorkspacePath


def ls(workspace: WorkspacePath = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """List configs, snapshots, turns and registered versions."""
    from upturn.pipeline.store import open_releases
    from upturn.pipeline.workspace import Workspace, read_json

    place = Workspace(workspace.resolve())
    turns = [read_json(place.turn(t) / "result.json") for t in place.turns()]
    names = sorted({t["program"] for t in turns})
    versions: list[console.Json] = []
    for name in names:
        with open_releases(workspace, name) as releases:
            versions += [
                {
                    "program": v.program,
                    "version": v.version,
                    "champion": v.is_champion,
                    "verdict": v.verdict,
                    "turn": v.turn,
                }
                for v in releases.registry.versions(name)
            ]
    found = {
        "configs": sorted(str(p) for p in Path("configs").glob("*.yaml")),
        "snapshots": sorted(p.name for p in place.snapshots.glob("[0-9a-f]*") if p.is_dir()),
        "turns": turns,
        "versions": versions,
    }
    if as_json:
        console.answer(found)
        return
    _show(found)


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
                "champion" if v["champion"] else "",
                v["verdict"] or "as written",
                v["turn"],
            ]
            for v in found["versions"]
        ]
        console.table(["program", "version", "alias", "gate", "turn"], rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
