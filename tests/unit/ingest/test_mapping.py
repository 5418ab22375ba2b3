"""Mapping files: what they may say, and what each mistake in one is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ingest.logs import NOW, jsonl, listed, put, same, take
from upturn.errors import ConfigError
from upturn.events import EPOCH, Event, Feedback, Request, Role, Signal
from upturn.importers import Rejection
from upturn.importers.mapped import load_mapping
from upturn.ingest import Options, preview

REQUEST: dict[str, Any] = {"program": {"const": "p"}, "inputs": {"message": "text"}}
FEEDBACK: dict[str, Any] = {
    "request_id": "id",
    "signal": "thumbs",
    "value": "up",
    "rater": "who",
    "role": "customer",
}


def made(tmp_path: Path, mapping: Any, record: dict[str, Any]) -> list[Event | Rejection]:
    path = put(tmp_path / "map.yaml", yaml.safe_dump(mapping).encode())
    return list(load_mapping(path).events(record))


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_mapping(put(tmp_path / "map.yaml", text.encode()))
    return str(caught.value)


def test_foreign_times_ids_and_numbers_become_ours(tmp_path: Path):
    mapping = {
        "requests": {
            **REQUEST,
            "id": "n",
            "time": "at",
            "user": "u",
            "latency_ms": "ms",
            "cost_usd": "cost",
        }
    }
    record = {"n": 7, "at": 1788256800000, "text": "hi", "u": 12, "ms": "3.5", "cost": ""}
    (request,) = made(tmp_path, mapping, record)
    assert isinstance(request, Request)
    assert (request.id, request.user, request.latency_ms) == ("7", "12", 3.5)
    assert request.time == "2026-09-01T10:00:00+00:00"
    assert (request.cost_usd, request.origin, request.raw) == (None, "map", record)


def test_what_a_mapping_leaves_out_has_a_value_that_stays_the_same(tmp_path: Path):
    (one,) = made(tmp_path, {"requests": REQUEST}, {"text": "hi"})
    (again,) = made(tmp_path, {"requests": REQUEST}, {"text": "hi"})
    (other,) = made(tmp_path, {"requests": REQUEST}, {"text": "ho"})
    assert isinstance(one, Request)
    assert one == again
    assert one.time == EPOCH
    assert len(one.id) == 32
    assert isinstance(other, Request)
    assert other.id != one.id


def test_a_condition_leaves_a_rule_out(tmp_path: Path):
    mapping = {"requests": REQUEST | {"when": "kind == 'chat'"}, "feedback": FEEDBACK}
    parts = made(tmp_path, mapping, {"kind": "log", "id": "r", "up": True, "who": "u"})
    (feedback,) = parts
    assert isinstance(feedback, Feedback)
    assert (feedback.signal, feedback.value, feedback.role) == (
        Signal.THUMBS,
        True,
        Role.CUSTOMER,
    )


def test_one_bad_item_takes_no_other_with_it(tmp_path: Path):
    mapping = {"feedback": FEEDBACK | {"each": "votes", "value": "item.up", "rater": "item.who"}}
    mapping["feedback"]["request_id"] = "record.id"
    votes = [{"up": True, "who": "a"}, {"up": "yes", "who": "b"}, {"up": False, "who": "c"}]
    first, bad, last = made(tmp_path, mapping, {"id": "r", "votes": votes})
    assert [p.rater for p in (first, last) if isinstance(p, Feedback)] == ["a", "c"]
    assert bad == Rejection("value", "must be true or false, got 'yes'")
    assert made(tmp_path, mapping, {"id": "r"}) == []
    assert made(tmp_path, mapping, {"votes": 3}) == [Rejection("each", "must give a list, got 3")]


def test_an_expression_that_fails_on_a_record_rejects_that_record(tmp_path: Path):
    mapping = {"requests": {**REQUEST, "id": "length(text)"}}
    (bad,) = made(tmp_path, mapping, {"text": 7})
    assert isinstance(bad, Rejection)
    assert bad.field == "id"
    assert bad.rule.startswith("must be readable by its expression: ")


def test_all_mistakes_are_named_at_once(tmp_path: Path):
    text = """
    request: {}
    requests:
      progam: "'p'"
      inputs: {message: "a ||| b"}
      user: 7
    feedback:
      - {request_id: id, signal: thumbs, value: up, rater: who}
      - nothing
    """
    message = refusal(tmp_path, text)
    assert "map.yaml: 7 problems" in message
    for line in (
        "request: must be requests or feedback; did you mean requests?",
        "requests.progam: unknown key; did you mean program?",
        "requests.program: must be there",
        "requests.inputs.message: must be a JMESPath expression, got 'a ||| b': ",
        "requests.user: must be a JMESPath expression in quotes, or {const: VALUE}, got 7",
        "feedback[0].role: must be there",
        "feedback[1]: must be an object of fields, got 'nothing'",
    ):
        assert line in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 1", "must be an object, got [1]"),
        ("{}", "must have requests or feedback, got neither"),
        ("a: [", "a mapping must be YAML or JSON"),
        ("!!python/object/apply:os.system [ls]", "a mapping must be YAML or JSON"),
        ("x" * 2_000_000, "must be at most 1048576 bytes long"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, says: str):
    assert says in refusal(tmp_path, text)


def test_a_mapping_is_previewed_and_ingested(tmp_path: Path):
    mapping = put(tmp_path / "m.json", json.dumps({"requests": {**REQUEST, "id": "n"}}).encode())
    rows = [{"n": 1, "text": "a"}, {"text": "b"}, {"n": 3, "text": "c"}]
    path = put(tmp_path / "a.jsonl", jsonl(rows))
    shown = preview(
        str(path), scrub=same, importer=f"map:{mapping}", options=Options(clock=lambda: NOW)
    )
    assert shown.format == "map"
    assert [len(r.events) for r in shown.records] == [1, 0, 1]
    report = take(tmp_path / "s.db", path, rejects=tmp_path / "r", importer=f"map:{mapping}")
    assert (report.requests, report.rejected) == (2, 1)
    assert listed(report)[0]["reason"] == "must be a non-empty string, got None"
