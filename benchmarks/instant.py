"""A model that answers at once, and a program on it: what is left is the work around a call."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dspy.lm15 import Request, Response

from upturn.evaluate import Evaluator
from upturn.lm import Answer, AnswerCache, Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.lm.engine import text_response
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Candidate, Example, PromptState

PROGRAM = '''
import dspy


class Route(dspy.Signature):
    """Route the message to the team that can help."""

    message: str = dspy.InputField()
    team: str = dspy.OutputField()


class Triage(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)

    def forward(self, message):
        return self.route(message=message)
'''
TEAMS = ("billing", "shipping", "returns", "technical")
MODEL = "instant@1"


class InstantEngine:
    """Answers at once with the team that a message names.

    Args:
        varied: an instruction decides how often the answer is a wrong team, from never to always.
    """

    def __init__(self, *, varied: bool = False) -> None:
        self._varied = varied

    def complete(self, request: Request) -> Response:
        message = request.messages[-1].text or ""
        team = next((t for t in TEAMS if t in message), TEAMS[0])
        if self._varied and self._misses(str(request.system), message):
            team = next(t for t in TEAMS if t != team)
        text = f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]"
        return text_response(
            request, text, finish_reason="stop", input_tokens=600, output_tokens=12
        )

    def _misses(self, system: str, message: str) -> bool:
        quality = zlib.crc32(system.encode()) % 1000
        return zlib.crc32(message.encode(), quality) % 1000 >= quality

    async def acomplete(self, request: Request) -> Response:
        return self.complete(request)

    def close(self) -> None:
        pass


class NoCache:
    """Keeps nothing."""

    def get(self, key: str) -> Answer | None:
        return None

    def put(self, key: str, answer: Answer) -> None:
        pass


def metric(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Right or wrong; DSPy's evaluator and ours call it alike."""
    return example.team == prediction.team


def rows(numbers: Iterable[int]) -> list[Example]:
    """Distinct messages; one in four is labelled as the engine will not answer it."""
    made: list[Example] = []
    for i in numbers:
        said = TEAMS[i % 4]
        label = TEAMS[0] if i % 16 == 1 else said
        text = f"Message {i}: this is about {said}, please look at my order and tell me more."
        inputs = {"message": text}
        made.append(Example(id=f"r{i}", inputs=inputs, labels={"team": label}, group=f"g{i}"))
    return made


def candidate(demos: int = 8, instruction: str = "Route the message.") -> Candidate:
    """A prompt with so many demos."""
    shown = tuple(
        {"message": f"Demo {i}: I have a question about {TEAMS[i % 4]}.", "team": TEAMS[i % 4]}
        for i in range(demos)
    )
    return Candidate(states={"route": PromptState(instruction=instruction, demos=shown)})


def program(folder: Path) -> Program:
    """Writes the program into a folder and loads it."""
    (folder / "triage.py").write_text(PROGRAM)
    return Program("triage.py:Triage", folder)


@contextmanager
def evaluator(
    loaded: Program, *, threads: int, cache: Path | None = None, varied: bool = False
) -> Generator[tuple[Evaluator, Any]]:
    """Gives an evaluator on the instant engine, and its ``dspy.LM``.

    Args:
        loaded: the program.
        threads: rows in flight at a time.
        cache: the file of the answer cache; None keeps no answer.
        varied: instructions differ in how often they are right.
    """
    meter = Meter()
    with ExitStack() as stack:
        kept: Any = stack.enter_context(AnswerCache(cache)) if cache else NoCache()
        connection = stack.enter_context(
            connect_engine(
                InstantEngine(varied=varied),
                model_id=MODEL,
                cache=kept,
                meter=meter,
                spec=ModelSpec(model=MODEL),
            )
        )
        scored = Metric(function=metric, name="metric")
        made = Evaluator(loaded, scored, connection, meter, concurrency=threads)
        yield stack.enter_context(made), connection.lm


def machine() -> dict[str, str]:
    """What a number depends on beside the code."""
    import dspy

    version = ".".join(map(str, sys.version_info[:3]))
    return {"python": version, "dspy": dspy.__version__}


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Returns a table as text, numbers to the right."""
    cells = [tuple(head), *(tuple(map(str, line)) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = (
        [
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(x, widths, strict=True))
        ]
        for x in cells
    )
    return "\n".join("  ".join(x).rstrip() for x in texts)
