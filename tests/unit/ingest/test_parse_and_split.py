"""One JSON text, and the cutting of a stream into such texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upturn.ingest.parse import parse_object
from upturn.ingest.split import split_lines, split_values

DEPTH = 100


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b'{"a":1,"b":2,"a":3}', "must not have one key twice in one object, got 'a'"),
        (b'{"a": {"b": 1, "b": 1}}', "must not have one key twice in one object, got 'b'"),
        (b'{"a":1,"\\u0061":2}', "must not have one key twice in one object, got 'a'"),
        (b'{"a":"\\u0022","b":"\\u0022","a":""}', "must not have one key twice in one object"),
        (b'{"a":1,"a":1}', "must not have one key twice in one object, got 'a'"),
        (b'{"score":NaN}', "must have finite numbers, got NaN"),
        (b'{"score":[1,-Infinity]}', "must have finite numbers, got -Infinity"),
        (b'{"score":1e999}', "must have finite numbers, got one beyond 1.8e308"),
        (b'{"n":18446744073709551616}', "must have integers within 64 bits, got '18446744073709"),
        (b'{"n":-9223372036854775809}', "must have integers within 64 bits, got '-922337203685"),
        (b'{"n":' + b"9" * 5000 + b"}", "must have finite numbers"),
        (b'{"n":' + b"9" * 300 + b"}", "must have integers within 64 bits, got '99999"),
        (b'{"a":"\xff"}', "must be UTF-8 text, got invalid start byte at byte 6"),
        (b'{"a":"\\ud800"}', "must be one whole JSON object, got: no low surrogate"),
        (b'{"a":1', "must be one whole JSON object, got: unexpected end of data"),
        (b"{'a':1}", "must be one whole JSON object, got: "),
        (b"[1]", "must be a JSON object, got [1]"),
        (b"null", "must be a JSON object, got None"),
        (nested(101), "must not be nested deeper than 100 levels"),
        (nested(100_000), "must not be nested deeper than 100 levels"),
        (b"[" * 100_000, "must not be nested deeper than 100 levels"),
    ],
)
def test_what_is_no_clean_object_is_refused_with_its_rule(data: bytes, rule: str):
    value, said = parse_object(data, DEPTH)
    assert value is None
    assert said.startswith(rule)


@pytest.mark.parametrize(
    "data",
    [
        nested(100),
        b'{"n": 18446744073709551615, "m": -9223372036854775808}',
        b'{"a": "\\u0022", "b": 1.0e5}',
        b'{"a" : {"a" : {"a" : 1}}}',
        b'{"text":"\\"a\\":1,\\"a\\":2", "digits": "12345678901234567890123"}',
        b'{"text":"NaN and Infinity"}',
        ('{"brackets":"' + "[{" * 500 + '"}').encode(),
        b"{}",
    ],
)
def test_what_only_looks_suspicious_is_taken(data: bytes):
    assert parse_object(data, DEPTH) == (json.loads(data), "")


KEYS = st.sampled_from(["a", "b", "\u0022", "é", "a\\"])
VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=4) | st.just('"[{,}]\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
FIXED = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@FIXED
@given(value=OBJECTS, ascii=st.booleans(), blanks=st.booleans())
def test_every_clean_object_is_taken_as_it_is(value: Any, ascii: bool, blanks: bool):
    separators = (", ", ": ") if blanks else (",", ":")
    data = json.dumps(value, ensure_ascii=ascii, separators=separators).encode("utf-8", "replace")
    assert parse_object(data, DEPTH) == (json.loads(data), "")


@FIXED
@given(value=OBJECTS.filter(bool), twice=VALUES, ascii=st.booleans())
def test_a_repeated_key_is_always_found(value: dict[str, Any], twice: Any, ascii: bool):
    texts = [(json.dumps(k, ensure_ascii=ascii), json.dumps(v)) for k, v in value.items()]
    texts.append((texts[0][0], json.dumps(twice)))
    data = ("{" + ",".join(f"{k}:{v}" for k, v in texts) + "}").encode()
    found, rule = parse_object(data, DEPTH)
    assert found is None
    assert rule.startswith("must not have one key twice")


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks: list[bytes] = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


SIZES = st.lists(st.integers(0, 12), max_size=30)


@FIXED
@given(rows=st.lists(OBJECTS, max_size=8), sizes=SIZES)
def test_lines_do_not_depend_on_how_the_stream_comes(rows: list[Any], sizes: list[int]):
    texts = [json.dumps(r).encode() for r in rows]
    found = list(split_lines(chunked(b"\n\n".join(texts), sizes), 10_000))
    assert found == [(1 + 2 * i, text) for i, text in enumerate(texts)]


@FIXED
@given(
    rows=st.lists(OBJECTS, max_size=8),
    sizes=SIZES,
    indent=st.sampled_from([None, 1]),
    array=st.booleans(),
)
def test_elements_do_not_depend_on_how_the_stream_comes(
    rows: list[Any], sizes: list[int], indent: int | None, array: bool
):
    texts = [json.dumps(r, indent=indent) for r in rows]
    text = f"[{', '.join(texts)}]" if array else "\n".join(texts)
    found = list(split_values(chunked(text.encode(), sizes), 10_000))
    assert [json.loads(data or b"") for _, data in found] == rows
    if array is False:
        starts = [1 + sum(t.count("\n") + 1 for t in texts[:i]) for i in range(len(texts))]
        assert [line for line, _ in found] == starts


@FIXED
@given(sizes=st.lists(st.integers(1, 9), max_size=40), limit=st.integers(5, 30))
def test_too_long_records_are_skipped_and_counted(sizes: list[int], limit: int):
    rows = [{"a": "x" * n} for n in (1, 40, 3, 60, 0)]
    wanted = [None if len(json.dumps(r)) > limit else r for r in rows]
    lines = "\n".join(map(json.dumps, rows)).encode()
    array = json.dumps(rows).encode()
    for found in (
        split_lines(chunked(lines, sizes), limit),
        split_values(chunked(array, sizes), limit),
    ):
        assert [None if data is None else json.loads(data) for _, data in found] == wanted
