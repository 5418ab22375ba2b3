"""Every byte of a ledger counts: single changes, old formats, what a parser would not see."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.unit.ledger.books import HOLDOUT, Clock, book, fill, look, old_lines
from upturn.errors import CorruptionError, UpturnError
from upturn.ledger import Ledger, read_chain
from upturn.ledger.entry import GENESIS
from upturn.pipeline.audit.chain import check_times
from upturn.records import Look, canonical_json, content_hash

#: What a byte is changed to, besides a flipped bit of its own.
SWAPS = (b" ", b"\n", b"0", b'"', b"\xff")
PATH = Path("ledger.jsonl")


def changed(content: bytes, place: int, byte: bytes) -> bytes:
    return content[:place] + byte + content[place + 1 :]


def is_found(content: bytes) -> bool:
    return read_chain(content, PATH).broken is not None


def test_every_single_byte_of_a_small_ledger_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path), turns=1)
    content = path.read_bytes()
    assert not is_found(content)
    missed = [
        (place, byte)
        for place, own in enumerate(content)
        for byte in {*SWAPS, bytes([own ^ 1])}
        if byte != bytes([own]) and not is_found(changed(content, place, byte))
    ]
    assert missed == []


def test_ten_thousand_random_bytes_of_a_large_ledger_count(tmp_path: Path) -> None:
    """A change is found in the lines that it touches, read on from the line before them.

    The lines before are what they were, so the whole ledger is read to the same point.
    """
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(old_lines(*[("forget", "", {"k": k, "x": k / 7}) for k in range(5000)]))
    content = path.read_bytes()
    entries = read_chain(content, PATH).entries
    starts = [0]
    for entry in entries:
        starts.append(starts[-1] + len(entry.line) + 1)
    assert starts[-1] == len(content)
    rng = random.Random(7)
    for _ in range(10_000):
        line = rng.randrange(len(entries))
        start, end = starts[line], starts[min(line + 2, len(entries))]
        place = rng.randrange(start, starts[line + 1])
        byte = bytes([rng.choice([b for b in range(256) if b != content[place]])])
        touched = changed(content[start:end], place - start, byte)
        before = entries[line - 1].hash if line else GENESIS
        found = read_chain(touched, PATH, number=line, previous=before)
        assert found.broken is not None, (place, byte)


def test_the_line_by_line_reading_is_that_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path), turns=3)
    content = path.read_bytes()
    whole = read_chain(content, PATH).entries
    first = len(whole[0].line) + len(whole[1].line) + 2
    rest = read_chain(content[first:], PATH, number=2, previous=whole[1].hash).entries
    assert rest == whole[2:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"n":10', b'"n":10.0'),
        (b'"p_value":1e-07', b'"p_value":1.0e-07'),
        (b'"n":10', b'"n": 10'),
        ("Ünicode".encode(), b"\\u00dcnicode"),
        (b'"n":10', b'"n":10,"n":10'),
        (b'{"actor"', b' {"actor"'),
    ],
    ids=["float", "exponent", "blank", "escape", "key twice", "indent"],
)
def test_the_same_meaning_in_other_bytes_is_a_change(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(CorruptionError, match="match its own hash"):
        book(path).verify()


@pytest.mark.parametrize("tail", [b" ", b"\n", b"x", b"}", b"12", b"\xff", b"[1", b"null"])
def test_what_no_kill_leaves_at_the_end_is_a_change(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path))
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(CorruptionError):
        look(book(path), "t9")


@pytest.mark.parametrize("end", [b"\n", b""], ids=["line", "tail"])
@pytest.mark.parametrize("deep", [b"[", b'{"a":'], ids=["list", "object"])
def test_a_line_too_deep_to_be_read_is_no_crash(tmp_path: Path, deep: bytes, end: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path))
    whole = path.read_bytes()
    chain = read_chain(whole + deep * 100_000 + end, path)
    assert len(chain.entries) == whole.count(b"\n")
    torn = deep.startswith(b"{") and not end
    assert (chain.broken is None, chain.torn > 0) == (torn, torn)


def test_an_old_ledger_reads_verifies_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    seen = {"holdout": HOLDOUT, "number": 1, "alpha": 0.025, "turn": "t1"}
    decision = {"turn": "t1", "verdict": "HOLD", "report": {"effect": 0.01, "n": 9, "looks": 1}}
    old = old_lines(
        ("look", "p", seen), ("decision", "p", decision), ("repair", "", {"note": "removed 3"})
    )
    path.write_bytes(old)
    ledger = book(path)
    assert ledger.looks(HOLDOUT) == (Look(**seen),)
    assert look(ledger, "t2").number == 2
    assert ledger.verify() == 4
    assert path.read_bytes().startswith(old)
    assert [(e.format, e.actor) for e in ledger.entries()] == [(1, "")] * 3 + [(2, "nightly")]
    assert ledger.head() == f"4:{ledger.entries()[-1].hash}"


def test_an_entry_says_who_wrote_it_and_on_what(tmp_path: Path) -> None:
    ledger = book(tmp_path / "ledger.jsonl")
    fill(ledger, turns=1)
    adoption, seen, decision, promotion = ledger.entries()
    assert [e.actor for e in (adoption, seen, decision, promotion)] == ["nightly"] * 3 + ["ann"]
    assert decision.inputs == {"snapshot": "s" * 64}
    assert "override" not in promotion.data


def test_an_override_is_marked(tmp_path: Path) -> None:
    ledger = book(tmp_path / "ledger.jsonl")
    move = {"program": "p", "version": "2", "previous": "1", "turn": "", "who": "ann"}
    for _ in range(2):
        entry = ledger.append_promotion(**move, reason="outage", override=True)
    assert entry.data["override"] is True
    assert ledger.append_promotion(**move, reason="outage").number == 2


def test_a_kind_of_a_later_version_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(old_lines(("prophecy", "p", {})))
    with pytest.raises(UpturnError, match="one that this version knows, got 'prophecy'") as caught:
        book(path).verify()
    assert not isinstance(caught.value, CorruptionError)


@pytest.mark.parametrize("field", ["data", "inputs", "number", "time"])
def test_a_forged_line_with_its_hash_in_order_has_the_form_of_a_line(
    tmp_path: Path, field: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = book(path)
    look(ledger, "t1")
    body = {**ledger.entries()[0].to_json(), field: True}
    del body["hash"]
    path.write_text(canonical_json({**body, "hash": content_hash(body)}) + "\n")
    with pytest.raises(CorruptionError):
        ledger.verify()


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    fill(book(path), turns=1)
    later = book(path)  # its clock starts again
    assert look(later, "t9").number == 2
    entries = later.entries()
    assert entries[-1].time < entries[-2].time
    assert [e.number for e in entries] == [1, 2, 3, 4, 5]
    assert check_times(entries) == ["by its clock entry 5 was written before the one before it"]
    assert check_times(entries[:4]) == []


def test_two_writers_look_in_the_same_second(tmp_path: Path) -> None:
    path, now = tmp_path / "ledger.jsonl", Clock()()
    writers = [Ledger(path, clock=lambda: now, actor=name) for name in ("x", "y")]
    assert [look(w, f"t{k}").number for k, w in enumerate(writers)] == [1, 2]
    first, second = writers[0].entries()
    assert (first.time, first.actor, second.actor) == (second.time, "x", "y")
    assert first.hash != second.hash
