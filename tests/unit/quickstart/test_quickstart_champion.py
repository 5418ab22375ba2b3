"""The written log's answers are the embedded model's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from upturn import mini
from upturn.events import FieldRules, read_log
from upturn.quickstart.__main__ import main
from upturn.quickstart.answers import Champion
from upturn.quickstart.reactions import PRIORITIES, TEAMS

ROOT = Path(__file__).parents[3]
FIELDS = FieldRules(inputs=("message",), outputs={"team": TEAMS, "priority": PRIORITIES})


@pytest.mark.local
def test_the_log_holds_what_upturn_mini_answers(tmp_path: Path) -> None:
    out = tmp_path / "new" / "log.jsonl"
    assert main(["--out", str(out), "--requests", "12", "--seed", "3"]) == 0
    requests = read_log(out, fields=FIELDS).requests
    with Champion("programs/ticket_triage.py:TicketTriage", ROOT) as champion:
        again = champion([r.inputs["message"] for r in requests])
    assert [r.outputs or None for r in requests] == again
    assert {r.model for r in requests} == {f"upturn-mini@{mini.content_hash()}"}
    assert [p.name for p in out.parent.iterdir()] == ["log.jsonl"]


def test_a_folder_that_is_a_file_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "log.jsonl")]) == 2
    assert "the log's folder must be writable" in capsys.readouterr().err
