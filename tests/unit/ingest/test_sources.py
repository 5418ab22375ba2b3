"""Records from files: how they are packed and written makes no difference."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet as pq

from tests.unit.ingest.logs import jsonl, put, read, refused, request, values
from upturn.errors import DataError
from upturn.ingest import open_records
from upturn.ingest.files import source_files, suffix_of

ROWS = [{"id": f"r{n}", "text": f'größe "{n}"\nnext', "n": str(n)} for n in range(1200)]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=500)
    return out.getvalue()


WRITTEN: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "jsonl": jsonl,
    "json": lambda rows: json.dumps(rows).encode(),
    "pretty.json": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False).encode(),
    "csv": as_csv,
    "parquet": as_parquet,
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("written", WRITTEN)
def test_every_way_to_write_and_pack_gives_the_same_records(
    tmp_path: Path, written: str, packing: str
):
    data = PACKED[packing](WRITTEN[written](ROWS))
    records = read(put(tmp_path / f"log.{written}{packing}", data))
    assert values(records) == ROWS
    assert [r.number for r in records] == list(range(1, 1201))


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("written", WRITTEN)
def test_the_content_tells_what_a_name_does_not(tmp_path: Path, written: str, packing: str):
    data = PACKED[packing](WRITTEN[written](ROWS))
    assert values(read(put(tmp_path / "export", data))) == ROWS


@pytest.mark.parametrize("written", WRITTEN)
def test_records_that_are_skipped_keep_the_numbers_of_the_others(tmp_path: Path, written: str):
    path = put(tmp_path / f"log.{written}", WRITTEN[written](ROWS))
    whole = read(path)
    assert read(path, skip=700) == whole[700:]
    assert read(path, skip=1200) == []


def test_several_packed_members_are_one_file(tmp_path: Path):
    halves = jsonl(ROWS[:600]), jsonl(ROWS[600:])
    for name, pack in (("a.gz", gzip.compress), ("b.zst", PACKED[".zst"])):
        data = b"".join(map(pack, halves))
        assert values(read(put(tmp_path / name, data))) == ROWS
    padded = gzip.compress(jsonl(ROWS)) + bytes(5000)
    assert values(read(put(tmp_path / "c.gz", padded))) == ROWS


def test_a_mark_crlf_and_blank_lines_are_nothing(tmp_path: Path):
    data = b"\xef\xbb\xbf" + b'{"a":1}\r\n\r\n   \n\n{"a":2}\r\n{"a":3}'
    records = read(put(tmp_path / "a.jsonl", data))
    assert [(r.line, r.value) for r in records] == [(1, {"a": 1}), (5, {"a": 2}), (6, {"a": 3})]
    table = b"\xef\xbb\xbf" + b"a,b\r\n1,x\r\n\r\n2,y\r\n"
    assert values(read(put(tmp_path / "a.csv", table))) == [
        {"a": "1", "b": "x"},
        {"a": "2", "b": "y"},
    ]
    marked = b"\xef\xbb\xbf" + b'[{"a":1}]'
    assert values(read(put(tmp_path / "a.json", marked))) == [{"a": 1}]


def test_one_document_is_one_record_and_several_are_several(tmp_path: Path):
    document = {"resourceSpans": [{"a": [1, {"b": '}]"\\'}]}], "n": None}
    pretty = json.dumps(document, indent=2).encode()
    assert values(read(put(tmp_path / "a.json", pretty))) == [document]
    assert values(read(put(tmp_path / "b.json", pretty + b"\n" + pretty))) == [document] * 2
    one_line = json.dumps(document).encode()
    assert values(read(put(tmp_path / "c.json", one_line + b"\n" + one_line))) == [document] * 2


def test_an_empty_file_has_no_records(tmp_path: Path):
    for name in ("a.jsonl", "a.json", "a.csv", "a"):
        assert read(put(tmp_path / name, b"")) == []
        assert read(put(tmp_path / name, b"\n \n")) == []
    assert read(put(tmp_path / "a.json", b" [ ] ")) == []
    assert read(put(tmp_path / "a.csv", b"a,b\n")) == []
    assert read(put(tmp_path / "a.gz", gzip.compress(b""))) == []


def test_what_stands_in_an_array_besides_objects_is_refused_alone(tmp_path: Path):
    data = b'[{"a":1},\n 7, "x,y", {"a":2} ,\n[{"a":3}], {"b":}, {"a":4}]'
    records = read(put(tmp_path / "a.json", data))
    assert values(records) == [{"a": 1}, {"a": 2}, {"a": 4}]
    assert [(line, rule[:40]) for line, rule in refused(records)] == [
        (2, "must be a JSON object, got 7"),
        (2, "must be a JSON object, got 'x,y'"),
        (3, "must be a JSON object, got [{'a': 3}]"),
        (3, "must be one whole JSON object, got: unex"),
    ]


def test_csv_rows_that_do_not_fit_their_header_are_refused_alone(tmp_path: Path):
    data = b'a,b\n1,2\n3\n4,5,6\n"x\ny",7\n"z"z,8\n\xff,9\n10,11\n"open,1\n2,3\n'
    records = read(put(tmp_path / "a.csv", data))
    assert values(records) == [
        {"a": "1", "b": "2"},
        {"a": "x\ny", "b": "7"},
        {"a": "10", "b": "11"},
    ]
    assert [(line, rule[:38]) for line, rule in refused(records)] == [
        (3, "must have 2 cells as the header has, g"),
        (4, "must have 2 cells as the header has, g"),
        (7, "must be CSV, got: ',' expected after '"),
        (8, "must be UTF-8 text, got other bytes"),
        (10, "must be CSV, got: unexpected end of da"),
    ]


@pytest.mark.parametrize("mark", [";", "\t", ","])
def test_the_header_tells_what_separates_cells(tmp_path: Path, mark: str):
    data = f"id{mark}text\n1{mark}hello\n".encode()
    assert values(read(put(tmp_path / "a.csv", data))) == [{"id": "1", "text": "hello"}]


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="must name each column once, got twice or empty: 'a'"):
        read(put(tmp_path / "a.csv", b"a,b,a\n1,2,3\n"))


def test_parquet_values_become_json(tmp_path: Path):
    table = pa.table(
        {
            "time": pa.array([datetime(2026, 9, 1, 10, tzinfo=UTC)]),
            "cost": pa.array([Decimal("0.25")]),
            "count": pa.array([Decimal("3")]),
            "tags": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "inputs": pa.array([{"message": "hi", "parts": [1, None]}]),
            "bytes": pa.array([b"text"]),
            "none": pa.array([None], pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(read(tmp_path / "a.parquet")) == [
        {
            "time": "2026-09-01T10:00:00+00:00",
            "cost": 0.25,
            "count": 3,
            "tags": {"a": 1},
            "inputs": {"message": "hi", "parts": [1, None]},
            "bytes": "text",
            "none": None,
        }
    ]


def test_parquet_values_that_json_has_not_are_refused_by_row(tmp_path: Path):
    table = pa.table({"score": [1.0, float("nan"), 2.0], "raw": [b"a", b"b", b"\xff"]})
    pq.write_table(table, tmp_path / "a.parquet")
    records = read(tmp_path / "a.parquet")
    assert values(records) == [{"score": 1.0, "raw": "a"}]
    assert refused(records) == [
        (2, "must have finite numbers, got nan"),
        (3, "must have text or numbers, got bytes that are no UTF-8"),
    ]


def test_a_folder_is_its_files_of_known_suffixes_sorted(tmp_path: Path):
    for name in ("b/2.jsonl.gz", "b/1.csv", "a.parquet", "c.json.zst", "notes.txt", ".x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path / name, b"")
    (tmp_path / "b" / "link.jsonl").symlink_to(tmp_path / "b" / "2.jsonl.gz")
    found = [Path(p).relative_to(tmp_path).as_posix() for p in source_files([tmp_path])]
    assert found == ["a.parquet", "b/1.csv", "b/2.jsonl.gz", "b/link.jsonl", "c.json.zst"]
    assert suffix_of("A.JSONL.GZ") == ".jsonl"


def test_progress_is_told_in_bytes_of_the_packed_file(tmp_path: Path):
    path = put(tmp_path / "a.jsonl.gz", gzip.compress(jsonl(map(request, range(50_000)))))
    with open_records(str(path)) as stream:
        assert stream.size == path.stat().st_size
        seen = [stream.consumed for _ in stream.records()]
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size
    table = put(tmp_path / "a.parquet", as_parquet(ROWS * 20))
    with open_records(str(table)) as stream:
        seen = [stream.consumed for _ in stream.records()]
    assert seen[0] < seen[12_000] < seen[-1] <= table.stat().st_size
