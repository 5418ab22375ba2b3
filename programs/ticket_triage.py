"""Routes a support message to a team and sets its priority.

Run by ``configs/ticket_triage.yaml``. Needs DSPy and nothing of Upturn.
"""

from __future__ import annotations

from typing import Any, Literal

import dspy

Team = Literal["Technical", "Returns", "Sales", "Billing", "Delivery", "Account"]
Priority = Literal["low", "normal", "high"]


class Triage(dspy.Signature):
    """Route the support message to the team that handles it and set its priority."""

    message: str = dspy.InputField()
    team: Team = dspy.OutputField()
    priority: Priority = dspy.OutputField()


class TicketTriage(dspy.Module):
    """One call of the language model for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = dspy.Predict(Triage)

    def forward(self, message: str) -> dspy.Prediction:
        return self.triage(message=message)


def metric(
    example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
) -> dict[str, float]:
    """Scores one message: 1 if it reached the right team, else 0.

    A message in the wrong queue costs the customer a hand-over, often a day; a wrong priority moves
    it within a queue that somebody reads anyway. So the team alone is the score, all or nothing,
    which lets the gate use an exact test. The priority is a part: reported beside the score, so
    that a gain in teams that ruins priorities is seen.
    """
    team = float(prediction.team == example.team)
    return {
        "score": team,
        "team": team,
        "priority": float(prediction.priority == example.priority),
    }
