"""The two programs that ship: their fields and their metrics, by the loader that a run uses."""

from __future__ import annotations

from pathlib import Path

import dspy
import pytest

from upturn.programs import Program, load_metric
from upturn.quickstart.reactions import PRIORITIES, TEAMS
from upturn.quickstart.world import issues

ROOT = Path(__file__).parents[3]


def test_ticket_triage_has_the_fields_of_its_log() -> None:
    program = Program("programs/ticket_triage.py:TicketTriage", ROOT)
    assert program.fields.inputs == ("message",)
    assert program.fields.outputs == {"team": TEAMS, "priority": PRIORITIES}
    assert list(program.predictors) == ["triage"]
    assert {i.team for i in issues()} == set(TEAMS)


@pytest.mark.parametrize(
    ("team", "priority", "score", "parts"),
    [
        ("Billing", "high", 1.0, {"team": 1.0, "priority": 1.0}),
        ("Billing", "low", 1.0, {"team": 1.0, "priority": 0.0}),
        ("Sales", "high", 0.0, {"team": 0.0, "priority": 1.0}),
    ],
)
def test_the_team_is_the_score(
    team: str, priority: str, score: float, parts: dict[str, float]
) -> None:
    metric = load_metric("programs/ticket_triage.py:metric", ROOT)
    example = dspy.Example(message="charged twice", team="Billing", priority="high")
    got = metric(example, dspy.Prediction(team=team, priority=priority), example_id="x")
    assert (got.value, dict(got.parts)) == (score, parts)


def test_banking77_compares_intents_exactly() -> None:
    program = Program("programs/banking77.py:Banking77", ROOT)
    metric = load_metric("programs/banking77.py:metric", ROOT)
    example = dspy.Example(question="?", intent="card_arrival")
    right, wrong = (
        metric(example, dspy.Prediction(intent=i), example_id="x").value
        for i in ("card_arrival", "card_delivery_estimate")
    )
    labels = program.fields.outputs["intent"]
    assert (right, wrong) == (1.0, 0.0)
    assert labels is not None
    assert len(labels) == 8
