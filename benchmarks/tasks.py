"""The three tasks of the search benchmarks: real messages to a bank that the model never saw.

Data: Banking77 (Casanueva et al., "Efficient Intent Detection with Dual Sentence Encoders", 2020,
CC BY 4.0). The rows are read from a folder and are never part of the project.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dspy

from upturn.errors import DataError
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Example

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "banking77_train.jsonl"

INTENTS = (
    *("card_arrival", "card_delivery_estimate", "card_not_working", "lost_or_stolen_card"),
    *("pending_card_payment", "declined_card_payment", "pending_transfer", "declined_transfer"),
)
TEAMS = {
    "cards": ("card_arrival", "card_not_working", "lost_or_stolen_card"),
    "transfers": ("pending_transfer", "failed_transfer", "transfer_fee_charged"),
    "cash": ("pending_cash_withdrawal", "cash_withdrawal_charge", "declined_cash_withdrawal"),
    "topup": ("top_up_failed", "pending_top_up", "top_up_limits"),
    "identity": ("verify_my_identity", "why_verify_identity", "unable_to_verify_identity"),
    "exchange": ("exchange_rate", "exchange_charge", "exchange_via_app"),
}
CODES = {
    "K7": ("direct_debit_payment_not_recognised",),
    "M2": ("balance_not_updated_after_cheque_or_cash_deposit",),
    "R9": ("request_refund",),
    "T4": ("activate_my_card",),
    "X6": ("wrong_amount_of_cash_received",),
}

# Every signature's labels are literals, as a program's author would write them.
Intent = Literal[INTENTS]  # type: ignore[valid-type]
Team = Literal["cards", "transfers", "cash", "topup", "identity", "exchange"]
Code = Literal["K7", "M2", "R9", "T4", "X6"]


class Intents(dspy.Signature):
    """Given a bank customer's question, name the intent behind it."""

    question: str = dspy.InputField()
    intent: Intent = dspy.OutputField()


class Teams(dspy.Signature):
    """Route the customer's question to the team that answers it."""

    question: str = dspy.InputField()
    team: Team = dspy.OutputField()


class Codes(dspy.Signature):
    """Give the internal code of the intent behind the customer's question."""

    question: str = dspy.InputField()
    intent: Code = dspy.OutputField()


class _OneCall(dspy.Module):
    signature: Any

    def __init__(self) -> None:
        super().__init__()
        self.classify = dspy.Predict(type(self).signature)

    def forward(self, question: str) -> dspy.Prediction:
        return self.classify(question=question)


class IntentProgram(_OneCall):
    """Eight intents that are easily taken for one another."""

    signature = Intents


class TeamProgram(_OneCall):
    """Eighteen intents in six teams."""

    signature = Teams


class CodeProgram(_OneCall):
    """Five intents under names that say nothing."""

    signature = Codes


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: as in tables.
        program: a class of this file.
        field: the output field.
        labels: Banking77's intent -> the label.
    """

    name: str
    program: str
    field: str
    labels: dict[str, str]

    def load(self) -> Program:
        return Program(f"tasks.py:{self.program}", Path(__file__).parent)

    @property
    def metric(self) -> Metric:
        """Exact match."""
        field = self.field
        return Metric(
            function=lambda example, prediction: (
                getattr(example, field) == getattr(prediction, field)
            ),
            name=f"{self.name}:exact",
        )

    def rows(self, path: Path = DATA, *, seed: int = 0) -> list[Example]:
        """Reads the task's rows in a seeded order.

        Raises:
            DataError: the file is not there.
        """
        if not path.is_file():
            raise DataError(
                "the benchmark needs Banking77's train file",
                where=str(path),
                fix="name it with --data; each line is {'text': …, 'intent': …}",
            )
        found: dict[str, Example] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            value = json.loads(line)
            if value["intent"] in self.labels:
                text = value["text"].strip()
                label = self.labels[value["intent"]]
                found[text] = Example(
                    id=f"{self.name}-{len(found)}",
                    inputs={"question": text},
                    labels={self.field: label},
                    group=text,
                )
        rows = list(found.values())
        random.Random(seed).shuffle(rows)
        return rows


def _inverted(groups: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {intent: label for label, intents in groups.items() for intent in intents}


TASKS = {
    task.name: task
    for task in (
        Task(
            name="intents8",
            program="IntentProgram",
            field="intent",
            labels={i: i for i in INTENTS},
        ),
        Task(name="teams6", program="TeamProgram", field="team", labels=_inverted(TEAMS)),
        Task(name="codes5", program="CodeProgram", field="intent", labels=_inverted(CODES)),
    )
}
