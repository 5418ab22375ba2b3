"""``upturn history``: looks, decisions and moves, as the ledger keeps them, and what stands now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import DEFAULT_WORKSPACE, AsJson, Tracking, WorkspacePath

if TYPE_CHECKING:
    from upturn.ledger import Entry


def history(
    program: Annotated[
        str | None, typer.Argument(help="Only this program; all of them by default.")
    ] = None,
    workspace: WorkspacePath = DEFAULT_WORKSPACE,
    tracking: Tracking = "",
    as_json: AsJson = False,
) -> None:
    """Show who did what, when, why and with what effect, and which version stands now."""
    from upturn.pipeline.store import check_known, open_ledger

    every = open_ledger(workspace).entries()
    check_known(every, program)
    entries = tuple(e for e in every if program in (None, e.program))
    counts = _counts(entries)
    now = _standing(workspace, tracking, {e.program for e in entries if e.program})
    if as_json:
        console.answer({**counts, "entries": [e.to_json() for e in entries], "now": now})
        return
    several = len({e.program for e in entries if e.program}) > 1
    effects = _effects(entries)
    rows = [_row(e, effects, several=several) for e in entries]
    console.table(["when (UTC)", *(["program"] * several), "what", "effect", "who", "why"], rows)
    _tell(counts, now)


def _counts(entries: tuple[Entry, ...]) -> dict[str, int]:
    """How often what happened: the keys of ``--json``."""
    kinds = [str(e.kind) for e in entries]
    return {
        "promotions": kinds.count("promotion"),
        "overrides": sum(bool(e.data.get("override")) for e in entries),
        "looks": kinds.count("look"),
        "rollbacks": kinds.count("rollback"),
    }


def _standing(workspace: Path, tracking: str, programs: set[str]) -> dict[str, console.Json]:
    """What the registry says of each program now; nothing where there is no registry here."""
    from upturn.pipeline.releases.moves import moves_of
    from upturn.pipeline.releases.settling import unsettled
    from upturn.pipeline.store import open_ledger, read_aliases

    ledger = open_ledger(workspace)
    return {
        name: {
            "champion": named.champion,
            "staging": named.staging,
            "unsettled": unsettled(name, moves_of(ledger.entries(name)), named),
        }
        for name, named in read_aliases(workspace, programs, uri=tracking).items()
    }


def _effects(entries: tuple[Entry, ...]) -> dict[tuple[str, str], str]:
    """(program, turn) -> the effect that the gate found."""
    return {
        (e.program, str(e.data["turn"])): _effect(e.data) for e in entries if e.kind == "decision"
    }


def _effect(decision: Mapping[str, console.Json]) -> str:
    """The effect as it was told: the exact report of a later look may be withheld."""
    report = decision.get("released") or decision["report"]
    effect = report.get("effect")
    if effect is None:
        return ""
    low, high = report.get("low"), report.get("high")
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{effect:+.3f}{interval} n={report.get('n', 0)}"


def _row(entry: Entry, effects: dict[tuple[str, str], str], *, several: bool) -> list[str]:
    data, kind = entry.data, str(entry.kind)
    effect, who, why = "", str(data.get("who") or ""), str(data.get("reason") or "")
    what = kind
    if kind == "look":
        what = f"look {data['number']}"
        why = f"holdout {data['holdout'][:12]}, alpha {data['alpha']:g}"
    elif kind == "decision":
        what, why = str(data["verdict"]), f"turn {data['turn']}"
        effect = _effect(data)
    elif kind in ("adoption", "promotion", "rollback"):
        verb = {"adoption": "adopted", "promotion": "promoted", "rollback": "rolled back"}[kind]
        previous = f"{data['previous']} -> " if data.get("previous") else ""
        what = f"{verb} {previous}{data.get('version')}"
        if data.get("override"):
            what = f"OVERRIDE {what}"
        elif kind == "promotion":
            effect = effects.get((entry.program, str(data.get("turn"))), "")
    elif kind == "forget":
        why = f"{data.get('requests', 0)} requests, {data.get('feedback', 0)} feedback removed"
    elif kind == "repair":
        why = str(data.get("note") or "")
    return [entry.time[:16].replace("T", " "), *([entry.program] * several), what, effect, who, why]


def _tell(counts: dict[str, int], now: dict[str, console.Json]) -> None:
    """Prints the counts and what stands now; overrides are counted where there are any."""
    loud = f" ({counts['overrides']} OVERRIDE)" if counts["overrides"] else ""
    console.say(
        f"looks: {counts['looks']}, promotions: {counts['promotions']}{loud}, "
        f"roll-backs: {counts['rollbacks']}"
    )
    for name, stands in now.items():
        staged = f", version {stands['staging']} is staged" if stands["staging"] else ""
        console.say(f"{name}: version {stands['champion'] or '-'} is the champion{staged}")
        if stands["unsettled"]:
            console.say(str(stands["unsettled"]))
