"""Twelve intents of Banking77 that are easily taken for one another; loaded as a program file.

Data: Casanueva et al., "Efficient Intent Detection with Dual Sentence Encoders", 2020 (CC BY 4.0).
"""

from __future__ import annotations

from typing import Any, Literal

import dspy

INTENTS = (
    *("card_arrival", "card_delivery_estimate", "card_not_working", "lost_or_stolen_card"),
    *("pending_card_payment", "declined_card_payment", "pending_transfer", "declined_transfer"),
    *("failed_transfer", "transfer_timing", "transfer_not_received_by_recipient"),
    "compromised_card",
)
Intent = Literal[INTENTS]  # type: ignore[valid-type]


class Intents(dspy.Signature):
    """Given a bank customer's question, name the intent behind it."""

    question: str = dspy.InputField()
    intent: Intent = dspy.OutputField()


class IntentProgram(dspy.Module):
    """One call of the language model for each question."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = dspy.Predict(Intents)

    def forward(self, question: str) -> dspy.Prediction:
        return self.classify(question=question)


def metric(
    example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
) -> bool:
    """Whether the intent is exactly the labelled one."""
    return bool(prediction.intent == example.intent)
