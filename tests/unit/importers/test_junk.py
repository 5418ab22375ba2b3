"""Whatever stands in a field, an importer gives sound events or says what is wrong."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from upturn.events import Feedback
from upturn.events.values import broken_value_rule
from upturn.importers import RejectedError, Rejection, importer
from upturn.records import Json, canonical_json

FIXTURES = Path(__file__).parents[2] / "contracts" / "importers"
JUNK: tuple[Json, ...] = (None, "", "x", -1, 1e300, True, [], [1, None], {}, {"a": [{}]}, "{", "[]")
Path_ = tuple[str | int, ...]


def records(folder: Path) -> Iterator[Json]:
    for path in sorted(folder.glob("input*")):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            yield from map(json.loads, text.splitlines())
        elif path.suffix == ".csv":
            yield from csv.DictReader(text.splitlines(keepends=True))
        else:
            yield json.loads(text)


def places(value: Json, path: Path_ = ()) -> Iterator[Path_]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in inner:
        yield (*path, key)
        if isinstance(member, dict | list):
            yield from places(member, (*path, key))


def with_junk(record: Json, place: Path_, junk: Json) -> Json:
    changed = copy.deepcopy(record)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = junk
    return changed


@pytest.mark.parametrize("name", ["langfuse", "langsmith", "mlflow", "openai", "otlp"])
def test_junk_in_any_field(name: str) -> None:
    known, tried = importer(name), 0
    for record in records(FIXTURES / name):
        for number, place in enumerate(places(record)):
            # Every place sees some of the junk, and all junk is seen in many places.
            for junk in JUNK[number % 3 :: 3]:
                changed = with_junk(record, place, junk)
                before = canonical_json(changed)
                known.recognises(changed)
                check(known.name, changed)
                assert canonical_json(changed) == before
                tried += 1
    assert tried > 1000


def check(name: str, record: Json) -> None:
    try:
        outcomes = list(importer(name).events(record))
    except RejectedError:
        return
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            assert outcome.rule
            continue
        assert outcome.id
        assert outcome.time.endswith("+00:00")
        assert outcome.origin == name
        canonical_json(outcome.to_json())
        if isinstance(outcome, Feedback):
            assert (outcome.rater, outcome.request_id) != ("", "")
            assert broken_value_rule(outcome) == ""
        else:
            assert isinstance(outcome.inputs, dict)
            assert isinstance(outcome.outputs, dict)
            assert (outcome.latency_ms or 0) >= 0
            assert (outcome.cost_usd or 0) >= 0
            assert all(isinstance(v, str) for v in outcome.slices.values())
            for text in (outcome.user, outcome.version, outcome.model, outcome.session):
                assert text is None or isinstance(text, str)
