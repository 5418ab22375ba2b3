"""A program that answers questions, on a scripted model, with a scripted judge beside it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upturn.evaluate import Evaluator
from upturn.lm import AnswerCache, Caps, Meter, ModelSpec
from upturn.lm.connect import connect_engine
from upturn.programs import Program
from upturn.suites import ANSWERS, Filling, Judge, Suite, SuiteResult, bind, open_suite, run_suite
from upturn.testing.engine import FakeEngine

REGISTRY = Path(__file__).parent / "registry"
PROGRAM = """
import dspy


class Answer(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question):
        return self.answer(question=question)


class Raises(Answer):
    def forward(self, question):
        raise ValueError("a\\n\\x1b\\tb")


class Listed(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("items: list[str] -> answer")

    def forward(self, items):
        return self.answer(items=items)


class Two(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("number: int, question, language -> answer, tone")

    def forward(self, number, question, language):
        return self.answer(number=number, question=question, language=language)
"""
HEAD = "[[ ## question ## ]]\n"


def question(request: Any) -> str:
    """What the program was asked; "" for a probe."""
    said = request.messages[-1].text
    if HEAD not in said:
        return ""
    return said.rpartition(HEAD)[2].rpartition("\n\nRespond with")[0]


def says(answers: Mapping[str, str], default: str = "I do not know.") -> Callable[[Any], str]:
    """A model that answers by the first key that a question holds."""

    def answer(request: Any) -> str:
        asked = question(request)
        found = next((v for k, v in answers.items() if k in asked), default)
        return f"[[ ## answer ## ]]\n{found}\n\n[[ ## completed ## ]]\n"

    return answer


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Runs suites on the program; ``judged`` are the prompts that the judge got."""

    program: Program
    evaluator: Evaluator
    judge: Judge
    meter: Meter
    judged: list[str]

    def run(self, suite: Suite, **filling: Any) -> SuiteResult:
        bound = bind(suite, self.program, Filling(**filling))
        return run_suite(bound, self.program.seed, self.evaluator, judge=self.judge)

    def evals(self, name: str) -> SuiteResult:
        return self.run(open_suite(f"evals/{name}.yaml", REGISTRY))


@contextmanager
def bench(
    folder: Path,
    answer: Callable[[Any], str],
    judge: Callable[[str], str] = lambda prompt: "",
    *,
    fail: Callable[[Any], Exception | None] = lambda request: None,
    judge_fails: Callable[[Any], Exception | None] = lambda request: None,
    caps: Caps | None = None,
    program: str = "Answer",
) -> Generator[Bench]:
    """Gives a bench on two scripted engines with one cache and one meter."""
    (folder / "p.py").write_text(PROGRAM)
    judged: list[str] = []

    def graded(request: Any) -> str:
        judged.append(request.messages[-1].text)
        return judge(judged[-1])

    made, meter = Program(f"p.py:{program}", folder), Meter(caps)
    with ExitStack() as stack:
        cache = stack.enter_context(AnswerCache(folder / "cache.db"))
        main, grader = (
            stack.enter_context(
                connect_engine(
                    engine,
                    model_id=name,
                    cache=cache,
                    meter=meter,
                    spec=ModelSpec(model="fake", concurrency=1),
                )
            )
            for name, engine in (
                ("answers@1", FakeEngine(answer, fail=fail)),
                ("judges@1", FakeEngine(graded, fail=judge_fails)),
            )
        )
        evaluator = stack.enter_context(Evaluator(made, ANSWERS, main, meter, concurrency=2))
        yield Bench(
            program=made,
            evaluator=evaluator,
            judge=Judge(grader),
            meter=meter,
            judged=judged,
        )
