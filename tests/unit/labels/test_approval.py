"""A yes is an approval only where its name says so."""

from __future__ import annotations

import pytest

from upturn.events import Role, Signal
from upturn.labels import LabelRules, Says
from upturn.labels.approval import approves


@pytest.mark.parametrize(
    "name",
    [
        *(None, "user-feedback", "User feedback", "thumbs_up", "support/thumbs", "isCorrect"),
        *("output", "correctness", "task_success", "helpful", "relevance_scorer.passed"),
    ],
)
def test_names_that_approve(name: str | None):
    assert approves(name)


@pytest.mark.parametrize(
    "name",
    [
        *("is_toxic", "hallucination", "valid_json", "thumbs_down", "not_helpful", "incorrect"),
        *("answerWrong", "feedback_negative", "scores.rude", "failed", "42", ""),
    ],
)
def test_names_that_do_not(name: str):
    assert not approves(name)


def test_a_vote_that_does_not_approve_needs_a_rule_of_its_own():
    rules = LabelRules()
    assert rules.find(Signal.THUMBS, Role.CUSTOMER, "is_toxic") is None
    assert rules.find(Signal.THUMBS, Role.JUDGE, "is_toxic") is None
    thumbs = rules.find(Signal.THUMBS, Role.CUSTOMER, "user-feedback")
    assert thumbs is not None
    assert thumbs.id == "thumbs"
    change = {"signal": "thumbs", "name": "is_toxic", "says": "wrong", "probability": 0.7}
    toxic = rules.changed({"toxic": change}).find(Signal.THUMBS, Role.JUDGE, "is_toxic")
    assert toxic is not None
    assert (toxic.id, toxic.says) == ("toxic", Says.WRONG)
