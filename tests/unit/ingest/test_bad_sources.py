"""Damaged and hostile files: what is whole is kept, what is not is named, memory stays small."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet as pq

from tests.unit.ingest.logs import jsonl, put, read, refused, request, values
from upturn.errors import DataError, StorageError
from upturn.ingest import Limits
from upturn.ingest.files import source_files
from upturn.ingest.limits import MIB

ROWS = [request(n) for n in range(5000)]


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_of_a_cut_file_all_before_the_cut_is_kept(tmp_path: Path, packing: str):
    data = jsonl(ROWS)
    whole = gzip.compress(data) if packing == "gzip" else zstandard.ZstdCompressor().compress(data)
    records = read(put(tmp_path / "a.jsonl", whole[: len(whole) * 2 // 3]))
    kept = values(records)
    assert kept == ROWS[: len(kept)]
    assert len(kept) > 2000
    assert refused(records) == [(0, f"must be a whole {packing} file, this one ends too early")]


def test_of_a_damaged_file_all_before_the_damage_is_kept(tmp_path: Path):
    data = bytearray(gzip.compress(jsonl(ROWS * 20)))
    data[-6] ^= 0xFF  # the checksum at its end
    records = read(put(tmp_path / "a.jsonl.gz", bytes(data)))
    assert len(values(records)) > 90_000
    assert "must be a whole gzip file, got: Error -3" in refused(records)[-1][1]


def test_a_line_that_is_cut_off_is_refused_alone(tmp_path: Path):
    data = jsonl(ROWS[:3])
    records = read(put(tmp_path / "a.jsonl", data[:-20]))
    assert values(records) == ROWS[:2]
    assert [(line, rule[:37]) for line, rule in refused(records)] == [
        (3, "must be one whole JSON object, got: u")
    ]


@pytest.mark.parametrize(
    ("data", "kept", "rule"),
    [
        (b'[{"a":1},{"a":2', [{"a": 1}], "must be one whole JSON object"),
        (b'[{"a":1},{"a":2}', [{"a": 1}, {"a": 2}], "must end where its array is closed"),
        (b'[{"a":1},', [{"a": 1}], "must end where its array is closed"),
        (b'[{"a":1},"x', [{"a": 1}], "must be one whole JSON object"),
        (b'{\n"a":1}\n{\n"a":', [{"a": 1}], "must be one whole JSON object"),
    ],
)
def test_a_cut_array_or_document_gives_one_refusal(
    tmp_path: Path, data: bytes, kept: list[object], rule: str
):
    records = read(put(tmp_path / "a.json", data))
    assert values(records) == kept
    ((_, said),) = refused(records)
    assert said.startswith(rule)


def test_lines_in_another_encoding_are_refused_alone(tmp_path: Path):
    latin = '{"text":"größe"}\n'.encode("latin-1")
    records = read(put(tmp_path / "a.jsonl", b'{"a":1}\n' + latin + '{"b":"größe"}\n'.encode()))
    assert values(records) == [{"a": 1}, {"b": "größe"}]
    assert refused(records) == [(2, "must be UTF-8 text, got invalid start byte at byte 11")]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_a_file_in_utf_16_is_named_as_such(tmp_path: Path, encoding: str, named: str):
    path = put(tmp_path / "a.jsonl", jsonl(ROWS[:2]).decode().encode(encoding))
    with pytest.raises(DataError, match=f"must be UTF-8 text, this is {named}") as caught:
        read(path)
    assert f"iconv -f {named} -t UTF-8" in caught.value.fix


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"PK\x03\x04 rest", "a zip archive"),
        (b"BZh91AY", "packed with bzip2"),
        (b"\xfd7zXZ\x00\x00", "packed with xz"),
        (b"SQLite format 3\x00", "an SQLite database"),
    ],
)
def test_archives_and_databases_are_named(tmp_path: Path, head: bytes, named: str):
    with pytest.raises(DataError, match=named) as caught:
        read(put(tmp_path / "a.jsonl", head))
    assert str(tmp_path) in caught.value.fix


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_record_of_100_mb_is_refused_and_never_held(tmp_path: Path, name: str):
    path, chunk = tmp_path / name, b"x" * MIB
    opening = {"a.jsonl": b'{"a":1}\n{"b":"', "a.json": b'[{"a":1},\n{"b":"', "a.csv": b"a\n1\n"}
    closing = {"a.jsonl": b'"}\n{"a":2}\n', "a.json": b'"},\n{"a":2}]', "a.csv": b"\n2\n"}
    with path.open("wb") as file:
        file.write(opening[name])
        for _ in range(100):
            file.write(chunk)
        file.write(closing[name])
    code = (
        "import resource, sys\n"
        "from upturn.ingest import open_records\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with open_records(sys.argv[1]) as stream:\n"
        "    for r in stream.records(): print(r.line, r.value, r.rule)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    *lines, grown = out.stdout.splitlines()
    one, two = ("{'a': '1'}", "{'a': '2'}") if name == "a.csv" else ("{'a': 1}", "{'a': 2}")
    first = 2 if name == "a.csv" else 1
    assert lines == [
        f"{first} {one} ",
        f"{first + 1} None must be at most {16 * MIB} bytes long",
        f"{first + 2} {two} ",
    ]
    assert int(grown) < 64 * 1024, "KiB"


def test_a_gzip_bomb_is_stopped(tmp_path: Path):
    pack = zlib.compressobj(9, wbits=31)
    data = b"".join(pack.compress(b" " * MIB) for _ in range(300)) + pack.flush()
    path = put(tmp_path / "a.jsonl.gz", jsonl([]) + data)
    with pytest.raises(DataError, match="must not unfold to more than 1000 times its size"):
        read(path, Limits(ratio_after_bytes=10 * MIB))
    with pytest.raises(DataError, match=f"or {20 * MIB} bytes"):
        read(path, Limits(output_bytes=20 * MIB))


def test_a_zstd_bomb_is_stopped(tmp_path: Path):
    data = zstandard.ZstdCompressor(level=19).compress(bytes(400 * MIB))
    assert len(data) < 100_000
    with pytest.raises(DataError, match="must not unfold to more than"):
        read(put(tmp_path / "a.jsonl.zst", data))


def test_a_parquet_bomb_is_stopped_by_its_own_index(tmp_path: Path):
    table = pa.table({"a": ["x" * MIB] * 300})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False, compression="zstd")
    with pytest.raises(DataError, match="a Parquet file must not unfold to more"):
        read(tmp_path / "a.parquet", Limits(ratio_after_bytes=MIB))


def test_a_cut_parquet_file_is_refused(tmp_path: Path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(DataError, match="a Parquet file must be whole"):
        read(put(tmp_path / "b.parquet", data[:-30]))


def test_a_csv_quote_that_is_never_closed_is_not_held(tmp_path: Path):
    data = b'a,b\n1,2\n"' + b"x" * 50 + b"\n" + b"y,z\n" * 100_000
    records = read(put(tmp_path / "a.csv", data), Limits(record_bytes=10_000))
    assert values(records)[0] == {"a": "1", "b": "2"}
    assert refused(records)[0] == (3, "must close its quotes within the longest record")
    assert len(values(records)) > 90_000, "reading goes on behind it"


def test_only_regular_files_are_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path, kind in ((tmp_path / "pipe.jsonl", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DataError, match=f"must be a regular file or a folder, this is {kind}"):
            source_files([path])
        with pytest.raises(DataError, match=kind):
            read(path)
    with pytest.raises(DataError, match="this is a pipe"):
        source_files([tmp_path])


def test_a_link_out_of_a_folder_is_refused(tmp_path: Path):
    secret = put(tmp_path / "secret.jsonl", b"{}")
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.jsonl").symlink_to(secret)
    with pytest.raises(DataError, match="this is a symbolic link"):
        source_files([tmp_path / "drop"])


def test_paths_that_lead_nowhere_are_named(tmp_path: Path):
    with pytest.raises(DataError, match="must exist and be readable, got: No such file"):
        source_files([tmp_path / "none.jsonl"])
    with pytest.raises(DataError, match="got: embedded null byte"):
        source_files(["a\x00b"])
    with pytest.raises(DataError, match="a folder must hold files that end in"):
        source_files([tmp_path])
    with pytest.raises(StorageError, match="a source must be readable"):
        read(tmp_path / "none.jsonl")
