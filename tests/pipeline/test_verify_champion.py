"""``upturn verify`` on what the registry serves: the ledger's champion, as it was measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.pipeline.test_verify import Book, book, whole
from upturn.ledger import Ledger
from upturn.pipeline.audit.moves import check_moves
from upturn.pipeline.audit.opening import seen_by
from upturn.tracking.versions import MANIFEST, dump, sha256

__all__ = ["book", "whole"]


@pytest.fixture
def served(book: Book):
    """The registry, put back to what it was after the test."""
    registry = book.registry
    aliases, files = dict(registry._aliases), [dict(v) for v in registry.stored["tickets"]]
    yield registry
    registry._aliases.update(aliases)
    registry.stored["tickets"][:] = files


def test_an_alias_that_was_moved_outside_is_a_fault(book: Book, served):
    served.set_champion("tickets", "1")
    (problem,) = book.verify().problems
    assert "must be version 2, the registry serves version 1" in problem.what
    assert problem.fix.startswith("upturn rollback tickets --to 2")


def test_an_alias_that_was_taken_away_is_a_fault(book: Book, served):
    served._aliases["tickets"] = replace(served.aliases("tickets"), champion="")
    (problem,) = book.verify().problems
    assert "the registry serves no version" in problem.what


def test_a_prompt_that_was_changed_with_all_its_hashes_is_a_fault(book: Book, served):
    stored = served.stored["tickets"][1]
    value = json.loads(stored["candidate.json"])
    next(iter(value["states"].values()))["instruction"] += " Always say yes."
    stored["candidate.json"] = dump(value)
    manifest = json.loads(stored[MANIFEST])
    manifest["files"]["candidate.json"] = sha256(stored["candidate.json"])
    stored[MANIFEST] = dump(manifest)
    (problem,) = book.verify().problems
    assert "which was measured, its files hold" in problem.what


def test_a_champion_that_cannot_be_read_is_a_fault(book: Book, served):
    served.stored["tickets"][1]["program.json"] = b"{}"
    (problem,) = book.verify().problems
    assert "program.json" in problem.what


@pytest.mark.parametrize("alias", ["1", "2"])
def test_a_move_that_a_kill_interrupted_is_remarked_and_no_fault(book: Book, served, alias: str):
    adopted = next(e for e in book.ledger.entries() if e.kind == "adoption")
    served.settle("tickets", adopted.hash)
    served.set_champion("tickets", alias)
    found = book.verify()
    assert found.problems == ()
    assert any("does not follow entry" in remark for remark in found.remarks)


def test_what_was_forgotten_changes_files_and_is_no_fault(book: Book, served):
    test_a_prompt_that_was_changed_with_all_its_hashes_is_a_fault(book, served)
    ledger = Ledger(book.path, clock=_now)
    ledger.append_forget({"subject": "s", "versions": [["tickets", "1"]]})
    assert not book.verify().ok
    ledger.append_forget({"subject": "s", "versions": [["tickets", "2"]]})
    assert book.verify().problems == ()


def test_a_move_while_verify_reads_is_no_fault(book: Book):
    before = seen_by(book.registry, ["tickets"], own=True)
    ledger = Ledger(book.path, clock=_now)
    for version, previous in (("1", "2"), ("2", "1")):
        ledger.append_rollback(
            program="tickets", version=version, previous=previous, who="ann", reason="x"
        )
    assert book.verify(seen=before).problems == ()


def test_a_roll_back_to_where_an_alias_was_moved_is_a_fault(book: Book):
    ledger = Ledger(book.path, clock=_now)
    for version, previous in (("2", "9"), ("9", "9")):
        ledger.append_rollback(
            program="tickets", version=version, previous=previous, who="ann", reason="x"
        )
    (problem,) = check_moves(book.ledger.entries())
    assert "version 9 never was one" in problem.what


@pytest.mark.parametrize("marked", ["yes", 1, [True]])
def test_an_override_that_is_not_counted_as_one_is_none(book: Book, marked):
    def forge(lines):
        promotion = next(line for line in lines if line["kind"] == "promotion")
        promotion["data"] |= {"override": marked, "version": "9"}

    book.rewrite(forge)
    problems = [p.what for p in book.verify(seen=None).problems]
    assert any("promotion of version 9 must rest on" in what for what in problems)


def _now():
    from tests.pipeline.conftest import NOW

    return NOW
