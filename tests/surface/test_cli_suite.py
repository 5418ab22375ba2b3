"""``upturn suite``: what it answers, and its exit codes."""

from __future__ import annotations

import json

import pytest

from tests.surface.conftest import Finished, Upturn, serving


@pytest.fixture
def own(finished: Finished) -> str:
    """Two rows: one that the scripted model's billing passes, and one that it fails."""
    rows = [
        {"id": "form", "text": "a refund", "expect": {"answered": True, "max_chars": 20}},
        {"id": "never", "text": "the invoice", "expect": {"not_includes": "[bold]BILL"}},
        {"id": "billing", "text": "charged", "expect": {"not_includes": "bill"}},
    ]
    (finished.root / "s.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return "s.jsonl"


def test_a_suite_on_a_version(finished: Finished, own: str, upturn: Upturn, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with serving() as served:
        asked = ("suite", finished.config, f"model.api_base={served.base}", "--suite", own)
        ran = upturn(*asked, "--version", "seed", "--json")
        assert (ran.code, ran.json["ok"], ran.json["version"]) == (3, False, "seed"), ran.err
        assert ran.json["calls"] == 3
        (found,) = ran.json["suites"]
        assert (found["name"], found["rows"], found["passed"]) == ("s", 3, 2)
        assert found["failed"] == [{"id": "billing", "why": "team must not contain 'bill'"}]
        shown = upturn(*asked, "--version", "seed")
        assert (shown.code, "0 calls paid" in shown.out) == (3, True)
        assert "  s billing: team must not contain 'bill'" in shown.out
        ok = f"gate.suites=[{{path: {own}, pass: 0.6}}]"
        passed = upturn("suite", finished.config, f"model.api_base={served.base}", ok)
        assert passed.code == 0, passed.err
        assert passed.out.startswith("tickets, champion (")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "there must be a suite to run"),
        (["--suite", "safty"], "a suite must be a .jsonl file"),
        (["--suite", "absent.jsonl"], "absent.jsonl: the file must exist"),
        (["--suite", "safety", "--version", "9"], "version"),
    ],
)
def test_bad_input_is_exit_2(finished: Finished, upturn: Upturn, arguments, told):
    ran = upturn("suite", finished.config, *arguments)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_validate_reads_the_suites(finished: Finished, own: str, upturn: Upturn):
    suites = f"gate.suites=[safety, {own}]"
    ran = upturn("validate", finished.config, suites, "--json")
    assert ran.json["suites"] == {"safety": 53, "s": 3}
    assert "  suite      safety: 53 rows" in upturn("validate", finished.config, suites).out
    broken = upturn("validate", finished.config, "gate.suites=[gone.jsonl]")
    assert (broken.code, "gone.jsonl: the file must exist" in broken.err) == (2, True)
