"""``upturn labels`` and ``upturn labels why`` on a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.labels.test_labels import DOWN, KEPT, UP, ask, correct, say
from upturn import cli
from upturn.events import Signal
from upturn.store import FeedbackStore

AS_OF = ("--now", "2026-10-01T00:00:00+00:00", "--min-age-hours", "72")


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = str(tmp_path / "feedback.db")
    events = [
        *(ask("r1"), ask("r2"), ask("r3", outputs={"team": "<b>{x}%s"})),
        *(correct(by="agent-1", team="returns"), DOWN, KEPT),
        say(Signal.THUMBS, False, by="u", to="r3"),
    ]
    with FeedbackStore.open(url) as opened:
        opened.add(events)
    return url


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["labels", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_json_is_a_line_for_every_request_and_field(store: str, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "--store", store, "--json", *AS_OF)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(x["request_id"], x["field"], x["label"], x["abstained"]) for x in lines] == [
        ("r1", "team", "returns", None),
        ("r1", "priority", "low", None),
        ("r2", "team", None, "no_feedback"),
        ("r2", "priority", None, "no_feedback"),
        ("r3", "team", None, "only_negative"),
    ]


def test_a_person_sees_counts_and_reasons(store: str, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "--store", store, *AS_OF)
    assert code == 0
    assert out.startswith("1 of 3 requests have a label for every field\n")
    for words in (["team", "correction", "1"], ["no_feedback", "1"], ["only_negative", "1"]):
        assert any(line.split()[: len(words)] == words for line in out.splitlines()), words
    assert "answers right:" in out


def test_why_shows_the_chain(store: str, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "why", "r1", "--store", store, *AS_OF)
    assert code == 0
    told = out.splitlines()
    assert told[0] == "request r1  2026-09-01T00:00:00  triage"
    assert "  answered team = 'billing'" in told
    assert any("correction = {'team': 'returns'}  by agent-1 (agent)" in line for line in told)
    assert any("team: rule correction: 'returns' is right" in line for line in told)
    assert any("priority: rule left_alone: the answer is right" in line for line in told)
    assert any(line.startswith("  => team = 'returns', probability 0.9") for line in told)
    assert any(line.strip().startswith("agent-1: trusted") for line in told)


def test_why_as_json_has_the_same_chain(store: str, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "--store", store, "why", "r3", "--json", *AS_OF)
    assert code == 0
    told = json.loads(out)
    assert told["outputs"] == {"team": "<b>{x}%s"}
    assert told["abstained"] == "only_negative"
    (event,) = told["events"]
    (reading,) = event["read_as"]
    assert (reading["field"], reading["rule"]) == ("team", "thumbs")
    assert reading["says"] == "the answer is wrong"
    assert told["fields"]["team"] == {
        "label": None,
        "probability": None,
        "abstained": "only_negative",
    }
    code, out, _ = run(capsys, "why", "r2", "--store", store, *AS_OF)
    assert out.splitlines()[-1] == "  => no row: no_feedback"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--json",), "--store"),
        (("--store", "STORE", "--now", "yesterday"), "ISO 8601"),
        (("--store", "STORE", "--now", "2026-10-01T00:00:00"), "with a zone"),
        (("why", "r9", "--store", "STORE"), "request must be in the store, got 'r9'"),
        (("--store", "absent.db"), "absent.db"),
    ],
)
def test_bad_input_is_told_with_exit_code_2(
    arguments: tuple[str, ...], told: str, store: str, capsys: pytest.CaptureFixture[str]
):
    code, out, err = run(capsys, *(store if a == "STORE" else a for a in arguments))
    assert (code, out) == (2, "")
    assert told in err


def test_an_empty_store_has_no_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    url = str(tmp_path / "empty.db")
    FeedbackStore.open(url).close()
    assert run(capsys, "--store", url, "--json")[:2] == (0, "")
    assert run(capsys, "--store", url)[1] == "0 of 0 requests have a label for every field\n"


def test_approvals_of_an_answer_are_counted_by_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    url = str(tmp_path / "up.db")
    with FeedbackStore.open(url) as opened:
        opened.add([ask("r1"), UP])
    out = run(capsys, "--store", url, *AS_OF)[1]
    assert ["team", "thumbs", "1", "0.800"] in [line.split() for line in out.splitlines()]
