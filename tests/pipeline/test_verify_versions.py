"""``upturn verify`` on what another version decided: its sentences may differ, its numbers not."""

from __future__ import annotations

from tests.pipeline.test_verify import Book, book, whole
from upturn.pipeline.audit import decisions, verification

__all__ = ["book", "whole"]


def _reworded(lines):
    report = next(line for line in lines if line["kind"] == "decision")["data"]["report"]
    report["reasons"] = ["In the words of another version."] * len(report["reasons"])


def _renumbered(lines):
    _reworded(lines)
    report = next(line for line in lines if line["kind"] == "decision")["data"]["report"]
    report["effect"] += 0.001


def test_sentences_of_another_version_are_remarked_and_no_fault(book: Book, monkeypatch):
    book.rewrite(_reworded)
    assert "reasons: recorded" in book.verify(seen=None).problems[0].what
    monkeypatch.setattr(decisions, "__version__", "99.0")
    found = book.verify(seen=None)
    assert (found.problems, found.rederived) == ((), 2)
    assert any("but for its sentences: version" in remark for remark in found.remarks)


def test_numbers_of_another_version_must_be_the_same(book: Book, monkeypatch):
    book.rewrite(_renumbered)
    monkeypatch.setattr(decisions, "__version__", "99.0")
    assert any("effect: recorded" in p.what for p in book.verify(seen=None).problems)


def test_what_is_no_form_of_ours_is_a_problem(book: Book, monkeypatch):
    def raising(*_: object) -> None:
        raise AssertionError("a forged value broke an assert")

    monkeypatch.setattr(decisions, "thaw", raising)
    problems = book.verify(seen=None).problems
    assert {type(p) for p in problems} == {verification.Problem}
    assert "a forged value broke an assert" in problems[0].what
