"""A scripted strong model, and the evidence that a proposer asks it about."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from upturn.lm import AnswerCache, Meter, ModelSpec
from upturn.lm.connect import Connection, connect_engine
from upturn.programs import Program
from upturn.propose import Evidence
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row
from upturn.testing.engine import FakeEngine

ROUTER = '''
from typing import Literal

import dspy


class Route(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()


class Router(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)


class TwoSteps(dspy.Module):
    signature = dspy.Signature("message -> team")

    def __init__(self):
        super().__init__()
        self.gist = dspy.Predict(dspy.Signature("message -> gist", "Say the gist."))
        self.route = dspy.Predict(dspy.Signature("gist -> team", "Route the gist."))
'''


def fields_asked(request: Any) -> list[str]:
    """The output fields that a request asks for."""
    text = request.messages[-1].text
    return re.findall(r"\[\[ ## (\w+) ## \]\]", text[text.rindex("Respond with") :])[:-1]


def written(**fields: str) -> str:
    """An answer in DSPy's chat format."""
    blocks = [f"[[ ## {name} ## ]]\n{value}\n" for name, value in fields.items()]
    return "\n".join([*blocks, "[[ ## completed ## ]]"])


def answering(text: str) -> Callable[[Any], str]:
    """A model that says the same to everything."""
    return lambda request: written(**dict.fromkeys(fields_asked(request), text))


@contextmanager
def strong(
    folder: Path,
    engine: FakeEngine,
    *,
    meter: Meter | None = None,
    tokens: int = 64,
    concurrency: int = 2,
):
    """A connection to a scripted strong model; the same folder is the same cache."""
    spec = ModelSpec(model="strong", max_tokens=tokens, concurrency=concurrency)
    with AnswerCache(folder / "strong.db") as cache:
        made: Connection = connect_engine(
            engine, model_id="strong@1", cache=cache, meter=meter or Meter(), spec=spec
        )
        with made:
            yield made


class Steps:
    """A runner that knows what each step of a program of two did, and never runs anything."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def evaluate(self, candidate: Candidate, examples: Any, *, tolerant: bool = False) -> Any:
        raise NotImplementedError

    def evaluate_all(self, work: Any, *, tolerant: bool = False) -> Any:
        raise NotImplementedError

    def trace(self, candidate: Candidate, example: Example) -> dict[str, dict[str, Any]]:
        if self._error is not None:
            raise self._error
        gist = {"message": example.inputs["message"], "gist": f"gist of {example.id}"}
        return {"gist": gist} if example.id == "e000" else {"gist": gist, "route": {"gist": "g"}}


def example(n: int, **over: Any) -> Example:
    values: dict[str, Any] = {
        "id": f"e{n:03}",
        "inputs": {"message": f"message number {n}"},
        "labels": {"team": "technical"},
        "group": f"g{n}",
        "reason": "correction",
        "event_ids": (f"e{n:03}", f"fb-{n:03}"),
        **over,
    }
    return Example(**values)


def wrong(row: Example, score: float = 0.0) -> tuple[Example, Row]:
    outputs = {"team": "billing"}
    outcome = Row(
        example_id=row.id, group=row.group, outcome=Outcome.SCORED, score=score, outputs=outputs
    )
    return row, outcome


def evidence(
    folder: Path, failed: Sequence[tuple[Example, Row]] = (), *, name: str = "Router", **over: Any
) -> Evidence:
    (folder / "router.py").write_text(ROUTER)
    program = Program(f"router.py:{name}", folder)
    values: dict[str, Any] = {
        "program": program,
        "start": program.seed,
        "train": [example(n) for n in range(100, 130)],
        "failures": failed,
        "searched": [e for e, _ in failed],
        "evaluator": Steps(),
        "seed": 7,
        **over,
    }
    return Evidence(**values)


def candidate(instruction: str) -> Candidate:
    return Candidate(states={"route": PromptState(instruction=instruction)})


def evaluation(of: Candidate, rows: Sequence[tuple[Example, Row]]) -> Evaluation:
    return Evaluation(candidate_id=of.id, rows=tuple(row for _, row in rows))


class Told:
    """Remembers what proposers told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, proposer: str, sentence: str) -> None:
        self.said.append((proposer, sentence))
