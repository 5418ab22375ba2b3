"""A small program on a scripted model, for the tests of the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Caps, Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.metrics import Metric
from upturn.programs import Program
from upturn.records import Candidate, Example, PromptState
from upturn.testing.engine import FakeEngine

PROGRAM = """
import dspy


class Say(dspy.Module):
    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("text -> word")

    def forward(self, text):
        return self.say(text=text)
"""
CHAT = "[[ ## word ## ]]\nyes\n"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An evaluator and the engines behind it, by connection; "" is the config's own."""

    evaluator: Evaluator
    program: Program
    engines: dict[str, FakeEngine]
    meter: Meter

    def candidate(self, instruction: str = "Say.", **settings: Any) -> Candidate:
        return Candidate(states={"say": PromptState(instruction=instruction)}, settings=settings)


def example(text: str, label: str = "yes") -> Example:
    return Example(id=text, inputs={"text": text}, labels={"word": label}, group=f"g-{text}")


def equal(example: Any, prediction: Any) -> bool:
    return example.word == prediction.word


@contextmanager
def bench(
    folder: Path,
    answer: Callable[[Any], str] = lambda request: CHAT,
    *,
    models: tuple[str, ...] = (),
    metric: Callable[..., Any] = equal,
    caps: Caps | None = None,
    fail: Callable[[Any], Exception | None] = lambda request: None,
    **options: Any,
) -> Generator[Bench]:
    """Gives an evaluator on engines that all answer alike, each under a model id of its own."""
    (folder / "p.py").write_text(PROGRAM)
    program, meter = Program("p.py:Say", folder), Meter(caps)
    engines = {name: FakeEngine(answer, fail=fail) for name in ("", *models)}
    with ExitStack() as stack:
        cache = stack.enter_context(AnswerCache(folder / "cache.db"))
        spec = ModelSpec(model="fake", usd_per_million_input=1e6)
        connections = {
            name: stack.enter_context(
                connect_engine(
                    engine, model_id=f"fake{name}@1", cache=cache, meter=meter, spec=spec
                )
            )
            for name, engine in engines.items()
        }
        main = connections.pop("")
        evaluator = Evaluator(
            program,
            Metric(function=metric, name="m"),
            main,
            meter,
            connections=connections,
            **options,
        )
        stack.enter_context(evaluator)
        yield Bench(evaluator=evaluator, program=program, engines=engines, meter=meter)
