"""A small router of messages, and a scripted evaluator, for tests of proposers."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from upturn.programs import Program
from upturn.propose import Evidence, Survivor
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row

SOURCE = '''
from typing import Literal

import dspy


class Route(dspy.Signature):
    """Route."""

    message: str = dspy.InputField()
    team: Literal["billing", "technical"] = dspy.OutputField()
    urgent: Literal["no", "yes"] = dspy.OutputField()


class Router(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)


class Pipe(dspy.Module):
    """Finds the topic, then the team for the topic, then words an answer."""

    signature = dspy.Signature("message -> answer")

    def __init__(self):
        super().__init__()
        self.topic = dspy.Predict('message -> topic: Literal["money", "access"]')
        self.team = dspy.Predict('topic -> team: Literal["billing", "technical"]')
        self.answer = dspy.Predict("message, team -> answer")
'''
TEXTS = {
    "billing": [
        "refund the charge",
        "charged twice, want a refund",
        "invoice shows a wrong charge",
    ],
    "technical": ["login fails", "password and login broken", "the login page shows an error"],
}


def examples(n: int, start: int = 0, **more: Any) -> list[Example]:
    """Rows in turn of both teams, each from one event."""
    out = []
    for i in range(start, start + n):
        team = ("billing", "technical")[i % 2]
        text = f"{TEXTS[team][i // 2 % 3]} number {i}"
        labels = {"team": team, "urgent": "no" if i % 3 else "yes"}
        made = {"id": f"e{i:03d}", "group": str(i), "event_ids": (f"v{i:03d}",), **more}
        out.append(Example(inputs={"message": text}, labels=labels, **made))
    return out


def scored(example: Example, score: float, **outputs: str) -> Row:
    return Row(
        example_id=example.id,
        group=example.group,
        outcome=Outcome.SCORED,
        score=score,
        outputs=outputs,
    )


class ScriptedEvaluator:
    """Answers every second row right; remembers what it was asked."""

    def __init__(self, traces: dict[str, Any] | None = None):
        self.asked: list[str] = []
        self.candidates: list[str] = []
        self._traces = traces

    def evaluate(self, candidate, examples, *, tolerant=False):
        self.asked += [e.id for e in examples]
        self.candidates.append(candidate.id)
        rows = tuple(scored(e, float(i % 2)) for i, e in enumerate(examples))
        return Evaluation(candidate_id=candidate.id, rows=rows)

    def evaluate_all(self, work, *, tolerant=False):
        return [self.evaluate(c, rows) for c, rows in work]

    def trace(self, candidate, example):
        if self._traces is not None:
            return self._traces[example.id]
        return {"route": {**example.inputs, **example.labels}}


def changed(evidence: Evidence, **values: Any) -> Evidence:
    return Evidence(**{**vars(evidence), **values})


def survivor(evidence: Evidence, instruction: str, demos: Any = (), rows: Any = ()) -> Survivor:
    """A candidate of the router that did well."""
    state = PromptState(instruction=instruction, demos=tuple(demos))
    candidate = Candidate(states={"route": state})
    evaluation = Evaluation(candidate_id=candidate.id, rows=tuple(rows))
    return Survivor(candidate=candidate, evaluation=evaluation, score=0.5)


def shown(*rows: Example) -> list[dict[str, Any]]:
    """Rows as demos of the router."""
    return [{**e.inputs, **e.labels} for e in rows]


def router_evidence(tmp_path, **values: Any) -> Evidence:
    """Every failed row is a technical one that was taken for billing."""
    (tmp_path / "p.py").write_text(SOURCE)
    program = Program("p.py:Router", tmp_path)
    rows = examples(12, start=500)
    answered = {"team": "billing", "urgent": "no"}
    failed = [(e, scored(e, 0.0, **answered)) for e in rows if e.labels["team"] == "technical"]
    made = Evidence(
        program=program,
        start=program.seed,
        train=examples(60),
        failures=failed,
        searched=rows,
        evaluator=ScriptedEvaluator(),
        max_demos=8,
        seed=3,
    )
    return changed(made, **values)


def package(folder: Path, **files: str) -> ModuleType:
    """Makes and imports a package of the files."""
    folder.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (folder / f"{name}.py").write_text(text)
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    sys.modules[folder.name] = module
    spec.loader.exec_module(module)
    return module
