"""``upturn ingest`` as a user types it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ingest.logs import feedback, jsonl, put, request
from upturn.store import FeedbackStore

UPTURN = [sys.executable, "-c", "from upturn.cli import main; main()", "ingest"]


def upturn(
    folder: Path, *arguments: str | Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*UPTURN, *map(str, arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(folder / "config")},
        timeout=300,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_it_answers_with_the_five_counts(tmp_path: Path):
    rows = [request(1), feedback(1), request(1, user="x"), {"upturn": 1, "kind": "x"}]
    put(tmp_path / "log.jsonl.gz", gzip.compress(jsonl(rows)))
    done = upturn(tmp_path, "log.jsonl.gz", "--store", "s.db", "--json")
    assert done.returncode == 0
    first = dict(list(answer(done).items())[:5])
    assert first == {"requests": 1, "feedback": 1, "duplicates": 0, "conflicts": 1, "rejected": 1}
    assert "warning: 1 rejected" in done.stderr
    assert "warning: 1 conflicts" in done.stderr
    (listed,) = (tmp_path / "rejects").iterdir()
    assert re.fullmatch(r"log\.jsonl\.gz-[0-9a-f]{8}\.jsonl", listed.name)
    assert f"line and reason of each: rejects/{listed.name}" in done.stderr
    assert len(listed.read_text().splitlines()) == 2
    again = upturn(tmp_path, "log.jsonl.gz", "--store", "sqlite:///s.db", "--json")
    assert list(answer(again).values())[:5] == [0, 0, 2, 1, 1]


def test_it_tells_people_in_words(tmp_path: Path):
    put(tmp_path / "1.jsonl", jsonl([request(1)]))
    put(tmp_path / "2.jsonl", jsonl([feedback(1)]))
    done = upturn(tmp_path, "1.jsonl", "2.jsonl", "--store", "s.db")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "1.jsonl: native",
        "  requests 1, feedback 0, duplicates 0, conflicts 0, rejected 0",
        "2.jsonl: native",
        "  requests 0, feedback 1, duplicates 0, conflicts 0, rejected 0",
        "in all",
        "  requests 1, feedback 1, duplicates 0, conflicts 0, rejected 0",
    ]
    assert done.stderr == ""


def test_the_standard_input_is_a_source(tmp_path: Path):
    packed = gzip.compress(jsonl([request(1), feedback(1)]))
    done = upturn(tmp_path, "-", "--store", "s.db", "--json", stdin=packed)
    assert list(answer(done).values())[:5] == [1, 1, 0, 0, 0]


def test_personal_items_are_taken_out_unless_told_otherwise(tmp_path: Path):
    put(tmp_path / "a.jsonl", jsonl([request(1, inputs={"message": "I am ana@example.com"})]))
    upturn(tmp_path, "a.jsonl", "--store", "clean.db", "--key-file", "key")
    upturn(tmp_path, "a.jsonl", "--store", "plain.db", "--no-scrub")
    for name, kept in (("clean.db", False), ("plain.db", True)):
        with FeedbackStore.open(str(tmp_path / name)) as store:
            stored = store.request("req-1")
        assert stored is not None
        assert ("ana@example.com" in stored.inputs["message"]) is kept
    assert (tmp_path / "key").stat().st_size == 32


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.jsonl", "--store", "s.db"], "a source must exist and be readable"),
        (["/dev/zero", "--store", "s.db"], "must be a regular file or a folder, this is a device"),
        (["odd.jsonl", "--store", "s.db"], "fits none of: braintrust, humanloop"),
        (["a.jsonl", "--store", "s.db", "--format", "langsmth"], "did you mean langsmith"),
        (["a.jsonl", "--store", "mysql://x/y"], "a store must be"),
        (["a.jsonl"], "name where events go with --store"),
        (["a.jsonl", "--store", "s.db", "--format", "map:no.yaml"], "a mapping file must be read"),
        (["mlflow:x", "--store", "s.db"], "must be named mlflow:URI#EXPERIMENT"),
        (["wide.jsonl", "--store", "s.db"], "must be UTF-8 text, this is UTF-16"),
        (["zip.jsonl", "--store", "s.db"], "this is a zip archive"),
    ],
)
def test_what_cannot_be_used_exits_with_2_and_the_way_on(
    tmp_path: Path, arguments: list[str], says: str
):
    put(tmp_path / "a.jsonl", jsonl([request(1)]))
    put(tmp_path / "odd.jsonl", jsonl([{"foo": 1}]))
    put(tmp_path / "wide.jsonl", jsonl([request(1)]).decode().encode("utf-16"))
    put(tmp_path / "zip.jsonl", b"PK\x03\x04")
    done = upturn(tmp_path, *arguments)
    assert done.returncode == 2
    assert says in re.sub(r"\s+", " ", done.stderr)
    assert done.stdout == ""


def test_a_preview_stores_nothing(tmp_path: Path):
    put(tmp_path / "m.yaml", b"requests: {id: n, program: {const: p}, inputs: {text: t}}\n")
    put(tmp_path / "a.csv", b"n,t\n1,hello\n,no number\n")
    done = upturn(tmp_path, "a.csv", "--format", "map:m.yaml", "--preview", "--json")
    shown = answer(done)
    assert shown["format"] == "map"
    assert shown["records"][0]["events"][0]["inputs"] == {"text": "hello"}
    assert shown["records"][1]["rejected"] == [
        {"field": "id", "reason": "must be a non-empty string, got ''"}
    ]
    table = upturn(tmp_path, "a.csv", "--format", "map:m.yaml", "--preview", "--records", "1")
    assert "a.csv: map; nothing was stored" in table.stdout
    assert "text': 'hello'" in table.stdout
    assert "no number" not in table.stdout
    left = {p.name for p in tmp_path.iterdir()} - {"config"}
    assert left == {"a.csv", "m.yaml"}


def until_closed(terminal: int) -> bytes:
    """Returns all that is drawn on a terminal."""
    drawn = b""
    while True:
        try:
            drawn += os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            return drawn


def test_a_terminal_sees_a_bar(tmp_path: Path):
    put(tmp_path / "a.jsonl", jsonl(request(n) for n in range(12_000)))
    main, child = pty.openpty()
    command = [*UPTURN, "a.jsonl", "--store", "s.db", "--no-scrub", "--json"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=child, env=env
    ) as done:
        os.close(child)
        # A terminal holds some kilobytes: who draws for long would wait for its reader.
        with ThreadPoolExecutor(1) as pool:
            drawing = pool.submit(until_closed, main)
            assert done.stdout is not None
            out = done.stdout.read()
            drawn = drawing.result()
    os.close(main)
    assert json.loads(out)["requests"] == 12_000
    assert b"1/1 a.jsonl" in drawn
    assert b"events/s" in drawn
