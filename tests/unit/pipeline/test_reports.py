"""Reports in their folder: written, read, and made anew after something was forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.report.searches import report
from tests.unit.report.test_report_texts import AFTER, BEFORE, EXAMPLES, TURN
from upturn.errors import CorruptionError
from upturn.pipeline.forget.places import sweep
from upturn.pipeline.forget.records import clean_reports
from upturn.pipeline.forget.subject import Subject
from upturn.pipeline.reports import PAGE, RECORD, read_document, refresh, write_document
from upturn.pipeline.workspace import write_json
from upturn.records import Candidate, Example, PromptState
from upturn.report import document

SAID = "my parcel from harbour street never came, write to jane.roe@example.com about it"
ANSWER = "we wrote to the lady of harbour street number nine yesterday"
NEARLY = "we wrote to the lady of market street number nine yesterday"


def stored(folder: Path) -> Path:
    """A report in which one person's words are a row's, a demo's, and part of an answer."""
    rows = [
        replace(side, rows=(replace(side.rows[0], outputs={"reply": text}), *side.rows[1:]))
        for side, text in ((BEFORE, NEARLY), (AFTER, ANSWER))
    ]
    asked = [Example(id="r1", inputs={"m": SAID}, labels={}, group="g"), *EXAMPLES[1:]]
    demo = {"m": SAID}
    rival = Candidate(states={"route": PromptState(instruction="Route.", demos=(demo,))})
    made = document(
        replace(TURN, challenger=rival),
        champion=rows[0],
        challenger=rows[1],
        examples=asked,
        search=report(),
    )
    folder.mkdir(parents=True)
    write_document(folder, made)
    return folder


def forget(folder: Path) -> int:
    subject = Subject(names=frozenset({"somebody"}))
    subject.add_example(Example(id="r1", inputs={"m": SAID}, labels={"reply": ANSWER}, group="g"))
    changed = clean_reports(folder, subject)
    sweep([folder], subject.needles)
    refresh(folder)
    return changed


def test_nothing_of_a_forgotten_person_is_left_in_record_page_and_markdown(tmp_path: Path):
    folder = stored(tmp_path / "turns" / "t1")
    before = (folder / PAGE).read_text()
    assert "harbour street never came, write to [EMAIL]" in before
    assert "<ins>harbour</ins>" in before
    assert forget(tmp_path) == 1
    for name in (RECORD, PAGE, "decision.md"):
        text = (folder / name).read_text()
        assert "harbour" not in text, name
        assert "r1" not in [r.example_id for r in read_document(folder / RECORD).fixed]
    # The row that others said is still there.
    assert "r5" in [r.example_id for r in read_document(folder / RECORD).fixed]
    assert forget(tmp_path) == 0


def test_a_kill_before_the_pages_were_made_anew_is_mended_by_the_next_run(tmp_path: Path):
    folder = stored(tmp_path / "t1")
    made = read_document(folder / RECORD)
    write_json(folder / RECORD, replace(made, fixed=()).to_json())
    assert refresh(tmp_path) == [folder / RECORD]
    assert refresh(tmp_path) == []
    (folder / PAGE).unlink()
    assert refresh(tmp_path) == [folder / RECORD]


def test_a_report_that_somebody_changed_is_refused(tmp_path: Path):
    folder = stored(tmp_path / "t1")
    text = (folder / RECORD).read_text()
    (folder / RECORD).write_text(text.replace('"verdict": "PROMOTE"', '"verdict": "HOLD"'))
    with pytest.raises(CorruptionError):
        read_document(folder / RECORD)


def test_a_report_of_a_later_release_is_refused_with_the_next_step(tmp_path: Path):
    folder = stored(tmp_path / "t1")
    value = read_document(folder / RECORD).to_json()
    write_json(folder / RECORD, {**value, "turn": {**value["turn"], "mood": "good"}})
    with pytest.raises(CorruptionError, match="must be a report of this release") as caught:
        read_document(folder / RECORD)
    assert PAGE in str(caught.value)


def test_a_versions_own_gate_report_is_left_alone(tmp_path: Path):
    (tmp_path / RECORD).write_text('{"verdict": "PROMOTE"}')
    assert refresh(tmp_path) == []
