"""Plain labelled data from files and from the hub."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from upturn.datasets import Columns, read_labelled
from upturn.errors import DataError, MissingExtraError

PLAIN = Columns(inputs={"text": "message"}, labels={"intent": "topic"})


def put(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def lines(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"text": text, "intent": intent} for text, intent in pairs]


def test_columns_become_fields_and_the_id_is_the_content(tmp_path: Path):
    path = put(tmp_path / "a.jsonl", *lines(("hello", "greet"), ("bye", "leave")))
    data = read_labelled(path, PLAIN)
    assert {(e.inputs["message"], e.labels["topic"]) for e in data.examples} == {
        ("hello", "greet"),
        ("bye", "leave"),
    }
    assert all(e.group == e.id and len(e.id) == 16 for e in data.examples)
    turned = put(tmp_path / "b.jsonl", *lines(("bye", "leave"), ("hello", "greet")))
    assert read_labelled(turned, PLAIN) == data


def test_repeats_collapse_and_contradictions_are_dropped_and_counted(tmp_path: Path):
    rows = lines(("a", "x"), ("a", "x"), ("b", "x"), ("b", "y"), ("b", "y"), ("c", "y"))
    data = read_labelled(put(tmp_path / "a.jsonl", *rows), PLAIN)
    assert sorted(e.inputs["message"] for e in data.examples) == ["a", "c"]
    assert data.dropped == {"repeated": 1, "contradictory": 3}


def test_keep_and_limit_choose_rows_whatever_their_order(tmp_path: Path):
    rows = lines(*[(f"text {n}", "xyz"[n % 3]) for n in range(30)])
    columns = Columns(
        inputs={"text": "message"}, labels={"intent": "topic"}, keep={"intent": ("x", "y")}
    )
    data = read_labelled(put(tmp_path / "a.jsonl", *rows), columns, limit=8)
    assert len(data.examples) == 8
    assert {e.labels["topic"] for e in data.examples} <= {"x", "y"}
    assert data.dropped == {"over_limit": 12}
    again = read_labelled(put(tmp_path / "b.jsonl", *rows[::-1]), columns, limit=8)
    assert again == data


def test_csv_with_a_byte_order_mark_quotes_and_times(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text(
        'text,intent,at\n"hello, ""you""\nthere",greet,2026-09-01T10:00:00+00:00\n',
        encoding="utf-8-sig",
    )
    columns = Columns(inputs={"text": "message"}, labels={"intent": "topic"}, times="at")
    (row,) = read_labelled(path, columns).examples
    assert row.inputs == {"message": 'hello, "you"\nthere'}
    assert (row.labels["topic"], row.time) == ("greet", "2026-09-01T10:00:00+00:00")


def test_bad_lines_are_named_in_one_error(tmp_path: Path):
    path = put(tmp_path / "a.jsonl", {"txt": "a", "intent": "x"}, [1], {"text": "b", "intent": ""})
    path.write_text(path.read_text() + '{"text":')
    with pytest.raises(DataError) as caught:
        read_labelled(path, PLAIN)
    message = str(caught.value)
    assert "4 problems found" in message
    assert "a.jsonl:1: text must be there, got columns ['intent', 'txt']; did you mean" in message
    assert "a.jsonl:2: must be a JSON object, got [1]" in message
    assert "a.jsonl:3: intent must be there" in message
    assert "a.jsonl:4: must be one whole JSON object" in message


def test_an_unknown_label_is_named_with_the_allowed_ones(tmp_path: Path):
    columns = Columns(
        inputs={"text": "message"},
        labels={"intent": "topic"},
        allowed={"topic": ("refund", "card_arrival")},
    )
    path = put(tmp_path / "a.jsonl", *lines(("a", "refund"), ("b", "card arrival")))
    with pytest.raises(DataError) as caught:
        read_labelled(path, columns)
    assert (
        "a.jsonl:2: topic must be one of refund, card_arrival; got 'card arrival'; "
        "did you mean card_arrival?"
    ) in str(caught.value)


def test_missing_foreign_and_fruitless_files_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="found no such file"):
        read_labelled(tmp_path / "none.jsonl", PLAIN)
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(DataError, match=r"must be a \.jsonl or \.csv file"):
        read_labelled(tmp_path / "a.xlsx", PLAIN)
    (tmp_path / "b.csv").write_bytes(b"text,intent\n\xff,x\n")
    with pytest.raises(DataError, match="must be UTF-8"):
        read_labelled(tmp_path / "b.csv", PLAIN)
    path = put(tmp_path / "c.jsonl", *lines(("a", "x"), ("a", "y")))
    with pytest.raises(DataError, match=r"kept 0 of 2: \{'contradictory': 2\}"):
        read_labelled(path, PLAIN)


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="datasets is here")
def test_a_hub_name_without_the_extra_names_the_install_line():
    with pytest.raises(MissingExtraError, match=r"pip install 'upturn\[hub\]'"):
        read_labelled("someone/banking77", PLAIN)


class HubData(list[dict[str, Any]]):
    """A data set as the hub gives it: rows with class numbers, and features with their names."""

    features: dict[str, Any]


def test_class_numbers_of_the_hub_become_names():
    asked: list[tuple[str, str]] = []

    def load(name: str, split: str) -> HubData:
        asked.append((name, split))
        data = HubData([{"text": "a", "intent": 1}, {"text": "b", "intent": 0}])
        data.features = {"text": object(), "intent": SimpleNamespace(names=["refund", "card"])}
        return data

    rows = read_labelled("someone/banking77", PLAIN, split="test", load=load).examples
    assert asked == [("someone/banking77", "test")]
    assert {e.inputs["message"]: e.labels["topic"] for e in rows} == {"a": "card", "b": "refund"}


def test_a_hub_that_does_not_have_it_is_a_data_error():
    def load(name: str, split: str) -> HubData:
        raise FileNotFoundError(f"no {name}")

    with pytest.raises(DataError, match=r"someone/x: the hub must have .* got: no someone/x"):
        read_labelled("someone/x", PLAIN, load=load)
