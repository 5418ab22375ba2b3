"""What every importer must keep. A format is found by its module; its fixtures are here.

``importers/<format>/input*`` holds foreign records, ``expected.jsonl`` every event they must give
as native lines by kind and id, ``rejected.json`` every rejection in its order.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upturn.events import Event, Feedback, Request, Role
from upturn.events.values import broken_value_rule
from upturn.importers import Importer, RejectedError, Rejection, importer, importer_names, recognise
from upturn.importers.mapped import load_mapping
from upturn.importers.native import checked
from upturn.ingest import open_records
from upturn.store import broken_rule

FIXTURES = Path(__file__).parent / "importers"
FORMATS = importer_names()
#: The formats that the command names.
PROMISED = (
    *("braintrust", "humanloop", "langfuse", "langsmith", "mlflow", "native", "nvidia", "openai"),
    *("opik", "otlp", "phoenix", "tensorzero", "weave"),
)
#: The same examples at every run; the search for others is a person's.
REPEATABLE: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
every_format = pytest.mark.parametrize("name", FORMATS)
every_importer = pytest.mark.parametrize("name", [*FORMATS, "mapped"])


def reader(name: str) -> Importer:
    if name == "mapped":
        return load_mapping(FIXTURES / "mapped" / "mapping.yaml")
    return importer(name)


def inputs(name: str) -> list[Path]:
    return sorted(p for p in (FIXTURES / name).glob("input*"))


@cache
def records_in(path: Path) -> tuple[dict[str, Any], ...]:
    with open_records(str(path)) as stream:
        found = [(r.value, r.rule) for r in stream.records()]
    assert all(value is not None for value, _ in found), found
    return tuple(value for value, _ in found if value is not None)


def records_of(name: str) -> list[dict[str, Any]]:
    return [copy.deepcopy(r) for path in inputs(name) for r in records_in(path)]


def read(found: Importer, record: dict[str, Any]) -> list[Event | Rejection]:
    """What an importer makes of a record; what it may raise counts as a rejection."""
    parts: list[Event | Rejection] = []
    try:
        parts.extend(found.events(record))
    except RejectedError as error:
        parts.append(error.rejection)
    return parts


def events_of(name: str) -> list[Event]:
    parts = [p for r in records_of(name) for p in read(reader(name), r)]
    return [p for p in parts if not isinstance(p, Rejection)]


def key(line: dict[str, Any]) -> tuple[str, str]:
    return line["kind"], line["id"]


def test_every_promised_format_is_there():
    assert FORMATS == PROMISED


@every_importer
def test_a_format_has_fixtures_with_something_bad_in_them(name: str):
    assert inputs(name)
    assert (FIXTURES / name / "expected.jsonl").exists()
    assert json.loads((FIXTURES / name / "rejected.json").read_text())


@every_importer
def test_it_gives_exactly_the_expected_events(name: str):
    made = {json.dumps(e.to_json(), sort_keys=True): e.to_json() for e in events_of(name)}
    lines = sorted(made.values(), key=key)
    assert len({key(line) for line in lines}) == len(lines), "one id names one event"
    text = (FIXTURES / name / "expected.jsonl").read_text(encoding="utf-8")
    assert lines == [json.loads(line) for line in text.splitlines()]


@every_importer
def test_it_rejects_exactly_what_cannot_be_used(name: str):
    parts = [p for r in records_of(name) for p in read(reader(name), r)]
    made = [{"field": p.field, "rule": p.rule} for p in parts if isinstance(p, Rejection)]
    assert made == json.loads((FIXTURES / name / "rejected.json").read_text(encoding="utf-8"))


@every_importer
def test_times_are_utc_and_sort_as_texts(name: str):
    for event in events_of(name):
        moment = datetime.fromisoformat(event.time)
        assert moment.tzinfo is not None
        assert event.time == moment.astimezone(UTC).isoformat()


@every_importer
def test_ids_parents_and_raters_are_said(name: str):
    for event in events_of(name):
        assert isinstance(event.id, str)
        assert event.id
        if isinstance(event, Request):
            assert event.parent != event.id
            assert event.parent is None or event.parent
            assert event.program
        else:
            assert event.request_id
            assert event.rater
            assert isinstance(event.role, Role)
            assert broken_value_rule(event) == ""


@every_importer
def test_an_event_can_be_stored_and_written_as_a_native_line(name: str):
    for event in events_of(name):
        assert broken_rule(event) == ""
        assert checked(event.to_json()) == replace(event, origin="", raw=None)


@every_importer
def test_origin_and_raw_payload_are_kept(name: str):
    for record in records_of(name):
        before = copy.deepcopy(record)
        for part in read(reader(name), record):
            if isinstance(part, Rejection):
                continue
            if name == "native":
                assert (part.origin, part.raw) == ("", None)
                continue
            assert part.origin == reader(name).name
            assert any(part.raw == inner for inner in objects_in(before)), part.id
        assert record == before, "a record is read and not changed"


def objects_in(value: Any) -> Iterator[Any]:
    """Yields a value and every object in it, in JSON texts too."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects_in(inner)


@every_importer
def test_the_same_records_give_the_same_events_in_any_order(name: str):
    def made(records: list[dict[str, Any]]) -> list[str]:
        parts = [p for r in records for p in read(reader(name), r)]
        lines = [p.to_json() for p in parts if not isinstance(p, Rejection)]
        return sorted(json.dumps(line, sort_keys=True) for line in lines)

    records = records_of(name)
    assert made(records) == made(records_of(name)) == made(records[::-1])


@every_format
def test_it_recognises_its_own_files_and_no_other(name: str):
    for path in inputs(name):
        assert recognise(records_in(path), where=str(path)).name == name
    for other in (f for f in FORMATS if f != name):
        wrong = [r for r in records_of(other) if importer(name).recognises(r)]
        assert wrong == [], f"{name} claims records of {other}"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "x", "{", "[]", '{"a":1}', "2026-01-01T00:00:00Z", "1e999", "\ud7ff\x00"]
    )
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@cache
def vocabulary(name: str) -> tuple[str, ...]:
    """Every key that a format's fixtures use, at any depth."""
    return tuple(sorted({k for r in records_of(name) for o in objects_in(r) for k in o}))


def check_parts(name: str, record: dict[str, Any]) -> None:
    found = reader(name)
    assert found.recognises(record) in (True, False)
    for part in read(found, record):
        assert isinstance(part, Request | Feedback | Rejection)
        if not isinstance(part, Rejection):
            assert broken_rule(part) == ""
            assert not isinstance(part, Feedback) or broken_value_rule(part) == ""


@every_importer
@settings(max_examples=30, deadline=None, **REPEATABLE)
@given(data=st.data())
def test_any_object_gives_events_or_rejections(name: str, data: st.DataObject):
    keys = st.sampled_from(vocabulary(name)) | st.text(max_size=6)
    inner = JSON | st.dictionaries(keys, JSON, max_size=5) | st.lists(st.dictionaries(keys, JSON))
    check_parts(name, data.draw(st.dictionaries(keys, inner, max_size=8)))


@every_importer
@settings(max_examples=60, deadline=None, **REPEATABLE)
@given(data=st.data())
def test_a_good_record_with_anything_anywhere_gives_events_or_rejections(
    name: str, data: st.DataObject
):
    record = copy.deepcopy(data.draw(st.sampled_from(records_of(name))))
    places = list(places_in(record))
    for holder, at in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        holder[at] = data.draw(JSON)
    check_parts(name, record)


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields every place in a value that can be set, as its holder and its key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for at, inner in items:
        yield value, at
        if isinstance(inner, dict | list):
            yield from places_in(inner)
