"""What is searched for, where it is found, and how a file is changed without breaking it."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import sqlite3
from contextlib import closing

import pytest

from upturn.datasets import Snapshot, SplitRules, freeze
from upturn.errors import StorageError
from upturn.pipeline.forget.needles import Needles, pieces
from upturn.pipeline.forget.places import sweep
from upturn.pipeline.forget.snapshots import read_rows, rebuild
from upturn.pipeline.forget.versions import Demos, change, finish, manifest_of
from upturn.pipeline.workspace import read_json, write_json
from upturn.records import Candidate, Example, PromptState
from upturn.tracking.versions import build_files, read_version

TEXT = 'my "broken" <b>Gerät</b> & it\'s\nnever back'


def _csv(text: str) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([text, "kept"])
    return out.getvalue()


@pytest.mark.parametrize(
    "written",
    [
        TEXT,
        json.dumps(TEXT),
        json.dumps(TEXT, ensure_ascii=False),
        json.dumps(json.dumps({"a": TEXT})),
        html.escape(TEXT),
        html.escape(TEXT).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        html.escape(json.dumps(TEXT)),
        _csv(TEXT),
        repr(TEXT),
        f"[[ ## message ## ]]\\n{json.dumps(TEXT)[1:-1]}\\n",
    ],
)
def test_a_text_is_found_in_every_form(written):
    needles = Needles(pieces(TEXT), ())
    clean, places = needles.redact(written)
    assert places == 1
    assert "Ger" not in clean
    assert "[forgotten]" in clean


def test_a_text_that_was_cut_is_found_by_its_beginning():
    long = "I bought a lamp on Monday and it burst into flames at once"
    needles = Needles(pieces(long), ())
    assert needles.redact(f"{long[:41]}…") == ("[forgotten]…", 1)


def test_part_of_a_longer_word_is_no_place():
    needles = Needles(pieces("have a nice day 44"), ())
    assert not needles.in_text("have a nice day 443")
    assert needles.in_text("so have a nice day 44!")


@pytest.mark.parametrize(
    ("identity", "text", "clean"),
    [
        ("req-0001", "req-0001, req-00012, xreq-0001", "[forgotten], req-00012, xreq-0001"),
        ("req-0001", "req-0001-step", "req-0001-step"),
        ("12", '12 of {"user":"12"}', '12 of {"user":"[forgotten]"}'),
        ("12", "<td>12</td> 12.5", "<td>[forgotten]</td> 12.5"),
        ("a.b*c", "by a.b*c", "by a.b*c"),
    ],
)
def test_an_id_counts_where_it_stands_alone(identity, text, clean):
    assert Needles((), [identity]).redact(text)[0] == clean


def test_many_needles_find_what_few_find():
    texts = [f"the complaint number {n} of the day" for n in range(600)]
    needles = Needles(texts, ())
    assert needles.redact(f"a {texts[7]} b {texts[599]} c") == ("a [forgotten] b [forgotten] c", 2)
    assert not needles.in_text("the complaint number 600 of the day")


def test_short_texts_are_nobodys(tmp_path):
    (tmp_path / "a.txt").write_text("billing")
    assert sweep([tmp_path], Needles(["billing"], ())).files == {}


def test_files_keep_their_form(tmp_path):
    needles = Needles([TEXT], ["req-0001"])
    write_json(tmp_path / "record.json", {"a": [TEXT], "b": 1})
    (tmp_path / "lines.jsonl").write_text('{"id": "req-0001"}\n{"id": "req-0002"}\n')
    (tmp_path / "page.html").write_text(f"<p>{html.escape(TEXT)}</p>")
    with gzip.open(tmp_path / "log.jsonl.gz", "wt") as file:
        file.write('{"id": "req-0003"}\n{"id": "req-0001"}\n')
    (tmp_path / "page.html").chmod(0o640)
    swept = sweep([tmp_path, tmp_path / "nowhere"], needles)
    assert swept.left == []
    assert len(swept.files) == 4
    assert read_json(tmp_path / "record.json") == {"a": ["[forgotten]"], "b": 1}
    assert (tmp_path / "lines.jsonl").read_text() == '{"id": "req-0002"}\n'
    assert (tmp_path / "page.html").read_text() == "<p>[forgotten]</p>"
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o640
    with gzip.open(tmp_path / "log.jsonl.gz", "rt") as file:
        assert file.read() == '{"id": "req-0003"}\n'


def test_a_ledger_is_never_changed(tmp_path):
    (tmp_path / "ledger.jsonl").write_text(f"{json.dumps(TEXT)}\n")
    before = (tmp_path / "ledger.jsonl").read_bytes()
    swept = sweep([tmp_path], Needles([TEXT], ()))
    assert swept.left == [f"{tmp_path / 'ledger.jsonl'}: a ledger is never changed"]
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


def test_tables_are_redacted_to_the_last_byte(tmp_path):
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute(
            'create table "odd ""name" (id integer primary key, "te xt" text, n int, b blob)'
        )
        db.execute("create table answers (key text primary key, text text) without rowid")
        rows = [(n, f"row {n} " + "x" * 3000, n, None) for n in range(50)]
        rows.append((50, f"before {TEXT} behind", 1, f"a long blob that says {TEXT} too".encode()))
        db.executemany('insert into "odd ""name" values (?, ?, ?, ?)', rows)
        db.executemany("insert into answers values (?, ?)", [("k1", TEXT), ("k2", "kept")])
        db.commit()
    swept = sweep([tmp_path], Needles(pieces(TEXT), ()))
    assert sum(swept.tables.values()) == 3
    with closing(sqlite3.connect(path)) as db:
        found = db.execute('select "te xt", b from "odd ""name" where id = 50').fetchone()
        assert found == ("before [forgotten] behind", b"a long blob that says [forgotten] too")
        assert db.execute("select key from answers").fetchall() == [("k2",)]
    for file in tmp_path.iterdir():
        assert "Gerät".encode() not in file.read_bytes()


def test_a_locked_database_says_what_to_do(tmp_path):
    path = tmp_path / "some.db"
    path.write_bytes(b"SQLite format 3\x00" + b"broken" * 100)
    with pytest.raises(StorageError, match="whole and unlocked"):
        sweep([tmp_path], Needles([TEXT], ()))


def version(folder) -> Candidate:
    """Writes a version with two demos."""
    demos = ({"message": TEXT, "team": "returns"}, {"message": "hi", "team": "billing"})
    candidate = Candidate(states={"triage": PromptState(instruction="Route.", demos=demos)})
    program = {"triage": {"demos": [{"augmented": True, **d} for d in demos], "lm": None}}
    turns = [
        {"role": "system", "content": "Route."},
        {"role": "user", "content": f"message: {TEXT}"},
        {"role": "assistant", "content": "returns"},
        {"role": "user", "content": "{message}"},
    ]
    files = build_files(
        candidate,
        turn="t1",
        report_json={"verdict": "PROMOTE"},
        files={
            "program.json": json.dumps(program).encode(),
            "prompt.json": json.dumps(turns).encode(),
            "decision.md": b"# fine\n",
        },
        facts={"snapshot": "s1"},
    )
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return candidate


def test_a_version_without_a_demo_is_a_version(tmp_path):
    before = version(tmp_path / "v")
    demos = Demos(needles=Needles(pieces(TEXT), ()), inputs=[])
    changed = change(tmp_path / "v", demos, "mark")
    assert changed is not None
    content = {p.name: p.read_bytes() for p in (tmp_path / "v").iterdir()}
    found = read_version("tickets", "2", content, where="here", expected=changed.manifest)
    assert found.candidate.states["triage"].demos == ({"message": "hi", "team": "billing"},)
    assert (changed.was_candidate, changed.candidate) == (before.id, found.candidate.id)
    assert changed.demos == 1
    assert [m["role"] for m in json.loads(content["prompt.json"])] == ["system", "user"]
    assert len(json.loads(content["program.json"])["triage"]["demos"]) == 1
    assert content["decision.md"] == b"# fine\n"
    assert change(tmp_path / "v", demos, "mark") is None


def test_a_demo_too_short_to_search_for_goes_by_its_inputs(tmp_path):
    version(tmp_path / "v")
    demos = Demos(needles=Needles((), ()), inputs=[{"message": "hi"}])
    changed = change(tmp_path / "v", demos, "mark")
    assert changed is not None
    assert changed.demos == 1
    left = json.loads((tmp_path / "v" / "candidate.json").read_bytes())
    assert [d["message"] for d in left["states"]["triage"]["demos"]] == [TEXT]


def test_a_kill_between_the_files_of_a_version_is_mended(tmp_path):
    version(tmp_path / "v")
    demos = Demos(needles=Needles(pieces(TEXT), ()), inputs=[])
    whole = tmp_path / "whole"
    version(whole)
    change(whole, demos, "mark")
    # Killed after the first of the new files took its place: the manifest's draft is still there.
    for name in ("candidate.json", "program.json", "prompt.json", "manifest.json"):
        (tmp_path / "v" / f"{name}.forget").write_bytes((whole / name).read_bytes())
    (tmp_path / "v" / "candidate.json.forget").replace(tmp_path / "v" / "candidate.json")
    finish(tmp_path / "v")
    assert {p.name: p.read_bytes() for p in (tmp_path / "v").iterdir()} == {
        p.name: p.read_bytes() for p in whole.iterdir()
    }
    # Killed before all drafts were written: nothing was changed, the drafts go.
    other = tmp_path / "other"
    version(other)
    (other / "candidate.json.forget").write_bytes(b"half")
    before = manifest_of(other)
    finish(other)
    assert manifest_of(other) == before
    assert not list(other.glob("*.forget"))


def test_rows_of_others_keep_their_group_under_another_name(tmp_path):
    rows = [
        Example(
            id=f"r{n}",
            inputs={"message": f"message number {n} of these"},
            labels={"team": "billing"},
            group="jane" if n in (3, 4, 5) else f"g{n}",
            time=f"2026-01-{n + 1:02d}T00:00:00+00:00",
        )
        for n in range(20)
    ]
    made = freeze(rows, rules=SplitRules(), folder=tmp_path, provenance={})
    before = {e.id: s for s, some in read_rows(made.folder).items() for e in some}
    rebuilt = rebuild(
        made.folder,
        lambda e: e.id == "r3",
        names={"jane"},
        needles=Needles((), ["jane"]),
        subject="mark",
    )
    assert rebuilt is not None
    (folder,) = [p.parent for p in tmp_path.glob("*/manifest.json")]
    after = {e.id: (s, e.group) for s, some in read_rows(folder).items() for e in some}
    assert {i: s for i, (s, _) in after.items()} == {i: s for i, s in before.items() if i != "r3"}
    assert after["r4"][1] == after["r5"][1]
    assert after["r4"][1].startswith("group-")
    assert after["r6"][1] == "g6"
    sizes = Snapshot.load(folder).manifest["sizes"]
    assert sum(s["groups"] for s in sizes.values()) == 18
    assert (
        rebuild(
            folder, lambda e: e.id == "r3", names={"jane"}, needles=Needles((), ()), subject="mark"
        )
        is None
    )
