"""The chain of a version as text for a person; see ``pipeline.lineage.why``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from upturn.records import Json, canonical_json

#: Characters of a demo or an instruction that a line shows.
_CUT = 90
#: Rows of one instruction that are spelled out.
_ROWS = 8


def lines(told: Mapping[str, Json]) -> list[str]:
    """Returns what ``explain_version`` found, line by line."""
    named = "".join(f", {alias}" for alias in told["aliases"])
    out = [f"{told['program']} version {told['version']}{named}, candidate {told['candidate']}"]
    if told["stale"] is not None:
        out.append(
            f"  STALE: {told['stale']['demos']} demos were forgotten after it was measured; "
            "what is left was measured by nobody"
        )
    out += [_release(r) for r in told["releases"]] or ["  never released"]
    out += _decision(told["decision"])
    out += _snapshot(told["snapshot"])
    for gone in told["forgotten"]:
        out.append(
            f"  forgotten {_minute(gone['time'])} (ledger entry {gone['entry']}): "
            f"{gone['requests']} requests, {gone['feedback']} feedback"
        )
    for part in told["parts"]:
        out += _instruction(part) if part["kind"] == "instruction" else _demos(part)
    for s in told["settings"]:
        out.append(f"setting {s['name']} = {s['value']}, from {s['origin']}")
    return [*out, *_totals(told["events"])]


def _release(r: Mapping[str, Json]) -> str:
    loud = "OVERRIDE, " if r["override"] else ""
    by = f" by {r['who']}" if r["who"] else ""
    instead = f" in place of version {r['previous']}" if r["previous"] else ""
    return (
        f"  {loud}{r['kind']} {_minute(r['time'])}{by}{instead} "
        f"(ledger entry {r['entry']}, {r['hash'][:12]}): {r['because']}"
    )


def _decision(d: Mapping[str, Json] | None) -> Iterator[str]:
    if d is None:
        yield "  no gate decided on it"
        return
    effect = ""
    if d["effect"] is not None:
        effect = f" {d['effect']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] on {d['n']} rows"
    against = f" against version {d['against']}" if d["against"] else ""
    yield f"  decided {d['verdict']}{effect}{against} (ledger entry {d['entry']}, {d['hash'][:12]})"
    if d["look"]:
        look = d["look"]
        yield (
            f"  on look {look['number']} at holdout {look['holdout'][:12]}, alpha {look['alpha']:g}"
        )


def _snapshot(s: Mapping[str, Json]) -> Iterator[str]:
    if not s["ids"]:
        yield "  searched on no snapshot"
        return
    ids = ", rebuilt as ".join(i[:12] for i in s["ids"])
    if not s["there"]:
        yield f"  searched on snapshot {ids}, which is no longer here"
        return
    sizes = ", ".join(f"{split} {n}" for split, n in s["sizes"].items())
    yield f"  searched on snapshot {ids}: {sizes}"


def _instruction(part: Mapping[str, Json]) -> Iterator[str]:
    kept = f", kept from version {part['kept_from']}" if part["kept_from"] else ""
    origin = part["first_origin"] if kept else part["origin"]
    yield f"instruction of {part['predictor']}, from {origin}{kept}: {_cut(part['text'])}"
    rows = part["rows"]
    forgotten = sum(r["status"] == "forgotten" for r in rows)
    known = [r for r in rows if r["status"] != "forgotten"]
    for row in known[:_ROWS]:
        yield from _row(row)
    if len(known) > _ROWS:
        yield f"    and {len(known) - _ROWS} more rows (--json names them all)"
    if forgotten:
        yield f"    and {forgotten} rows that were forgotten"
    if part["other_events"]:
        yield f"    and {part['other_events']} events that are in no row of train or dev"


def _demos(part: Mapping[str, Json]) -> Iterator[str]:
    yield f"demos of {part['predictor']}, from {part['origin']}:"
    for demo in part["demos"]:
        kept = f" (kept from version {demo['kept_from']})" if demo["kept_from"] else ""
        yield f"  {_cut(canonical_json(demo['demo']))}{kept}"
        for row in demo["rows"]:
            yield from _row(row)
        if not demo["rows"]:
            yield "    from no row that is known"
    if part["demos_forgotten"]:
        yield f"  {part['demos_forgotten']} demos were forgotten"


def _row(row: Mapping[str, Json]) -> Iterator[str]:
    if row["status"] == "forgotten":
        yield "    a row that was forgotten"
        return
    if row["status"] == "gone":
        yield f"    row {row['row']}, no longer in the snapshot"
    else:
        label = row["label_reason"] or "its data"
        yield (
            f"    row {row['row']} ({row['split']}), labelled by {label}, "
            f"weight {row['weight']:.2f}"
        )
    found = [e for e in row["events"] if e["status"] == "found"]
    yield from map(_found, sorted(found, key=lambda e: str(e["time"])))
    for status in ("forgotten", "missing", "unknown"):
        if lost := [e for e in row["events"] if e["status"] == status]:
            yield _lost(status, lost)


def _lost(status: str, events: list[Mapping[str, Json]]) -> str:
    said = {
        "forgotten": "forgotten",
        "missing": "no longer in the events",
        "unknown": "not looked up",
    }[status]
    ids = ", ".join(str(e["id"]) for e in events)
    return f"      {len(events)} events {said}" + ("" if status == "forgotten" else f": {ids}")


def _found(event: Mapping[str, Json]) -> str:
    if event["kind"] == "request":
        by = f" by {event['who']}" if event["who"] else ""
        return f"      {_minute(event['time'])}  request {event['id']}{by}"
    value = _cut(canonical_json(event["value"]))
    return (
        f"      {_minute(event['time'])}  {event['signal']} {value} by {event['who']} "
        f"({event['role']}), event {event['id']}"
    )


def _totals(events: Mapping[str, Json]) -> Iterator[str]:
    counts = f"{events['requests']} requests, {events['feedback']} feedback found"
    for name, said in (
        ("missing", "no longer there"),
        ("unknown", "not looked up"),
        ("forgotten_rows", "rows forgotten"),
    ):
        counts += f", {events[name]} {said}" if events[name] else ""
    yield f"events ({events['where']}): {counts}"


def _minute(time: str) -> str:
    """A time in UTC, as every command shows it."""
    return time[:16].replace("T", " ")


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CUT else f"{flat[:_CUT]}…"
