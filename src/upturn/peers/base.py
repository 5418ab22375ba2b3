"""What a peer is: one of DSPy's own optimizers, run with our model, caps, cache and records.

To add one: write a file in this folder with a frozen dataclass that has ``name``, ``judges_on`` and
``optimize``, and add it to ``PEERS`` in ``peers/__init__.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from upturn.lm import Meter
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Candidate, Example

if TYPE_CHECKING:
    from upturn.lm.connect import Connection

Budget = Literal["light", "medium", "heavy"]
Part = Literal["train", "searched"]

#: A bootstrapped demo must come from a row that scored full, as in our own proposer.
FULL_SCORE = 1.0


@dataclass(frozen=True, kw_only=True)
class PeerRules:
    """How much a peer tries.

    Attributes:
        auto: the budget, as DSPy defines it; optimizers without such budgets run their defaults.
        max_demos: at most so many demos in a prompt, labelled and bootstrapped ones; None leaves
            it to the optimizer's own defaults.
        finalists: how many of its programs are run on fresh rows, its own choice among them.
        seed: its randomness.
        concurrency: rows in flight at a time.
    """

    auto: Budget = "light"
    max_demos: int | None = 16
    finalists: int = 3
    seed: int = 0
    concurrency: int = 32

    def demos(self, own: int) -> int:
        """The cap on demos; ``own`` is the optimizer's default."""
        return own if self.max_demos is None else self.max_demos


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a peer works on.

    Attributes:
        program: the program.
        start: the candidate that runs now; its settings hold for everything that the peer tries.
        train: rows that demos and reflections come from.
        searched: rows that programs are compared on.
        connection: the model that runs the program.
        strong: the model that writes instructions; None leaves that to ``connection``.
        meter: the meter of ``connection``.
        metric: scores a row.
    """

    program: Program
    start: Candidate
    train: Sequence[Example]
    searched: Sequence[Example]
    connection: Connection
    strong: Connection | None
    meter: Meter
    metric: Metric


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that an optimizer is given.

    Attributes:
        student: the ``dspy.Module`` that runs now; no language model is set in it.
        train: ``dspy.Example`` rows that demos and reflections come from.
        searched: ``dspy.Example`` rows that programs are compared on.
        metric: ``metric(example, prediction, trace, pred_name, pred_trace)`` -> float in [0, 1], or
            a prediction with ``score`` and ``feedback`` where ``pred_name`` asks for feedback.
        prompt_model: the ``dspy.LM`` that writes instructions; the task model is in the context.
        rules: how much to try.
    """

    student: Any
    train: list[Any]
    searched: list[Any]
    metric: Callable[..., Any]
    prompt_model: Any
    rules: PeerRules


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an optimizer gives back.

    Attributes:
        program: the ``dspy.Module`` that it chose.
        score: the score that it reports of it, a fraction, on the rows that it chose it on.
    """

    program: Any
    score: float | None


class Peer(Protocol):
    """One optimizer. Called once; every program that it runs is recorded from outside."""

    @property
    def name(self) -> str: ...

    @property
    def judges_on(self) -> tuple[Part, ...]:
        """The rows whose scores decide, the part that its claim is about first.

        What it runs on other rows (to bootstrap demos) is no evaluation of a program.
        """
        ...

    @property
    def has_budgets(self) -> bool:
        """Whether ``PeerRules.auto`` means something to it."""
        ...

    def optimize(self, task: Task) -> Claim:
        """Runs DSPy's optimizer to its end.

        Raises:
            Halt: from the model, when the world or a cap stops the run.
        """
        ...


def fraction(percent: float | None) -> float | None:
    """DSPy reports percents, rounded to two digits."""
    return None if percent is None else percent / 100.0
